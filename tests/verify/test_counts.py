"""Tests are counted by level and by how they ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calwatch.verify.counts import OUTCOMES, WARNING, count_by_level, count_tests
from calwatch.verify.model import AmpResult, DetectorResult, TestResult, Verdict

TEST = TestResult("NOISE", Verdict.PASS, 1.0, (None, 2.0), "e-", "4.3", "", True, "")


def test_each_test_is_counted_under_its_verdict() -> None:
    tests = [
        TEST,
        TEST._replace(severity="WARNING"),
        TEST._replace(verdict=Verdict.FAIL, severity="SERIOUS"),
        TEST._replace(verdict=Verdict.UNKNOWN),
        TEST._replace(verdict=Verdict.FAIL, severity="SERIOUS", counts=False),
    ]
    assert count_tests(tests) == {"pass": 2, "fail": 1, "unknown": 1, "warning": 1}
    assert count_tests([]) == dict.fromkeys(OUTCOMES, 0)


@given(verdicts=st.lists(st.sampled_from(list(Verdict)), max_size=20))
def test_the_verdicts_add_up_to_the_tests(verdicts: list[Verdict]) -> None:
    counts = count_tests(TEST._replace(verdict=verdict) for verdict in verdicts)
    assert sum(n for outcome, n in counts.items() if outcome != WARNING) == len(verdicts)


def test_levels_are_counted_apart_over_all_detectors() -> None:
    failed = TEST._replace(verdict=Verdict.FAIL)
    amps = {name: AmpResult({}, {"NOISE": TEST, "MEAN": failed}, Verdict.FAIL) for name in "AB"}
    result = DetectorResult(
        "LATISS", 1, 0, "R00_S00", "bias", Verdict.FAIL, "", amps, {}, {"SEQUENCER": TEST}, {},
        "1", "dmtn101",
    )  # fmt: skip
    counts = count_by_level([result, result], {"SCATTER": failed})
    assert {level: (c["pass"], c["fail"]) for level, c in counts.items()} == {
        "amp": (4, 4),
        "detector": (2, 0),
        "exposure": (0, 1),
    }
