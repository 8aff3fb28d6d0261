"""What is measured of a photon transfer curve, and what is said where there is none."""

import math
from dataclasses import replace

import numpy as np
import pytest

from calwatch.calibrations.model import CalibrationSet
from calwatch.verify.definitions.ptc import METRICS
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.model import Verdict
from calwatch.verify.sets.gain import measure as measure_pair
from calwatch.verify.sets.model import CorrectedFrame, Earlier
from calwatch.verify.sets.ptc import measure
from calwatch.verify.sets.ptc_models import full_covariances

GAIN, NOISE, A00 = 1.5, 6.0, -3e-6
"""e-/ADU, e-, 1/e-: as the detector and its PTC have them."""
MEAN = np.geomspace(500, 45_000, 15)
COUNT, COLUMNS = 900_000.0, 96
NAMES = ("C10", "C11", "C01", "C00")
LIMITS = {profile: load_limits(profile) for profile in ("dmtn101", "cp_verify")}


def _points(seed=1, means=MEAN, gain=GAIN, a00=A00, noise=NOISE, noise_slope=0.0, names=NAMES):
    """Return the numbers of pairs with what the counted pixels scatter."""
    rng = np.random.default_rng(seed)
    i, j = np.mgrid[:8, :8]
    a = 2e-7 * np.exp(-np.hypot(i, j))
    a[0, 0] = a00
    of_noise = np.zeros((8, 8))
    of_noise[0, 0] = noise**2
    models = full_covariances(means, gain, a, np.zeros((8, 8)), of_noise)
    points = []
    for number, (mean, model) in enumerate(zip(means, models, strict=True)):
        relative = np.full((8, 8), 0.5)
        relative[0, :] = relative[:, 0] = 1.0
        relative[0, 0] = 2.0
        error = np.sqrt(relative / COUNT) * model[0, 0]
        lags = model + error * rng.standard_normal((len(names), 8, 8))
        read = noise / gain * (1 + noise_slope * mean / means.max())
        rows = 2 * mean / gain / COLUMNS
        amps = {
            name: {
                "PAIR_MEAN": mean,
                "PAIR_MEAN_1": mean * 1.001,
                "PAIR_MEAN_2": mean * 0.999,
                "PAIR_VARIANCE": float(lags[k, 0, 0]),
                "PAIR_NPIXELS": COUNT,
                "ROW_MEAN_VARIANCE": rows * (1 + math.sqrt(2 / 80) * rng.standard_normal()),
                "NOISE_ADU": read * (1 + 0.002 * rng.standard_normal()),
            }
            for k, name in enumerate(names)
        }
        points.append(Earlier(number, 3, mean / 700, amps, {"covariances": lags}))
    return points


@pytest.fixture
def certified(ptc):
    return CalibrationSet(ptc=ptc)


@pytest.fixture
def judge(detector, exposure):
    def judged(measured, profile="dmtn101"):
        result = judge_numbers(
            replace(exposure("flat"), calib_type="ptc"),
            detector,
            measured.amps,
            measured.detector,
            LIMITS[profile],
            faults=measured.faults,
        )
        return result.amps["C11"]

    return judged


def _verdicts(result):
    return {name: test.verdict for name, test in result.tests.items()}


def test_a_good_sequence_passes(detector, certified, judge):
    measured = measure(detector, _points(), certified)
    assert not measured.faults
    assert not measured.warnings
    for numbers in measured.amps.values():
        assert {metric.name for metric in METRICS} <= set(numbers)
        assert numbers["PTC_GAIN"] == pytest.approx(GAIN, rel=0.01)
        assert numbers["PTC_FULL_GAIN"] == pytest.approx(GAIN, rel=0.01)
        assert numbers["PTC_FIT_NOISE"] == pytest.approx(NOISE, rel=0.15)
        assert numbers["PTC_A00"] == pytest.approx(A00, rel=0.15)
        assert numbers["PTC_FULL_A00"] == pytest.approx(A00, rel=0.2)
        assert numbers["ROW_MEAN_VARIANCE_SLOPE"] == pytest.approx(1.0, abs=0.3)
        assert numbers["PTC_POINTS"] == 15
    assert measured.arrays["a"].shape == (4, 8, 8)
    assert measured.arrays["used"].shape == (4, 15)
    result = judge(measured)
    assert result.verdict is Verdict.PASS
    # The sequence stops at 67 ke-: whether the curve goes on to 90 ke- is not said.
    assert "PTC_TURNOFF" not in _verdicts(result)


