"""``calwatch demo``: simulate a small repository and run the daemon on it."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from calwatch.camera.model import Camera
    from calwatch.ledger.store import Ledger
    from calwatch.service.alarm_books import AlarmBooks
    from calwatch.service.daemon import Companion
    from calwatch.service.progress import Event, RunSummary
    from calwatch.settings import Settings

INSTRUMENT = "LATISS"
FAULTS = (
    "read_noise:amp=C03,factor=1.3,night=2,type=bias",
    "light_leak:rate=1.0,night=1,number=2",
    "gain_step:amp=C12,factor=1.08,night=2,type=flat",
    "bias_shift:amp=C05,r0=700,r1=900,adu=12,night=2,number=3",
    "truncated_file:night=2,type=dark,number=3",
)
"""One of each kind of finding: an amplifier, a whole detector, a step, a shift, a bad file."""

LONG_PAST_HOURS = 1e6
NIGHTS = 2
LIVE_SECONDS = 20.0
"""Between the daily sets that ``demo`` without ``--once`` keeps adding."""


@click.command()
@click.option("--once", is_flag=True, help="End when every exposure is judged.")
@click.option(
    "--dir",
    "directory",
    default="demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to put it all.",
)
@click.option(
    "--port",
    "-p",
    default=8080,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Of the page, which is there until Ctrl-C; not with --once.",
)
@click.option("--seed", default=1, show_default=True, help="Of the simulation.")
@click.option("--processes", "-j", type=click.IntRange(1), default=2, show_default=True)
def demo(once: bool, directory: Path, port: int, seed: int, processes: int) -> None:
    """Simulate two LATISS nights with faults in DIR, and watch them.

    A repository that is already in DIR is used again. Without --once new exposures keep arriving
    until Ctrl-C, and the page shows them at http://127.0.0.1:PORT.

    \b
    Example:
      calwatch demo --once --dir /tmp/demo
    """
    from rich.console import Console

    from calwatch.cli.verdicts import console_of

    console = console_of(Console())
    root = directory / "repo"
    _simulate(console, root, seed, processes)
    settings = _settings(directory, processes, port)
    console.rule("Judging every exposure against the certified chain")
    _watch(console, settings, root, once)
    _show(console, settings)
    console.print(f"repository {root}, ledger {directory / 'ledger.db'}, "
                  f"injected faults in {root / 'truth.json'}")  # fmt: skip


def _simulate(console: Console, root: Path, seed: int, processes: int) -> None:
    from calwatch.cli.simulate import with_progress
    from calwatch.simulate.plan import SimulationPlan
    from calwatch.simulate.repository import PLAN_FILE, TRUTH_FILE

    if (root / TRUTH_FILE).exists():
        console.print(f"using the repository in {root}")
        return
    if (root / PLAN_FILE).exists():
        console.print(f"starting again: the simulation in {root} did not finish")
        shutil.rmtree(root)
    console.rule(f"Simulating {NIGHTS} nights of {INSTRUMENT} with {len(FAULTS)} faults")
    for spec in FAULTS:
        console.print(f"  fault: {spec}", highlight=False)
    with_progress(
        SimulationPlan(
            root=str(root),
            instrument=INSTRUMENT,
            nights=NIGHTS,
            seed=seed,
            faults=FAULTS,
            # No fewer: what is measured of a set needs so many.
            biases=6,
            darks=5,
            flats=4,
            pairs=6,
            spots=2,
            calib_biases=16,
            calib_darks=8,
            calib_flats=12,
            ramp_pairs=8,
            second_generation=("bias",),
            compress=False,
            processes=processes,
        )
    )


def _settings(directory: Path, processes: int, port: int) -> Settings:
    from calwatch.settings import AlarmSettings, LogSettings, Settings, WebSettings
    from calwatch.simulate.plan import DAILY_PROGRAM

    return Settings(
        repo=str(directory / "repo"),
        instruments=(INSTRUMENT,),
        ledger=str(directory / "ledger.db"),
        where=f"exposure.science_program = '{DAILY_PROGRAM}'",
        look_back_days=None,
        interval_seconds=5.0,
        workers=processes,
        # The nights are long past: alarms are told of all the same, and silence since is none.
        alarms=AlarmSettings(late_hours=LONG_PAST_HOURS, cadence_hours={}),
        keep_images="all",
        web=WebSettings(port=port),
        log=LogSettings(format="console", level="warning"),
    )


def _watch(console: Console, settings: Settings, root: Path, once: bool) -> RunSummary:
    """Run the daemon with a line for each exposure, and new exposures if it is to go on."""
    from calwatch.butler.repository import Repository
    from calwatch.ledger.alarms import AlarmStore
    from calwatch.ledger.deliveries import Deliveries
    from calwatch.ledger.store import Ledger
    from calwatch.service.alarm_desk import open_books
    from calwatch.service.alarm_wiring import set_up_alarms
    from calwatch.service.daemon import Daemon
    from calwatch.service.judge_factory import judge_factory
    from calwatch.service.judge_settings import JudgeSettings
    from calwatch.service.lifecycle import SystemClock
    from calwatch.service.logs import set_up_logs

    set_up_logs(settings.log)
    judge_settings = JudgeSettings.of(settings)
    ended = threading.Event()
    taker = threading.Thread(target=_keep_taking, args=(root, ended), daemon=True)
    ledger = Ledger.open(settings.ledger, alarming=True)
    clock = SystemClock()
    books = open_books(settings, AlarmStore(ledger), clock)
    cameras = {INSTRUMENT: judge_settings.camera_of(INSTRUMENT)}
    parts = (books, Deliveries(ledger), settings.alarms, cameras, None, clock)
    alarming = set_up_alarms(*parts, write=lambda line: _tell_alarm(console, line))

    companions: list[Companion] = [alarming.run]
    if not once:
        companions.append(_page(console, settings, books, ledger, cameras))

    def hear(event: Event) -> None:
        _tell(console, event)
        alarming.hear(event)

    try:
        with Repository.open(settings.repo, max_age=0.0 if once else 5.0) as repository:
            daemon = Daemon(
                settings,
                repository,
                ledger,
                judge_factory(judge_settings),
                companions=companions,
                on_event=hear,
            )
            if not once:
                console.print("new exposures keep arriving; Ctrl-C ends the demo")
                taker.start()
            return asyncio.run(daemon.run(once=once))
    finally:
        ended.set()
        if taker.is_alive():
            taker.join()  # an exposure that is being taken is finished, not left half ingested
        ledger.close()


def _page(
    console: Console,
    settings: Settings,
    books: AlarmBooks,
    ledger: Ledger,
    cameras: Mapping[str, Camera],
) -> Companion:
    """Return what serves the page, and say where it is."""
    from functools import partial

    from calwatch.service.lifecycle import SystemClock
    from calwatch.verify.limits import load_limits
    from calwatch.web.app import make_app
    from calwatch.web.serve import listen, serve

    port = settings.web.port or 0
    listening = listen(settings.web.host, port)
    seen = (books, ledger, cameras, load_limits(settings.limits))
    app = make_app(*seen, settings.alarms, settings.web, SystemClock())
    console.print(f"the page: http://{settings.web.host}:{port}")
    return partial(serve, app, listening)


def _keep_taking(root: Path, ended: threading.Event) -> None:
    """Add a small daily set every few seconds, each with one fault, until the demo ends."""
    from itertools import cycle

    from calwatch.simulate.live import add_exposures

    faults = cycle(["", "read_noise:amp=C14,factor=0.8,type=bias", "", "lamp_off"])
    while not ended.wait(LIVE_SECONDS):
        spec = next(faults)
        add_exposures(root, biases=1, darks=1, flats=2, pairs=0, faults=(spec,) if spec else ())


def _tell(console: Console, event: Event) -> None:
    from calwatch.cli.verdicts import STYLES
    from calwatch.service.progress import ExposureJudged, JobDelayed, Looked, Waiting

    match event:
        case Looked(jobs=jobs) if jobs:
            console.print(f"{jobs} detector exposures to judge")
        case ExposureJudged(exposure=exposure, merged=merged, seconds=seconds):
            style = STYLES[merged.verdict]
            console.print(
                f"  {exposure.obs_id} {merged.calib_type:14s} "
                f"[{style}]{merged.verdict.value:7s}[/{style}] {seconds:5.1f} s",
                highlight=False,
            )
        case JobDelayed(reason=reason) | Waiting(reason=reason):
            console.print(f"  [yellow]waiting[/yellow]: {reason}", highlight=False)
        case _:
            pass


def _tell_alarm(console: Console, line: str) -> None:
    console.print(f"  [bold]alarm[/bold] {escape(line)}", highlight=False, soft_wrap=True)


def _show(console: Console, settings: Settings) -> None:
    """Print every exposure of the ledger, what each night came to, and the open alarms."""
    from calwatch.cli.alarm_views import alarm_table
    from calwatch.cli.verdicts import print_verdicts
    from calwatch.ledger.alarms import AlarmStore
    from calwatch.ledger.store import Ledger
    from calwatch.service.alarm_words import count_line, gravest_first
    from calwatch.verify.metrics import CALIB_TYPES
    from calwatch.verify.model import algorithm_of

    ledger = Ledger.open(settings.ledger)
    try:
        alarms = gravest_first(AlarmStore(ledger).open_alarms(INSTRUMENT))
        algorithms = dict.fromkeys(map(algorithm_of, CALIB_TYPES))
        results = [
            result
            for algorithm in algorithms
            for exposure in ledger.exposures(INSTRUMENT, algorithm=algorithm)
            for result in ledger.results(INSTRUMENT, exposure.exposure_id, algorithm).results
        ]
        runs = [
            run for algorithm in algorithms for run in ledger.runs(INSTRUMENT, algorithm=algorithm)
        ]
    finally:
        ledger.close()
    print_verdicts(console, results, f"{INSTRUMENT}, limits {settings.limits}")
    for run in runs:
        counts = ", ".join(f"{count} {verdict}" for verdict, count in run.counts.items())
        console.print(f"  {run.day_obs} {run.calib_type:14s} {run.verdict.value:7s} ({counts})")
    if alarms:
        console.print(alarm_table(alarms))
    console.print(count_line(alarms), highlight=False)
