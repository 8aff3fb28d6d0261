"""Dropping what the ledger keeps for a while only: projections and correlations."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog

from calwatch.ledger.arrays import drop_arrays
from calwatch.ledger.store import Ledger
from calwatch.service.lifecycle import Clock

EVERY_SECONDS = 86_400.0


async def prune_arrays(ledger: Ledger, keep_days: int, clock: Clock, ending: asyncio.Event) -> None:
    """Drop old arrays now and once a day, until told to end. Results stay.

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

    Raises
    ------
    LedgerError
        If the ledger cannot be written.
    """
    while not ending.is_set():
        before = clock.now() - timedelta(days=keep_days)
        dropped = await asyncio.to_thread(drop_arrays, ledger, before)
        if dropped:
            structlog.get_logger("calwatch").info(
                "arrays dropped", number=dropped, judged_before=before.isoformat()
            )
        with suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), EVERY_SECONDS)