@pytest.mark.parametrize(
    ("change", "test"),
    [
        ({"gain": GAIN * 1.08}, "PTC_GAIN"),
        ({"gain": GAIN * 0.92}, "PTC_GAIN"),
        ({"noise": NOISE * 1.3}, "PTC_NOISE"),
        ({"a00": -6e-6}, "PTC_A00"),
        ({"a00": 2e-6}, "PTC_A00"),
        ({"noise_slope": 0.2}, "NOISE_SIGNAL_INDEPENDENCE"),
    ],
)
def test_each_fault_is_found(detector, certified, judge, change, test):
    result = judge(measure(detector, _points(**change), certified))
    assert _verdicts(result)[test] is Verdict.FAIL
    assert result.verdict is Verdict.FAIL


def test_power_and_false_alarms_at_the_limit_of_the_gain(detector, certified, judge):
    """Right ones pass, and a gain five errors beyond the widened limit fails."""
    judged = {True: [], False: []}
    for seed in range(50):
        for right, gain in ((True, GAIN), (False, GAIN * 1.062)):
            points = [replace(point, arrays={}) for point in _points(seed, gain=gain)]
            measured = measure(detector, points, certified)
            judged[right].append(_verdicts(judge(measured))["PTC_GAIN"])
    assert judged[True].count(Verdict.FAIL) == 0
    assert judged[False].count(Verdict.FAIL) >= 48


def test_the_turnoff_is_judged_where_the_sequence_tells(detector, certified, judge):
    def with_tail(end, tail):
        means = np.concatenate([np.geomspace(500, end, 14), end * np.array([1.03, 1.06])])
        points = _points(means=means)
        for point, factor in zip(points[-2:], tail, strict=True):
            for numbers in point.amps.values():
                numbers["PAIR_VARIANCE"] *= factor
        return measure(detector, points, certified)

    low = with_tail(50_000, [0.6, 0.1])
    assert low.amps["C11"]["PTC_TURNOFF"] == pytest.approx(75_000, rel=0.01)
    assert low.amps["C11"]["PTC_TURNOFF_ERROR"] == pytest.approx(2_250, rel=0.01)
    assert _verdicts(judge(low))["PTC_TURNOFF"] is Verdict.FAIL
    high = with_tail(80_000, [0.6, 0.1])
    assert _verdicts(judge(high))["PTC_TURNOFF"] is Verdict.PASS
    unreached = with_tail(80_000, [1.0, 1.0])
    assert unreached.amps["C11"]["PTC_TURNOFF_ERROR"] == 0
    assert _verdicts(judge(unreached))["PTC_TURNOFF"] is Verdict.PASS
    assert _verdicts(judge(unreached, "cp_verify"))["PTC_TURNOFF"] is Verdict.PASS


def test_an_unknown_vendor_has_no_range(detector, certified, judge):
    measured = measure(replace(detector, vendor="Fairchild"), _points(), certified)
    assert "PTC_A00" not in _verdicts(judge(measured))


def test_one_bad_amplifier_leaves_the_others_alone(detector, certified):
    points = _points()
    for number, point in enumerate(points):
        del point.amps["C10"]
        point.amps["C01"].clear()
        point.amps["C00"].update(PAIR_MEAN=0.0, PAIR_VARIANCE=0.0)
        points[number] = replace(
            point, arrays={"covariances": np.asarray(point.arrays["covariances"])[1:]}
        )
    measured = measure(detector, points, certified)
    assert set(measured.faults) == {"C10", "C01", "C00"}
    assert "none of its pairs" in measured.faults["C10"]
    # The arrays follow the amplifiers of the pair, not those of the detector.
    assert measured.amps["C11"]["PTC_FULL_GAIN"] == pytest.approx(GAIN, rel=0.01)
    assert math.isnan(measured.amps["C01"]["PTC_GAIN"])


def test_a_pair_whose_lamp_changed_is_left_out(detector, certified):
    points = _points()
    for numbers in points[7].amps.values():
        numbers["PAIR_MEAN_2"] *= 1.2
    measured = measure(detector, points, certified)
    assert measured.amps["C11"]["PTC_POINTS"] == 14
    assert np.all(measured.arrays["used"][:, 7] == 0)


