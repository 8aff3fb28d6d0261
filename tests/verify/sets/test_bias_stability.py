"""Spreads of a day of biases: steady ones pass, those that move are found."""

import math
from dataclasses import replace

import numpy as np
import pytest

from calwatch.calibrations.model import CalibrationSet
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.model import Verdict
from calwatch.verify.sets.bias_stability import measure, spread
from calwatch.verify.sets.model import Earlier
from calwatch.verify.statistics import mean_error

GAIN, NOISE, LEVEL = 1.5, 4.0, 25_000.0
"""e-/ADU, ADU, ADU."""
N_FRAMES = 20


@pytest.fixture(scope="module")
def error(detector):
    """The error of an amplifier's mean, ADU."""
    amp = detector.amplifiers[0]
    return mean_error(NOISE, amp.bbox.area, NOISE, amp, True)


@pytest.fixture(scope="module")
def make(detector, error):
    """Return a function that makes the numbers of a day of biases, the first one off by 8 ADU."""

    def _make(seed, n_frames=N_FRAMES, **wander):
        rng = np.random.default_rng([seed, 3])
        points = []
        for k in range(n_frames):
            amps = {
                name: {
                    "MEAN": GAIN
                    * (
                        rng.normal(0, error) + rng.normal(0, wander.get("mean", 0.0)) + 8 * (k == 0)
                    ),
                    "OVERSCAN_LEVEL": LEVEL
                    + rng.normal(0, 0.03)
                    + wander.get("slope", 0.0) * k
                    + 8 * (k == 0),
                    "NOISE": GAIN * NOISE,
                    "READ_NOISE_ADU": NOISE * (1 + rng.normal(0, wander.get("noise", 0.001))),
                    "BIAS_SHIFT_COUNT": float(wander.get("shifts", 0)),
                }
                for name in detector.amp_names
            }
            points.append(Earlier(2026112200001 + k, detector.number, 0.0, amps))
        return points

    return _make


@pytest.fixture
def judge(detector, exposure):
    limits = load_limits("dmtn101")

    def judged(measured):
        return judge_numbers(
            replace(exposure("bias"), calib_type="bias_stability"), detector, measured.amps,
            measured.detector, limits, faults=measured.faults,
        )  # fmt: skip

    return judged


def _share(results, test, severity):
    tests = [amp.tests[test] for r in results for amp in r.amps.values()]
    return np.mean([t.severity == severity for t in tests])


def test_steady_biases_pass_without_a_warning(detector, make, calibrations, judge):
    results = [judge(measure(detector, make(k), calibrations)) for k in range(75)]
    for test in ("BIAS_MEAN_SPREAD", "BIAS_LEVEL_SPREAD", "BIAS_NOISE_SPREAD", "BIAS_SHIFT_TOTAL"):
        assert _share(results, test, "") >= 0.99, test
    assert all(r.verdict is Verdict.PASS for r in results)


def test_the_spread_that_the_noise_makes_is_the_expected_one(detector, make, calibrations):
    found = [
        numbers
        for k in range(75)
        for numbers in measure(detector, make(k), calibrations).amps.values()
    ]
    values = np.array([n["BIAS_MEAN_SPREAD"] for n in found])
    expected, errors = found[0]["BIAS_MEAN_SPREAD_EXPECTED"], found[0]["BIAS_MEAN_SPREAD_ERROR"]
    assert found[0]["BIAS_FRAMES"] == N_FRAMES - 1
    # Of few values the percentiles lie a little further in.
    assert values.mean() == pytest.approx(expected, rel=0.15)
    assert values.std() == pytest.approx(errors, rel=0.25)


@pytest.mark.parametrize(
    ("wander", "test", "severity"),
    [
        ({"mean": 2.5}, "BIAS_MEAN_SPREAD", "SERIOUS"),
        ({"slope": 0.4}, "BIAS_LEVEL_SPREAD", "WARNING"),
        ({"slope": -2.0}, "BIAS_LEVEL_SPREAD", "SERIOUS"),
        ({"noise": 0.04}, "BIAS_NOISE_SPREAD", "WARNING"),
        ({"noise": 0.2}, "BIAS_NOISE_SPREAD", "SERIOUS"),
        ({"shifts": 1}, "BIAS_SHIFT_TOTAL", "WARNING"),
    ],
)
def test_what_moves_is_found(detector, make, calibrations, judge, wander, test, severity):
    results = [judge(measure(detector, make(k, **wander), calibrations)) for k in range(50)]
    assert _share(results, test, severity) >= 0.95


def test_the_slope_is_what_was_put_in(detector, make, calibrations):
    found = measure(detector, make(1, slope=0.4), calibrations)
    for numbers in found.amps.values():
        assert numbers["BIAS_LEVEL_SLOPE"] == pytest.approx(0.4, abs=0.01)


def test_the_first_exposure_is_left_out_wherever_it_stands(detector, make, calibrations):
    points = make(1)
    one, other = (measure(detector, p, calibrations) for p in (points, points[::-1]))
    assert one.amps == other.amps
    assert one.arrays["level_changes"].shape == (4, N_FRAMES - 1)
    assert np.abs(one.arrays["level_changes"]).max() < 1
    assert one.arrays["level_exposures"][0] == 2026112200002


@pytest.mark.parametrize("n_frames", [0, 1, 5])
def test_too_few_frames_are_unknown(detector, make, calibrations, judge, n_frames):
    found = measure(detector, make(1, n_frames), calibrations)
    assert set(found.faults) == set(detector.amp_names)
    assert judge(found).verdict is Verdict.UNKNOWN


def test_an_amplifier_that_was_not_measured_is_unknown_alone(detector, make, calibrations, judge):
    points = [
        replace(
            point,
            amps={
                **{k: v for k, v in point.amps.items() if k != "C10"},
                "C11": {**point.amps["C11"], "READ_NOISE_ADU": 0.0},
                "C01": {**point.amps["C01"], "BIAS_SHIFT_COUNT": None},
            },
        )
        for point in make(1)
    ]
    found = measure(detector, points, calibrations)
    assert set(found.faults) == {"C10", "C11"}
    result = judge(found)
    assert result.amps["C01"].verdict is Verdict.PASS
    assert "BIAS_SHIFT_TOTAL" not in result.amps["C01"].tests
    assert "BIAS_SHIFT_TOTAL" in result.amps["C00"].tests
    assert np.isnan(found.arrays["level_changes"][0]).all()


def test_without_a_usable_gain_the_nominal_one_is_taken(detector, make, calibrations):
    ptc = replace(calibrations.ptc, gain=np.array([math.nan, 0.0, GAIN, GAIN]))
    points = make(1)
    wanted = measure(detector, points, calibrations).amps
    assert measure(detector, points, replace(calibrations, ptc=ptc)).amps == wanted
    assert measure(detector, points, CalibrationSet()).amps == wanted


def test_a_spread_needs_two_values():
    assert math.isnan(spread(np.array([1.0])))
    assert spread(np.arange(101.0)) == pytest.approx(90)
