"""Gain and noise of pairs come back within their own errors; what changed is found."""

import math
from dataclasses import replace

import numpy as np
import pytest

from calwatch.calibrations.model import CalibrationSet, PhotonTransferCurve
from calwatch.isr.serial_overscan import serial_levels
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.model import Verdict
from calwatch.verify.sets.gain import measure
from calwatch.verify.sets.model import CorrectedFrame

N_PAIRS = 100
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
            light = level * rng.normal(1.0, 1e-3)
            for i, amp in enumerate(detector.amplifiers):
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
    ("a00", "level", "metrics"),
    [
        (0.0, 30_000.0, ("PAIR_GAIN", "PAIR_GAIN_ZERO", "PAIR_NOISE")),
        (-3e-6, 60_000.0, ("PAIR_GAIN_ZERO", "PAIR_NOISE")),
        (-1.7e-6, 60.0, ("PAIR_GAIN_ZERO", "PAIR_NOISE")),
    ],
)
def test_pulls(detector, draw, a00, level, metrics):
    """Four hundred amplifiers; the brighter-fatter effect is taken out with the true a00."""
    rng = np.random.default_rng(20)
    pulls = {metric: [] for metric in metrics}
    for _ in range(N_PAIRS):
        frames, calibrations, gain, noise = draw(rng, a00, level)
        found = measure(detector, *frames, calibrations)
        for i, numbers in enumerate(found.amps.values()):
            for metric, seen in pulls.items():
                wanted = noise[i] if metric == "PAIR_NOISE" else gain[i]
                seen.append((numbers[metric] - wanted) / numbers[f"{metric}_ERROR"])
    for metric, seen in pulls.items():
        assert np.isfinite(seen).all(), metric
        assert abs(np.mean(seen)) < 0.1, metric
        assert 0.85 < np.std(seen) < 1.15, metric


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


@pytest.mark.parametrize("limit", [0.10, -0.15])
def test_a_noise_that_changed_by_its_limit_and_three_errors_is_found(
    detector, draw, exposure, limit
):
    rng = np.random.default_rng(22)
    limits, taken = load_limits("dmtn101"), replace(exposure("flat"), calib_type="gain")
    changed, unchanged = [], []
    for _ in range(N_PAIRS // 2):
        frames, calibrations, *_ = draw(rng, -3e-6, 40_000.0)
        found = measure(detector, *frames, calibrations)
        relative = np.mean([n["PAIR_NOISE_ERROR"] / n["PAIR_NOISE"] for n in found.amps.values()])
        factor = 1 + limit + math.copysign(3 * relative, limit)
        spoilt = [replace(f, overscan_noise=f.overscan_noise * factor) for f in frames]
        other = measure(detector, *spoilt, calibrations)
        for measured, seen in ((found, unchanged), (other, changed)):
            result = judge_numbers(taken, detector, measured.amps, {}, limits)
            seen += [amp.tests["PAIR_NOISE"].verdict for amp in result.amps.values()]
    assert changed.count(Verdict.FAIL) >= 0.95 * len(changed)
    assert unchanged.count(Verdict.FAIL) <= 0.01 * len(unchanged)


@pytest.mark.parametrize("limit", [0.03, -0.03])
def test_a_step_of_its_limit_and_three_errors_is_found(detector, draw, exposure, limit):
    """In one amplifier of four; the others stay."""
    rng = np.random.default_rng(23)
    limits, taken = load_limits("dmtn101"), replace(exposure("flat"), calib_type="gain")
    changed, unchanged = [], []
    for k in range(N_PAIRS // 2):
        frames, calibrations, *_ = draw(rng, -3e-6, 40_000.0)
        wrong = k % 4
        name, box = detector.amp_names[wrong], detector.amplifiers[wrong].bbox.slices
        error = measure(detector, *frames, calibrations).amps[name]["BOUNDARY_GAIN_ERROR"]
        # Off the median it stands against three others, not against the mean of four.
        error *= 4 / 3
        for frame in frames:
            # What is found is the inverse.
            frame.image[box] /= 1 + limit + math.copysign(3 * error, limit)
        found = measure(detector, *frames, calibrations)
        result = judge_numbers(taken, detector, found.amps, {}, limits, faults=found.faults)
        for other, amp in result.amps.items():
            seen = changed if other == name else unchanged
            seen.append(amp.tests["BOUNDARY_GAIN"].verdict)
    assert changed.count(Verdict.FAIL) >= 0.95 * len(changed)
    assert unchanged.count(Verdict.FAIL) <= 0.01 * len(unchanged)
