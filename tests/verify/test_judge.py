import json
import math
from dataclasses import replace

import numpy as np
import pytest

from calwatch.isr.model import BiasShift
from calwatch.verify.codec import from_dict, to_dict
from calwatch.verify.exposure import unknown_result
from calwatch.verify.judge import MEASURES, judge_detector, judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.metrics import METRICS
from calwatch.verify.model import ALGORITHM, Verdict

BOX = (slice(0, 100), slice(120, 240))  # C11
NOTHING = {"bias": None, "dark": None, "flat": None, "ptc": None}


@pytest.fixture(scope="module", params=["dmtn101", "cp_verify"])
def limits(request):
    return load_limits(request.param)


@pytest.fixture(scope="module")
def dmtn101():
    return load_limits("dmtn101")


def _failing(result):
    return {
        f"{amp} {test.name}"
        for amp, judged in result.amps.items()
        for test in judged.tests.values()
        if test.verdict is Verdict.FAIL
    }


def _with_image(frame, change):
    image = frame.isr.image.copy()
    change(image)
    return replace(frame, isr=replace(frame.isr, image=image))


def _with_overscan(frame, **changes):
    overscan = replace(frame.isr.statistics.overscan, **changes)
    statistics = replace(frame.isr.statistics, overscan=overscan)
    return replace(frame, isr=replace(frame.isr, statistics=statistics))


def _with_ptc(frame, **changes):
    ptc = replace(frame.calibrations.ptc, **changes)
    isr = replace(frame.isr, gain=ptc.gain, read_noise=ptc.noise)
    return replace(frame, calibrations=replace(frame.calibrations, ptc=ptc), isr=isr)


def _four(value, other):
    return np.array([value, other, value, value])


@pytest.mark.parametrize("calib_type", ["bias", "dark", "flat"])
def test_frames_without_fault_pass(make_frame, exposure, dmtn101, calib_type):
    for seed in range(8):
        result = judge_detector(exposure(calib_type), make_frame(calib_type, seed), dmtn101)
        assert result.verdict is Verdict.PASS, result.reason
        assert result.reason == ""


@pytest.mark.parametrize("calib_type", ["bias", "dark", "flat"])
def test_every_metric_is_measured_and_known(make_frame, exposure, limits, calib_type):
    result = judge_detector(exposure(calib_type), make_frame(calib_type), limits)
    known = {m.name for m in METRICS.values() if calib_type in m.calib_types and m.level == "amp"}
    for amp in result.amps.values():
        missing = {name for name in known if not name.startswith("CALIB_DIST")} - set(amp.metrics)
        assert missing == set()
        assert set(amp.metrics) <= known
    if calib_type == "bias":
        assert result.amps["C10"].metrics["CALIB_DIST_P50"] == 0.25
    assert (result.algorithm, result.limits) == (ALGORITHM, limits.label)


def test_the_numbers_of_a_dark(make_frame, exposure, dmtn101):
    result = judge_detector(exposure("dark"), make_frame("dark"), dmtn101)
    metrics = result.amps["C00"].metrics
    assert metrics["DARK_CURRENT"] == pytest.approx(metrics["MEAN"] / 30 + 0.02)
    expected = math.sqrt(36 + 0.02 * 30 + 0.002 * 900)
    assert metrics["EXPECTED_NOISE"] == pytest.approx(expected, rel=1e-6)
    assert metrics["READ_NOISE"] == pytest.approx(6.0)


def test_noise_up_and_down(make_frame, exposure, dmtn101):
    for factor, word in ((1.12, "above"), (0.85, "below")):
        frame = _with_image(make_frame(), lambda im, f=factor: im.__setitem__(BOX, im[BOX] * f))
        result = judge_detector(exposure(), frame, dmtn101)
        assert _failing(result) == {"C11 NOISE"}
        assert result.verdict is Verdict.FAIL
        assert f"% {word} the expected 6.15 e-" in result.reason
        assert result.reason.startswith("C11 NOISE ")


