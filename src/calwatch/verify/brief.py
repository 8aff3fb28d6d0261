"""A result in short: every judged number with its limits and its outcome, and nothing else.

Trends, focal planes and reports read thousands of results at once; of each they need a hundredth of
the document. Numbers are kept to six digits here: pictures need no more, and the document has all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import PurePath
from typing import Any

from calwatch.verify.model import DetectorResult, TestResult, Verdict

Values = tuple[float | None, ...]
PASS, WARNING, FAIL, UNKNOWN, ABSENT = "PWFU-"
"""Outcomes. In lower case they are of a test that does not enter the verdict."""
_GRAVITY = "-PWUF"


@dataclass(frozen=True, slots=True)
class BriefTest:
    """One test of all amplifiers, in camera order; of the detector it has one entry."""

    unit: str
    section: str
    """Of DMTN-101."""
    values: Values
    lower: Values
    upper: Values
    outcomes: str
    """A letter each: `PASS`, `WARNING`, `FAIL`, `UNKNOWN` or `ABSENT`."""


@dataclass(frozen=True, slots=True)
class Brief:
    """One result in short."""

    sequencer: str
    """The program that read the CCD, as `sequencer_words` writes it."""
    amps: tuple[str, ...]
    tests: Mapping[str, BriefTest]
    """By name; one entry an amplifier."""
    detector_tests: Mapping[str, BriefTest]


def brief_of(result: DetectorResult) -> Brief:
    """Return a result in short."""
    amps = tuple(result.amps)
    names = dict.fromkeys(name for amp in result.amps.values() for name in amp.tests)
    by_amp = [amp.tests for amp in result.amps.values()]
    return Brief(
        sequencer_words(result.provenance.get("sequencer") or {}),
        amps,
        {name: _brief([tests.get(name) for tests in by_amp]) for name in names},
        {name: _brief([test]) for name, test in result.detector_tests.items()},
    )


def outcome(test: TestResult | None) -> str:
    """Return the letter of a judged test."""
    if test is None:
        return ABSENT
    if test.verdict is Verdict.PASS:
        letter = WARNING if test.severity == "WARNING" else PASS
    else:
        letter = FAIL if test.verdict is Verdict.FAIL else UNKNOWN
    return letter if test.counts else letter.lower()


def gravest(outcomes: str) -> str:
    """Return the gravest of some letters: FAIL, UNKNOWN, WARNING, PASS; `ABSENT` of none."""
    return max((letter for letter in outcomes.upper()), key=_GRAVITY.index, default=ABSENT)


def sequencer_words(keywords: Mapping[str, Any]) -> str:
    """Write the keywords of a sequencer as one line: file names without folders, in their order.

    Times and voltages differ from frame to frame, so numbers with a fraction are left out.
    """
    words = (
        PurePath(str(value).strip()).name
        for value in keywords.values()
        if not isinstance(value, float)
    )
    return " ".join(word for word in words if word and word != "None")


def to_plain(brief: Brief) -> dict[str, Any]:
    """Return what JSON can hold. A limit that is the same for all is written once."""
    return {
        "amps": list(brief.amps),
        "tests": {name: _plain(test) for name, test in brief.tests.items()},
        "detector": {name: _plain(test) for name, test in brief.detector_tests.items()},
    }


def from_plain(content: Mapping[str, Any], sequencer: str, only: str | None = None) -> Brief:
    """Return what `to_plain` wrote; with ``only`` no test but that one, which is quicker.

    Raises
    ------
    KeyError
        If a field is missing.
    """
    return Brief(
        sequencer,
        tuple(content["amps"]),
        {name: _test(test) for name, test in content["tests"].items() if only in (None, name)},
        {name: _test(test) for name, test in content["detector"].items() if only in (None, name)},
    )


def _brief(tests: Sequence[TestResult | None]) -> BriefTest:
    known = next(test for test in tests if test is not None)
    return BriefTest(
        known.unit,
        known.section,
        tuple(None if test is None else _six(test.value) for test in tests),
        tuple(None if test is None else _six(test.limit[0]) for test in tests),
        tuple(None if test is None else _six(test.limit[1]) for test in tests),
        "".join(outcome(test) for test in tests),
    )


def _six(value: float | None) -> float | None:
    return None if value is None or not isfinite(value) else float(f"{value:.6g}")


def _plain(test: BriefTest) -> dict[str, Any]:
    return {
        "unit": test.unit,
        "section": test.section,
        "values": test.values,
        "lower": _once(test.lower),
        "upper": _once(test.upper),
        "outcomes": test.outcomes,
    }


def _once(values: Values) -> Any:
    return values[0] if len(set(values)) == 1 else values


def _test(content: Mapping[str, Any]) -> BriefTest:
    count = len(content["values"])
    return BriefTest(
        content["unit"],
        content["section"],
        tuple(content["values"]),
        _all(content["lower"], count),
        _all(content["upper"], count),
        content["outcomes"],
    )


def _all(content: Any, count: int) -> Values:
    return tuple(content) if isinstance(content, list) else (content,) * count
