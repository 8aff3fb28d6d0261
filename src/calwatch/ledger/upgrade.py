"""Bringing the ledger's schema up to date, one process at a time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from calwatch.errors import LedgerError
from calwatch.ledger.engine import reading, shown_url, writing

_LOCK_KEY = 0x63616C77
"""PostgreSQL advisory lock taken while migrating."""
COPYING = "copying"
"""Stands for the version while a copy into the ledger is not finished: nothing else may open it."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def newest_version() -> str:
    """Return the revision that this version of calwatch works with."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def known_versions() -> frozenset[str]:
    """Return every revision that this version of calwatch can bring up to date."""
    scripts = ScriptDirectory.from_config(_config())
    return frozenset(script.revision for script in scripts.walk_revisions())


def schema_version(engine: Engine) -> str | None:
    """Return the schema's revision, None for an empty database."""
    with reading(engine) as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine) -> bool:
    """Bring the schema to the newest revision; tell whether anything had to be done.

    Two processes that start at once take turns: the second finds the work done.

    Raises
    ------
    LedgerError
        If the schema is of a revision this version of calwatch does not know, or the database
        cannot be written.
    """
    config, head = _config(), newest_version()
    if schema_version(engine) == head:
        return False
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        found = _revision(connection)
        if found == head:
            return False
        if found == COPYING:
            raise LedgerError(
                f"ledger {shown_url(engine.url)}: a copy into it is not finished; the same "
                "`calwatch ledger copy` goes on with it"
            )
        if found is not None and found not in known_versions():
            raise LedgerError(
                f"ledger {shown_url(engine.url)}: its schema version {found!r} is not known to "
                f"this calwatch (newest known: {head!r}); a newer calwatch has written it"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True
