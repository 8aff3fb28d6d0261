"""Since when something fails, and how it was before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from calwatch.alarms.model import Numbered
from calwatch.ledger.reported import DAMAGE
from calwatch.ledger.store import Ledger
from calwatch.ledger.trends import JudgedBrief, chain_changes, trend
from calwatch.report.model import Event, Finding, Group, Moment, Point, Trend
from calwatch.verify.brief import ABSENT, FAIL, PASS, WARNING, BriefTest
from calwatch.verify.model import algorithm_of

LOOK_BACK = timedelta(days=90)
MOST_DETECTORS = 60
"""Detectors whose past is read, those of the worst failures first."""
MOST_TRENDS = 12


@dataclass(slots=True)
class Past:
    """Reads the past of what failed.

    Parameters
    ----------
    ledger, instrument
        Where it is.
    until
        End of the last exposure of the report; None where no exposure has a time.
    damaged
        Sentences on what could not be read are put here.
    """

    ledger: Ledger
    instrument: str
    until: datetime | None
    damaged: list[str]
    _read: dict[tuple[str, int], list[JudgedBrief]] = field(default_factory=dict)

    def wanted(self, groups: Sequence[Group]) -> list[tuple[Group, int]]:
        """Return the detectors whose past is worth reading, each with a group it failed in."""
        chosen: dict[tuple[str, int], Group] = {}
        for group, finding in in_turn(groups):
            if finding.detector is not None and len(chosen) < MOST_DETECTORS:
                chosen.setdefault((group.kind, finding.detector), group)
        return [(group, detector) for (_, detector), group in chosen.items()]

    def read(self, group: Group, detector: int) -> None:
        """Read the past of one detector in one kind of exposure."""
        if self.until is None:
            return
        _, _, physical_filter = group.kind.partition(" ")
        try:
            self._read[group.kind, detector] = trend(
                self.ledger, self.instrument, detector, group.calib_type,
                self.until - LOOK_BACK, self.until, physical_filter or None,
                algorithm=algorithm_of(group.calib_type),
            )  # fmt: skip
        except DAMAGE as error:
            self.damaged.append(
                f"the past of detector {detector} in {group.kind} exposures cannot be read "
                f"({type(error).__name__}: {error}): since when it fails, and its trend, are "
                "those of the report alone"
            )

    def dated(self, groups: Sequence[Group]) -> tuple[Group, ...]:
        """Return the groups with the time since when each finding stands."""
        return tuple(
            replace(group, findings=tuple(self._dated(group, one) for one in group.findings))
            for group in groups
        )

    def trends(self, groups: Sequence[Group], alarms: Sequence[Numbered]) -> tuple[Trend, ...]:
        """Return the trends of the worst findings, with what happened on the way."""
        found: list[Trend] = []
        for group, finding in in_turn(groups):
            points = self._points(group, finding) if len(found) < MOST_TRENDS else ()
            if points:
                events = [*self._events(group, finding), *_alarms(finding, alarms)]
                events.sort(key=lambda event: event.at)
                found.append(
                    Trend(group.kind, group.test, finding.part, group.unit, points, tuple(events))
                )
        return tuple(found)

    def _dated(self, group: Group, finding: Finding) -> Finding:
        at = finding.first.end_utc
        points = self._points(group, finding)
        if at is None or not points:
            return finding
        since, at_least = begin_of_row(points, finding.first)
        return replace(finding, since=since, at_least=at_least)

    def _events(self, group: Group, finding: Finding) -> list[Event]:
        """Return when the certified chain and the sequencer of a detector changed."""
        if self.until is None or finding.detector is None:
            return []
        changes = chain_changes(
            self.ledger, self.instrument, finding.detector, group.calib_type,
            self.until - LOOK_BACK, self.until,
        )  # fmt: skip
        found = [
            Event(change.at, "calibration", f"another {', '.join(change.changed)}")
            for change in changes
        ]
        known = [one for one in self._read[group.kind, finding.detector] if one.end_utc]
        for before, after in pairwise(known):
            if before.brief.sequencer != after.brief.sequencer and after.end_utc:
                found.append(Event(after.end_utc, "sequencer", after.brief.sequencer or "unknown"))
        return found

    def _points(self, group: Group, finding: Finding) -> tuple[Point, ...]:
        if finding.detector is None:
            return ()
        known = self._read.get((group.kind, finding.detector), [])
        found = (_point(one, group.test, finding.amp) for one in known)
        return tuple(point for point in found if point is not None)


def in_turn(groups: Sequence[Group]) -> Iterable[tuple[Group, Finding]]:
    """Give the worst finding of each group, then the second worst of each, and so on."""
    for place in range(max((len(group.findings) for group in groups), default=0)):
        for group in groups:
            if place < len(group.findings):
                yield group, group.findings[place]


def begin_of_row(points: Sequence[Point], first: Moment) -> tuple[Moment, bool]:
    """Return where the unbroken row of failures that leads to an exposure begins.

    Parameters
    ----------
    points
        Oldest first.
    first
        The exposure.

    Returns
    -------
    tuple
        The beginning, and whether nothing good is known before it. What is UNKNOWN breaks no row.
    """
    since = first
    earlier = [p for p in points if first.end_utc is not None and p.end_utc < first.end_utc]
    for point in reversed(earlier):
        letter = point.outcome.upper()
        if letter in (PASS, WARNING):
            return since, False
        if letter == FAIL:
            since = Moment(point.exposure_id, point.end_utc)
    return since, True


def _alarms(finding: Finding, alarms: Sequence[Numbered]) -> list[Event]:
    return [
        Event(one.alarm.since, "alarm", f"alarm {one.alarm_id}: {one.alarm.reason}")
        for one in alarms
        if finding.part in one.alarm.members
    ]


def _point(one: JudgedBrief, test: str, amp: str) -> Point | None:
    tests = one.brief.tests if amp else one.brief.detector_tests
    known: BriefTest | None = tests.get(test)
    if known is None or one.end_utc is None or (amp and amp not in one.brief.amps):
        return None
    place = one.brief.amps.index(amp) if amp else 0
    if known.outcomes[place] == ABSENT:
        return None
    return Point(
        one.exposure_id,
        one.end_utc,
        known.values[place],
        (known.lower[place], known.upper[place]),
        known.outcomes[place],
    )
