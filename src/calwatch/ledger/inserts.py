"""Ways to insert that mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, insert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert


def dialect_insert(connection: Connection, table: Table) -> Any:
    """Return the dialect's own INSERT, which knows ON CONFLICT (the two have no common type)."""
    make = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    return make(table)


def insert_once(connection: Connection, table: Table) -> Any:
    """Return an INSERT that does nothing where such a row is."""
    return dialect_insert(connection, table).on_conflict_do_nothing()


def insert_all(connection: Connection, table: Table, new: list[dict[str, Any]]) -> None:
    """Insert rows, if there are any."""
    if new:
        connection.execute(insert(table), new)
