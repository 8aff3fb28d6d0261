"""Ways to insert that mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import JSON, Connection, Table, bindparam, func, insert, select, text
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


def insert_all_plain(connection: Connection, table: Table, new: list[dict[str, Any]]) -> None:
    """Insert rows of plain data, if there are any: `insert_all`, quicker where there are many.

    PostgreSQL takes longer to read a hundred parameters than to store them, so it is given one.
    """
    if new and connection.dialect.name == "postgresql":
        connection.execute(_insert_document(table), {"rows": new})
    else:
        insert_all(connection, table, new)


@cache
def _insert_document(table: Table) -> Any:
    """Return PostgreSQL's INSERT of rows that come as one JSON document."""
    row_type = text(f"NULL::{table.name}")
    rows = func.json_populate_recordset(row_type, bindparam("rows", type_=JSON))
    names = table.columns.keys()
    return insert(table).from_select(names, select(rows.table_valued(*names)))
