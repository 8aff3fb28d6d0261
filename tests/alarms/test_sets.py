"""Pairs, sequences and sets of a day in the alarms: apart from the exposures they end with."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from scenes import LIMITS as LIMITS_FILE
from scenes import NOON, RULES, at, book, parts, reopened

from calwatch.alarms.book import Book
from calwatch.alarms.evidence import INCOMPLETE, MASKED, UNREADABLE, Sighting, sighting
from calwatch.alarms.model import Key, Severity, What
from calwatch.verify.metrics import SET_TYPES
from calwatch.verify.model import AmpResult, DetectorResult, TestResult, Verdict, algorithm_of

CCD, AMP = "R22_S11", "R22_S11/C05"
ALLOWED = (1.52, 1.68)
DEAD = "C05: its pixels have no noise"
ONCE_A_DAY = [kind for kind in SET_TYPES if kind not in ("gain", "cti")]


def judged(name: str, value: float, severity: str = "", **changes) -> TestResult:
    verdict = Verdict.FAIL if severity == "SERIOUS" else Verdict.PASS
    reason = f"C05 {name} {value} e-/adu is above 1.68 e-/adu" if severity else ""
    made = TestResult(name, verdict, value, ALLOWED, "e-/adu", "6.2", severity, True, reason)
    return made._replace(**changes)


def amp(*tests: TestResult, reason: str = "") -> AmpResult:
    verdict = Verdict.UNKNOWN if reason else Verdict.PASS
    return AmpResult({}, {test.name: test for test in tests}, verdict, reason)


def result(number: int, kind: str = "gain", members: int = 2, **changes) -> DetectorResult:
    provenance = {
        "chain": {"ptc": {"uuid": "u9", "collection": "p", "run": "r", "begin_tai": 61000.0}},
        "missing": {},
        "physical_filter": "i_39",
        "members": [2026112200000 + number - n for n in reversed(range(members))],
    }
    if kind not in SET_TYPES:
        del provenance["members"]
    fields = {
        "instrument": "LSSTCam", "exposure_id": 2026112200000 + number, "detector": 94,
        "detector_name": CCD, "calib_type": kind, "verdict": Verdict.PASS, "reason": "",
        "amps": {}, "detector_metrics": {}, "detector_tests": {}, "limits": "dmtn101",
        "algorithm": algorithm_of(kind), "provenance": provenance,
    }  # fmt: skip
    return DetectorResult(**{**fields, **changes})


def seen(one: DetectorResult) -> Sighting:
    number = one.exposure_id - 2026112200000
    return sighting([one], {}, at(number), parts(), RULES)


def feed(into: Book, *results: DetectorResult) -> list[tuple[What, str]]:
    """Let results be seen; return what happened to which alarm."""
    first = len(into.transitions)
    for one in results:
        found = seen(one)
        into.observe(found, found.end + timedelta(seconds=30))
    return [(t.what, t.alarm.name) for t in into.transitions[first:]]


def good(number: int, kind: str, test: str, value: float = 1.6) -> DetectorResult:
    return result(number, kind, amps={"C05": amp(judged(test, value))})


def bad(number: int, kind: str, test: str, severity: str = "SERIOUS") -> DetectorResult:
    return result(number, kind, amps={"C05": amp(judged(test, 1.8, severity))})


def test_a_flat_without_a_partner_says_nothing() -> None:
    lone = result(7, members=1, verdict=Verdict.UNKNOWN, reason="it has no partner")
    found = seen(lone)
    assert (found.bad, found.good) == ({}, {})
    mine = book()
    assert feed(mine, *(replace(lone, exposure_id=2026112200000 + n) for n in range(1, 9))) == []
    assert mine.alarms == {}


def test_a_set_that_cannot_be_measured_is_no_unreadable_file() -> None:
    found = seen(result(7, verdict=Verdict.UNKNOWN, reason="9.7 % of their light"))
    assert set(found.bad) == {(CCD, INCOMPLETE)}
    (finding,) = found.bad[CCD, INCOMPLETE]
    assert (finding.family, finding.aspect) == ("incomplete-set", "gain")
    assert (finding.sample.severity, finding.sample.reason) == (
        Severity.WARNING, "9.7 % of their light",
    )  # fmt: skip
    whole = seen(good(8, "gain", "PAIR_GAIN"))
    assert {(CCD, INCOMPLETE), (AMP, INCOMPLETE)} <= set(whole.good)
    assert not {spot for spot in {*whole.good, *found.good} if spot[1] in (MASKED, UNREADABLE)}


def test_an_amplifier_that_gave_no_numbers_is_incomplete_and_not_masked() -> None:
    found = seen(result(7, "ptc", 20, amps={"C05": amp(reason="C05: only 4 good pairs")}))
    (finding,) = found.bad[AMP, INCOMPLETE]
    assert (finding.family, finding.aspect) == ("incomplete-set", "ptc")
    assert (CCD, INCOMPLETE) in found.good
    assert (AMP, MASKED) not in found.bad


def test_incomplete_sets_are_raised_by_two_and_cleared_by_one_kind_by_kind() -> None:
    mine = book()
    broken = {"verdict": Verdict.UNKNOWN, "reason": "the flats differ by 9.7 % of their light"}
    name = f"LSSTCam.incomplete-set.gain.{CCD}"
    assert feed(mine, result(1, **broken)) == []
    assert feed(mine, result(2, "cti", **broken)) == []
    assert feed(mine, result(3, **broken)) == [(What.RAISED, name)]
    assert feed(mine, good(4, "cti", "SERIAL_CTI")) == []
    assert feed(mine, good(5, "gain", "PAIR_GAIN")) == [(What.RECOVERED, name)]


def test_a_dead_amplifier_is_one_alarm_and_not_one_more_for_each_kind_of_set() -> None:
    mine = book()
    dead = {"C05": amp(reason=DEAD)}
    assert feed(mine, *(result(n, "flat", amps=dead) for n in (1, 2))) == [
        (What.RAISED, f"LSSTCam.masked.{AMP}")
    ]
    later = [result(n, kind, amps=dead) for n in (3, 4, 5) for kind in SET_TYPES]
    assert feed(mine, *later[:8]) == []
    again = reopened(mine)
    assert feed(again, *later[8:]) == []
    # Where no exposure says that it is dead, the set does.
    other = book()
    assert feed(other, *(result(n, "defects", 5, amps=dead) for n in (1, 2))) == [
        (What.RAISED, f"LSSTCam.incomplete-set.defects.{AMP}")
    ]


@pytest.mark.parametrize("kind", ["gain", "cti"])
def test_amplifiers_that_a_bright_pair_cannot_measure_are_no_news(kind: str) -> None:
    """A sequence has pairs above the turnoff on purpose; a pair as a whole is another thing."""
    found = seen(result(7, kind, amps={"C05": amp(reason="C05: it is saturated")}))
    assert found.bad == {}
    assert (CCD, INCOMPLETE) in found.good
    assert (AMP, INCOMPLETE) not in found.good


def test_flats_without_a_bright_feature_say_nothing() -> None:
    tests = {"NO_SIGNIFICANT_DETECTION": judged("NO_SIGNIFICANT_DETECTION", 0.0)}
    found = seen(result(7, "crosstalk", 6, verdict=Verdict.UNKNOWN, detector_tests=tests))
    assert (found.bad, found.good) == ({}, {})


def test_a_set_and_its_last_exposure_are_counted_apart() -> None:
    """Two pairs and the flats they end with have the same numbers; neither speaks for the other."""
    mine = book()
    gain = Key("LSSTCam", "gain", "above", AMP)
    assert feed(mine, bad(2, "gain", "PAIR_GAIN"), good(2, "flat", "NOISE")) == []
    assert feed(mine, good(4, "flat", "NOISE"), bad(4, "gain", "PAIR_GAIN")) == [
        (What.RAISED, gain.name)
    ]
    assert set(mine.alarms[gain].counts) == {"gain PAIR_GAIN"}
    assert feed(mine, good(6, "flat", "NOISE"), good(8, "flat", "NOISE")) == []
    assert mine.alarms[gain].active
    assert feed(mine, good(6, "gain", "PAIR_GAIN"), good(8, "gain", "PAIR_GAIN")) == [
        (What.RECOVERED, gain.name)
    ]


def test_pairs_boundaries_and_curves_tell_of_one_gain() -> None:
    mine = book()
    feed(mine, bad(2, "gain", "PAIR_GAIN"), bad(4, "gain", "PAIR_GAIN"))
    feed(mine, bad(6, "gain", "BOUNDARY_GAIN"), bad(8, "gain", "BOUNDARY_GAIN"))
    feed(mine, bad(9, "ptc", "PTC_GAIN"), bad(10, "ptc", "PTC_GAIN"))
    (alarm,) = mine.alarms.values()
    assert alarm.name == f"LSSTCam.gain.above.{AMP}"
    assert set(alarm.counts) == {"gain PAIR_GAIN", "gain BOUNDARY_GAIN", "ptc PTC_GAIN"}
    (first, *_) = [s for s in alarm.symptoms if s.test == "PAIR_GAIN"]
    assert {one.calibration for one in first.samples} == {"ptc"}


@pytest.mark.parametrize("kind", ONCE_A_DAY)
def test_what_comes_once_a_day_is_raised_and_cleared_by_one_set(kind: str) -> None:
    specs = [t for t in LIMITS_FILE.tests if kind in t.calib_types and t.level == "amp"]
    assert specs
    for spec in (s for s in specs if s.counts):
        mine = book()
        (name,) = {name for _what, name in feed(mine, bad(1, kind, spec.name))}
        assert feed(mine, good(2, kind, spec.name)) == [(What.RECOVERED, name)]
        mine = book()
        assert feed(mine, bad(1, kind, spec.name, "WARNING")) == []
        assert feed(mine, bad(2, kind, spec.name, "WARNING")) == [(What.RAISED, name)]
        assert feed(mine, good(3, kind, spec.name)) == [(What.RECOVERED, name)]


def test_every_test_of_such_a_set_says_so() -> None:
    for spec in LIMITS_FILE.tests:
        of_a_day = set(spec.calib_types) <= set(ONCE_A_DAY)
        asked = spec.alarm.warning
        assert (asked is not None and asked.raise_.n == 2) is of_a_day, spec.name


@pytest.mark.parametrize(
    ("kind", "test", "by", "left"),
    [
        ("gain", "PAIR_NOISE", "PAIR_GAIN", {"PAIR_GAIN"}),
        ("ptc", "PTC_NOISE", "PTC_GAIN", {"PTC_GAIN"}),
        ("bias_stability", "BIAS_MEAN_SPREAD", "BIAS_SHIFT_TOTAL", {"BIAS_SHIFT_TOTAL"}),
        ("ptc", "PTC_A00", "PTC_GAIN", {"PTC_A00", "PTC_GAIN"}),
    ],
)
def test_what_follows_from_another_failure_of_a_set_is_left_out(kind, test, by, left) -> None:
    tests = (judged(test, 1.8, "SERIOUS"), judged(by, 1.8, "SERIOUS"))
    found = seen(result(7, kind, amps={"C05": amp(*tests)}))
    assert {name for _part, name in found.bad} == left


def test_a_lamp_that_drifts_explains_what_many_amplifiers_show() -> None:
    drift = {"LAMP_DRIFT": judged("LAMP_DRIFT", 1.8, "WARNING")}
    bent = amp(judged("MAX_RESIDUAL", 1.8, "WARNING"))
    for number, left in ((3, {"LAMP_DRIFT", "MAX_RESIDUAL"}), (4, {"LAMP_DRIFT"})):
        amps = {f"C1{n}": bent for n in range(number)}
        found = seen(result(7, "linearity", 12, amps=amps, detector_tests=drift))
        assert {name for _part, name in found.bad} == left


def test_a_certified_flat_that_is_missing_for_defects_is_counted_by_filter() -> None:
    found = seen(good(7, "defects", "NEW_BRIGHT_PIXELS"))
    assert found.kind("NO_REFERENCE:flat", RULES) == "defects i_39"
    assert found.kind("NEW_BRIGHT_PIXELS", RULES) == "defects"
    assert found.end == NOON + timedelta(minutes=7)


def test_without_a_calibration_the_set_is_not_told_of_beside_it() -> None:
    why = {"linearizer": "none certified"}
    lacking = result(7, "linearity", 12, amps={"C05": amp(reason="C05: no usable linearizer")})
    lacking = replace(lacking, provenance={**lacking.provenance, "missing": why})
    found = seen(lacking)
    assert set(found.bad) == {(CCD, "NO_REFERENCE:linearizer")}
    assert (AMP, INCOMPLETE) not in found.good


def test_one_exposure_with_sources_is_evidence_of_crosstalk() -> None:
    one = result(7, "crosstalk", 1, amps={"C05": amp(judged("CROSSTALK_RESIDUAL", 1.8, "SERIOUS"))})
    assert set(seen(one).bad) == {(AMP, "CROSSTALK_RESIDUAL")}


def test_defects_of_darks_are_not_those_of_flats() -> None:
    """What the flats of a day say clears nothing that the darks have shown."""
    broken = result(7, "defects", 5, verdict=Verdict.UNKNOWN, reason="only 3 darks")
    dark = replace(broken, provenance={**broken.provenance, "observation_type": "dark"})
    flat = good(8, "defects", "NEW_DARK_PIXELS", 0.0)
    flat = replace(flat, provenance={**flat.provenance, "observation_type": "flat"})
    mine = book()
    raised = feed(mine, dark, replace(dark, exposure_id=dark.exposure_id + 10))
    assert [what for what, _ in raised] == [What.RAISED]
    assert feed(mine, flat) == []


def test_amplifiers_are_counted_among_amplifiers() -> None:
    """The detector was judged as well, and is no seventeenth."""
    names = [f"C{n:02d}" for n in (*range(8), *range(10, 18))]
    broken = {name: amp(reason=f"{name}: only 3 darks of at least 4") for name in names}
    mine = book()
    feed(mine, *(result(n, "defects", 5, amps=broken) for n in (1, 2)))
    (alarm,) = mine.alarms.values()
    assert (len(alarm.members), alarm.total) == (16, 16)
