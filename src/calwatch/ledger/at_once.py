"""Recording one judgement in PostgreSQL with all that belongs to it in a single statement.

Seven statements one after the other take longer on the way to the server and back than in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    JSON,
    Connection,
    Executable,
    Table,
    bindparam,
    func,
    insert,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from calwatch.ledger.rows import Row
from calwatch.ledger.tables import judgement, measurement, provenance, set_member

_PLAIN = (measurement, provenance, set_member)
"""Tables whose rows are plain data and may be many: each is given as one JSON document."""
_KEY = "judgement_id"


def insert_at_once(
    connection: Connection, new: Row, belonging: Mapping[Table, list[Row]]
) -> int | None:
    """Insert a judgement and the rows of other tables that belong to it.

    Parameters
    ----------
    connection
        Of PostgreSQL.
    new
        Row of ``judgement``.
    belonging
        Rows by table; the number of the judgement in them is not looked at.

    Returns
    -------
    int or None
        The number of the judgement; None if there is one of its key: then nothing is inserted.
    """
    many = tuple(table for table in _PLAIN if belonging.get(table))
    single = [(t, row) for t, rows in belonging.items() if t not in _PLAIN for row in rows]
    shape = tuple((table, tuple(name for name in row if name != _KEY)) for table, row in single)
    values = {
        **new,
        **{table.name: belonging[table] for table in many},
        **{f"{name}_{i}": v for i, (_, row) in enumerate(single) for name, v in row.items()},
    }
    number: int | None = connection.execute(_statement(many, shape), values).scalar()
    return number


@cache
def _statement(
    many: tuple[Table, ...], single: tuple[tuple[Table, tuple[str, ...]], ...]
) -> Executable:
    """Return the statement for tables of many rows, and for single rows with some columns."""
    columns = [one for one in judgement.columns if one.name != "id"]
    new = (
        postgresql_insert(judgement)
        .values({one.name: bindparam(one.name, type_=one.type) for one in columns})
        .on_conflict_do_nothing()
        .returning(judgement.c.id)
        .cte("new")
    )
    parts = [_many_rows(table, new) for table in many]
    parts += [_one_row(table, names, i, new) for i, (table, names) in enumerate(single)]
    return select(new.c.id).add_cte(*parts)


def _many_rows(table: Table, new: CTE) -> Any:
    names = [one.name for one in table.columns if one.name != _KEY]
    # PostgreSQL takes longer to read a hundred parameters than to store them.
    document = bindparam(table.name, type_=JSON)
    rows = func.json_populate_recordset(text(f"NULL::{table.name}"), document).table_valued(*names)
    chosen = select(new.c.id, *(rows.c[name] for name in names))
    chosen = chosen.select_from(new.join(rows, true()))
    return insert(table).from_select([_KEY, *names], chosen).cte(f"into_{table.name}")


def _one_row(table: Table, names: tuple[str, ...], index: int, new: CTE) -> Any:
    values = [bindparam(f"{name}_{index}", type_=table.c[name].type) for name in names]
    chosen = select(new.c.id, *values)
    return insert(table).from_select([_KEY, *names], chosen).cte(f"into_{table.name}_{index}")
