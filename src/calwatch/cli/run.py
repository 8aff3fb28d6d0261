"""``calwatch run``: the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click


@click.command()
@click.option("--config", "-c", type=click.Path(dir_okay=False, path_type=Path),
              help="Configuration file (YAML); CALWATCH_… variables win over it.")  # fmt: skip
@click.option("--once", is_flag=True, help="End when nothing is missing any more.")
@click.option("--rejudge", is_flag=True,
              help="Judge again what has PASS or FAIL where the chain has changed.")  # fmt: skip
@click.pass_context
def run(ctx: click.Context, config: Path | None, once: bool, rejudge: bool) -> None:
    """Watch a Butler repository: judge every new bias, dark and flat, and record it.

    SIGTERM or Ctrl-C finishes or abandons running work within 20 s; the next start does what
    remains, and nothing twice.

    \b
    Example:
      calwatch run --config config/latiss.yaml
    """
    from calwatch.butler.repository import Repository
    from calwatch.ledger.store import Ledger
    from calwatch.service.daemon import Daemon
    from calwatch.service.judge import JudgeSettings, judge_factory
    from calwatch.service.logs import set_up_logs
    from calwatch.settings import load_settings
    from calwatch.verify.model import Verdict

    settings = load_settings(config)
    set_up_logs(settings.log)
    judge_settings = JudgeSettings(
        camera=settings.camera,
        limits=settings.limits,
        cache_bytes=settings.calibration_cache_bytes,
        wait_for_files=True,
    )
    for instrument in settings.instruments:
        judge_settings.camera_of(instrument)  # A wrong one is told now, not exposure by exposure.
    judging = judge_factory(judge_settings)
    ledger = Ledger.open(settings.ledger)
    try:
        with Repository.open(settings.repo) as repository:
            daemon = Daemon(settings, repository, ledger, judging, rejudge=rejudge)
            summary = asyncio.run(daemon.run(once=once))
    finally:
        ledger.close()
    ctx.exit(int(once and summary.exposures[Verdict.FAIL] > 0))