def test_cp_verify_lets_a_low_noise_pass(make_frame, exposure):
    frame = _with_image(make_frame(), lambda im: im.__setitem__(BOX, im[BOX] * 0.5))
    assert judge_detector(exposure(), frame, load_limits("cp_verify")).verdict is Verdict.PASS


@pytest.mark.parametrize("calib_type", ["bias", "dark"])
def test_light_is_a_mean(make_frame, exposure, dmtn101, calib_type):
    def leak(image):
        image += 6.0

    result = judge_detector(
        exposure(calib_type), _with_image(make_frame(calib_type), leak), dmtn101
    )
    assert _failing(result) == {f"{amp} MEAN" for amp in result.amps}
    assert "(and 3 more of 4 amplifiers)" in result.reason
    section = {"bias": "4.2", "dark": "5.2"}[calib_type]
    assert result.amps["C10"].tests["MEAN"].section == section


def test_overscan_faults(make_frame, exposure, dmtn101):
    frame = _with_overscan(
        make_frame(),
        serial_median=_four(25_000.0, 25_300.0),
        serial_residual_stdev=np.array([4.0, 4.0, 6.0, 4.0]),
    )
    result = judge_detector(exposure(), frame, dmtn101)
    assert _failing(result) == {"C11 OVERSCAN_LEVEL", "C01 READ_NOISE_CONSISTENT"}


def test_an_absent_overscan_reference_leaves_the_test_out(make_frame, exposure, dmtn101):
    frame = _with_ptc(make_frame(), overscan_median=np.full(4, np.nan))
    result = judge_detector(exposure(), frame, dmtn101)
    assert result.verdict is Verdict.PASS
    assert "OVERSCAN_LEVEL" not in result.amps["C10"].tests
    assert result.warnings == ("OVERSCAN_LEVEL not tested: there is no PTC_OVERSCAN_MEDIAN",)


def test_a_bias_shift(make_frame, exposure, dmtn101):
    frame = make_frame()
    shifts = ((), (BiasShift(7.0, 40, 38, 43),), (), ())
    statistics = replace(frame.isr.statistics, bias_shifts=shifts)
    frame = replace(frame, isr=replace(frame.isr, statistics=statistics))
    result = judge_detector(exposure(), frame, dmtn101)
    assert _failing(result) == {"C11 BIAS_SHIFT"}


def test_a_particle_hit_is_no_fault(make_frame, exposure, dmtn101):
    frame = _with_image(
        make_frame(), lambda image: image.__setitem__((50, slice(60, 66)), 20_000.0)
    )
    result = judge_detector(exposure(), frame, dmtn101)
    assert result.verdict is Verdict.PASS, result.reason
    metrics = result.amps["C10"].metrics
    assert metrics["STDEV"] > 200
    assert metrics["CR_NOISE"] == pytest.approx(6.0, rel=0.03)


@pytest.mark.parametrize(
    ("factor", "failing"),
    [(1.05, {"C11 RELATIVE_LEVEL"}), (0.95, {"C11 RELATIVE_LEVEL"})],
)
def test_a_gain_step(make_frame, exposure, dmtn101, factor, failing):
    frame = _with_image(make_frame("flat"), lambda im: im.__setitem__(BOX, im[BOX] * factor))
    assert _failing(judge_detector(exposure("flat"), frame, dmtn101)) == failing


def test_a_dead_amplifier_in_a_flat(make_frame, exposure, dmtn101):
    rng = np.random.default_rng(1)
    dead = rng.normal(0, 6, (100, 120))
    frame = _with_image(make_frame("flat"), lambda im: im.__setitem__(BOX, dead))
    result = judge_detector(exposure("flat"), frame, dmtn101)
    assert _failing(result) == {"C11 LEVEL", "C11 RELATIVE_LEVEL", "C11 NOISE"}
    assert result.detector_tests["SCATTER"].verdict is Verdict.FAIL


