"""What the photodiode beside the camera sees of the lamp, and its readings as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calwatch.calibrations.model import PhotodiodeReadings
from calwatch.offline.photodiodes import PhotodiodeFile, put_photodiodes, write_photodiode
from calwatch.simulate.faults import Fault
from calwatch.simulate.frames import lamp_level
from calwatch.simulate.lamp import lamp_factor
from calwatch.simulate.model import SimulatedExposure
from calwatch.simulate.plan import Setup

INSTRUMENTS = frozenset({"LSSTCam"})
"""Cameras with a photodiode (cp_pipe measures the linearity of the others without)."""

CHARGE = 4e-13
"""C for an electron at the centre of a detector: 2 nA at 5000 e-/s."""
STEP = 0.05
"""s from reading to reading; each is the mean over that time."""
MARGIN = 1.0
"""s of darkness that are read before and after the exposure."""
DARK_CURRENT = 3e-12
NOISE = 1e-12
"""A: without light, and the deviation of one reading."""
SCATTER = 2e-4
"""Relative rms from exposure to exposure: of the light that goes to the photodiode."""

_STREAM = 8


def readings(exposure: SimulatedExposure, faults: Sequence[Fault], seed: int) -> PhotodiodeReadings:
    """Return what the photodiode gave in one exposure, negative as the electrometer counts it.

    It sees the lamp as the camera does, whatever is wrong with the lamp, and nothing that is wrong
    with one detector.
    """
    rng = np.random.default_rng([seed, exposure.exposure_id, _STREAM])
    seconds = exposure.exposure_time
    lamp = lamp_level(seed, exposure) * lamp_factor(faults, exposure)
    charge = CHARGE * exposure.electrons * lamp * (1.0 + SCATTER * rng.standard_normal())
    begin = MARGIN + STEP * rng.random()
    time = STEP * np.arange(1 + int((seconds + 2.0 * MARGIN) / STEP))
    lit = np.clip(time - begin, 0.0, seconds) - np.clip(time - STEP - begin, 0.0, seconds)
    current = charge / max(seconds, STEP) * lit / STEP + DARK_CURRENT
    current += NOISE * rng.standard_normal(time.size)
    return PhotodiodeReadings(np.asarray(time, np.float64), np.asarray(-current, np.float64))


def add_photodiodes(setup: Setup, exposures: Sequence[SimulatedExposure]) -> None:
    """Write and ingest the readings of all flats among some exposures, if the camera has them.

    Raises
    ------
    RepositoryError
        If the repository cannot be written.
    """
    plan, instrument = setup.plan, setup.camera.instrument
    if not (plan.photodiode and instrument in INSTRUMENTS):
        return
    files = []
    for exposure in exposures:
        if exposure.observation_type != "flat":
            continue
        path = _path(setup.root, exposure)
        path.parent.mkdir(parents=True, exist_ok=True)
        found = readings(exposure, setup.faults, plan.seed)
        write_photodiode(path, found, instrument, exposure.day_obs, exposure.seq_num)
        files.append(PhotodiodeFile(exposure.exposure_id, path))
    put_photodiodes(setup.root, instrument, files, transfer="direct")


def _path(root: Path, exposure: SimulatedExposure) -> Path:
    return root / "photodiodes" / str(exposure.day_obs) / f"{exposure.obs_id}_photodiode.fits"
