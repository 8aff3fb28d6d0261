"""How long a reader waits for a locked SQLite registry.

The Butler lets SQLite wait five minutes for a lock, which is right for a writer. A daemon that only
reads must hear of it sooner: it says so, does something else and comes back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy

READER_PATIENCE = 5.0
"""Seconds."""

_state = threading.local()


@contextmanager
def impatient() -> Iterator[None]:
    """Give up on locks after a few seconds on SQLite connections that this thread uses inside."""
    before = getattr(_state, "impatient", False)
    _state.impatient = True
    try:
        yield
    finally:
        _state.impatient = before


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "engine_connect")
def _set_timeout(connection: sqlalchemy.Connection) -> None:
    if not getattr(_state, "impatient", False) or connection.dialect.name != "sqlite":
        return
    driver: Any = connection.connection.dbapi_connection
    driver.execute(f"PRAGMA busy_timeout = {int(READER_PATIENCE * 1000)}")
