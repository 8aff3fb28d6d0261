"""Opening a database, and saying in plain words what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from calwatch.errors import LedgerError
from calwatch.ledger.types import dump_json
from calwatch.redaction import keep_secret

_WRITE = "calwatch_write"
_CAUSES = (
    ("is locked", "another process holds its lock"),
    ("readonly database", "it is read-only"),
    ("read-only", "it is read-only"),
    ("is full", "the disk is full"),
    ("no space left", "the disk is full"),
    ("disk i/o error", "the disk gave an error"),
    ("unable to open database file", "its folder is missing or may not be written"),
    ("not a database", "the file is not an SQLite database"),
    ("malformed", "the file is damaged"),
    ("password authentication failed", "the user or password is wrong"),
    ("does not exist", "there is no such database, user or table"),
    ("connection refused", "no server answers there"),
)
_LOCK_STATES = frozenset({"40001", "40P01", "55P03"})
"""PostgreSQL: serialization failure, deadlock, lock not available."""


class LockedLedgerError(LedgerError):
    """Another writer holds the ledger; the same transaction may go through in a moment."""


def parse_url(text: str) -> URL:
    """Understand a ledger's address: a URL, or the path of an SQLite file.

    Raises
    ------
    LedgerError
        If it is neither, or names a database other than SQLite or PostgreSQL.
    """
    try:
        # A path is no URL: nothing in it is an escape or a question.
        url = make_url(text) if "://" in text else URL.create("sqlite", database=text)
    except (ArgumentError, ValueError) as error:
        shown = text.split("@")[-1]
        raise LedgerError(f"ledger URL ending in {shown!r} cannot be read: {error}") from None
    keep_secret(str(url.password) if url.password else None)
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise LedgerError("ledger: an SQLite ledger must be a file, or nothing would be kept")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise LedgerError(f"ledger {shown_url(url)}: only sqlite and postgresql are supported")
    return url


def shown_url(url: URL) -> str:
    """Return the URL as it may be shown: without its password."""
    return url.render_as_string(hide_password=True)


def open_engine(url: URL, busy_seconds: float) -> Engine:
    """Make an engine; nothing is connected yet.

    Parameters
    ----------
    url
        As `parse_url` gives it.
    busy_seconds
        How long a statement waits for another writer's lock.
    """
    arguments: dict[str, Any] = {"timeout": busy_seconds}
    remote = url.get_backend_name() != "sqlite"
    if remote:
        arguments = {
            "connect_timeout": 10,
            "options": f"-c lock_timeout={round(busy_seconds * 1000)} -c timezone=UTC",
        }
    try:
        engine = create_engine(
            url, json_serializer=dump_json, connect_args=arguments, pool_pre_ping=remote
        )
    except (NoSuchModuleError, ArgumentError) as error:
        raise LedgerError(f"ledger {shown_url(url)}: {error}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:  # rows of one table in one statement; SQLite has no round trips to save
        engine.dialect.use_insertmanyvalues_wo_returning = True
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Set what SQLite does not remember, and leave BEGIN to us."""
    connection.isolation_level = None
    for pragma in ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once when we shall write: a later upgrade could not wait for it."""
    write = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection for queries.

    Raises
    ------
    LedgerError
        Naming the ledger and the cause.
    """
    with naming_errors(engine.url), engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection in one transaction that writes.

    Raises
    ------
    LockedLedgerError
        If another writer is in the way.
    LedgerError
        Naming the ledger and the cause.
    """
    with naming_errors(engine.url), engine.connect() as plain:
        connection = plain.execution_options(**{_WRITE: True})
        with connection.begin():
            yield connection


@contextmanager
def writing_once(engine: Engine) -> Iterator[Connection]:
    """Give a connection of which every statement is a transaction of its own.

    It spares PostgreSQL's BEGIN and COMMIT, each a way to the server and back.

    Raises
    ------
    LockedLedgerError, LedgerError
        As `writing`.
    """
    with naming_errors(engine.url), engine.connect() as plain:
        yield plain.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def naming_errors(url: URL) -> Iterator[None]:
    """Turn a database error into one that names the ledger and the cause, without the password."""
    try:
        yield
    except SQLAlchemyError as error:
        text = str(getattr(error, "orig", None) or error).strip()
        if url.password:
            text = text.replace(str(url.password), "***")
        low = text.lower()
        cause = next((words for sign, words in _CAUSES if sign in low), "")
        first = text.splitlines()[0] if text else type(error).__name__
        message = (
            f"ledger {shown_url(url)}: {cause} ({first})"
            if cause
            else (f"ledger {shown_url(url)}: {first}")
        )
        kind = LockedLedgerError if _is_lock(error) else LedgerError
        raise kind(message) from error


def _is_lock(error: SQLAlchemyError) -> bool:
    """Tell whether the error only says that another writer was in the way."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return state in _LOCK_STATES or "is locked" in str(error.orig)
