"""An exposure says what is bad and what is good, and of the rest nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import NOON, RULES, parts

from calwatch.alarms.evidence import (
    MASKED,
    UNREADABLE,
    Link,
    aspect_of,
    ingest_sighting,
    is_near,
    sighting,
)
from calwatch.alarms.model import Severity
from calwatch.camera.loader import load_camera
from calwatch.verify.model import AmpResult, DetectorResult, TestResult, Verdict

BOUNDS = (6.2, 6.9)
CERTIFIED = "LSSTCam/calib/bias.20261101a"


def judged(name: str, value: float | None = 6.5, severity: str = "", **changes) -> TestResult:
    verdict = (
        Verdict.UNKNOWN
        if value is None
        else Verdict.FAIL
        if severity == "SERIOUS"
        else Verdict.PASS
    )
    fields = {
        "name": name, "verdict": verdict, "value": value, "limit": BOUNDS, "unit": "e-",
        "section": "4.3", "severity": severity, "counts": True,
        "reason": f"{name} {value}" if severity else "",
    }  # fmt: skip
    return TestResult(**{**fields, **changes})


def amp(*tests: TestResult, verdict: Verdict = Verdict.PASS, reason: str = "") -> AmpResult:
    return AmpResult({}, {test.name: test for test in tests}, verdict, reason)


def result(name: str = "R22_S11", calib_type: str = "bias", **changes) -> DetectorResult:
    chain = {
        "bias": {"uuid": "u1", "collection": CERTIFIED, "run": "r", "begin_tai": 61000.0},
        "flat": {"uuid": "u2", "collection": "f", "run": "r", "physical_filter": "i_39"},
    }
    fields = {
        "instrument": "LSSTCam", "exposure_id": 7, "detector": 94, "detector_name": name,
        "calib_type": calib_type, "verdict": Verdict.PASS, "reason": "", "amps": {},
        "detector_metrics": {}, "detector_tests": {}, "algorithm": "1", "limits": "dmtn101",
        "provenance": {"chain": chain, "missing": {}},
    }  # fmt: skip
    return DetectorResult(**{**fields, **changes})


def seen(*results: DetectorResult, exposure_tests=None):
    return sighting(results, exposure_tests or {}, NOON, parts(), RULES)


def test_a_failed_test_is_bad_with_all_that_is_to_be_said_of_it() -> None:
    found = seen(result(amps={"C05": amp(judged("NOISE", 7.3, "SERIOUS"), judged("MEAN", 0.0))}))
    (finding,) = found.bad["R22_S11/C05", "NOISE"]
    assert (finding.family, finding.aspect, finding.unit, finding.section) == (
        "readout", "above", "e-", "4.3",
    )  # fmt: skip
    sample = finding.sample
    assert (sample.severity, sample.value, sample.limit) == (Severity.SERIOUS, 7.3, BOUNDS)
    assert (sample.collection, sample.uuid) == (CERTIFIED, "u1")
    assert found.good["R22_S11/C05", "MEAN"] == 0.0
    assert ("R22_S11/C05", "NOISE") not in found.good


def test_the_calibration_is_that_of_the_problem_where_there_is_one() -> None:
    chain = {"bias": {"uuid": "u1", "collection": "b"}, "ptc": {"uuid": "u9", "collection": "p"}}
    provenance = {"chain": chain, "missing": {}}
    tests = (judged("NOISE", 7.3, "SERIOUS"), judged("MEAN", 9.0, "SERIOUS"))
    found = seen(result(amps={"C05": amp(*tests)}, provenance=provenance))
    used = {test: f[0].sample for (_part, test), f in found.bad.items()}
    assert (used["NOISE"].calibration, used["NOISE"].uuid) == ("ptc", "u9")
    assert (used["MEAN"].calibration, used["MEAN"].collection) == ("bias", "b")


def test_a_warning_is_bad_too_and_what_does_not_count_is_nothing() -> None:
    tests = (judged("NOISE", 6.0, "WARNING"), judged("CR_NOISE", 9.9, "SERIOUS", counts=False))
    found = seen(result(amps={"C05": amp(*tests)}))
    (finding,) = found.bad["R22_S11/C05", "NOISE"]
    assert (finding.aspect, finding.sample.severity) == ("below", Severity.WARNING)
    assert ("R22_S11/C05", "CR_NOISE") not in {*found.bad, *found.good}


@pytest.mark.parametrize(
    ("value", "limit", "expected"),
    [
        (0.0, (-1.0, 1.0), False),
        (0.79, (-1.0, 1.0), False),
        (0.81, (-1.0, 1.0), True),
        (-0.81, (-1.0, 1.0), True),
        (0.97, (0.99 - 0.02, 1.03), False),
        (0.0017, (None, 0.002), True),
        (0.0015, (None, 0.002), False),
        (3500.0, (3000.0, None), True),
        (3700.0, (3000.0, None), False),
        (0, (None, 0.0), False),
        (1, (1.0, None), False),
        (None, (1.0, 2.0), False),
        (5.0, (None, None), False),
    ],
)
def test_near_is_a_fifth_of_the_way_from_a_limit(value, limit, expected) -> None:
    assert is_near(judged("NOISE", value, limit=limit), 0.2) is expected


@given(st.floats(-10, 10), st.floats(0.1, 5), st.floats(0, 0.9), st.floats(-1, 1))
def test_near_is_the_same_on_both_sides_and_never_with_no_margin(centre, half, margin, at) -> None:
    limit = (centre - half, centre + half)
    sides = [judged("NOISE", centre + s * at * half, limit=limit) for s in (1, -1)]
    if abs(abs(at) - (1 - margin)) > 1e-6 and abs(at) < 1 - 1e-6:
        assert [is_near(test, margin) for test in sides] == [abs(at) > 1 - margin] * 2
        assert not any(is_near(test, 0.0) for test in sides)


def test_a_good_value_near_its_limit_is_marked_and_a_bad_one_is_not() -> None:
    tests = (judged("NOISE", 6.85), judged("MEAN", 6.5), judged("CR_NOISE", 7.0, "WARNING"))
    found = seen(result(amps={"C05": amp(*tests)}))
    assert found.near == {("R22_S11/C05", "NOISE"): BOUNDS}
    assert ("R22_S11/C05", "NOISE") in found.good


def test_tests_of_a_flat_are_counted_by_filter_where_light_matters() -> None:
    provenance = {"chain": {}, "missing": {}, "physical_filter": "i_39"}
    flat = seen(result(calib_type="flat", amps={"C05": amp()}, provenance=provenance))
    assert flat.kind("RELATIVE_LEVEL", RULES) == "flat i_39"
    assert flat.kind("NO_REFERENCE:flat", RULES) == "flat i_39"
    assert flat.kind("NO_REFERENCE:ptc", RULES) == flat.kind(MASKED, RULES) == "flat"
    assert flat.kind("OVERSCAN_LEVEL", RULES) == "flat"
    bias = seen(result(amps={"C05": amp()}, provenance=provenance))
    assert bias.kind("NOISE", RULES) == "bias"


def test_what_cannot_be_judged_is_neither_good_nor_bad() -> None:
    dead = amp(
        judged("NOISE", None), verdict=Verdict.UNKNOWN, reason="C05: its pixels have no noise"
    )
    vague = amp(
        judged("NOISE", None), verdict=Verdict.UNKNOWN, reason="C06 NOISE unknown: no number"
    )
    found = seen(result(amps={"C05": dead, "C06": vague}, verdict=Verdict.UNKNOWN))
    assert {spot for spot in {*found.bad, *found.good} if spot[1] == "NOISE"} == set()
    assert found.bad["R22_S11/C05", MASKED][0].family == "masked"
    assert ("R22_S11/C06", MASKED) in found.good


def test_a_file_that_cannot_be_read_is_unreadable_until_one_can() -> None:
    found = seen(
        result(verdict=Verdict.UNKNOWN, reason="truncated"), result("R22_S12", amps={"C05": amp()})
    )
    (finding,) = found.bad["R22_S11", UNREADABLE]
    assert (finding.family, finding.sample.reason) == ("unreadable", "truncated")
    assert ("R22_S12", UNREADABLE) in found.good


def test_a_missing_reference_is_a_problem_of_its_own_type() -> None:
    provenance = {"chain": {"bias": {"uuid": "u"}}, "missing": {"dark": "no dark certified"}}
    found = seen(result(amps={"C05": amp()}, provenance=provenance))
    (finding,) = found.bad["R22_S11", "NO_REFERENCE:dark"]
    assert (finding.family, finding.aspect) == ("no-reference", "dark")
    assert ("R22_S11", "NO_REFERENCE:bias") in found.good


def test_the_chain_is_seen_link_by_link_and_flats_by_filter() -> None:
    found = seen(result(amps={"C05": amp()}))
    assert found.chains["R22_S11"] == {
        "bias": Link("u1", 61000.0, "r", CERTIFIED),
        "flat i_39": Link("u2", None, "r", "f"),
    }


@pytest.mark.parametrize(
    ("explaining", "left"), [("SERIOUS", {"MEAN"}), ("WARNING", {"MEAN", "NOISE"})]
)
def test_what_follows_from_another_failure_is_no_evidence_of_its_own(explaining, left) -> None:
    tests = (judged("MEAN", 9.0, explaining), judged("NOISE", 9.0, "SERIOUS"))
    found = seen(result(calib_type="dark", amps={"C05": amp(*tests)}))
    assert {test for _part, test in found.bad} == left


def test_the_scatter_of_a_detector_follows_from_its_amplifiers() -> None:
    step = amp(judged("RELATIVE_LEVEL", 9.0, "SERIOUS"))
    uneven = {"SCATTER": judged("SCATTER", 9.0, "SERIOUS")}
    one = result(calib_type="flat", amps={"C05": step}, detector_tests=uneven)
    other = result("R22_S12", "flat", amps={"C05": amp()}, detector_tests=uneven)
    found = seen(one, other, exposure_tests=uneven)
    assert set(found.bad) == {("R22_S11/C05", "RELATIVE_LEVEL"), ("R22_S12", "SCATTER")}


@pytest.mark.parametrize(("number", "hidden"), [(1, False), (8, False), (9, True), (16, True)])
def test_the_scatter_of_the_camera_follows_from_most_of_a_ccd_and_not_from_less(
    number: int, hidden: bool
) -> None:
    dim = amp(judged("LEVEL", 1.0, "SERIOUS"))
    amps = dict.fromkeys(load_camera("LSSTCam").detector(94).amp_names[:number], dim)
    uneven = {"SCATTER": judged("SCATTER", 9.0, "SERIOUS")}
    found = seen(result(calib_type="flat", amps=amps), exposure_tests=uneven)
    assert (("LSSTCam", "SCATTER") not in found.bad) is hidden


def test_what_most_of_an_uneven_detector_shows_is_its_unevenness() -> None:
    step = amp(judged("RELATIVE_LEVEL", 9.0, "SERIOUS"))
    amps = {f"C1{n}": step for n in range(4)}
    for severity, tests in (("SERIOUS", {"SCATTER"}), ("WARNING", {"RELATIVE_LEVEL"})):
        uneven = {"SCATTER": judged("SCATTER", 9.0, severity)}
        found = seen(result(calib_type="flat", amps=amps, detector_tests=uneven))
        assert {test for _part, test in found.bad} == tests


def test_the_exposure_as_a_whole_is_the_camera() -> None:
    uneven = {"SCATTER": judged("SCATTER", 9.0, "SERIOUS")}
    found = seen(result(calib_type="flat", amps={"C05": amp()}), exposure_tests=uneven)
    assert found.bad["LSSTCam", "SCATTER"][0].family == "scatter"


def test_a_side_matters_only_where_the_rules_say_so() -> None:
    family = RULES.family_of("bias", "NOISE")
    assert aspect_of(family, judged("NOISE", 9.0, "SERIOUS")) == "above"
    assert aspect_of(family, judged("NOISE", 1.0, "SERIOUS")) == "below"
    assert aspect_of(family, judged("NOISE", 1.0, "SERIOUS", limit=(2.0, None))) == "below"
    assert aspect_of(replace_directed(family), judged("NOISE", 9.0, "SERIOUS")) == ""


def replace_directed(family):
    return family.model_copy(update={"directed": False})


def test_files_that_did_not_come_are_bad_and_those_that_came_good() -> None:
    found = ingest_sighting("LSSTCam", 7, NOON, ["R22_S11", "R22_S12"], {"R22_S12": "lost"})
    assert found.calib_type == "ingest"
    assert ("R22_S11", "INGEST") in found.good
    assert found.bad["R22_S12", "INGEST"][0].sample.reason == "lost"


def test_fields_are_what_the_results_give() -> None:
    found = seen(replace(result(amps={"C05": amp()}), exposure_id=12))
    assert (found.instrument, found.calib_type, found.exposure_id, found.end) == (
        "LSSTCam", "bias", 12, NOON,
    )  # fmt: skip
