"""What is measured of linearity, and that a lamp is not taken for it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from calwatch.calibrations.model import CalibrationSet, Linearizer, LinearizerType, Units
from calwatch.verify.definitions.linearity import METRICS
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.model import Verdict
from calwatch.verify.sets.abscissa import Abscissa
from calwatch.verify.sets.lamp import Series, residuals
from calwatch.verify.sets.linearity import _amp_metrics, measure
from calwatch.verify.sets.model import Earlier

NAMES = ("C10", "C11", "C01", "C00")
LIMITS = {profile: load_limits(profile) for profile in ("dmtn101", "cp_verify")}
TIME = np.geomspace(1.0, 65.0, 15)
RATE, GAIN, COUNT = 800.0, 1.5, 900_000.0


def _points(response=None, lamp=1.0, shutter=0.0, seed=1, time=TIME):
    """Return pairs of a lamp; `response` says by what C11 is off, at its means."""
    rng = np.random.default_rng(seed)
    light = RATE * (time + shutter) * lamp
    factors = dict(zip(NAMES, (1.0, 0.9, 1.1, 1.05), strict=True))
    points = []
    for number, level in enumerate(light):
        amps = {}
        for name, factor in factors.items():
            mean = level * factor
            if name == "C11" and response is not None:
                mean *= 1 + response(mean)
            variance = mean / GAIN + 16
            mean += math.sqrt(variance / 2 / COUNT) * rng.standard_normal()
            amps[name] = {
                "PAIR_MEAN": mean,
                "PAIR_MEAN_1": mean,
                "PAIR_MEAN_2": mean,
                "PAIR_VARIANCE": variance,
                "PAIR_NPIXELS": COUNT,
            }
        points.append(Earlier(number, 3, float(time[number]), amps))
    return points


@pytest.fixture
def certified(ptc):
    return CalibrationSet(ptc=ptc, linearizer=_linearizer(LinearizerType.NONE))


def _linearizer(kind):
    return Linearizer(NAMES, (kind,) * 4, (np.zeros(2),) * 4, None, Units.ADU, {})


@pytest.fixture
def judge(detector, exposure):
    def judged(measured, profile="dmtn101"):
        return judge_numbers(
            replace(exposure("flat"), calib_type="linearity"),
            detector,
            measured.amps,
            measured.detector,
            LIMITS[profile],
            faults=measured.faults,
        )

    return judged


@pytest.mark.parametrize("profile", ["dmtn101", "cp_verify"])
@pytest.mark.parametrize("kind", list(LinearizerType))
def test_a_linear_detector_passes_whatever_its_linearizer(detector, ptc, judge, kind, profile):
    certified = CalibrationSet(ptc=ptc, linearizer=_linearizer(kind))
    measured = measure(detector, _points(), certified)
    assert not measured.faults
    for numbers in measured.amps.values():
        assert {m.name for m in METRICS if m.level == "amp"} <= set(numbers)
        assert numbers["LINEARITY_MAX_RESIDUAL"] < 0.001
    assert measured.arrays["residuals"].shape == (4, 15)
    assert judge(measured, profile).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        (lambda m: 0.006 * (m > 40_000), Verdict.PASS),
        (lambda m: -0.02 * (m > 40_000), Verdict.FAIL),
        (lambda m: -0.02 * m / 46_800, Verdict.FAIL),
        (lambda m: 0.03 * (m / 46_800) ** 2, Verdict.FAIL),
        (lambda m: 0.013 * math.sin(m / 7_000), Verdict.FAIL),
    ],
)
def test_an_amplifier_that_differs_is_found(detector, certified, judge, response, verdict):
    result = judge(measure(detector, _points(response), certified))
    assert result.amps["C11"].verdict is verdict
    for name in ("C10", "C01", "C00"):
        assert result.amps[name].verdict is Verdict.PASS


def test_a_drifting_lamp_is_no_non_linearity(detector, certified, judge):
    """A drift of 3 %: nothing can be called linear, nothing is called non-linear."""
    lamp = 1 + 0.03 * np.linspace(0, 1, TIME.size) ** 2
    measured = measure(detector, _points(lamp=lamp), certified)
    assert measured.detector["LAMP_DRIFT"] == pytest.approx(0.024, abs=0.01)
    assert measured.warnings
    for name, amp in judge(measured).amps.items():
        assert amp.verdict is Verdict.UNKNOWN
        assert "lamp" in measured.faults[name]
        assert measured.amps[name]["LINEARITY_MAX_RESIDUAL"] < 0.001


def test_under_a_drifting_lamp_one_that_differs_still_fails(detector, certified, judge):
    lamp = 1 + 0.03 * np.random.default_rng(3).standard_normal(TIME.size)
    points = _points(lambda m: -0.03 * (m > 35_000), lamp)
    result = judge(measure(detector, points, certified))
    assert result.amps["C11"].verdict is Verdict.FAIL
    assert result.amps["C10"].verdict is Verdict.UNKNOWN


def test_a_small_drift_and_a_shutter_are_taken_out(detector, certified, judge):
    lamp = 1 + 0.004 * np.sin(np.arange(TIME.size))
    measured = measure(detector, _points(lamp=lamp, shutter=0.02), certified)
    assert measured.detector["SHUTTER_OFFSET"] == pytest.approx(0.02, abs=0.006)
    assert judge(measured).verdict is Verdict.PASS


def test_pulls_of_the_coefficients():
    """Sixteen amplifiers at a time, one of them with a coefficient that is not zero."""
    rng = np.random.default_rng(7)
    pulls = []
    names = [f"A{i}" for i in range(16)]
    for _ in range(60):
        true = np.zeros(16)
        true[0] = rng.uniform(1e-7, 5e-7) * rng.choice([-1, 1])
        light = RATE * TIME * rng.uniform(0.9, 1.1, 16)[:, None]
        mean = light.copy()
        # The light is that of a mean with c·μ² added.
        mean[0] = (np.sqrt(1 + 4 * true[0] * light[0]) - 1) / (2 * true[0])
        error = np.sqrt((mean / GAIN + 16) / 2 / COUNT) / mean
        mean = mean * (1 + error * rng.standard_normal(mean.shape))
        found = _coefficients(Series(TIME, mean, error), names)
        pulls.append((found[0] - true) / found[1])
    pulls = np.array(pulls)
    assert abs(pulls.mean()) < 0.1 + 2 / math.sqrt(pulls.size)
    assert pulls.std() == pytest.approx(1.0, abs=0.15)
    # That with a coefficient is no different from the others.
    assert abs(pulls[:, 0].mean()) < 0.1 + 2 / math.sqrt(len(pulls))
    assert pulls[:, 0].std() == pytest.approx(1.0, abs=0.3)


def _coefficients(series, names):
    left = residuals(series, np.ones(len(names), bool))
    rows = [_amp_metrics(series, left, i) for i in range(len(names))]
    return (
        np.array([row["LINEARITY_QUADRATIC"] for row in rows]),
        np.array([row["LINEARITY_QUADRATIC_ERROR"] for row in rows]),
    )


def test_the_coefficient_is_that_of_a_second_linearizer(detector, certified):
    """Of a mean with c·μ² missing it is c, to first order in c·μ."""
    measured = measure(detector, _points(lambda m: -2e-7 * m), certified)
    numbers = measured.amps["C11"]
    assert numbers["LINEARITY_QUADRATIC"] == pytest.approx(2e-7, rel=0.05)
    assert numbers["LINEARITY_POLYNOMIAL_2"] == pytest.approx(2e-7, rel=0.05)
    assert abs(numbers["LINEARITY_POLYNOMIAL_3"]) < 2e-9


def test_saturated_pairs_are_above_the_turnoff(detector, certified, ptc):
    points = _points()
    for point in points[-2:]:
        point.amps["C11"].update(PAIR_VARIANCE=10.0)
        point.amps["C11"]["PAIR_MEAN"] *= 0.9
    measured = measure(detector, points, certified)
    assert measured.amps["C11"]["LINEARITY_POINTS"] == 13
    assert measured.amps["C11"]["LINEARITY_MAX_RESIDUAL"] < 0.001
    low = replace(ptc, turnoff=np.full(4, 30_000.0))
    measured = measure(detector, _points(), replace(certified, ptc=low))
    assert measured.amps["C11"]["LINEARITY_MAX_MEAN"] < 28_500


def test_what_is_missing_is_said(detector, certified, ptc, judge):
    none = measure(detector, _points(), CalibrationSet(ptc=ptc))
    assert all("no certified linearizer" in fault for fault in none.faults.values())
    few = measure(detector, _points()[:4], certified)
    assert all("4 pairs" in fault for fault in few.faults.values())
    assert judge(few).verdict is Verdict.UNKNOWN
    narrow = measure(detector, _points(time=np.linspace(20, 40, 9)), certified)
    assert all("reach from" in fault for fault in narrow.faults.values())
    nothing = measure(detector, [], certified)
    assert set(nothing.faults) == set(NAMES)
    assert math.isnan(nothing.detector["LAMP_DRIFT"])


def test_a_dead_amplifier_leaves_the_others_alone(detector, certified, judge):
    points = _points()
    for point in points:
        point.amps["C10"].clear()
    measured = measure(detector, points, certified)
    assert set(measured.faults) == {"C10"}
    for point in points:
        point.amps["C00"].clear()
    measured = measure(detector, points, certified)
    assert set(measured.faults) == set(NAMES)
    assert "told from the lamp" in measured.faults["C11"]


def test_without_a_ptc_the_variance_gives_the_turnoff(detector):
    certified = CalibrationSet(linearizer=_linearizer(LinearizerType.SPLINE))
    measured = measure(detector, _points(), certified)
    assert "no certified PTC" in measured.warnings[0]
    assert not measured.faults


def test_power_and_false_alarms_at_the_limit(detector, certified, judge):
    failed = {0.0: 0, 0.0115: 0, 0.0085: 0}
    for seed in range(40):
        for size in failed:
            points = _points(lambda m, size=size: -size * (m > 40_000), seed=seed)
            result = judge(measure(detector, points, certified)).amps["C11"]
            failed[size] += result.verdict is Verdict.FAIL
    assert failed[0.0] == failed[0.0085] == 0
    assert failed[0.0115] == 40


# ---- by the photodiode ----


def _by_photodiode(points, lamp=1.0, noise=3e-4, offset=0.0, seed=11, error=None, time=TIME):
    """Return what a photodiode has seen of these pairs; `offset` in seconds of the lamp."""
    rng = np.random.default_rng(seed)
    true = 2e-9 * (np.array([point.exposure_time for point in points]) + offset) * lamp
    halves = true * (1 + noise * rng.standard_normal((2, len(points))))
    return Abscissa(
        "photodiode",
        halves.mean(axis=0),
        np.full(len(points), noise / math.sqrt(2) if error is None else error),
        halves[1] / halves[0],
        "every exposure has one",
    )


def test_a_drifting_lamp_is_judged_by_the_photodiode(detector, certified, judge):
    """The same drift of 3 % that leaves a series of exposure times UNKNOWN."""
    lamp = 1 + 0.03 * np.linspace(0, 1, TIME.size) ** 2
    for response, verdict in ((None, Verdict.PASS), (lambda m: -0.02 * (m > 40_000), Verdict.FAIL)):
        points = _points(response, lamp)
        measured = measure(detector, points, certified, _by_photodiode(points, lamp))
        assert not measured.faults
        assert measured.detector["LIGHT_BY_PHOTODIODE"] == 1
        assert measured.detector["LIGHT_DRIFT"] == pytest.approx(0.024, abs=0.01)
        assert measured.detector["LAMP_DRIFT"] < 0.001
        assert "photodiode has seen it" in measured.warnings[0]
        assert measured.provenance["light"]["by"] == "photodiode"
        result = judge(measured)
        assert result.amps["C11"].verdict is verdict
        assert {result.amps[n].verdict for n in NAMES if n != "C11"} == {Verdict.PASS}
    by_time = measure(detector, points, certified)
    assert by_time.detector["LIGHT_BY_PHOTODIODE"] == 0
    assert by_time.provenance["light"]["by"] == "exposure_time"
    assert set(by_time.faults) == {"C10", "C01", "C00"}


@pytest.mark.parametrize("lamp", [1.0, 1 + 0.03 * np.linspace(1, 0, TIME.size) ** 2])
def test_a_non_linearity_of_the_whole_detector_is_found(detector, certified, judge, lamp):
    """It is nobody's own, so that only the photodiode can show it."""
    points = [
        replace(
            point,
            amps={
                name: {**amp, "PAIR_MEAN": amp["PAIR_MEAN"] * (1 - 0.02 * (amp["PAIR_MEAN"] / 5e4))}
                for name, amp in point.amps.items()
            },
        )
        for point in _points(lamp=lamp)
    ]
    result = judge(measure(detector, points, certified, _by_photodiode(points, lamp)))
    assert {amp.verdict for amp in result.amps.values()} == {Verdict.FAIL}
    by_time = judge(measure(detector, points, certified))
    assert {amp.verdict for amp in by_time.amps.values()} != {Verdict.FAIL}


