from dataclasses import replace

import pytest

from calwatch.verify.limits import load_limits
from calwatch.verify.merge import merge_exposure, merge_run
from calwatch.verify.model import AmpResult, DetectorResult, Verdict
from calwatch.verify.model import TestResult as Result


def _test(name, verdict, counts=True):
    reason = "" if verdict is Verdict.PASS else f"{name} is bad"
    return Result(name, verdict, 1.0, (0.0, 2.0), "e-", "", "", counts, reason)


def _detector(number, verdict=Verdict.PASS, mean=20_000.0, amps=(), tests=(), **changes):
    judged = {
        amp: AmpResult({}, {test.name: test}, test.verdict, test.reason) for amp, test in amps
    }
    result = DetectorResult(
        instrument="LSSTCam",
        exposure_id=7,
        detector=number,
        detector_name=f"R22_S{number:02d}",
        calib_type="flat",
        verdict=verdict,
        reason="" if verdict is Verdict.PASS else "something",
        amps=judged,
        detector_metrics={"DET_MEAN": mean},
        detector_tests={test.name: test for test in tests},
        provenance={},
        algorithm="1",
        limits="dmtn101 1",
    )
    return replace(result, **changes)


@pytest.fixture(scope="module")
def limits():
    return load_limits("dmtn101")


def test_all_good(limits):
    merged = merge_exposure([_detector(0), _detector(1, mean=20_200.0)], limits)
    assert (merged.verdict, merged.reason) == (Verdict.PASS, "")
    assert merged.counts == {"PASS": 2, "FAIL": 0, "UNKNOWN": 0}
    assert merged.metrics == {"EXP_MEAN": 20_100.0, "EXP_SCATTER": 100.0}
    assert merged.failures == ()


def test_the_scatter_of_detectors_is_relative_here_and_absolute_in_cp_verify(limits):
    pair = [_detector(0), _detector(1, mean=20_002.0)]
    assert merge_exposure(pair, limits).verdict is Verdict.PASS
    merged = merge_exposure(pair, load_limits("cp_verify"))
    assert merged.verdict is Verdict.FAIL
    assert merged.failures == ("SCATTER",)
    assert "SCATTER" in merged.reason
    assert merge_exposure(pair[:1], load_limits("cp_verify")).verdict is Verdict.PASS
    pair[1] = _detector(1, mean=30_000.0)
    assert merge_exposure(pair, limits).failures == ("SCATTER",)


def test_failures_are_named(limits):
    bad = _detector(
        1,
        Verdict.FAIL,
        amps=[("C17", _test("NOISE", Verdict.FAIL)), ("C05", _test("LEVEL", Verdict.UNKNOWN))],
        tests=[_test("SEQUENCER", Verdict.FAIL), _test("SCATTER", Verdict.FAIL, counts=False)],
    )
    merged = merge_exposure([bad, _detector(0)], limits)
    assert merged.verdict is Verdict.FAIL
    assert merged.failures == ("R22_S01 SEQUENCER", "R22_S01 C17 NOISE")
    assert merged.reason == "R22_S01: something"


def test_unknown_stands_between(limits):
    merged = merge_exposure([_detector(0), _detector(1, Verdict.UNKNOWN)], limits)
    assert merged.verdict is Verdict.UNKNOWN
    assert merged.reason == "R22_S01: something"


def test_an_absent_detector_is_no_pass(limits):
    merged = merge_exposure([_detector(0)], limits, expected=["R22_S00", "R22_S01"])
    assert merged.verdict is Verdict.UNKNOWN
    assert merged.reason == "no result for R22_S01"


def test_no_mean_at_all(limits):
    merged = merge_exposure([_detector(0, mean=None)], limits)
    assert merged.verdict is Verdict.UNKNOWN
    assert merged.metrics == {"EXP_MEAN": None, "EXP_SCATTER": None}


def test_exposures_are_not_mixed(limits):
    with pytest.raises(ValueError, match="2 exposures"):
        merge_exposure([_detector(0), _detector(1, exposure_id=8)], limits)
    with pytest.raises(ValueError, match="0 exposures"):
        merge_exposure([], limits)


def test_a_run(limits):
    good = merge_exposure([_detector(0)], limits)
    failed = _detector(0, Verdict.FAIL, amps=[("C17", _test("NOISE", Verdict.FAIL))])
    bad = merge_exposure([replace(failed, exposure_id=8)], limits)
    run = merge_run([good, bad])
    assert run.verdict is Verdict.FAIL
    assert run.counts == {"PASS": 1, "FAIL": 1, "UNKNOWN": 0}
    assert run.failures == {8: ("R22_S00 C17 NOISE",)}
    with pytest.raises(ValueError, match="0 kinds"):
        merge_run([])
