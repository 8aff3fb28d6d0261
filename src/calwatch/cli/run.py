"""``calwatch run``: the daemon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from calwatch.kafka.connection import KafkaConnection
    from calwatch.ledger.store import Ledger
    from calwatch.service.judging import JudgeFactory
    from calwatch.service.pool import WorkerPool
    from calwatch.service.progress import RunSummary
    from calwatch.settings import Settings

ALL, INTAKE, WORKER = ROLES = ("all", "intake", "worker")


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
        # Imported while the workers set themselves up.
        from calwatch.cli.running import Base, serve, watch
        from calwatch.ledger.store import Ledger
        from calwatch.service.lifecycle import SystemClock
        from calwatch.service.measures import show_limits
        from calwatch.service.observing import Observing
        from calwatch.service.online import Role
        from calwatch.verify.model import Verdict

        publishing = connection is not None and settings.kafka.publish
        alarming = settings.alarms.enabled and role != WORKER
        ledger = Ledger.open(settings.ledger, publishing=publishing, alarming=alarming)
        _say_started(settings, connection, ledger, role)
        clock = SystemClock()
        try:
            observing = Observing(settings, role, ledger, clock)
            limits.listen(partial(show_limits, settings, role))
            work = (judge_settings, judging, limits, observing, pool, clock)
            base = Base(settings, connection, ledger, *work)
            if role == WORKER and connection is not None:
                summary = serve(base, connection)
            else:
                summary = watch(base, Role(role), once=once, rejudge=rejudge)
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