def test_a_photodiode_that_does_not_follow_the_light_is_said(detector, certified, judge):
    """The lamp is steady, the amplifiers are linear: the photodiode saturates."""
    points = _points(lambda m: -0.03 * (m > 35_000))
    seen = _by_photodiode(points, 1 - 0.03 * np.linspace(0, 1, TIME.size) ** 2)
    measured = measure(detector, points, certified, seen)
    assert "one of the two is wrong" in measured.faults["C10"]
    assert measured.detector["LAMP_DRIFT"] > 0.01
    result = judge(measured)
    assert result.amps["C10"].verdict is Verdict.UNKNOWN
    # One that differs from the others does so by any light.
    assert result.amps["C11"].verdict is Verdict.FAIL


def test_an_offset_of_the_photodiode_is_taken_out(detector, certified, judge):
    points = _points()
    seen = _by_photodiode(points, offset=-0.04, noise=1e-4)
    measured = measure(detector, points, certified, seen)
    assert judge(measured).verdict is Verdict.PASS
    assert max(n["LINEARITY_MAX_RESIDUAL"] for n in measured.amps.values()) < 0.005


def test_one_amplifier_alone_is_judged_by_the_photodiode(detector, certified, judge):
    points = _points(lambda m: -0.02 * (m > 40_000))
    for point in points:
        for name in ("C10", "C01", "C00"):
            point.amps[name].clear()
    measured = measure(detector, points, certified, _by_photodiode(points))
    assert "C11" not in measured.faults
    assert judge(measured).amps["C11"].verdict is Verdict.FAIL