def test_a_lamp_that_is_off_is_one_kind_of_failure(make_frame, exposure, dmtn101):
    rng = np.random.default_rng(1)
    frame = make_frame("flat")
    image = rng.normal(0.4, 6.0, frame.isr.image.shape).astype(np.float32)
    variance = np.full_like(image, 36.0)
    frame = replace(frame, isr=replace(frame.isr, image=image, variance=variance))
    result = judge_detector(exposure("flat"), frame, dmtn101)
    assert _failing(result) == {f"{amp} LEVEL" for amp in result.amps}


def test_a_saturated_flat(make_frame, exposure, dmtn101):
    frame = make_frame("flat")
    raw = replace(frame.raw, saturated=_four(0.0, 0.4))
    result = judge_detector(exposure("flat"), replace(frame, raw=raw), dmtn101)
    assert _failing(result) == {"C11 SATURATION"}


@pytest.mark.parametrize(("profile", "verdict"), [("dmtn101", "FAIL"), ("cp_verify", "PASS")])
def test_the_sequencer(make_frame, exposure, profile, verdict):
    other = exposure(sequencer={"SEQNAME": "FP_v30.seq"})
    result = judge_detector(other, make_frame(), load_limits(profile))
    test = result.detector_tests["SEQUENCER"]
    assert test.verdict is Verdict.FAIL
    assert result.verdict == verdict
    words = "SEQNAME is FP_v30.seq in the raw and FP_v29.seq in the certified ptc"
    assert test.reason == f"SEQUENCER: {words}"


def test_no_keyword_to_compare(make_frame, exposure, dmtn101):
    result = judge_detector(exposure(sequencer={}), make_frame(), dmtn101)
    assert "SEQUENCER" not in result.detector_tests
    assert result.warnings == ("SEQUENCER not tested: no keyword to compare",)


def test_amplifiers_that_were_not_read_out_are_unknown(make_frame, exposure, limits):
    frame = make_frame()
    faults = ("", "79 % of raw pixels stand at 65535", "", "")
    result = judge_detector(
        exposure(), replace(frame, raw=replace(frame.raw, faults=faults)), limits
    )
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason == "C11: 79 % of raw pixels stand at 65535"
    assert {t.verdict for t in result.amps["C11"].tests.values()} == {Verdict.UNKNOWN}
    assert result.amps["C10"].verdict is Verdict.PASS


def test_a_failure_stands_above_an_unknown(make_frame, exposure, dmtn101):
    frame = _with_image(make_frame(), lambda image: image.__setitem__(BOX, image[BOX] * 2))
    frame = replace(frame, raw=replace(frame.raw, faults=("all raw pixels are 0", "", "", "")))
    result = judge_detector(exposure(), frame, dmtn101)
    assert result.verdict is Verdict.FAIL
    assert "C11 NOISE" in result.reason
    assert "C10: all raw pixels are 0" in result.reason


@pytest.mark.parametrize("gain", [0.0, -1.0, np.nan, 117.0, np.inf])
@pytest.mark.parametrize("calib_type", ["bias", "dark", "flat"])
def test_absurd_gains_are_unknown(make_frame, exposure, limits, calib_type, gain):
    frame = _with_ptc(make_frame(calib_type), gain=_four(1.5, gain))
    result = judge_detector(exposure(calib_type), frame, limits)
    assert result.amps["C11"].verdict is Verdict.UNKNOWN
    assert "certified" in result.amps["C11"].reason
    assert result.verdict is not Verdict.PASS


@pytest.mark.parametrize("noise", [0.0, -1.0, np.nan, 1420.0, 1e200])
def test_absurd_noises_are_unknown(make_frame, exposure, limits, noise):
    for calib_type in ("bias", "dark", "flat"):
        frame = _with_ptc(make_frame(calib_type), noise=_four(6.0, noise))
        result = judge_detector(exposure(calib_type), frame, limits)
        assert result.amps["C11"].verdict is Verdict.UNKNOWN