def test_without_covariances_the_curve_is_judged(detector, certified, judge):
    points = [replace(point, arrays={}) for point in _points()]
    measured = measure(detector, points, certified)
    assert measured.warnings
    assert judge(measured).verdict is Verdict.PASS
    assert math.isnan(measured.amps["C11"]["PTC_FULL_GAIN"])


def test_small_amplifiers_have_no_fit_of_all_covariances(detector, certified, judge):
    points = _points()
    for point in points:
        point.amps["C11"]["PAIR_NPIXELS"] = 130_000.0
    measured = measure(detector, points, certified)
    assert measured.warnings == ("no fit of all covariances of C11: it needs 400000 good pixels",)
    assert math.isnan(measured.amps["C11"]["PTC_FULL_A00"])
    assert math.isfinite(measured.amps["C11"]["PTC_A00"])
    assert math.isfinite(measured.amps["C10"]["PTC_FULL_A00"])
    assert judge(measured).verdict is Verdict.PASS


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_few_pairs_are_unknown(detector, certified, judge, count):
    measured = measure(detector, _points()[:count], certified)
    assert set(measured.faults) == set(NAMES)
    assert judge(measured).verdict is Verdict.UNKNOWN


def test_a_broken_reference_is_unknown(detector, ptc, judge):
    gain = ptc.gain.copy()
    gain[1] = np.nan
    measured = measure(detector, _points(), CalibrationSet(ptc=replace(ptc, gain=gain)))
    assert "no gain" in measured.faults["C11"]
    assert set(measured.faults) == {"C11"}
    assert measured.amps["C11"]["PTC_GAIN"] == pytest.approx(GAIN, rel=0.01)


def test_what_cp_verify_says(detector, certified, judge):
    result = judge(measure(detector, _points(noise_slope=0.2), certified), "cp_verify")
    assert _verdicts(result)["NOISE_SIGNAL_INDEPENDENCE"] is Verdict.PASS
    assert _verdicts(result)["PTC_TURNOFF"] is Verdict.FAIL
    assert _verdicts(result)["PTC_GAIN"] is Verdict.PASS


def test_from_pixels_to_the_curve(detector, certified):
    """Pairs of flats drawn pixel by pixel, measured as pairs, make a curve with what was put in."""
    rng = np.random.default_rng(9)
    points = []
    for number, level in enumerate(np.geomspace(2_000, 90_000, 9)):
        sigma = math.sqrt(math.expm1(2 * A00 * level) / (2 * A00) + NOISE**2)
        flats = [
            CorrectedFrame(
                exposure_id=2 * number + half,
                exposure_time=level / 1000,
                dark_time=level / 1000,
                image=rng.normal(level, sigma, detector.shape).astype(np.float32),
                mask=np.zeros(detector.shape, np.uint16),
                gain=np.full(4, GAIN),
                overscan_noise=np.full(4, NOISE / GAIN),
                faults=("",) * 4,
            )
            for half in (0, 1)
        ]
        pair = measure_pair(detector, *flats, certified)
        points.append(Earlier(number, 3, level / 1000, pair.amps, pair.arrays))
    measured = measure(detector, points, certified)
    assert not measured.faults
    # So few pixels hardly tell what all lags add up to.
    assert "no fit of all covariances" in measured.warnings[0]
    for numbers in measured.amps.values():
        for name, truth in (("PTC_GAIN", GAIN), ("PTC_A00", A00)):
            assert abs(numbers[name] - truth) < 4 * numbers[f"{name}_ERROR"]
        # Independent pixels, but for the brighter-fatter effect on the variance itself.
        expected = 1 + A00 * 60_000
        assert numbers["ROW_MEAN_VARIANCE_SLOPE"] == pytest.approx(expected, abs=0.35)


def test_five_pairs_are_enough(detector, certified, judge):
    """The fewest that are fitted: the errors say what they are worth."""
    points = [_points()[k] for k in (0, 4, 8, 11, 14)]
    measured = measure(detector, points, certified)
    assert not measured.faults
    numbers = measured.amps["C11"]
    assert abs(numbers["PTC_GAIN"] - GAIN) < 4 * numbers["PTC_GAIN_ERROR"]
    assert judge(measured).verdict is Verdict.PASS
