"""Pairs of the simulator, with all that it does to a frame, give their truth back."""

import math
from pathlib import Path

import numpy as np
import pytest

from calwatch.calibrations.model import (
    CalibrationSet,
    Crosstalk,
    Linearizer,
    LinearizerType,
    PhotonTransferCurve,
    Units,
)
from calwatch.camera.loader import load_camera
from calwatch.isr.chain import run_isr
from calwatch.isr.model import IsrInput, IsrSwitches
from calwatch.simulate.frames import make_frame
from calwatch.simulate.maps import make_maps
from calwatch.simulate.model import FrameEffects, SimulatedExposure
from calwatch.simulate.truth import NONLINEARITY_REFERENCE, detector_truth
from calwatch.verify.sets.gain import measure
from calwatch.verify.sets.model import CorrectedFrame

DATA = Path(__file__).parents[2] / "data"


def _certified(detector, truth) -> CalibrationSet:
    """Return the truth of a simulated detector as its calibrations."""
    names = detector.amp_names
    amps = [truth.amps[name] for name in names]
    nothing = np.full(len(names), np.nan)
    bend = [-amp.nonlinearity / NONLINEARITY_REFERENCE / amp.gain for amp in amps]
    linear = truth.crosstalk_array
    return CalibrationSet(
        ptc=PhotonTransferCurve(
            names,
            np.array([amp.gain for amp in amps]),
            np.array([amp.read_noise for amp in amps]),
            nothing,
            nothing,
            nothing,
            np.array([amp.a00 for amp in amps]),
            (),
            {},
        ),
        linearizer=Linearizer(
            names,
            (LinearizerType.SQUARED,) * len(names),
            tuple(np.array([value]) for value in bend),
            None,
            Units.ELECTRON,
            {},
        ),
        crosstalk=Crosstalk(linear, truth.quadratic_array, linear != 0, Units.ELECTRON, {}),
    )


def _take(detector, truth, maps, known, seq_num, electrons):
    exposure = SimulatedExposure(
        exposure_id=2026030900000 + seq_num,
        obs_id=f"MN_O_20260309_{seq_num:06d}",
        day_obs=20260309,
        seq_num=seq_num,
        observation_type="flat",
        reason="daily_flat",
        program="BLOCK-T664",
        group="20260309",
        physical_filter="r_57",
        band="r",
        exposure_time=10.0,
        dark_time=10.0,
        begin_mjd=61108.8,
        electrons=electrons,
        session="night 1",
        night=1,
        current=1,
        maximum=3,
    )
    raw = make_frame(detector, truth, maps, exposure, FrameEffects())
    found = run_isr(IsrInput(detector, raw, known, IsrSwitches(bias=False, defects=False), 1, 10.0))
    overscan = found.statistics.overscan
    assert overscan is not None
    return CorrectedFrame(
        exposure.exposure_id,
        10.0,
        10.0,
        found.image,
        found.mask,
        found.gain,
        overscan.serial_residual_stdev,
        ("",) * len(detector.amplifiers),
    )


@pytest.fixture(scope="module")
def mini_detector():
    """Return sixteen amplifiers of 120 × 100 pixels."""
    return load_camera(str(DATA / "mini.yaml")).detector(0)


@pytest.fixture(scope="module")
def simulated(mini_detector):
    """Pairs from the simulator, with all that it does to a frame: truth, and what was found."""
    pairs = []
    for seed in range(13):
        truth = detector_truth(mini_detector, seed)
        maps = make_maps(mini_detector, truth)
        known = _certified(mini_detector, truth)
        frames = [_take(mini_detector, truth, maps, known, k, 60_000.0) for k in (1, 2)]
        pairs.append((truth, measure(mini_detector, *frames, known)))
    return pairs


@pytest.mark.parametrize("metric", ["PAIR_GAIN_ZERO", "PAIR_NOISE"])
def test_the_simulator_gets_its_gain_and_noise_back(simulated, metric):
    pulls = []
    for truth, found in simulated:
        assert not found.faults
        for name, numbers in found.amps.items():
            amp = truth.amps[name]
            # What the converter rounds is noise too, and so is what the ISR dithers.
            noise = math.hypot(amp.read_noise, amp.gain / math.sqrt(6))
            wanted = amp.gain if metric == "PAIR_GAIN_ZERO" else noise
            pulls.append((numbers[metric] - wanted) / numbers[f"{metric}_ERROR"])
    assert len(pulls) >= 200
    assert abs(np.mean(pulls)) < 0.2
    assert 0.85 < np.std(pulls) < 1.15


def test_the_simulated_neighbours_are_correlated(simulated):
    """What a pixel loses in variance its neighbours have as covariance."""
    ratios = np.mean(
        [found.arrays["covariances"] for _, found in simulated], axis=(0, 1), dtype=np.float64
    )
    ratios /= ratios[0, 0]
    error = 1 / math.sqrt(13 * 16 * 8000)
    assert (ratios[:2, :2] > 5 * error).all()
    assert np.abs(ratios[3:, 3:]).max() < 5 * error


def test_the_certified_gains_make_the_simulated_flat_continuous(simulated):
    found = np.array([[n["BOUNDARY_GAIN_RATIO"] for n in f.amps.values()] for _, f in simulated])
    assert np.abs(found - 1).max() < 0.01
    assert found.std() < 1e-3
