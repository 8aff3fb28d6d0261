from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from calwatch.verify.evaluate import evaluate
from calwatch.verify.explain import Explanation, explain, formula, in_words
from calwatch.verify.limits import Limits, Part, load_limits
from calwatch.verify.limits_schema import offsets
from calwatch.verify.model import TestResult, Verdict

AT = datetime(2026, 11, 22, 15, tzinfo=UTC)
PART = Part("LSSTCam", 94, "R22_S11", "C05")
NUMBERS = {"NOISE": 7.0, "EXPECTED_NOISE": 6.0, "NOISE_ERROR": 0.01}


def judged(limits: Limits, name: str = "NOISE", calib_type: str = "bias", **numbers: float):
    """Judge one amplifier's test as the judge does."""
    found = {**NUMBERS, **numbers}
    for active in limits.active(calib_type, "amp", PART, AT):
        if active.spec.name == name:
            return evaluate(active, found, "C05"), found
    raise AssertionError(name)


@pytest.fixture(scope="module")
def dmtn101() -> Limits:
    return load_limits("dmtn101")


@pytest.fixture
def altered(tmp_path: Path) -> Callable[..., Limits]:
    """Return a function that writes a limits file with one test, and reads it."""

    def make(version: str = "2", **changes: object) -> Limits:
        test = {
            "name": "NOISE",
            "calib_types": ["bias"],
            "level": "amp",
            "section": "4.3",
            "metric": "NOISE",
            "unit": "e-",
            "form": "relative",
            "reference": "EXPECTED_NOISE",
            "side": "both",
            "limits": [{"serious": 0.1}],
            **changes,
        }
        path = tmp_path / "mine.yaml"
        content = {"profile": "mine", "version": version, "description": "d", "tests": [test]}
        path.write_text(yaml.safe_dump(content))
        return load_limits(path)

    return make


def explained(limits: Limits, test: TestResult, numbers, with_: str = "") -> Explanation:
    label = with_ or limits.label
    return explain(test, numbers, "bias", "amp", PART, AT, limits, label)


def test_a_failure_has_both_limits_and_their_source(dmtn101: Limits) -> None:
    test, numbers = judged(dmtn101)
    assert test.verdict is Verdict.FAIL
    why = explained(dmtn101, test, numbers)
    assert [one.severity for one in why.allowed] == ["WARNING", "SERIOUS"]
    assert why.allowed[1].allowed == test.limit
    assert why.allowed[1].allowed == pytest.approx((6 * 0.95 - 0.05, 6 * 1.05 + 0.05))
    assert why.widening == pytest.approx(0.05)
    assert [n.name for n in why.numbers] == ["NOISE", "EXPECTED_NOISE", "NOISE_ERROR"]
    assert (why.limits, why.note, why.overrides) == (dmtn101.label, "", ())
    assert why.source.endswith("dmtn101.yaml")
    assert why.allowed[1].formula == (
        "0.95·EXPECTED_NOISE − 5·NOISE_ERROR ≤ NOISE ≤ 1.05·EXPECTED_NOISE + 5·NOISE_ERROR"
    )
    assert why.allowed[1].words == (
        "the noise (NOISE) must be within 5 % of the expected (EXPECTED_NOISE); "
        "5 times the error of the noise (NOISE_ERROR) more is allowed"
    )


def test_every_range_shown_is_the_range_that_decides(dmtn101: Limits) -> None:
    for noise in (5.0, 5.74, 6.0, 6.29, 7.0):
        test, numbers = judged(dmtn101, NOISE=noise)
        why = explained(dmtn101, test, numbers)
        assert test.limit in [one.allowed for one in why.allowed]


def test_an_unknown_test_has_no_range(dmtn101: Limits) -> None:
    numbers = {**NUMBERS, "EXPECTED_NOISE": None}
    test, _ = judged(dmtn101)
    test = test._replace(verdict=Verdict.UNKNOWN, limit=(None, None), severity="")
    why = explained(dmtn101, test, numbers)
    assert why.allowed[1].allowed == (None, None)
    assert why.numbers[1].value is None
    assert why.note == ""


