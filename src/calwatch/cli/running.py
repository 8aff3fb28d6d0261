"""Putting the daemon together: what each role of ``calwatch run`` consists of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from calwatch.butler.repository import Repository
from calwatch.camera.model import Camera
from calwatch.kafka.connection import KafkaConnection
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.deliveries import Deliveries
from calwatch.ledger.store import Ledger
from calwatch.service.alarm_books import AlarmBooks
from calwatch.service.alarm_desk import open_books
from calwatch.service.alarm_wiring import Alarming, set_up_alarms
from calwatch.service.daemon import Companion, Daemon
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.judging import JudgeFactory
from calwatch.service.lifecycle import SystemClock
from calwatch.service.limits_in_force import LimitsInForce
from calwatch.service.observing import Observing
from calwatch.service.online import Role, go_online
from calwatch.service.pool import WorkerPool
from calwatch.service.progress import Event, RunSummary
from calwatch.service.pruning import prune_arrays
from calwatch.service.remote import RemoteWorkers
from calwatch.service.serving import JobServer
from calwatch.settings import Settings

GRACE_SECONDS = 5.0
ONCE_GRACE_SECONDS = 60.0
"""So long what is still to be sent may take at the end; longer with ``--once``."""


@dataclass(frozen=True, slots=True)
class Base:
    """What every role stands on."""

    settings: Settings
    connection: KafkaConnection | None
    """None: without Kafka."""
    ledger: Ledger
    judge_settings: JudgeSettings
    judging: JudgeFactory
    limits: LimitsInForce
    observing: Observing
    pool: WorkerPool | None
    """None: this process judges nothing itself."""
    clock: SystemClock


def watch(base: Base, role: Role, *, once: bool, rejudge: bool) -> RunSummary:
    """Find what is missing, and do it or hand it out, until told to stop."""
    settings, kafka = base.settings, base.settings.kafka
    # A wrong camera is told now, not exposure by exposure.
    cameras = {name: base.judge_settings.camera_of(name) for name in settings.instruments}
    grace = ONCE_GRACE_SECONDS if once else GRACE_SECONDS
    online = go_online(
        settings, base.connection, base.ledger, cameras, base.clock, grace_seconds=grace
    )
    books = _books(base)
    alarming = _alarming(base, books, cameras, grace)
    companions = [*_companions(base, books, cameras)]
    companions += [] if online.publisher is None else [online.publisher.run]
    companions += [] if alarming is None else [alarming.run]

    def hear(event: Event) -> None:
        base.observing.hear(event)
        online.hear(event)
        if alarming is not None:
            alarming.hear(event)

    async def work() -> RunSummary:
        remote = None
        if role is Role.INTAKE and base.connection is not None:
            remote = RemoteWorkers(
                base.connection, kafka.jobs_topic, kafka.jobs_partitions, base.ledger
            )
        if online.publisher is not None:
            await online.publisher.prepare()
        daemon = Daemon(
            settings,
            repository,
            base.ledger,
            base.judging,
            sources=online.sources,
            companions=companions,
            watch=online.watch,
            performer=remote or base.pool,
            jobs_ahead=None if remote is None else kafka.jobs_ahead,
            on_event=hear,
            rejudge=rejudge,
            reload=base.limits.reload,
        )
        outage = None if online.publisher is None else online.publisher.held_up_by
        unsent = None if remote is None else remote.held_up_by
        try:
            async with base.observing.over(lambda: daemon.load, online.state, outage, unsent):
                return await daemon.run(once=once)
        finally:
            if online.registry is not None:
                await online.registry.close()

    with Repository.open(settings.repo) as repository:
        return asyncio.run(work())


def serve(base: Base, connection: KafkaConnection) -> RunSummary:
    """Do the jobs that an intake hands out, until told to stop."""
    kafka = base.settings.kafka

    async def work() -> RunSummary:
        server = JobServer(
            base.settings, connection, kafka.jobs_topic, f"{kafka.group}-workers", base.ledger,
            base.judging, performer=base.pool, on_event=base.observing.hear,
            reload=base.limits.reload,
        )  # fmt: skip
        async with base.observing.over(lambda: server.load, lambda: server.state):
            return await server.run()

    return asyncio.run(work())


def _books(base: Base) -> AlarmBooks | None:
    """Open the alarms where they are raised or shown."""
    settings = base.settings
    if not settings.alarms.enabled and settings.web.port is None:
        return None
    books = open_books(settings, AlarmStore(base.ledger), base.clock)
    base.limits.listen(books.renew)
    return books


def _alarming(
    base: Base, books: AlarmBooks | None, cameras: Mapping[str, Camera], grace: float
) -> Alarming | None:
    settings = base.settings
    if books is None or not settings.alarms.enabled:
        return None
    return set_up_alarms(
        books,
        Deliveries(base.ledger),
        settings.alarms,
        cameras,
        base.connection,
        base.clock,
        grace_seconds=grace,
        write=_log_alarm if settings.log.format == "json" else None,
    )


def _companions(
    base: Base, books: AlarmBooks | None, cameras: Mapping[str, Camera]
) -> Iterator[Companion]:
    """Yield what runs beside the daemon whatever it watches: the page, and tidying up."""
    settings = base.settings
    if settings.keep_arrays_days is not None:
        yield partial(prune_arrays, base.ledger, settings.keep_arrays_days, base.clock)
    if books is not None and settings.web.port is not None:
        from calwatch.web.app import make_app
        from calwatch.web.serve import listen
        from calwatch.web.serve import serve as serve_page

        listening = listen(settings.web.host, settings.web.port)
        state = base.observing.health.report
        watched = (books, base.ledger, cameras, lambda: base.limits.current)
        app = make_app(*watched, settings.alarms, settings.web, base.clock, state)
        yield partial(serve_page, app, listening)


def _log_alarm(line: str) -> None:
    """Give the lines of a console channel to a log that machines read."""
    structlog.get_logger("calwatch").warning("alarm", text=line)
