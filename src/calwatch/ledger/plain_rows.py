"""Rows of the ledger exactly as they are stored, whichever database stores them.

Documents are neither inflated nor read: what is moved is byte for byte what was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    LargeBinary,
    MetaData,
    Table,
    Text,
    cast,
    func,
    insert,
    select,
    tuple_,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeDecorator

from calwatch.ledger.tables import metadata
from calwatch.ledger.types import CompressedJson, SingleArray

SMALL_ROWS, LARGE_ROWS = 5000, 500
"""Rows read at once of a table without documents, and of one with them."""
_SUM = 1 << 128

Row = tuple[Any, ...]


class _JsonAsText(TypeDecorator[str]):
    """PostgreSQL's JSON (which keeps the text as it was given), read and written as text."""

    impl = Text
    cache_ok = True

    def bind_expression(self, bindparam: Any) -> Any:
        """Tell PostgreSQL what the text is."""
        return cast(bindparam, JSON)

    def column_expression(self, column: Any) -> Any:
        """Ask for the text."""
        return cast(column, Text)


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds: equal contents have equal numbers, whatever the order."""

    rows: int
    checksum: str
    """Sum of the digests of all rows, in hexadecimal."""


def tables() -> list[Table]:
    """Return every table of the ledger, each after those it points at."""
    return list(metadata.sorted_tables)


def count(connection: Connection, table: Table) -> int:
    """Return the number of rows."""
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def key_of(table: Table, row: Row) -> list[Any]:
    """Return the primary key of a row."""
    return [row[number] for number, column in enumerate(table.columns) if column.primary_key]


def portions(
    connection: Connection, table: Table, after: Sequence[Any] | None = None
) -> Iterator[list[Row]]:
    """Yield all rows by primary key, some at a time.

    Parameters
    ----------
    connection
        In a transaction that sees one state throughout.
    table
        Which.
    after
        Only rows beyond this primary key.
    """
    plain = _plain(table, connection.dialect.name)
    key = list(plain.primary_key.columns)
    most = _portion(table)
    while True:
        statement = select(plain).order_by(*key).limit(most)
        if after is not None:
            statement = statement.where(tuple_(*key) > tuple_(*after, types=[k.type for k in key]))
        found = [tuple(row) for row in connection.execute(statement)]
        if not found:
            return
        yield found
        if len(found) < most:
            return
        after = key_of(table, found[-1])


def write(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert rows as `portions` gave them."""
    plain = _plain(table, connection.dialect.name)
    if connection.dialect.name == "postgresql":
        _stream(connection, plain, rows)
        return
    names = plain.columns.keys()
    new = [dict(zip(names, row, strict=True)) for row in rows]
    if new:
        connection.execute(insert(plain), new)


def _stream(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert rows by PostgreSQL's COPY, which takes a seventh of the time of INSERT."""
    import psycopg

    quoted = connection.dialect.identifier_preparer
    names = ", ".join(quoted.quote(name) for name in table.columns.keys())  # noqa: SIM118
    statement = f"COPY {quoted.format_table(table)} ({names}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as stream:
            for row in rows:
                stream.write_row(row)
    except psycopg.Error as error:  # as SQLAlchemy would have it, which does not see this call
        raise DBAPIError(statement, None, error) from error


def content(connection: Connection, table: Table) -> Content:
    """Read a whole table, and return what it holds."""
    rows = total = 0
    for found in portions(connection, table):
        rows += len(found)
        total += sum(_digest(row) for row in found)
    return Content(rows, f"{total % _SUM:032x}")


def _portion(table: Table) -> int:
    large = any(isinstance(c.type, CompressedJson | SingleArray) for c in table.columns)
    return LARGE_ROWS if large else SMALL_ROWS


@cache
def _plain(table: Table, dialect: str) -> Table:
    """Return the table with the types in which it is stored."""
    columns = [Column(c.name, _stored(c, dialect), primary_key=c.primary_key) for c in table.c]
    return Table(table.name, MetaData(), *columns)


def _stored(column: Column[Any], dialect: str) -> Any:
    if isinstance(column.type, CompressedJson | SingleArray):
        return LargeBinary()
    if isinstance(column.type, JSON):
        return _JsonAsText() if dialect == "postgresql" else Text()
    return column.type


def _digest(row: Row) -> int:
    """Return a number that stands for the row."""
    digest = blake2b(digest_size=16)
    for value in row:
        kind, content = _bytes(value)
        digest.update(b"%s%d:" % (kind, len(content)))
        digest.update(content)
    return int.from_bytes(digest.digest())


def _bytes(value: Any) -> tuple[bytes, bytes]:
    if value is None:
        return b"-", b""
    if isinstance(value, bytes | memoryview):
        return b"b", bytes(value)
    if isinstance(value, datetime):
        return b"t", value.astimezone(UTC).isoformat().encode()
    if isinstance(value, int):  # a bool is one
        return b"i", b"%d" % value
    return b"s", str(value).encode()