def test_pairs_without_a_charge_are_left_out_and_too_few_are_unknown(detector, certified, judge):
    points = _points()
    seen = _by_photodiode(points)
    light = seen.light.copy()
    light[3:5] = np.nan
    measured = measure(detector, points, certified, replace(seen, light=light, warnings=("why",)))
    assert measured.amps["C10"]["LINEARITY_POINTS"] == 13
    assert measured.warnings == ("why",)
    assert judge(measured).verdict is Verdict.PASS
    light[4:] = np.nan
    measured = measure(detector, points, certified, replace(seen, light=light))
    assert "3 pairs below the turnoff with a photodiode" in measured.faults["C10"]
    assert judge(measured).verdict is Verdict.UNKNOWN


def test_a_photodiode_of_no_use_is_no_judge(detector, certified, judge):
    points = _points()
    measured = measure(detector, points, certified, _by_photodiode(points, noise=0.03))
    assert "is known to" in measured.faults["C10"]
    assert judge(measured).verdict is Verdict.UNKNOWN


def test_what_the_readings_do_not_tell_the_halves_do(detector, certified):
    """An error that nobody knew of widens that of the residual."""
    points = _points()
    measured = measure(detector, points, certified, _by_photodiode(points, noise=4e-3, error=0.0))
    assert measured.detector["LAMP_DRIFT"] == pytest.approx(4e-3 / math.sqrt(2), rel=0.5)


