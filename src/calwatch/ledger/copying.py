"""Copying a whole ledger into another database, and knowing that the copy is the same.

The source is only read. The target is marked as unfinished until every table has been compared, so
that no daemon starts on half a ledger. A copy that was interrupted goes on where it stood.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    delete,
    func,
    inspect,
    select,
    text,
    update,
)

from calwatch.errors import StopError
from calwatch.ledger import plain_rows
from calwatch.ledger.engine import naming_errors, open_engine, parse_url, shown_url, writing
from calwatch.ledger.files import open_reader, sqlite_file
from calwatch.ledger.inserts import insert_all
from calwatch.ledger.numbering import go_on_from, last_numbers
from calwatch.ledger.plain_rows import Content
from calwatch.ledger.tables import heartbeat
from calwatch.ledger.turn import DELIVER, PUBLISH, take_turn
from calwatch.ledger.types import UtcDateTime
from calwatch.ledger.upgrade import COPYING, newest_version, schema_version, upgrade

SILENT_SECONDS = 60.0
"""A daemon that has not said for so long that it lives has ended."""
_BUSY_SECONDS = 10.0

Listener = Callable[[str, str, int, int], None]
"""(what is done, table, rows done, rows in all)."""

_state = Table(
    "ledger_copy",
    MetaData(),
    Column("source", Text, primary_key=True),
    Column("schema", Text, nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("reached", JSON, nullable=False),
)
"""Only in a target that is not finished: what is copied into it, and for each table the last key
and the number of rows that are there."""


class RefusedCopyError(StopError):
    """The copy cannot begin or go on as it was asked for."""


class DifferentCopyError(StopError):
    """Source and target do not hold the same."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A finished copy."""

    source: str
    target: str
    tables: dict[str, Content]
    """Contents, the same on both sides."""
    resumed: bool
    """Whether an earlier attempt had begun it."""
    seconds: float


@dataclass(frozen=True, slots=True)
class _Progress:
    reached: dict[str, dict[str, Any]]
    resumed: bool

    def key(self, table: Table) -> list[Any] | None:
        return self.reached.get(table.name, {}).get("key")

    def rows(self, table: Table) -> int:
        return int(self.reached.get(table.name, {}).get("rows", 0))


