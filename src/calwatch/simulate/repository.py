"""A real Butler repository around simulated raws, with a certified chain built from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calwatch.camera.model import Detector
from calwatch.errors import RecordError, RepositoryError, StopError
from calwatch.offline.combine_frames import worker_pool
from calwatch.offline.ingest import ingest_files
from calwatch.offline.repository import create_repository
from calwatch.simulate.building import build_generation
from calwatch.simulate.model import SimulatedExposure
from calwatch.simulate.names import Generation, raw_run
from calwatch.simulate.photodiode import add_photodiodes
from calwatch.simulate.plan import (
    FLAT_RATE,
    Setup,
    SimulationPlan,
    first_session,
    night_exposures,
    second_session,
    set_up,
)
from calwatch.simulate.production import make_raws, raw_path
from calwatch.simulate.truth import Truth, detector_truth

TRUTH_FILE = "truth.json"
PLAN_FILE = "simulation.json"
"""Written first: with it and without ``truth.json`` a simulation is unfinished."""

Progress = Callable[[str, int, int], None]
"""Called with a stage, how much of it is done, and how much there is."""


def simulate(plan: SimulationPlan, progress: Progress | None = None) -> Truth:
    """Make a repository with raws and a certified chain; return all that was injected.

    Two calibration sessions are simulated, certified calibrations are combined from their raws
    (DMTN-222 §3), and nights of daily calibrations follow. The same is written to
    ``truth.json`` in the root.

    Parameters
    ----------
    plan
        What to make.
    progress
        Called as work goes on.

    Raises
    ------
    StopError
        If the plan is not possible, or the root holds a simulation or other files already.
    RepositoryError
        If the repository cannot be written.
    """
    setup = set_up(plan)
    report = progress or _silent
    _start(setup)
    truth = Truth(
        instrument=plan.instrument,
        camera=plan.camera or plan.instrument,
        seed=plan.seed,
        flat_rates=dict.fromkeys(setup.filters, FLAT_RATE),
        detectors={det.name: detector_truth(det, plan.seed).to_dict() for det in setup.detectors},
        plan=plan.to_dict(),
    )
    nights = [night_exposures(setup, night) for night in range(1, plan.nights + 1)]
    daily = [exposure for night in nights for exposure in night]
    sessions = [first_session(setup), second_session(setup)]
    with worker_pool(plan.processes) as pool:
        for number, session in enumerate(sessions, start=1):
            add_raws(setup, session, f"raws of generation {number}", report, pool)
            generation = Generation(number, plan.instrument, session[0].day_obs)
            truth.calibrations += build_generation(setup, generation, session, nights, report, pool)
        add_raws(setup, daily, "raws of the nights", report, pool)
        add_photodiodes(setup, daily)
    truth.exposures = [
        exposure_record(setup, exposure) for exposure in [*sessions[0], *sessions[1], *daily]
    ]
    truth.faults = [fault.describe(daily, setup.detectors) for fault in setup.faults]
    write_truth(setup.root, truth)
    return truth


def read_truth(root: str | Path) -> Truth:
    """Read ``truth.json`` of a finished simulation.

    Raises
    ------
    StopError
        If the root holds none, or it is damaged.
    """
    path = Path(root) / TRUTH_FILE
    try:
        return Truth.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise StopError(f"{root} is not a finished simulation: it has no {TRUTH_FILE}") from error
    except (OSError, ValueError, TypeError) as error:
        raise StopError(f"{path}: cannot be read: {error}") from error


def write_truth(root: Path, truth: Truth) -> None:
    """Write ``truth.json``, whole or not at all."""
    _write_json(root / TRUTH_FILE, truth.to_dict())


def add_raws(
    setup: Setup,
    exposures: Sequence[SimulatedExposure],
    stage: str,
    report: Progress,
    pool: Executor | None = None,
) -> None:
    """Make the raws of these exposures, in the workers of a pool if there is one, and ingest them.

    Raises
    ------
    RecordError
        If the repository refuses a file.
    """
    if not exposures:
        return
    total = len(exposures) * len(setup.detectors)
    done = 0

    def count(made: int) -> None:
        nonlocal done
        done += made
        report(stage, done, total)

    report(stage, 0, total)
    paths = make_raws(setup, exposures, count, pool)
    run = raw_run(setup.camera.instrument)
    ingest = ingest_files(setup.root, setup.camera, paths, run, "direct")
    if ingest.bad:
        raise RecordError(f"not ingested: {'; '.join(ingest.bad.values())}")


def exposure_record(setup: Setup, exposure: SimulatedExposure) -> dict[str, Any]:
    """Return what ``truth.json`` says of one exposure."""
    return asdict(exposure) | {
        "files": {det.name: _relative_path(setup, det, exposure) for det in setup.detectors}
    }


def _relative_path(setup: Setup, detector: Detector, exposure: SimulatedExposure) -> str:
    path = raw_path(setup.root, setup.camera, detector, exposure)
    return str(path.relative_to(setup.root))


def _start(setup: Setup) -> None:
    """Make an empty repository, or say why not."""
    root = setup.root
    if (root / TRUTH_FILE).exists():
        raise StopError(f"{root} holds a finished simulation; choose another directory")
    if (root / PLAN_FILE).exists():
        raise StopError(
            f"{root} holds a simulation that did not finish; delete the directory and start again"
        )
    create_repository(root, setup.camera)
    try:
        _write_json(root / PLAN_FILE, setup.plan.to_dict())
    except OSError as error:
        raise RepositoryError(f"{root}: cannot be written: {error.strerror}") from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    text = json.dumps(content, indent=1, allow_nan=False)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""