def test_masked_amplifiers_are_unknown(make_frame, exposure, limits):
    frame = make_frame()
    mask = frame.isr.mask.copy()
    mask[BOX] = 1
    result = judge_detector(exposure(), replace(frame, isr=replace(frame.isr, mask=mask)), limits)
    assert result.reason == "C11: masked: no pixel is left by the certified masks"
    bad = replace(frame, isr=replace(frame.isr, bad_amps=("C10",)))
    assert "C10: masked" in judge_detector(exposure(), bad, limits).reason


def test_pixels_without_noise_are_unknown(make_frame, exposure, limits):
    frame = _with_image(make_frame(), lambda image: image.__setitem__(BOX, 0.0))
    result = judge_detector(exposure(), frame, limits)
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason == "C11: its pixels have no noise at all"


def test_nan_pixels_are_unknown(make_frame, exposure, limits):
    frame = _with_image(make_frame(), lambda image: image.fill(np.nan))
    result = judge_detector(exposure(), frame, limits)
    assert result.verdict is Verdict.UNKNOWN
    assert all(amp.metrics["MEAN"] is None for amp in result.amps.values())


@pytest.mark.parametrize("missing", ["ptc", "bias"])
def test_without_ptc_or_the_type_under_test_nothing_is_judged(
    make_frame, exposure, limits, missing
):
    frame = _with_image(make_frame(), lambda image: image.__setitem__(BOX, image[BOX] * 9))
    result = judge_detector(exposure(missing={missing: "none certified"}), frame, limits)
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason == f"no usable {missing}: none certified"
    tests = [test for amp in result.amps.values() for test in amp.tests.values()]
    assert {test.verdict for test in tests} == {Verdict.UNKNOWN}
    assert result.amps["C11"].metrics["NOISE"] == pytest.approx(54, rel=0.05)


def test_without_another_calibration_nothing_passes(make_frame, exposure, dmtn101):
    missing = exposure(missing={"defects": "none certified", "linearizer": "overlap"})
    result = judge_detector(missing, make_frame(), dmtn101)
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason == "no usable defects: none certified; no usable linearizer: overlap"
    assert {a.verdict for a in result.amps.values()} == {Verdict.UNKNOWN}
    assert result.amps["C10"].tests["NOISE"].verdict is Verdict.PASS
    frame = _with_image(make_frame(), lambda image: image.__setitem__(BOX, image[BOX] * 9))
    result = judge_detector(missing, frame, dmtn101)
    assert result.verdict is Verdict.FAIL
    assert "no usable defects" in result.reason


def test_an_optional_calibration_may_be_absent(make_frame, exposure, dmtn101):
    missing = exposure(missing={"cti": "none certified"}, optional=frozenset({"cti"}))
    assert judge_detector(missing, make_frame(), dmtn101).verdict is Verdict.PASS


def test_a_step_that_was_not_applied_is_told(make_frame, exposure, dmtn101):
    frame = make_frame()
    isr = replace(frame.isr, not_applied={"crosstalk": "no crosstalk", "parallel_overscan": "?"})
    result = judge_detector(exposure(), replace(frame, isr=isr), dmtn101)
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason == "no usable crosstalk: no crosstalk"
    assert result.warnings == ("parallel_overscan not applied: ?",)
    assert result.provenance["steps_not_applied"]["crosstalk"] == "no crosstalk"


def test_an_empty_calibration_set_ends_in_unknown(make_frame, exposure, limits):
    for calib_type in ("bias", "dark", "flat"):
        frame = make_frame(calib_type)
        frame = replace(frame, calibrations=replace(frame.calibrations, **NOTHING))
        isr = replace(frame.isr, gain=np.full(4, np.nan), read_noise=np.full(4, np.nan))
        isr = replace(isr, applied=(), not_applied={"gain": "no ptc", calib_type: "none"})
        result = judge_detector(exposure(calib_type), replace(frame, isr=isr), limits)
        assert result.verdict is Verdict.UNKNOWN
        assert "no usable ptc: no ptc" in result.reason


def test_an_exposure_without_end_is_judged_by_the_latest_limits(make_frame, exposure, dmtn101):
    result = judge_detector(exposure(end_utc=None), make_frame(), dmtn101)
    assert result.verdict is Verdict.PASS
    assert "no end time" in result.warnings[0]


