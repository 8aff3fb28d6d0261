"""Gain and noise of pairs come back within their own errors; a changed gain is found."""

import math
from dataclasses import replace
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
from calwatch.isr.serial_overscan import serial_levels
from calwatch.simulate.frames import make_frame
from calwatch.simulate.maps import make_maps
from calwatch.simulate.model import FrameEffects, SimulatedExposure
from calwatch.simulate.truth import NONLINEARITY_REFERENCE, detector_truth
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.model import Verdict
from calwatch.verify.sets.gain import measure
from calwatch.verify.sets.model import CorrectedFrame

DATA = Path(__file__).parents[2] / "data"
N_PAIRS = 150
"""Of four amplifiers each."""


@pytest.fixture(scope="module")
def draw(detector):
    """Return a function that draws a pair of flats and its PTC, true gains and noises."""

    def drawn(rng, a00, level, factor=1.0):
        gain = rng.uniform(1.0, 2.0, 4)
        noise = rng.uniform(5.0, 8.0, 4)
        certified = gain / factor
        frames = []
        for k in range(2):
            image = np.empty(detector.shape, np.float32)
            for i, amp in enumerate(detector.amplifiers):
                light = level * rng.normal(1.0, 1e-3)
                variance = math.expm1(2 * a00 * light) / (2 * a00) if a00 else light
                part = rng.normal(
                    light, math.sqrt(variance + noise[i] ** 2), (amp.bbox.height, amp.bbox.width)
                )
                # What the medians of the overscans leave in every row and every column.
                part += rng.normal(0, noise[i] * math.sqrt(math.pi / 2 / 18), (100, 1))
                part += rng.normal(0, noise[i] * math.sqrt(math.pi / 2 / 14), (1, 120))
                image[amp.bbox.slices] = part / factor
            measured = [
                serial_levels(rng.normal(0, sigma, (120, 18)).astype(np.float32)).residual_stdev
                for sigma in noise / gain
            ]
            mask = np.zeros(detector.shape, np.uint16)
            frames.append(
                CorrectedFrame(k, 10.0, 10.0, image, mask, certified, np.array(measured), ("",) * 4)
            )
        nothing = np.full(4, np.nan)
        ptc = PhotonTransferCurve(
            detector.amp_names, certified, noise, nothing, nothing, nothing,
            np.full(4, a00), (), {},
        )  # fmt: skip
        return frames, CalibrationSet(ptc=ptc), gain, noise

    return drawn


@pytest.mark.parametrize(
    ("a00", "level", "metric"),
    [
        (0.0, 30_000.0, "PAIR_GAIN"),
        (0.0, 30_000.0, "PAIR_GAIN_ZERO"),
        (-3e-6, 60_000.0, "PAIR_GAIN_ZERO"),
        (-3e-6, 60_000.0, "PAIR_NOISE"),
        (-1.7e-6, 60.0, "PAIR_GAIN_ZERO"),
        (-1.7e-6, 60.0, "PAIR_NOISE"),
    ],
)
def test_pulls(detector, draw, a00, level, metric):
    """Six hundred amplifiers; the brighter-fatter effect is taken out with the true a00."""
    rng = np.random.default_rng(20)
    error = "PAIR_GAIN_ERROR" if metric == "PAIR_GAIN" else f"{metric}_ERROR"
    pulls = []
    for _ in range(N_PAIRS):
        frames, calibrations, gain, noise = draw(rng, a00, level)
        found = measure(detector, *frames, calibrations)
        truth = noise if metric == "PAIR_NOISE" else gain
        for numbers, wanted in zip(found.amps.values(), truth, strict=True):
            pulls.append((numbers[metric] - wanted) / numbers[error])
    pulls = np.array(pulls)
    assert np.isfinite(pulls).all()
    assert abs(pulls.mean()) < 0.1
    assert 0.85 < pulls.std() < 1.15


@pytest.mark.parametrize("sign", [1, -1])
def test_a_gain_that_changed_by_five_percent_and_three_errors_is_found(
    detector, draw, exposure, sign
):
    rng = np.random.default_rng(21)
    limits, taken = load_limits("dmtn101"), replace(exposure("flat"), calib_type="gain")
    verdicts = {0.0: [], sign * (0.05 + 3 * 0.0155): []}
    for change, seen in verdicts.items():
        for _ in range(N_PAIRS // 4):
            frames, calibrations, *_ = draw(rng, -3e-6, 40_000.0, 1 + change)
            found = measure(detector, *frames, calibrations)
            result = judge_numbers(taken, detector, found.amps, {}, limits, faults=found.faults)
            seen += [amp.tests["PAIR_GAIN"].verdict for amp in result.amps.values()]
    unchanged, changed = verdicts.values()
    assert unchanged.count(Verdict.FAIL) <= 0.01 * len(unchanged)
    assert changed.count(Verdict.FAIL) >= 0.95 * len(changed)


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
