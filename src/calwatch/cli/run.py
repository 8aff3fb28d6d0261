"""``calwatch run``: the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from calwatch.kafka.connection import KafkaConnection
    from calwatch.ledger.store import Ledger
    from calwatch.service.judge_settings import JudgeSettings
    from calwatch.service.judging import JudgeFactory
    from calwatch.service.limits_in_force import LimitsInForce
    from calwatch.service.observing import Observing
    from calwatch.service.online import Role
    from calwatch.service.pool import WorkerPool
    from calwatch.service.progress import RunSummary
    from calwatch.settings import Settings

ALL, INTAKE, WORKER = ROLES = ("all", "intake", "worker")
ONCE_GRACE_SECONDS = 60.0
"""With ``--once`` the outbox may be emptied for so long at the end."""


@click.command()
@click.option("--config", "-c", type=click.Path(dir_okay=False, path_type=Path),
              help="Configuration file (YAML); CALWATCH_… variables win over it.")  # fmt: skip
@click.option("--role", type=click.Choice(ROLES), default=ALL,
              show_default=True,
              help="Do everything, only find and hand out jobs, or only do them.")  # fmt: skip
@click.option("--once", is_flag=True, help="End when nothing is missing any more.")
@click.option("--rejudge", is_flag=True,
              help="Judge again what has PASS or FAIL where the chain has changed.")  # fmt: skip
@click.pass_context
def run(ctx: click.Context, config: Path | None, role: str, once: bool, rejudge: bool) -> None:
    """Watch a Butler repository: judge every new bias, dark and flat, record and publish it.

    With KAFKA_BOOTSTRAP_SERVERS and SCHEMA_MANAGER_REGISTRY_URL set, the observatory's events wake
    it and Sasquatch is told what was measured; without, it looks at its interval and keeps all to
    itself. SIGTERM or Ctrl-C finishes or abandons running work within 20 s; the next start does
    what remains, and nothing twice. SIGHUP reads the limits again.

    \b
    Examples:
      calwatch run --config config/latiss.yaml
      calwatch run --config config/lsstcam.yaml --role intake
      calwatch run --config config/lsstcam.yaml --role worker
    """
    from calwatch.kafka.connection import load_connection
    from calwatch.service.judge_factory import judge_factory, worker_arguments
    from calwatch.service.judge_settings import JudgeSettings
    from calwatch.service.lifecycle import hangups_held
    from calwatch.service.limits_in_force import LimitsInForce
    from calwatch.service.logs import set_up_logs
    from calwatch.settings import load_settings

    ctx.with_resource(hangups_held())
    settings = load_settings(config)
    connection = load_connection()
    set_up_logs(settings.log)
    judge_settings = JudgeSettings.of(settings)
    if once and role == WORKER:
        raise click.UsageError("--once: a worker cannot know when all is done")
    if role != ALL and connection is None:
        raise click.UsageError(f"--role {role}: needs Kafka; set KAFKA_BOOTSTRAP_SERVERS")
    limits = LimitsInForce(settings.limits)
    judging = judge_factory(judge_settings, limits)
    with _workers(settings, judging, role) as pool:
        if pool is not None:
            limits.listen(lambda new: pool.renew(worker_arguments(judge_settings, new)))
        from calwatch.ledger.store import Ledger
        from calwatch.service.lifecycle import SystemClock
        from calwatch.service.measures import show_limits
        from calwatch.service.observing import Observing
        from calwatch.service.online import Role
        from calwatch.verify.model import Verdict

        publishing = connection is not None and settings.kafka.publish
        alarming = settings.alarms.enabled and role != Role.WORKER
        ledger = Ledger.open(settings.ledger, publishing=publishing, alarming=alarming)
        _say_started(settings, connection, ledger, role)
        try:
            observing = Observing(settings, role, ledger, SystemClock())
            limits.listen(partial(show_limits, settings, role))
            if role == Role.WORKER and connection is not None:
                summary = _serve(settings, connection, ledger, judging, observing, pool, limits)
            else:
                parts = (settings, connection, ledger, judge_settings, judging, observing)
                summary = _watch(*parts, Role(role), pool, limits, once=once, rejudge=rejudge)
        finally:
            ledger.close()
    _say_ended(summary)
    ctx.exit(int(once and summary.exposures[Verdict.FAIL] > 0))


@contextmanager
def _workers(settings: Settings, judging: JudgeFactory, role: str) -> Iterator[WorkerPool | None]:
    """Begin to make the workers: they set themselves up while the daemon opens all else."""
    from calwatch.service.pool import worker_pool

    if role == INTAKE:
        yield None
        return
    pool = worker_pool(settings, judging)
    pool.begin()
    try:
        yield pool
    finally:
        pool.end()


def _watch(
    settings: Settings,
    connection: KafkaConnection | None,
    ledger: Ledger,
    judge_settings: JudgeSettings,
    judging: JudgeFactory,
    observing: Observing,
    role: Role,
    pool: WorkerPool | None,
    limits: LimitsInForce,
    *,
    once: bool,
    rejudge: bool,
) -> RunSummary:
    """Find what is missing, and do it or hand it out."""
    from calwatch.butler.repository import Repository
    from calwatch.ledger.alarms import AlarmStore
    from calwatch.ledger.deliveries import Deliveries
    from calwatch.service.alarm_desk import open_books
    from calwatch.service.alarm_wiring import set_up_alarms
    from calwatch.service.daemon import Companion, Daemon
    from calwatch.service.lifecycle import SystemClock
    from calwatch.service.online import Role, go_online
    from calwatch.service.progress import Event
    from calwatch.service.pruning import prune_arrays
    from calwatch.service.remote import RemoteWorkers

    # A wrong camera is told now, not exposure by exposure.
    cameras = {name: judge_settings.camera_of(name) for name in settings.instruments}
    kafka = settings.kafka
    clock = SystemClock()
    grace = ONCE_GRACE_SECONDS if once else 5.0
    online = go_online(settings, connection, ledger, cameras, clock, grace_seconds=grace)
    companions: list[Companion] = []
    if online.publisher is not None:
        companions.append(online.publisher.run)
    if settings.keep_arrays_days is not None:
        companions.append(partial(prune_arrays, ledger, settings.keep_arrays_days, clock))
    alarming = None
    if settings.alarms.enabled:
        books = open_books(settings, AlarmStore(ledger), clock)
        limits.listen(books.renew)
        parts = (books, Deliveries(ledger), settings.alarms, cameras, connection, clock)
        write = _log_alarm if settings.log.format == "json" else None
        alarming = set_up_alarms(*parts, grace_seconds=grace, write=write)
        companions.append(alarming.run)
        if settings.web.port is not None:
            from calwatch.web.app import make_app
            from calwatch.web.serve import listen, serve

            listening = listen(settings.web.host, settings.web.port)
            state = observing.health.report
            watched = (books, ledger, cameras, lambda: limits.current)
            app = make_app(*watched, settings.alarms, settings.web, clock, state)
            companions.append(partial(serve, app, listening))

    def hear(event: Event) -> None:
        observing.hear(event)
        online.hear(event)
        if alarming is not None:
            alarming.hear(event)

    async def work() -> RunSummary:
        remote = None
        if role is Role.INTAKE and connection is not None:
            remote = RemoteWorkers(connection, kafka.jobs_topic, kafka.jobs_partitions, ledger)
        if online.publisher is not None:
            await online.publisher.prepare()
        daemon = Daemon(
            settings,
            repository,
            ledger,
            judging,
            sources=online.sources,
            companions=companions,
            watch=online.watch,
            performer=remote or pool,
            jobs_ahead=None if remote is None else kafka.jobs_ahead,
            on_event=hear,
            rejudge=rejudge,
            reload=limits.reload,
        )
        outage = None if online.publisher is None else online.publisher.held_up_by
        unsent = None if remote is None else remote.held_up_by
        try:
            async with observing.over(lambda: daemon.load, online.state, outage, unsent):
                return await daemon.run(once=once)
        finally:
            if online.registry is not None:
                await online.registry.close()

    with Repository.open(settings.repo) as repository:
        return asyncio.run(work())


def _serve(
    settings: Settings,
    connection: KafkaConnection,
    ledger: Ledger,
    judging: JudgeFactory,
    observing: Observing,
    pool: WorkerPool | None,
    limits: LimitsInForce,
) -> RunSummary:
    """Do the jobs that an intake hands out."""
    from calwatch.service.serving import JobServer

    async def work() -> RunSummary:
        kafka = settings.kafka
        group = f"{kafka.group}-workers"
        server = JobServer(
            settings, connection, kafka.jobs_topic, group, ledger, judging, performer=pool,
            on_event=observing.hear, reload=limits.reload,
        )  # fmt: skip
        async with observing.over(lambda: server.load, lambda: server.state):
            return await server.run()

    return asyncio.run(work())


def _log_alarm(line: str) -> None:
    """Give the lines of a console channel to a log that machines read."""
    import structlog

    structlog.get_logger("calwatch").warning("alarm", text=line)


def _say_started(
    settings: Settings, connection: KafkaConnection | None, ledger: Ledger, role: str
) -> None:
    from importlib.metadata import version

    import structlog

    structlog.get_logger("calwatch").info(
        "started",
        version=version("calwatch"),
        role=role,
        instruments=list(settings.instruments),
        repo=settings.repo,
        ledger=ledger.name,
        limits=settings.limits,
        kafka=None if connection is None else connection.bootstrap_servers,
        publish=None if connection is None else settings.kafka.publish,
    )


def _say_ended(summary: RunSummary) -> None:
    import structlog

    structlog.get_logger("calwatch").info(
        "ended",
        exposures={verdict.value: n for verdict, n in summary.exposures.items()},
        detectors={verdict.value: n for verdict, n in summary.detectors.items()},
        abandoned=summary.abandoned,
        stopped=summary.stopped,
        seconds=round(summary.seconds, 1),
    )