def test_twice_the_same_is_bit_identical(make_frame, exposure, dmtn101):
    texts = {
        json.dumps(to_dict(judge_detector(exposure(), make_frame(seed=4), dmtn101)))
        for _ in range(2)
    }
    assert len(texts) == 1


def test_json_brings_the_result_back(make_frame, exposure, limits):
    frame = make_frame()
    frame = replace(frame, raw=replace(frame.raw, faults=("", "broken", "", "")))
    correlation = np.array([[1.0, np.nan], [0.5, 1.0]])
    statistics = replace(frame.isr.statistics, image_correlation=correlation)
    frame = replace(frame, isr=replace(frame.isr, statistics=statistics))
    result = judge_detector(exposure(provenance={"fingerprint": "ab12"}), frame, limits)
    content = to_dict(result)
    text = json.dumps(content, allow_nan=False)
    read = from_dict(json.loads(text))
    assert read == result
    assert to_dict(read) == content
    assert set(content) >= {
        "instrument", "exposure", "detector", "calib_type", "verdict", "reason", "amps",
        "detector_tests", "provenance", "algorithm", "limits",
    }  # fmt: skip
    assert content["amps"]["C10"]["tests"]["MEAN"].keys() >= {"verdict", "value", "limit"}
    assert content["arrays"]["image_correlation"] == [[1.0, None], [0.5, 1.0]]


def test_what_cannot_be_measured_is_unknown(exposure, dmtn101):
    result = unknown_result(exposure(), 3, "R22_S11", "raw.fits: is truncated", dmtn101)
    assert (result.verdict, result.reason) == (Verdict.UNKNOWN, "raw.fits: is truncated")
    assert from_dict(to_dict(result)) == result


def test_a_dark_flat_of_a_photon_transfer_curve_passes(make_frame, exposure, dmtn101):
    frame = make_frame("flat")
    rng = np.random.default_rng(2)
    image = rng.normal(500.0, math.sqrt(536.0), frame.isr.image.shape).astype(np.float32)
    isr = replace(frame.isr, image=image, variance=np.full_like(image, 536.0))
    frame = replace(frame, isr=isr)
    assert judge_detector(exposure("flat"), frame, dmtn101).verdict is Verdict.FAIL
    curve = exposure("flat", observation_reason="daily_ptc")
    assert judge_detector(curve, frame, dmtn101).verdict is Verdict.PASS


@pytest.mark.parametrize("calib_type", ["bias", "dark", "flat"])
def test_numbers_are_judged_as_their_pixels_are(make_frame, exposure, detector, limits, calib_type):
    frame = make_frame(calib_type)
    frame = _with_image(frame, lambda im: im.__setitem__(BOX, im[BOX] * 1.3 + 2))
    judged = judge_detector(exposure(calib_type), frame, limits)
    measured = MEASURES[calib_type](frame)
    whole = {**measured.detector, "SEQUENCER_MISMATCHES": 0}
    result = judge_numbers(exposure(calib_type), detector, measured.amps, whole, limits)
    assert (result.amps, result.detector_tests) == (judged.amps, judged.detector_tests)
    assert (result.verdict, result.reason) == (judged.verdict, judged.reason)


def test_numbers_of_an_amplifier_that_cannot_be_judged(make_frame, exposure, detector, dmtn101):
    amps = MEASURES["bias"](make_frame()).amps
    whole = {"SEQUENCER_MISMATCHES": 1}
    result = judge_numbers(
        exposure(missing={"defects": "nothing is valid"}), detector, amps, whole, dmtn101,
        faults={"C10": "all raw pixels are 0"}, differences=("SEQNAME is A and B",),
    )  # fmt: skip
    assert result.amps["C10"].reason == "C10: all raw pixels are 0"
    assert result.amps["C11"].verdict is Verdict.UNKNOWN
    assert result.detector_tests["SEQUENCER"].reason == "SEQUENCER: SEQNAME is A and B"
    assert result.provenance["missing"] == {"defects": "nothing is valid"}
