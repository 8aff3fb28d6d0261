"""Collecting what crossed its limits: each part and test once, however many exposures say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from calwatch.alarms.evidence import compared_with
from calwatch.alarms.parts import amp_part
from calwatch.alarms.rules import Rules
from calwatch.butler.times import tai_text
from calwatch.report.model import Finding, Group, Moment, Reference
from calwatch.verify.distance import distance
from calwatch.verify.metrics import TESTS, Level
from calwatch.verify.model import DetectorResult, TestResult

_Spot = tuple[str, str, str]
"""Kind, test, part."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which part a test is of."""

    part: str
    detector: int | None
    amp: str
    level: Level


@dataclass(slots=True)
class _Collected:
    place: Place
    calib_type: str
    test: TestResult
    """The one whose value is farthest beyond its limit."""
    far: tuple[float, float]
    worst: Moment
    first: Moment
    last: Moment
    crossed: int
    reference: Reference | None


@dataclass(slots=True)
class Findings:
    """All that crossed a limit of one severity.

    Parameters
    ----------
    severity
        ``SERIOUS`` or ``WARNING``.
    rules
        Say with which calibration a test compares.
    """

    severity: str
    rules: Rules
    _found: dict[_Spot, _Collected] = field(default_factory=dict)
    _judged: Counter[_Spot] = field(default_factory=Counter)

    def add(self, kind: str, result: DetectorResult, at: Moment) -> None:
        """Look at one result; exposures come oldest first."""
        chain = result.provenance.get("chain") or {}
        name = result.detector_name
        for amp, judged in result.amps.items():
            place = Place(amp_part(name, amp), result.detector, amp, "amp")
            self.tests(kind, result.calib_type, place, judged.tests, chain, at)
        place = Place(name, result.detector, "", "detector")
        self.tests(kind, result.calib_type, place, result.detector_tests, chain, at)

    def tests(
        self,
        kind: str,
        calib_type: str,
        place: Place,
        tests: Mapping[str, TestResult],
        chain: Mapping[str, Mapping[str, Any]],
        at: Moment,
    ) -> None:
        """Look at the tests of one part."""
        for name, test in tests.items():
            if not test.counts or test.value is None:
                continue
            spot = (kind, name, place.part)
            self._judged[spot] += 1
            if test.severity == self.severity:
                self._cross(spot, calib_type, place, test, chain, at)

    def groups(self) -> tuple[Group, ...]:
        """Return what crossed, by kind and test: the farthest first."""
        together: dict[tuple[str, str], list[_Spot]] = {}
        for spot in self._found:
            together.setdefault(spot[:2], []).append(spot)
        made = [self._group(spots) for spots in together.values()]
        return tuple(sorted(made, key=_gravity))

    def _cross(
        self,
        spot: _Spot,
        calib_type: str,
        place: Place,
        test: TestResult,
        chain: Mapping[str, Mapping[str, Any]],
        at: Moment,
    ) -> None:
        far = _beyond(test)
        known = self._found.get(spot)
        if known is None:
            reference = self._reference(calib_type, test.name, chain)
            self._found[spot] = _Collected(place, calib_type, test, far, at, at, at, 1, reference)
            return
        known.last = at
        known.crossed += 1
        if far > known.far:
            known.test, known.far, known.worst = test, far, at
            known.reference = self._reference(calib_type, test.name, chain)

    def _reference(
        self, calib_type: str, test: str, chain: Mapping[str, Mapping[str, Any]]
    ) -> Reference | None:
        family = self.rules.family_of(calib_type, test)
        name = compared_with(family, calib_type, chain)["calibration"]
        return reference(name, chain[name]) if name else None

    def _group(self, spots: list[_Spot]) -> Group:
        kind, test, _ = spots[0]
        first = self._found[spots[0]]
        known = TESTS.get((test, first.place.level))
        findings = [_finding(self._found[s], self._judged[s]) for s in spots]
        return Group(
            kind,
            first.calib_type,
            test,
            known.description if known else "",
            first.test.unit,
            first.test.section,
            tuple(sorted(findings, key=lambda one: (-_far(one.distance), one.part))),
        )


def reference(name: str, entry: Mapping[str, Any]) -> Reference:
    """Return one calibration of a chain."""
    return Reference(
        name,
        str(entry.get("uuid", "")),
        str(entry.get("run", "")),
        str(entry.get("collection", "")),
        tai_text(entry.get("begin_tai")),
        tai_text(entry.get("end_tai")),
    )


def _finding(found: _Collected, judged: int) -> Finding:
    test = found.test
    return Finding(
        part=found.place.part,
        detector=found.place.detector,
        amp=found.place.amp,
        value=test.value,
        limit=test.limit,
        distance=distance(test.value, *test.limit),
        worst=found.worst,
        reason=test.reason,
        crossed=found.crossed,
        judged=judged,
        first=found.first,
        last=found.last,
        since=found.first,
        at_least=True,
        reference=found.reference,
    )


def _beyond(test: TestResult) -> tuple[float, float]:
    """Return what orders crossed tests: the distance, then by how much the limit was crossed."""
    lower, upper = test.limit
    value = 0.0 if test.value is None else test.value
    below = 0.0 if lower is None else lower - value
    above = 0.0 if upper is None else value - upper
    return _far(distance(test.value, lower, upper)), max(below, above)


def _far(far: float | None) -> float:
    """Put what has no distance before all else: no limit was near it."""
    return inf if far is None else far


def _gravity(group: Group) -> tuple[float, str, str]:
    return (-_far(group.findings[0].distance), group.kind, group.test)