def test_a_noisy_photodiode_raises_no_false_alarm(detector, certified, judge):
    failed = {0.0: 0, 0.012: 0}
    for seed in range(40):
        for size in failed:
            points = _points(lambda m, size=size: -size * (m > 40_000), seed=seed)
            seen = _by_photodiode(points, noise=3e-3, seed=100 + seed)
            result = judge(measure(detector, points, certified, seen)).amps["C11"]
            failed[size] += result.verdict is Verdict.FAIL
    assert failed[0.0] == 0
    assert failed[0.012] >= 38


def test_pulls_of_the_coefficient_by_the_photodiode(detector, certified):
    """The error of the light is in that of the coefficient."""
    pulls = []

    def response(light):
        return (math.sqrt(1 + 8e-7 * light) - 1) / 4e-7 / light - 1

    for seed in range(150):
        points = _points(response, seed=seed)
        seen = _by_photodiode(points, noise=1e-3, seed=500 + seed)
        numbers = measure(detector, points, certified, seen).amps["C11"]
        pulls.append((numbers["LINEARITY_QUADRATIC"] - 2e-7) / numbers["LINEARITY_QUADRATIC_ERROR"])
    assert abs(np.mean(pulls)) < 0.25
    assert np.std(pulls) == pytest.approx(1.0, abs=0.3)


# ---- short ramps ----


def test_five_pairs_as_bright_as_the_certified_ones_are_judged(detector, certified, ptc, judge):
    """The last pair of the certified curve is its turnoff; that of another day lies beside it."""
    points = _points(time=np.geomspace(1.0, 65.0, 5))
    last = [points[-1].amps[name]["PAIR_MEAN"] for name in NAMES]
    for off in (0.995, 1.0, 1.005):
        same = replace(certified, ptc=replace(ptc, turnoff=off * np.array(last)))
        measured = measure(detector, points, same)
        assert not measured.faults
        assert measured.amps["C10"]["LINEARITY_POINTS"] == 5
        assert judge(measured).verdict is Verdict.PASS
    below = replace(certified, ptc=replace(ptc, turnoff=0.9 * np.array(last)))
    assert "4 pairs below" in measure(detector, points, below).faults["C10"]
