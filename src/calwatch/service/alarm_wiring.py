"""Putting the alarms together: books, channels and what runs beside the daemon for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from functools import partial

from calwatch.alarms.lateness import Demands, Expected
from calwatch.alarms.words import message
from calwatch.camera.model import Camera
from calwatch.kafka.connection import KafkaConnection
from calwatch.ledger.deliveries import Deliveries
from calwatch.service.alarm_books import AlarmBooks
from calwatch.service.alarming import Alarmist
from calwatch.service.delivering import Deliverer
from calwatch.service.lifecycle import Clock
from calwatch.service.outlets import make_outlets
from calwatch.service.progress import Event, ExposureJudged
from calwatch.settings import AlarmSettings


@dataclass(frozen=True, slots=True)
class Alarming:
    """What the daemon is given to raise alarms and tell of them."""

    alarmist: Alarmist
    deliverer: Deliverer

    def hear(self, event: Event) -> None:
        """Look at once at an exposure that has just been judged."""
        if isinstance(event, ExposureJudged):
            self.alarmist.wake()

    async def run(self, stop: asyncio.Event) -> None:
        """Raise alarms until told to stop, then tell of what that left to tell, then end."""
        ending = asyncio.Event()
        telling = asyncio.create_task(self.deliverer.run(ending))
        try:
            await self.alarmist.run(stop)
            ending.set()
            await telling
        finally:
            telling.cancel()


def set_up_alarms(
    books: AlarmBooks,
    deliveries: Deliveries,
    settings: AlarmSettings,
    cameras: Mapping[str, Camera],
    connection: KafkaConnection | None,
    clock: Clock,
    *,
    grace_seconds: float = 5.0,
    write: Callable[[str], None] | None = None,
) -> Alarming:
    """Return everything that raises alarms and tells of them.

    Parameters
    ----------
    books, deliveries
        In a ledger that was opened for alarming.
    settings
        What is expected, and the channels.
    cameras
        By instrument.
    connection
        How to reach Kafka; None where there is none.
    clock
        The time.
    grace_seconds
        At the end each channel may go on for so long.
    write
        Takes the lines of a console channel; the standard error stream if None.

    Raises
    ------
    StopError
        If a channel is wrong, or needs Kafka and there is none.
    """
    rules = next(iter(books.frames.values())).rules
    deliverer = Deliverer(
        books.store,
        deliveries,
        make_outlets(settings, connection, books.store, rules, tuple(cameras), clock, write),
        partial(message, rules=rules, page=settings.page, playbook=settings.playbook),
        tuple(cameras),
        clock,
        grace_seconds=grace_seconds,
    )
    demands = {name: _demands(settings, name) for name in cameras}
    return Alarming(Alarmist(books, demands, cameras, clock, deliverer.wake), deliverer)


def _demands(settings: AlarmSettings, instrument: str) -> Demands:
    mine = [one for one in settings.expected if one.instrument == instrument]
    return Demands(
        cadence={t: timedelta(hours=hours) for t, hours in settings.cadence_hours.items()},
        judged=timedelta(seconds=settings.judged_seconds),
        expected=[Expected(e.calib_type, e.number, time.fromisoformat(e.by)) for e in mine],
    )
