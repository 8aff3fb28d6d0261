"""The simulated exposures that are measured: one bias, dark and flat, and a hard bias."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from calwatch.arrivals.job import Job
from calwatch.butler.repository import Repository
from calwatch.camera.model import Camera, Detector
from calwatch.camera.raw import read_raw
from calwatch.isr.switches import needed_calibrations
from calwatch.simulate.cosmics import add_cosmic_rays
from calwatch.simulate.model import FileEffects, SimulatedExposure
from calwatch.simulate.plan import DAILY_PROGRAM, SimulationPlan, night_exposures, set_up
from calwatch.simulate.raw_file import write_raw
from calwatch.simulate.repository import PLAN_FILE, TRUTH_FILE, simulate

INSTRUMENT, DETECTOR = "LSSTCam", "R01_S00"
CALIB_TYPES = ("bias", "dark", "flat")
NAMES = (*CALIB_TYPES, "hard bias")
"""The frames, as the tables name them."""
TRACKS, HOT_PIXELS, WARM_COLUMNS = 20, 100, 1
"""In each of the 16 amplifiers of the hard bias."""
HOT_ELECTRONS, WARM_ELECTRONS = (200.0, 20_000.0), 30.0


@dataclass(frozen=True)
class Frames:
    """What is measured, by the names of `NAMES`."""

    camera: Camera
    detector: Detector
    jobs: dict[str, Job]

    def path(self, name: str) -> Path:
        """Return the raw file of a frame."""
        return Path(unquote(urlsplit(self.jobs[name].raw.uri).path))


def make_repository(root: Path) -> None:
    """Simulate a small repository with one detector, unless it is there."""
    if (root / TRUTH_FILE).exists():
        return
    simulate(
        SimulationPlan(
            str(root), INSTRUMENT, detectors=(DETECTOR,), nights=1, biases=1, darks=1, flats=1,
            calib_biases=3, calib_darks=3, calib_flats=3, ramp_pairs=4,
        )
    )  # fmt: skip


def load_frames(root: Path, detector: str = "") -> Frames:
    """Look up the daily exposures of a simulated repository, and make its hard bias if need be."""
    plan = SimulationPlan.from_dict(json.loads((root / PLAN_FILE).read_text(encoding="utf-8")))
    setup = set_up(plan)
    chosen = setup.camera.detector(detector) if detector else setup.detectors[0]
    jobs = {kind: daily_job(root, setup.camera, chosen, kind) for kind in CALIB_TYPES}
    frames = Frames(setup.camera, chosen, jobs)
    bias = next(e for e in night_exposures(setup, 1) if e.obs_id == jobs["bias"].exposure.obs_id)
    hard = root / f"hard_bias_{chosen.name}.fits"
    if not hard.exists():
        make_hard(frames, bias, hard)
    jobs["hard bias"] = replace(jobs["bias"], raw=replace(jobs["bias"].raw, uri=str(hard)))
    return frames


def daily_job(root: Path, camera: Camera, detector: Detector, kind: str) -> Job:
    """Return the job of the first daily exposure of a type."""
    with Repository.open(root) as repository:
        exposure = repository.exposures(
            camera.instrument,
            where=f"exposure.science_program = '{DAILY_PROGRAM}'",
            observation_types=[kind],
        )[0]
        (raw,) = repository.raws(camera.instrument, [exposure.exposure_id], [detector.number])
        needed = needed_calibrations(camera, kind)
        chain = repository.chains(exposure, needed, [detector.number])[detector.number]
    return Job(exposure, kind, detector.number, raw, chain)


def make_hard(frames: Frames, exposure: SimulatedExposure, path: Path) -> None:
    """Write the bias again with cosmic-ray tracks, hot pixels and warm columns in it."""
    rng = np.random.default_rng(5)
    detector = frames.detector
    pixels = read_raw(frames.path("bias"), frames.camera, detector).pixels.copy()
    for amp, counts in zip(detector.amplifiers, pixels, strict=True):
        data = counts[amp.data.slices]
        charge = np.zeros(data.shape, np.float32)
        made = 0
        while made < TRACKS:
            made += add_cosmic_rays(charge, 1.0, 1e6 / charge.size, rng)
        y, x = (rng.integers(0, size, HOT_PIXELS) for size in data.shape)
        charge[y, x] += rng.uniform(*HOT_ELECTRONS, HOT_PIXELS).astype(np.float32)
        charge[:, rng.integers(0, data.shape[1], WARM_COLUMNS)] += WARM_ELECTRONS
        data += np.rint(charge / amp.nominal_gain).astype(np.int32)
    write_raw(path, frames.camera, detector, exposure, pixels, FileEffects())
