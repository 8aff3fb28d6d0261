"""What is measured of a pair of flats, and what is said of pairs that are none."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.model import Box
from calwatch.verify.definitions.gain import METRICS
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.model import Verdict
from calwatch.verify.sets.gain import measure
from calwatch.verify.sets.model import CorrectedFrame
from calwatch.verify.sets.pair import inner_box

GAIN, NOISE, LEVEL, A00 = 1.5, 6.0, 30_000.0, -3e-6
"""e-/ADU, e-, e-, 1/e-: as the detector and its PTC have them."""
C11 = (slice(0, 100), slice(120, 240))
PAIR = ("PAIR_MEAN", "PAIR_VARIANCE", "PAIR_GAIN", "PAIR_GAIN_ZERO", "PAIR_NOISE")


@pytest.fixture(scope="module")
def make_flat(detector):
    """Return a function that makes a corrected flat, in e-."""

    def make(seed, level=LEVEL, a00=A00, gain=GAIN):
        rng = np.random.default_rng(seed)
        variance = level if a00 == 0 else math.expm1(2 * a00 * level) / (2 * a00)
        image = rng.normal(level, math.sqrt(variance + NOISE**2), detector.shape)
        return CorrectedFrame(
            exposure_id=seed,
            exposure_time=10.0,
            dark_time=10.0,
            image=(image / GAIN * gain).astype(np.float32),
            mask=np.zeros(detector.shape, np.uint16),
            gain=np.full(4, gain),
            overscan_noise=np.full(4, NOISE / GAIN),
            faults=("",) * 4,
        )

    return make


@pytest.fixture(scope="module")
def pair(make_flat):
    return make_flat(1), make_flat(2)


@pytest.fixture
def judge(detector, exposure):
    limits = load_limits("dmtn101")

    def judged(measured):
        return judge_numbers(
            replace(exposure("flat"), calib_type="gain"),
            detector,
            measured.amps,
            measured.detector,
            limits,
            faults=measured.faults,
        )

    return judged


def _changed(frame, place, change):
    image = frame.image.copy()
    image[place] = change(image[place])
    return replace(frame, image=image)


def test_a_good_pair_passes(detector, pair, calibrations, judge):
    found = measure(detector, *pair, calibrations)
    assert not found.faults
    assert not found.warnings
    wanted = {
        "PAIR_MEAN": LEVEL / GAIN,
        "PAIR_GAIN_ZERO": GAIN,
        "PAIR_NOISE": NOISE,
        "NOISE_ADU": NOISE / GAIN,
        "BOUNDARY_GAIN_RATIO": 1.0,
        "CERTIFIED_GAIN": GAIN,
        "CERTIFIED_NOISE": NOISE,
        "NOMINAL_GAIN": GAIN,
        "NOMINAL_NOISE": NOISE,
    }
    for numbers in found.amps.values():
        assert set(numbers) >= {metric.name for metric in METRICS}
        assert all(math.isfinite(value) for value in numbers.values())
        for name, value in wanted.items():
            assert numbers[name] == pytest.approx(value, rel=0.06), name
        # The read noise lowers the gain, the brighter-fatter effect raises it by 9 %.
        assert numbers["PAIR_GAIN_NONE"] < numbers["PAIR_GAIN_SIMPLE"]
        assert numbers["PAIR_GAIN"] == pytest.approx(numbers["PAIR_GAIN_SIMPLE"], rel=1e-4)
        assert numbers["PAIR_GAIN"] / numbers["PAIR_GAIN_ZERO"] == pytest.approx(1.093, abs=0.01)
    result = judge(found)
    assert result.verdict is Verdict.PASS, result.reason


def test_the_covariances_are_those_of_the_pair(detector, pair, calibrations):
    found = measure(detector, *pair, calibrations)
    matrix = found.arrays["covariances"]
    assert matrix.shape == (4, 8, 8)
    assert matrix.dtype == np.float32
    variances = [numbers["PAIR_VARIANCE"] for numbers in found.amps.values()]
    np.testing.assert_allclose(matrix[:, 0, 0], variances, rtol=1e-6)
    others = matrix.reshape(4, -1)[:, 1:] / np.array(variances)[:, None]
    assert np.abs(others).max() < 5 / math.sqrt(8000)


@pytest.mark.parametrize("certified", [0.7, 1.9])
def test_a_wrong_certified_gain_does_not_touch_what_is_measured(
    detector, make_flat, pair, calibrations, certified
):
    right = measure(detector, *pair, calibrations)
    wrong = measure(detector, *(make_flat(i, gain=certified) for i in (1, 2)), calibrations)
    for name, numbers in right.amps.items():
        for metric in (*PAIR, "PAIR_GAIN_ERROR", "ROW_MEAN_VARIANCE"):
            assert wrong.amps[name][metric] == pytest.approx(numbers[metric], rel=1e-4)


def test_one_wrong_certified_gain_fails_alone_and_shows_at_the_boundaries(
    detector, pair, calibrations, ptc, judge
):
    """The gain in use is 10 % too high in C11."""
    gain = ptc.gain.copy()
    gain[1] *= 1.10
    frames = [replace(_changed(frame, C11, lambda part: part * 1.10), gain=gain) for frame in pair]
    found = measure(detector, *frames, replace(calibrations, ptc=replace(ptc, gain=gain)))
    assert found.amps["C11"]["BOUNDARY_GAIN_RATIO"] == pytest.approx(1 / 1.1, rel=0.01)
    result = judge(found)
    failed = {
        f"{name} {test.name}"
        for name, amp in result.amps.items()
        for test in amp.tests.values()
        if test.verdict is Verdict.FAIL
    }
    assert failed == {"C11 PAIR_GAIN", "C11 BOUNDARY_GAIN"}


def test_a_lamp_that_drifts_is_warned_of_and_measured_right(
    detector, make_flat, calibrations, judge
):
    found = measure(detector, make_flat(1), make_flat(2, level=LEVEL * 1.03), calibrations)
    assert found.amps["C10"]["PAIR_BALANCE"] == pytest.approx(0.03, abs=1e-3)
    assert found.amps["C10"]["PAIR_GAIN_ZERO"] == pytest.approx(GAIN, rel=0.06)
    result = judge(found)
    assert result.verdict is Verdict.PASS
    assert result.amps["C10"].tests["PAIR_BALANCE"].severity == "WARNING"


def test_unequal_halves_are_no_pair(detector, make_flat, calibrations, judge):
    found = measure(detector, make_flat(1), make_flat(2, level=LEVEL * 1.07), calibrations)
    assert found.faults["C10"].startswith("no pair: its halves differ by 6.")
    assert judge(found).verdict is Verdict.UNKNOWN
    longer = replace(make_flat(2), exposure_time=12.0)
    found = measure(detector, make_flat(1), longer, calibrations)
    assert set(found.faults) == set(detector.amp_names)
    assert found.faults["C10"] == "no pair: exposure times of 10 s and 12 s"
    assert judge(found).verdict is Verdict.UNKNOWN


def _constant(frame):
    return _changed(frame, C11, lambda part: part * 0 + 30_000)


def _zero(frame):
    return _changed(frame, C11, lambda part: part * 0)


def _negative(frame):
    return _changed(frame, C11, lambda part: part - 60_000)


def _without_numbers(frame):
    return _changed(frame, C11, lambda part: part * np.nan)


def _saturated(frame):
    mask = frame.mask.copy()
    mask[C11] |= int(Mask.SAT)
    return replace(frame, mask=mask)


def _missing(frame):
    return replace(frame, faults=("", "its HDU is missing", "", ""))


def _without_gain(frame):
    return replace(frame, gain=np.array([GAIN, np.nan, GAIN, GAIN]))


def _without_overscan(frame):
    return replace(frame, overscan_noise=np.array([4.0, np.nan, 4.0, 4.0]))


def _too_quiet(frame):
    """A variance below that of the overscan: no gain can be had of it."""
    return replace(frame, overscan_noise=np.array([4.0, 1e3, 4.0, 4.0]))


def _without_light(frame):
    """Noise of 20 ADU about a mean of 3 ADU, far more than light could make."""
    return replace(
        _changed(frame, C11, lambda part: (part - LEVEL) / NOISE + 4.5),
        overscan_noise=np.array([4.0, 1.0, 4.0, 4.0]),
    )


BAD = [
    (_constant, "its pixels have no noise at all", "its pixels have no noise at all"),
    (_zero, "there is no light: means of 0 and 0 ADU", "there is no light"),
    (_negative, *["there is no light"] * 2),
    (_without_numbers, *["masked or saturated: 0 % of its pixels can be used"] * 2),
    (_saturated, *["masked or saturated"] * 2),
    (_missing, *["its HDU is missing"] * 2),
    (_without_gain, *["there is no gain that its pixels are in"] * 2),
    (_without_overscan, *["there is no overscan noise"] * 2),
    (_too_quiet, *["no gain solves it"] * 2),
    (_without_light, "no gain solves it", "no pair: its halves differ by 200 %"),
]
"""What is done to C11, and what is said where it is done to both halves and to one."""


@pytest.mark.parametrize(
    ("spoil", "one", "words"),
    [(spoil, one, words[one]) for spoil, *words in BAD for one in (0, 1)],
)
def test_one_bad_amplifier_is_unknown_and_the_others_pass(
    detector, pair, calibrations, judge, spoil, one, words
):
    first = pair[0] if one else spoil(pair[0])
    found = measure(detector, first, spoil(pair[1]), calibrations)
    assert set(found.faults) == {"C11"}
    assert words in found.faults["C11"]
    assert math.isnan(found.amps["C11"]["BOUNDARY_GAIN_RATIO"])
    result = judge(found)
    assert result.amps["C11"].verdict is Verdict.UNKNOWN
    others = [amp.verdict for name, amp in result.amps.items() if name != "C11"]
    assert others == [Verdict.PASS] * 3, result.reason


@pytest.mark.parametrize(
    ("gain", "words"),
    [(np.nan, "has no gain"), (0.0, "absurd"), (-1.0, "absurd"), (117.0, "absurd")],
)
def test_a_broken_reference_gives_unknown_and_the_number(
    detector, pair, calibrations, ptc, judge, gain, words
):
    broken = ptc.gain.copy()
    broken[1] = gain
    found = measure(detector, *pair, replace(calibrations, ptc=replace(ptc, gain=broken)))
    assert words in found.faults["C11"]
    assert math.isnan(found.amps["C11"]["CERTIFIED_GAIN"])
    assert found.amps["C11"]["CERTIFIED_NOISE"] == NOISE
    assert found.amps["C11"]["PAIR_GAIN_ZERO"] == pytest.approx(GAIN, rel=0.06)
    assert judge(found).amps["C11"].verdict is Verdict.UNKNOWN


def test_above_the_turnoff_nothing_is_compared_but_all_is_kept(detector, pair, calibrations, ptc):
    turnoff = ptc.turnoff.copy()
    turnoff[1] = 15_000
    found = measure(detector, *pair, replace(calibrations, ptc=replace(ptc, turnoff=turnoff)))
    assert "above the certified turnoff of 15000 ADU" in found.faults["C11"]
    assert math.isfinite(found.amps["C11"]["PAIR_VARIANCE"])
    assert np.isfinite(found.arrays["covariances"]).all()
    # The same light as that of the last certified pair is above it every other day.
    turnoff[1] = 0.995 * found.amps["C11"]["PAIR_MEAN"]
    found = measure(detector, *pair, replace(calibrations, ptc=replace(ptc, turnoff=turnoff)))
    assert not found.faults


def test_without_a_ptc_what_is_measured_is_there(detector, pair):
    found = measure(detector, *pair, CalibrationSet())
    assert not found.faults
    assert math.isnan(found.amps["C10"]["CERTIFIED_GAIN"])
    assert math.isfinite(found.amps["C10"]["PAIR_GAIN_ZERO"])


def test_an_unknown_vendor_without_a00_is_said_and_unknown(
    detector, pair, calibrations, ptc, judge
):
    other = replace(detector, vendor="Fairchild")
    a00 = ptc.a00.copy()
    a00[1] = np.nan
    found = measure(other, *pair, replace(calibrations, ptc=replace(ptc, a00=a00)))
    assert len(found.warnings) == 1
    assert "no brighter-fatter correction of C11" in found.warnings[0]
    assert math.isnan(found.amps["C11"]["PAIR_GAIN_ZERO"])
    assert math.isnan(found.amps["C10"]["PAIR_GAIN_CORRECTED"])
    result = judge(found)
    assert result.amps["C11"].tests["PAIR_GAIN"].verdict is Verdict.UNKNOWN
    assert result.amps["C10"].verdict is Verdict.PASS


def test_masked_edges_and_pixels_take_no_part(detector, pair, calibrations):
    """Edges, suspect and saturated pixels, and what is no number."""
    clean = measure(detector, *pair, calibrations)
    frames = []
    for frame in pair:
        image, mask = frame.image.copy(), frame.mask.copy()
        image[:, :5] = 0
        for k, flag in enumerate((Mask.BAD, Mask.NO_DATA, Mask.SAT, Mask.SUSPECT)):
            image[30 + k, 40:60] = 1e6
            mask[30 + k, 40:60] |= int(flag)
        image[50, 50] = np.nan
        frames.append(replace(frame, image=image, mask=mask))
    found = measure(detector, *frames, calibrations)
    numbers, before = found.amps["C10"], clean.amps["C10"]
    assert before["PAIR_NPIXELS"] - numbers["PAIR_NPIXELS"] == 81
    for metric in PAIR:
        assert numbers[metric] == pytest.approx(before[metric], rel=5e-3)


def test_the_box_of_a_large_amplifier_loses_twenty_pixels(detector):
    box = replace(detector.amplifiers[0].bbox, width=509, height=2000)
    inner = inner_box(box)
    assert (inner.x0, inner.y0, inner.width, inner.height) == (20, 20, 469, 1960)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.0, 1.0),
    st.lists(
        st.sampled_from([0.0, -1.0, 1e4, 3e4, 6e4, 1e30, -3e38, 3e38, np.inf, -np.inf, np.nan]),
        min_size=1,
        max_size=4,
    ),
)
def test_whatever_the_pixels_hold_something_is_said(
    small_detector, small_calibrations, seed, share, values
):
    """No exception, and never a gain that is no number without a reason."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in (0, 1):
        image = rng.normal(LEVEL, 170, small_detector.shape).astype(np.float32)
        hit = rng.random(image.shape) < share
        image[hit] = rng.choice(np.array(values, np.float32), np.count_nonzero(hit))
        mask = rng.choice(np.array([0, 0, 0, 1, 2, 128], np.uint16), image.shape)
        nothing = ("",) * 4
        frames.append(
            CorrectedFrame(
                k, 10.0, 10.0, image, mask, np.full(4, GAIN), np.full(4, NOISE / GAIN), nothing
            )
        )
    found = measure(small_detector, *frames, small_calibrations)
    assert tuple(found.amps) == small_detector.amp_names
    for name, numbers in found.amps.items():
        judgeable = math.isfinite(numbers["PAIR_GAIN_ZERO"]) and numbers["PAIR_GAIN_ZERO"] > 0
        assert judgeable or found.faults[name]


@pytest.fixture(scope="module")
def small_detector(detector):
    """Return the same of 30 × 20 pixels an amplifier."""
    amps = tuple(
        replace(amp, bbox=Box(30 * (i % 2), 20 * (i // 2), 30, 20))
        for i, amp in enumerate(detector.amplifiers)
    )
    return replace(detector, width=60, height=40, amplifiers=amps)


@pytest.fixture(scope="module")
def small_calibrations(ptc):
    return CalibrationSet(ptc=ptc)
