"""Dropping what the ledger keeps for a while only: projections and correlations."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from calwatch.errors import LedgerError
from calwatch.ledger.arrays import drop_arrays
from calwatch.ledger.store import Ledger
from calwatch.service.lifecycle import Clock

EVERY_SECONDS = 86_400.0
PORTION = 50
"""Results whose arrays are dropped in one transaction, which holds the ledger for so long."""
PAUSE_SECONDS = 0.2
"""Between two portions: a writer that waits for SQLite's lock looks for it every tenth second."""


async def prune_arrays(ledger: Ledger, keep_days: int, clock: Clock, ending: asyncio.Event) -> None:
    """Drop old arrays now and once a day, until told to end. Results stay.

    A ledger that cannot be written is logged, and tried again the next day.

    Parameters
    ----------
    ledger
        Where they are kept.
    keep_days
        Arrays judged so many days ago or later stay.
    clock
        The time.
    ending
        Set when the daemon ends.
    """
    log = structlog.get_logger("calwatch")
    while not ending.is_set():
        before = clock.now() - timedelta(days=keep_days)
        try:
            dropped = await _drop_all(ledger, before, ending)
        except LedgerError as error:  # tomorrow is soon enough
            log.warning("old arrays not dropped", reason=str(error))
        else:
            if dropped:
                log.info("old arrays dropped", number=dropped, judged_before=before.isoformat())
        await _wait(EVERY_SECONDS, ending)


async def _drop_all(ledger: Ledger, before: datetime, ending: asyncio.Event) -> int:
    """Drop portion after portion until none is left or the daemon ends; return the number."""
    dropped = 0
    while portion := await asyncio.to_thread(drop_arrays, ledger, before, PORTION):
        dropped += portion
        if ending.is_set():
            break
        await _wait(PAUSE_SECONDS, ending)
    return dropped


async def _wait(seconds: float, ending: asyncio.Event) -> None:
    """Wait so long, or until told to end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ending.wait()
