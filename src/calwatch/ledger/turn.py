"""Turns: what only one of several processes that share a ledger may do at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from calwatch.ledger.engine import naming_errors

PUBLISH = 0x63616C78
"""PostgreSQL advisory lock of the one process that publishes."""
DELIVER = 0x63616C79
"""The same of the one that tells of alarms."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to do something, which one process has at a time."""

    _give_back: Callable[[], None]

    def end(self) -> None:
        """Let another process have it."""
        self._give_back()


def take_turn(engine: Engine, key: int) -> Turn | None:
    """Take a turn; None if another process has it.

    Several processes may share a PostgreSQL ledger. The turn ends with the process or its
    connection. An SQLite ledger belongs to one daemon.

    Parameters
    ----------
    engine
        Of the ledger.
    key
        `PUBLISH` or `DELIVER`.

    Raises
    ------
    LedgerError
        If the ledger is out of reach.
    """
    if engine.dialect.name != "postgresql":
        return Turn(lambda: None)
    with naming_errors(engine.url):
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            ask = text("SELECT pg_try_advisory_lock(:key)")
            mine = connection.execute(ask, {"key": key}).scalar_one()
        except BaseException:
            connection.invalidate()
            raise
    if not mine:
        connection.close()
        return None

    def give_back() -> None:
        try:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
        except SQLAlchemyError:
            connection.invalidate()  # The lock goes with the server's session.
        connection.close()

    return Turn(give_back)