def copy_ledger(
    source: str, target: str, *, listener: Listener | None = None, running: bool = False
) -> Copied:
    """Copy everything of one ledger into another, compare, and let the target number its rows.

    Parameters
    ----------
    source, target
        URLs, or paths of SQLite files. The target must be empty, or hold an interrupted copy of
        this source.
    listener
        Told of progress.
    running
        Copy what a daemon writes to, as it is now.

    Raises
    ------
    RefusedCopyError
        If a daemon is at work, a schema does not fit, or the target holds something else.
    DifferentCopyError
        If source and target differ at the end; the target stays marked as unfinished.
    LedgerError
        If one of them is out of reach.
    """
    began = time.monotonic()
    tell = listener or (lambda _what, _table, _done, _total: None)
    urls = parse_url(source), parse_url(target)
    _insist_on_two(*urls)
    reader, writer = open_reader(urls[0]), open_engine(urls[1], _BUSY_SECONDS)
    try:
        _check_source(reader, running)
        progress = _prepare(writer, _identity(urls[0]))
        with _snapshot(reader) as connection:
            for table in plain_rows.tables():
                _copy_table(connection, writer, table, progress, tell)
            numbers = last_numbers(connection)
            contents = _compare(connection, writer, tell)
        _finish(writer, numbers)
    finally:
        reader.dispose()
        writer.dispose()
    from_url, to_url = map(shown_url, urls)
    return Copied(from_url, to_url, contents, progress.resumed, time.monotonic() - began)


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees the ledger as it is now, however long it is used."""
    with naming_errors(engine.url), engine.begin() as connection:
        yield connection


def _insist_on_two(source: URL, target: URL) -> None:
    if _identity(source) == _identity(target):
        raise RefusedCopyError(f"ledger {shown_url(source)}: source and target are the same")


def _identity(url: URL) -> str:
    """Name a ledger by where it is, whoever asks."""
    file = sqlite_file(url)
    if file is not None:
        return f"sqlite:///{file.resolve()}"
    return f"{url.get_backend_name()}://{url.host}:{url.port or 5432}/{url.database}"


def _check_source(engine: Engine, running: bool) -> None:
    name = shown_url(engine.url)
    found, newest = schema_version(engine), newest_version()
    if found == COPYING:
        raise RefusedCopyError(f"ledger {name}: is itself a copy that is not finished")
    if found != newest:
        raise RefusedCopyError(
            f"ledger {name}: its schema version is {found}, that of this calwatch is {newest}; "
            "`calwatch ledger upgrade` brings an older one up to date"
        )
    if not running:
        _refuse_a_daemon(engine)


def _refuse_a_daemon(engine: Engine) -> None:
    """Refuse if a daemon works with this ledger, by its own last word and by the turns it holds."""
    words = "stop it first, or its last results are not in the copy"
    name = shown_url(engine.url)
    with _snapshot(engine) as connection:
        at = connection.execute(select(func.max(heartbeat.c.at))).scalar_one()
    age = None if at is None else (datetime.now(UTC) - at).total_seconds()
    if age is not None and age < SILENT_SECONDS:
        raise RefusedCopyError(
            f"ledger {name}: a daemon said {age:.0f} s ago that it works with it; {words} (when it "
            f"has ended, wait until that is {SILENT_SECONDS:.0f} s ago)"
        )
    for key in (PUBLISH, DELIVER):
        turn = take_turn(engine, key)
        if turn is None:
            raise RefusedCopyError(f"ledger {name}: a daemon holds a lock of it; {words}")
        turn.end()


def _prepare(engine: Engine, source: str) -> _Progress:
    """Make the target ready, or find out how far an earlier attempt came."""
    if schema_version(engine) == COPYING:
        return _resume(engine, source)
    upgrade(engine)
    with writing(engine) as connection:
        for table in plain_rows.tables():
            rows = plain_rows.count(connection, table)
            if rows:
                raise RefusedCopyError(
                    f"ledger {shown_url(engine.url)}: is not empty (table {table.name} has "
                    f"{rows:,} rows); only an empty database can become a copy"
                )
        _state.create(connection, checkfirst=True)
        connection.execute(delete(_state))
        row = {"source": source, "schema": newest_version(), "began_at": datetime.now(UTC)}
        insert_all(connection, _state, [{**row, "reached": {}}])
        _mark(connection, COPYING)
    return _Progress({}, resumed=False)


def _resume(engine: Engine, source: str) -> _Progress:
    with writing(engine) as connection:
        row = connection.execute(select(_state)).one()
    name = shown_url(engine.url)
    if row.source != source:
        raise RefusedCopyError(
            f"ledger {name}: holds an unfinished copy of {row.source}, not of {source}; finish "
            "that, or empty the database"
        )
    if row.schema != newest_version():
        raise RefusedCopyError(
            f"ledger {name}: its unfinished copy is of schema version {row.schema}, this calwatch "
            f"is of {newest_version()}; empty the database and begin again"
        )
    return _Progress(row.reached, resumed=True)


def _copy_table(
    source: Connection, target: Engine, table: Table, progress: _Progress, tell: Listener
) -> None:
    done, total = progress.rows(table), plain_rows.count(source, table)
    tell("copying", table.name, done, total)
    for rows in plain_rows.portions(source, table, progress.key(table)):
        with writing(target) as connection:
            _claim(connection, target, progress)
            plain_rows.write(connection, table, rows)
            done += len(rows)
            reached = {"key": plain_rows.key_of(table, rows[-1]), "rows": done}
            progress.reached[table.name] = reached
            connection.execute(update(_state).values(reached=progress.reached))
        tell("copying", table.name, done, total)


def _claim(connection: Connection, engine: Engine, progress: _Progress) -> None:
    """See that nobody else has gone on with this copy meanwhile; the row is locked by that."""
    reached = connection.execute(select(_state.c.reached).with_for_update()).scalar_one_or_none()
    if reached != progress.reached:
        raise RefusedCopyError(
            f"ledger {shown_url(engine.url)}: another process copies into it as well"
        )


def _compare(source: Connection, target: Engine, tell: Listener) -> dict[str, Content]:
    """Read both sides again, and return what both hold.

    Raises
    ------
    DifferentCopyError
        Naming every table that differs.
    """
    contents, problems = {}, []
    with _snapshot(target) as connection:
        for table in plain_rows.tables():
            tell("comparing", table.name, 0, 1)
            wanted = plain_rows.content(source, table)
            found = plain_rows.content(connection, table)
            contents[table.name] = found
            if wanted.rows != found.rows:
                problems.append(f"  {table.name}: {wanted.rows:,} rows, copied {found.rows:,}")
            elif wanted != found:
                problems.append(f"  {table.name}: {wanted.rows:,} rows, of which some differ")
            tell("comparing", table.name, 1, 1)
    if problems:
        listed = "\n".join(problems)
        raise DifferentCopyError(
            f"ledger {shown_url(target.url)}: the copy differs from its source, which was perhaps "
            "written to since the copy began; stop the daemon, empty the database and begin "
            f"again\n{listed}"
        )
    return contents


def _finish(engine: Engine, numbers: dict[str, int]) -> None:
    with writing(engine) as connection:
        go_on_from(connection, numbers)
        _state.drop(connection)
        _mark(connection, newest_version())


def _mark(connection: Connection, version: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": version})


def unfinished_copy_of(connection: Connection) -> str | None:
    """Return what is being copied into a ledger; None if nothing is."""
    if not inspect(connection).has_table(_state.name):
        return None
    return connection.execute(select(_state.c.source)).scalar_one_or_none()
