"""The numbers that a database gives to new rows: reading the last one, and going on from it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Table, func, select, text

from calwatch.ledger.tables import metadata
from calwatch.ledger.types import BigId


def last_numbers(connection: Connection) -> dict[str, int]:
    """Return the last number given in each table that numbers its rows; 0 if none was.

    A number that was given is not given again where its row has gone since (the outbox empties, and
    what was published is known by its number).
    """
    found = {}
    for table in _numbered():
        given = connection.execute(select(func.max(table.c.id))).scalar_one() or 0
        found[table.name] = max(given, _remembered(connection, table))
    return found


def go_on_from(connection: Connection, numbers: Mapping[str, int]) -> None:
    """Give the next row of each table a number beyond these."""
    for table in _numbered():
        last = numbers.get(table.name, 0)
        if last and connection.dialect.name == "postgresql":
            connection.execute(
                text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"),
                {"name": table.name, "last": last},
            )
        elif last and _is_autoincrement(table):
            values = {"name": table.name, "last": last}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
            connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), values)


def _remembered(connection: Connection, table: Table) -> int:
    """Return what the database itself remembers."""
    values = {"name": table.name}
    if connection.dialect.name == "postgresql":
        ask = text(
            "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:name, 'id') AS regclass))"
        )
    elif _is_autoincrement(table):
        ask = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    else:
        return 0
    return int(connection.execute(ask, values).scalar_one_or_none() or 0)


def _numbered() -> list[Table]:
    return [t for t in metadata.sorted_tables if "id" in t.c and t.c.id.type is BigId]


def _is_autoincrement(table: Table) -> bool:
    return bool(table.dialect_options["sqlite"]["autoincrement"])
