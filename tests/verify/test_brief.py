"""A result in short says what the result says, to six digits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.verify.brief import (
    Brief,
    BriefTest,
    brief_of,
    from_plain,
    gravest,
    outcome,
    sequencer_words,
    to_plain,
)
from calwatch.verify.model import AmpResult, DetectorResult, TestResult, Verdict


def make_test(
    name: str = "NOISE",
    verdict: Verdict = Verdict.PASS,
    severity: str = "",
    value: float | None = 6.123456789,
    limit: tuple[float | None, float | None] = (None, 7.0),
    *,
    counts: bool = True,
) -> TestResult:
    return TestResult(name, verdict, value, limit, "e-", "4.3", severity, counts, "")


def make_result(amps: dict[str, dict[str, TestResult]]) -> DetectorResult:
    return DetectorResult(
        instrument="LATISS",
        exposure_id=1,
        detector=0,
        detector_name="RXX_S00",
        calib_type="bias",
        verdict=Verdict.PASS,
        reason="",
        amps={name: AmpResult({}, tests, Verdict.PASS) for name, tests in amps.items()},
        detector_metrics={},
        detector_tests={"SEQUENCER": make_test("SEQUENCER", value=0.0, limit=(None, 0.0))},
        provenance={"sequencer": {"SEQFILE": "/seq/FP_v3.seq", "AP0_RC": 1.5, "SEQNAME": "None"}},
        algorithm="1",
        limits="dmtn101",
    )


@pytest.mark.parametrize(
    ("test", "letter"),
    [
        (None, "-"),
        (make_test(), "P"),
        (make_test(severity="WARNING"), "W"),
        (make_test(verdict=Verdict.FAIL, severity="SERIOUS"), "F"),
        (make_test(verdict=Verdict.UNKNOWN, value=None), "U"),
        (make_test(verdict=Verdict.FAIL, severity="SERIOUS", counts=False), "f"),
    ],
)
def test_letters(test: TestResult | None, letter: str) -> None:
    assert outcome(test) == letter


def test_amplifiers_stand_in_their_order_and_may_lack_a_test() -> None:
    second = {"MEAN": make_test("MEAN", Verdict.FAIL, "SERIOUS", -3.0, (-1.0, 1.0))}
    found = brief_of(make_result({"C10": {"NOISE": make_test()}, "C11": second}))
    assert found.amps == ("C10", "C11")
    assert found.tests["NOISE"].values == (6.12346, None)
    assert found.tests["NOISE"].outcomes == "P-"
    assert found.tests["MEAN"] == BriefTest(
        "e-", "4.3", (None, -3.0), (None, -1.0), (None, 1.0), "-F"
    )
    assert found.detector_tests["SEQUENCER"].values == (0.0,)
    assert found.sequencer == "FP_v3.seq"


def test_a_result_without_amplifiers_has_no_tests_of_them() -> None:
    found = brief_of(replace(make_result({}), detector_tests={}))
    assert (found.amps, dict(found.tests), dict(found.detector_tests)) == ((), {}, {})


numbers = st.none() | st.floats(-1e9, 1e9).map(lambda x: float(f"{x:.6g}"))


@given(st.data())
def test_it_is_the_same_after_json(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 4))
    rows = st.lists(numbers, min_size=count, max_size=count).map(tuple)
    letters = st.text("PWFUpwfu-", min_size=count, max_size=count)
    tests = st.dictionaries(
        st.sampled_from(["MEAN", "NOISE"]),
        st.builds(BriefTest, st.just("e-"), st.just("4.3"), rows, rows, rows, letters),
    )
    amps = tuple(f"C{i:02d}" for i in range(count))
    brief = Brief("FP.seq", amps, data.draw(tests), {})
    plain = json.loads(json.dumps(to_plain(brief)))
    assert from_plain(plain, "FP.seq") == brief
    only = from_plain(plain, "FP.seq", "MEAN")
    assert only.tests == {name: test for name, test in brief.tests.items() if name == "MEAN"}
    assert (only.amps, only.sequencer) == (brief.amps, brief.sequencer)


@given(st.text("PWFUpwfu-"))
def test_fail_is_graver_than_unknown_and_unknown_than_the_rest(outcomes: str) -> None:
    upper = outcomes.upper()
    expected = next((letter for letter in "FUWP" if letter in upper), "-")
    assert gravest(outcomes) == expected


def test_sequencer_words_name_files_without_folders_and_no_voltages() -> None:
    words = sequencer_words({"SEQNAME": "a", "SEQFILE": "/x/y.seq", "V": 1.25, "N": 3, "E": " "})
    assert words == "a y.seq 3"
