"""``calwatch warm-up``: compile every kernel that the daemon's workers use, once, for an image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calwatch.errors import StopError
from calwatch.kernel_cache import BASELINES, compile_for, not_compiled

if TYPE_CHECKING:
    from calwatch.isr.model import Engine
    from calwatch.ledger.store import Ledger

PACKAGE = Path(__file__).parents[1]
INSTRUMENTS = ("LATISS", "LSSTComCam", "LSSTCam")
FAULTS = (
    "read_noise:factor=1.3,type=bias,number=1",
    "light_leak:rate=20,number=1",
    "saturated_flat:number=5",
    "lamp_off:number=6",
    "bias_shift:r0=20,r1=60,adu=12,number=2",
)
"""So that what is only called where something is wrong is called, too."""


@click.command("warm-up")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--cpu", "cpus", multiple=True, type=click.Choice(tuple(BASELINES)),
              default=("x86-64-v3",), show_default=True,
              help="Kind of processor to compile for; may be given several times.")  # fmt: skip
def warm_up(folder: Path, cpus: tuple[str, ...]) -> None:
    """Compile all kernels into FOLDER, by judging small simulated exposures of every camera.

    A daemon with CALWATCH_KERNELS=FOLDER compiles nothing: its first exposure is as quick as the
    hundredth. Code for x86-64-v4 is a little quicker, and needs AVX-512 here and there.

    \b
    Example:
      calwatch warm-up /opt/calwatch/kernels --cpu x86-64-v3
    """
    import tempfile
    import time
    from multiprocessing import get_context

    for cpu in cpus:
        compile_for(cpu, folder, os.environ)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            # numba reads its environment once: each processor needs a process of its own.
            process = get_context("spawn").Process(target=_judge_all, args=(scratch,))
            process.start()
            process.join()
        if process.exitcode:
            raise click.ClickException(f"{cpu}: the process that compiles ended with an error")
        missing = not_compiled(PACKAGE, folder / cpu)
        if missing:
            raise click.ClickException(
                f"{cpu}: no exposure of the simulated ones has used {', '.join(missing)}: they are "
                "not compiled"
            )
        kernels = list((folder / cpu).rglob("*.nbc"))
        size = sum(path.stat().st_size for path in kernels) / 1e6
        seconds = time.monotonic() - began
        click.echo(f"{cpu}: {len(kernels)} kernels, {size:.1f} MB, in {seconds:.0f} s")


def _judge_all(scratch: str) -> None:
    """Simulate and judge a small night of each camera, as the daemon does it."""
    from calwatch.simulate.plan import SimulationPlan
    from calwatch.simulate.repository import simulate
    from calwatch.simulate.small import small_camera

    for instrument in INSTRUMENTS:
        folder = Path(scratch, instrument)
        folder.mkdir()
        camera, detectors = small_camera(instrument, folder)
        _do_seldom(camera)
        # Certified images are read by other kernels where they are compressed; and images mapped
        # from a shared folder cannot be written to, which numba takes for another type.
        for compress, shared in ((True, ""), (False, str(folder / "shared"))):
            root = folder / f"compressed-{compress}"
            simulate(
                SimulationPlan(
                    root=str(root), instrument=instrument, camera=str(camera), detectors=detectors,
                    nights=1, biases=6, darks=4, flats=6, pairs=6, spots=4, calib_biases=3,
                    calib_darks=3, calib_flats=3, ramp_pairs=4, second_generation=("bias",),
                    processes=1, compress=compress, faults=FAULTS,
                )
            )  # fmt: skip
            _judge(root, instrument, camera, shared)
        _judge(root, instrument, camera, shared, engine="reference")


def _do_seldom(camera_file: Path) -> None:
    """Do what only other certified calibrations, or other switches, than the simulated ask for."""
    import numpy as np

    from calwatch.camera.loader import load_camera
    from calwatch.isr.cti import remove_drift
    from calwatch.isr.projections import project

    detector = load_camera(camera_file).detectors[0]
    project(np.zeros(detector.shape, np.float32), detector)
    remove_drift(np.zeros((2, 32)), 1e-4, 2.0)


def _judge(root: Path, instrument: str, camera: Path, shared: str, engine: Engine = "fast") -> None:
    """Run the daemon on a repository until all is judged."""
    import asyncio

    from calwatch.butler.repository import Repository
    from calwatch.ledger.store import Ledger
    from calwatch.service.daemon import Daemon
    from calwatch.service.judge_factory import judge_factory
    from calwatch.service.judge_settings import JudgeSettings
    from calwatch.service.logs import set_up_logs
    from calwatch.settings import IsrSettings, LogSettings, SetSettings, Settings
    from calwatch.simulate.plan import DAILY_PROGRAM
    from calwatch.verify.metrics import SET_TYPES

    is_fast = engine == "fast"  # the other one needs no more kernels for sets
    settings = Settings(
        repo=str(root), instruments=(instrument,), camera=str(camera), look_back_days=None,
        where=f"exposure.science_program = '{DAILY_PROGRAM}'", workers=1, keep_images="all",
        ledger=str(root.with_suffix(f".{engine}.db")), calibration_folder=shared,
        isr=IsrSettings(engine=engine), sets=SetSettings(kinds=SET_TYPES if is_fast else ()),
        log=LogSettings(format="console", level="error"),
    )  # fmt: skip
    set_up_logs(settings.log)
    ledger = Ledger.open(settings.ledger)
    try:
        with Repository.open(settings.repo) as repository:
            judging = judge_factory(JudgeSettings.of(settings))
            asyncio.run(Daemon(settings, repository, ledger, judging).run(once=True))
        if is_fast:
            _check(ledger, instrument)
    finally:
        ledger.close()


def _check(ledger: Ledger, instrument: str) -> None:
    """Insist that all that can be judged was judged: what was left out is not compiled.

    Raises
    ------
    StopError
        If something was not.
    """
    from calwatch.verify.metrics import SET_TYPES
    from calwatch.verify.model import Verdict, algorithm_of

    found = {exposure.verdict for exposure in ledger.exposures(instrument)}
    if found != {Verdict.PASS, Verdict.FAIL}:
        words = ", ".join(sorted(verdict.value for verdict in found)) or "nothing"
        raise StopError(f"{instrument} in small: expected some PASS and some FAIL, got {words}")
    for kind in SET_TYPES:
        algorithm = algorithm_of(kind)
        numbers = [e.exposure_id for e in ledger.exposures(instrument, algorithm=algorithm)]
        results = [r for n in numbers for r in ledger.results(instrument, n, algorithm).results]
        if not any(result.amps for result in results):
            raise StopError(f"{instrument} in small: no {kind} was measured")
