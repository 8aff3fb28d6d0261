"""Which ledgers are files, and opening one so that nothing can be written to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, event

from calwatch.errors import StopError
from calwatch.ledger.engine import open_engine, shown_url

_BUSY_SECONDS = 10.0


def sqlite_file(url: URL) -> Path | None:
    """Return the path of an SQLite ledger; None of any other."""
    path = url.database or ""
    if url.get_backend_name() != "sqlite" or path.startswith("file:"):
        return None
    return Path(path)


def open_reader(url: URL) -> Engine:
    """Open a ledger in such a way that nothing can be written to it.

    Raises
    ------
    StopError
        If it is an SQLite file that does not exist.
    """
    engine, path = open_engine(url, _BUSY_SECONDS), sqlite_file(url)
    if url.get_backend_name() != "sqlite":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    if path is not None:
        if not path.is_file():
            raise StopError(f"ledger {shown_url(url)}: there is no such file")
        read_only = f"file:{quote(str(path.absolute()))}?mode=ro"

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: Any, _record: Any, _words: Any, options: Any) -> Any:
            return sqlite3.connect(read_only, uri=True, **options)

    return engine
