"""Queries over the records that calwatch publishes, in InfluxQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from calwatch.dashboards.model import DETECTOR, INSTRUMENT, INTERVAL, TIME

COMMENT = "/* calwatch */ "
"""Sasquatch asks clients to say in each query whose it is."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where the records are.

    Parameters
    ----------
    database
        Of InfluxDB.
    prefix
        Of the measurements: the namespace of the records.
    """

    database: str = "lsst.cp"
    prefix: str = "lsst.cp.calwatch"

    def measurement(self, record: str) -> str:
        """Return the name of a record's measurement."""
        return f"{self.prefix}.{record}"

    def source(self, record: str) -> str:
        """Return a record's measurement as a query names it."""
        return f'"{self.database}"."autogen"."{self.measurement(record)}"'


def quoted(name: str) -> str:
    """Return the name of a field, tag or column as a query has it."""
    return f'"{name}"'


def binned(
    source: str, columns: Mapping[str, str], *, detector: bool = False, by: str = "",
    also: str = "", fill: str = "none",
) -> str:  # fmt: skip
    """Return a query for one value a column and time bin.

    Parameters
    ----------
    source
        The measurement, or a query in brackets.
    columns
        Name of the column to an expression with an aggregation.
    detector
        Only the chosen detector.
    by
        A tag that makes a series of its own for each of its values.
    also
        One more condition.
    fill
        What an empty bin holds.
    """
    groups = f"time({INTERVAL})" + (f", {quoted(by)}" if by else "")
    where = condition(detector=detector, also=also)
    return (
        f"{COMMENT}SELECT {_columns(columns)} FROM {source} WHERE {where} "
        f"GROUP BY {groups} FILL({fill})"
    )


def inner(source: str, columns: Mapping[str, str], *, detector: bool = False) -> str:
    """Return a query in brackets that computes columns point by point."""
    return f"(SELECT {_columns(columns)} FROM {source} WHERE {condition(detector=detector)})"


def over(source: str, columns: Mapping[str, str]) -> str:
    """Return a query for one value a column and time bin of an inner query.

    Tags and their conditions stay in the inner query.
    """
    return (
        f"{COMMENT}SELECT {_columns(columns)} FROM {source} WHERE {TIME} "
        f"GROUP BY time({INTERVAL}) FILL(none)"
    )


def total(source: str, expression: str, name: str, also: str = "") -> str:
    """Return a query for one number over the whole time range."""
    where = condition(also=also)
    return f"{COMMENT}SELECT {expression} AS {quoted(name)} FROM {source} WHERE {where}"


def rows(source: str, fields: Iterable[str], also: str = "", most: int = 500) -> str:
    """Return a query for the newest points as rows of a table."""
    chosen = ", ".join(map(quoted, fields))
    return (
        f"{COMMENT}SELECT {chosen} FROM {source} WHERE {condition(also=also)} "
        f"ORDER BY time DESC LIMIT {most}"
    )


def condition(*, detector: bool = False, also: str = "") -> str:
    """Return the conditions: time range, instrument, and whatever is asked for."""
    words = [TIME, INSTRUMENT, *([DETECTOR] if detector else []), *([also] if also else [])]
    return " AND ".join(words)


def equals(field: str, value: str) -> str:
    """Return the condition that a tag or a string is this one."""
    return f"{quoted(field)} = '{value}'"


def number(value: float) -> str:
    """Return a number as a query has it, exactly: InfluxQL reads no exponents."""
    text = format(Decimal(repr(float(value))), "f")
    return text if "." in text else f"{text}.0"


def shifted(expression: str, value: float) -> str:
    """Return an expression plus a number."""
    return f"{expression} {'-' if value < 0 else '+'} {number(abs(value))}"


def _columns(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{expression} AS {quoted(name)}" for name, expression in columns.items())