def test_an_entry_and_an_override_are_named(altered) -> None:
    limits = altered(
        limits=[{"serious": 0.1}, {"from": 20261101, "serious": 0.2}],
        overrides=[
            {"instrument": "LSSTCam", "detectors": [94], "amps": ["C05"], "from": 20261110,
             "until": 20261201, "reason": "DM-1: unstable", "serious": 0.3},
            {"instrument": "LATISS", "reason": "not mine", "serious": 0.4},
        ],
    )  # fmt: skip
    test, numbers = judged(limits, NOISE=8.0)
    why = explained(limits, test, numbers)
    assert why.since == datetime(2026, 11, 1, 12, tzinfo=UTC)
    (override,) = why.overrides
    assert override.reason == "DM-1: unstable"
    assert override.until == datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert why.allowed[0].words.startswith("the noise (NOISE) must be within 30 % of")


def test_it_says_when_the_file_is_another_one_now(dmtn101: Limits, altered) -> None:
    test, numbers = judged(dmtn101)
    newer = altered()
    why = explained(newer, test, numbers, dmtn101.label)
    assert "it was judged with dmtn101" in why.note
    assert "is mine 2 now" in why.note
    same = explained(newer, test, numbers, newer.label)
    assert "without a new version" in same.note
    gone = altered(limits=[{"from": 20300101, "serious": 0.1}])
    assert "no limit of NOISE in force" in explained(gone, test, numbers).note


def test_a_test_that_the_file_does_not_have(dmtn101: Limits, altered) -> None:
    test, numbers = judged(dmtn101, "MEAN", MEAN=0.0, MEAN_ERROR=0.1)
    why = explained(altered(), test, numbers)
    assert (why.allowed, why.note) == ((), "mine 2 has no bias test MEAN")
    assert why.description


WAYS = [
    ({"form": "absolute", "reference": None, "side": "upper"}, "must lie at or below 2 e-"),
    ({"form": "absolute", "reference": None, "side": "lower"}, "must lie at or above 2 e-"),
    ({"form": "absolute", "reference": None}, "must lie between -2 and 2 e-"),
    ({"form": "absolute"}, "must be within 2 e- of the expected (EXPECTED_NOISE)"),
    ({"side": "upper"}, "must be at most 200 % above the expected"),
    ({"side": "lower"}, "must be at most 200 % below the expected"),
    ({"form": "multiple"}, "must be between -2 and 2 times the expected"),
    ({"form": "multiple", "side": "upper", "strict": True}, "must be below 2 times the expected"),
    ({"form": "sqrt"}, "must be within 200 % of the root of the expected"),
    (
        {"limits": [{"serious": {"lower": 0.5, "upper": 2}}]},
        "must be at most 50 % below and 200 % above the expected",
    ),
]


@pytest.mark.parametrize(("changes", "words"), WAYS)
def test_every_form_has_words_and_a_formula(altered, changes, words: str) -> None:
    (spec,) = altered(**{"limits": [{"serious": 2}], **changes}).tests
    bound = spec.limits[0].serious
    assert words in in_words(spec, bound)
    lower, upper = offsets(spec, bound)
    sign = "<" if spec.strict else "≤"
    assert formula(spec, bound).count(sign) == (lower is not None) + (upper is not None)


def test_every_shipped_limit_can_be_said() -> None:
    for profile in ("dmtn101", "cp_verify"):
        for spec in load_limits(profile).tests:
            for entry in spec.limits:
                for bound in (entry.warning, entry.serious):
                    if bound is not None:
                        assert spec.metric in formula(spec, bound)
                        assert "None" not in in_words(spec, bound) + formula(spec, bound)
