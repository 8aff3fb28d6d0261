"""Tables: one shape for the page, for CSV and for JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from calwatch.service.alarm_desk import OrderError

Kind = Literal["text", "words", "number", "verdict", "time", "code"]
"""What a column holds; words are long and may break into lines."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    key: str
    """Its name in CSV and JSON, which does not change."""
    title: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of values by the key of their column, with the addresses some of them lead to."""

    name: str
    """Its name in JSON, and of the file."""
    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    links: Sequence[Mapping[str, str]] = field(default=())
    """For each row addresses by the key of a column; empty if there are none at all."""

    def linked(self) -> list[tuple[Mapping[str, Any], Mapping[str, str]]]:
        """Return each row with its addresses."""
        links = self.links or [{}] * len(self.rows)
        return list(zip(self.rows, links, strict=True))


def download(request: Request, name: str, tables: Sequence[Table]) -> Response | None:
    """Answer what asks for its tables as CSV or JSON by ``?format=``; None if it does not.

    Parameters
    ----------
    request
        With ``table=`` it may name one of them; CSV is of the first if it does not.
    name
        Of the file, without suffix.
    tables
        Those of the page.

    Raises
    ------
    OrderError
        If there is no such format or table.
    """
    wanted = request.query_params.get("format", "")
    if not wanted:
        return None
    which = request.query_params.get("table", "")
    chosen = [table for table in tables if which in ("", table.name)]
    if not chosen:
        known = ", ".join(table.name for table in tables)
        raise OrderError(f"table: there is no {which[:40]!r} here, but {known}")
    if wanted == "json":
        content = {table.name: [plain_row(table, row) for row in table.rows] for table in chosen}
        return JSONResponse(content, headers=_saved(f"{name}.json"))
    if wanted == "csv":
        return Response(
            csv_text(chosen[0]),
            media_type="text/csv",
            headers=_saved(f"{name}-{chosen[0].name}.csv"),
        )
    raise OrderError(f"format: must be csv or json, not {wanted[:40]!r}")


def csv_text(table: Table) -> str:
    """Write a table as CSV (RFC 4180), the keys of its columns first."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([column.key for column in table.columns])
    for row in table.rows:
        writer.writerow([_cell(row.get(column.key)) for column in table.columns])
    return file.getvalue()


def plain_row(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON has it."""
    return {column.key: _plain(row.get(column.key)) for column in table.columns}


def _cell(value: Any) -> Any:
    plain = _plain(value)
    if isinstance(plain, str) and plain.startswith(_FORMULA):
        return f"'{plain}"
    return "" if plain is None else plain


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    return value.value if isinstance(value, Enum) else value


def _saved(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
