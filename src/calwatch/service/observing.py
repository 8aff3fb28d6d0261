"""Letting others see how the daemon is: metrics and health, wired together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from calwatch.arrivals.kafka import SourceState
from calwatch.ledger.store import Ledger
from calwatch.ledger.vitals import ask
from calwatch.service.endpoint import answers, serve_answers
from calwatch.service.health import Health
from calwatch.service.lifecycle import Clock
from calwatch.service.measures import Measures, show_build, show_load
from calwatch.service.progress import Event, Load
from calwatch.settings import Settings


class Observing:
    """What is shown of one process.

    Parameters
    ----------
    settings
        What the deployment sets; with ``metrics_port`` it is served over HTTP from now on.
    role
        ``all``, ``intake`` or ``worker``.
    ledger
        Where judgements are kept.
    clock
        The time.

    Raises
    ------
    StopError
        If the port is in use, or the limits are wrong.
    LedgerError
        If the ledger is out of reach.
    """

    def __init__(self, settings: Settings, role: str, ledger: Ledger, clock: Clock) -> None:
        self._measures = Measures(clock)
        self._measures.remember(ledger, settings.instruments)
        self.health = Health(settings, role, clock, partial(ask, ledger))
        show_build(settings, role, 0 if role == "intake" else settings.workers)
        if settings.metrics_port is not None:
            serve_answers(answers(self.health.report), settings.metrics_port)

    def hear(self, event: Event) -> None:
        """Take in what the daemon tells."""
        self._measures.hear(event)
        self.health.hear(event)

    @asynccontextmanager
    async def over(
        self,
        load: Callable[[], Load],
        kafka: Callable[[], SourceState] | None = None,
        outage: Callable[[], str] | None = None,
        unsent: Callable[[], str] | None = None,
    ) -> AsyncIterator[None]:
        """Look after a daemon while inside; the parameters are those of `Health.watch`."""
        show_load(load)
        self.health.watch(load, kafka, outage, unsent)
        turning = asyncio.create_task(self.health.keep_turning())
        try:
            yield
        finally:
            turning.cancel()
