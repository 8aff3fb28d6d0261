"""What a ledger holds, in numbers, without changing anything of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, func, inspect, select, text

from calwatch.ledger import plain_rows
from calwatch.ledger.copying import unfinished_copy_of
from calwatch.ledger.engine import reading, shown_url
from calwatch.ledger.tables import exposure_verdict, heartbeat, outbox
from calwatch.ledger.upgrade import newest_version, schema_version


@dataclass(frozen=True, slots=True)
class Judged:
    """What has been judged of one instrument."""

    instrument: str
    exposures: int
    days: int
    first_day: int
    """``day_obs``."""
    last_day: int
    oldest: datetime | None
    """End of the oldest exposure."""
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class Contents:
    """A ledger in numbers."""

    name: str
    schema: str | None
    newest_schema: str
    """That of this calwatch."""
    unfinished_copy_of: str | None
    size: int
    """Bytes in the database."""
    rows: Mapping[str, int]
    """By table."""
    judged: Sequence[Judged]
    waiting: int
    """Records in the outbox."""
    waiting_since: datetime | None
    heartbeat: datetime | None
    """The last word of a daemon."""


def contents(engine: Engine) -> Contents:
    """Look at a ledger; one of an older schema has fewer tables.

    Raises
    ------
    LedgerError
        If it cannot be read.
    """
    schema = schema_version(engine)
    with reading(engine) as connection:
        there = set(inspect(connection).get_table_names())
        rows = {
            table.name: plain_rows.count(connection, table)
            for table in plain_rows.tables()
            if table.name in there
        }
        beat = since = None
        if heartbeat.name in there:
            beat = connection.execute(select(func.max(heartbeat.c.at))).scalar_one()
        if outbox.name in there:
            since = connection.execute(select(func.min(outbox.c.created_at))).scalar_one()
        return Contents(
            shown_url(engine.url),
            schema,
            newest_version(),
            unfinished_copy_of(connection),
            size(connection),
            rows,
            _judged(connection) if exposure_verdict.name in there else (),
            rows.get(outbox.name, 0),
            since,
            beat,
        )


def size(connection: Connection) -> int:
    """Return the bytes that the database takes."""
    if connection.dialect.name == "postgresql":
        return int(
            connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        )
    file = connection.execute(text("PRAGMA database_list")).all()[0][2]
    return sum(
        path.stat().st_size
        for path in (Path(file), Path(f"{file}-wal"), Path(f"{file}-shm"))
        if path.is_file()
    )


def _judged(connection: Connection) -> list[Judged]:
    e = exposure_verdict.c
    statement = (
        select(
            e.instrument,
            func.count(),
            func.count(e.day_obs.distinct()),
            func.min(e.day_obs),
            func.max(e.day_obs),
            func.min(e.exposure_end_utc),
            func.max(e.exposure_end_utc),
        )
        .group_by(e.instrument)
        .order_by(e.instrument)
    )
    return [Judged(*row) for row in connection.execute(statement)]
