"""Looking after what was announced: files not there yet, exposures that stay incomplete."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from calwatch.arrivals.completeness import finding, missing_of
from calwatch.arrivals.model import Notice, OpenExpectation
from calwatch.arrivals.source import Arrival
from calwatch.camera.model import Camera
from calwatch.service.judging import RepositoryLike
from calwatch.service.lifecycle import Clock
from calwatch.settings import RetrySettings

FORGET_AFTER = timedelta(days=1)
"""A file that was announced and is not in the Butler after so long is given up."""

ASKED_AT_ONCE = 100
"""Exposures asked for in one round; the others have their turn in the next."""

Line = dict[str, object]


class InboxLike(Protocol):
    """What is asked of the inbox (`calwatch.ledger.inbox.LedgerInbox` is one)."""

    def waiting(self, instrument: str) -> list[int]:
        """Return the exposures of which something was announced and is not judged."""
        ...

    def unsettled(
        self, instrument: str, exposure_ids: Collection[int] | None = None
    ) -> list[Notice]:
        """Return what was announced and is not judged."""
        ...

    def settle(self, instrument: str) -> int:
        """Drop the notices of what is judged."""
        ...

    def drop(self, instrument: str, exposure_id: int, detectors: Collection[int]) -> None:
        """Drop notices of one exposure."""
        ...

    def forget_before(self, when: datetime) -> list[Notice]:
        """Drop and return the notices of before a time."""
        ...

    def due(self, now: datetime, instrument: str) -> list[OpenExpectation]:
        """Return the expectations whose time has come and that are not known to be complete."""
        ...

    def close(self, expectation_id: int, missing: Sequence[int], at: datetime) -> bool:
        """Write down what is missing; tell whether that is news."""
        ...


@dataclass(slots=True)
class Report:
    """What one round of watching found."""

    arrivals: list[Arrival] = field(default_factory=list)
    """Exposures with files that were announced and are in the Butler now."""
    lines: list[Line] = field(default_factory=list)
    """What is to be logged."""


class Watch:
    """Asks the inbox and the Butler, again and again.

    A notice is kept until the Butler has its file: from then on it is the Butler that remembers.
    So the files of exposures that are none of ours are soon forgotten, too.

    Parameters
    ----------
    inbox
        What was announced.
    cameras
        By instrument: those that are watched.
    retry
        How soon to look again for a file that is not there yet.
    clock
        The time.
    seconds
        Between two rounds.
    """

    def __init__(
        self,
        inbox: InboxLike,
        cameras: Mapping[str, Camera],
        retry: RetrySettings,
        clock: Clock,
        seconds: float = 2.0,
    ) -> None:
        self._inbox = inbox
        self._cameras = cameras
        self._retry = retry
        self._clock = clock
        self.seconds = seconds
        self._late: dict[tuple[str, int], tuple[int, float]] = {}

    def report(self, repository: RepositoryLike) -> Report:
        """Ask once. To be called in the thread that speaks to the Butler.

        Raises
        ------
        WaitError
            If the ledger or the Butler is out of reach.
        """
        report = Report()
        for notice in self._inbox.forget_before(self._clock.now() - FORGET_AFTER):
            report.lines.append(
                {
                    "event": "announced file never came",
                    "instrument": notice.instrument,
                    "exposure": notice.exposure_id,
                    "detector": notice.detector,
                    "reason": notice.text,
                }
            )
        for instrument, camera in self._cameras.items():
            self._inbox.settle(instrument)
            self._see_what_came(repository, instrument, report)
            self._see_what_is_missing(repository, camera, report)
        return report

    def _see_what_came(self, repository: RepositoryLike, instrument: str, report: Report) -> None:
        due = self._due(instrument, self._inbox.waiting(instrument))
        if not due:
            return
        announced: dict[int, set[int]] = {}
        for notice in self._inbox.unsettled(instrument, due):
            announced.setdefault(notice.exposure_id, set()).add(notice.detector)
        came: dict[int, set[int]] = {}
        for raw in repository.raws(instrument, due):
            if raw.detector in announced.get(raw.exposure_id, ()):
                came.setdefault(raw.exposure_id, set()).add(raw.detector)
        for exposure_id, detectors in sorted(came.items()):
            report.arrivals.append(Arrival(instrument, exposure_id))
            self._inbox.drop(instrument, exposure_id, detectors)

    def _due(self, instrument: str, announced: Collection[int]) -> list[int]:
        """Return the exposures to ask for now, each less often the longer it is late."""
        now = self._clock.monotonic()
        others = {key: late for key, late in self._late.items() if key[0] != instrument}
        mine = {(instrument, e): self._late.get((instrument, e), (0, now)) for e in announced}
        self._late = {**others, **mine}
        due = sorted(key for key, (_times, at) in mine.items() if at <= now)[:ASKED_AT_ONCE]
        for key in due:
            times = mine[key][0] + 1
            self._late[key] = (times, now + self._retry.wait(times))
        return [exposure_id for _instrument, exposure_id in due]

    def _see_what_is_missing(
        self,
        repository: RepositoryLike,
        camera: Camera,
        report: Report,
    ) -> None:
        now = self._clock.now()
        for due in self._inbox.due(now, camera.instrument):
            expected = due.expectation
            raws = repository.raws(camera.instrument, [expected.exposure_id])
            missing = missing_of(expected, {raw.detector for raw in raws})
            if not self._inbox.close(due.expectation_id, missing, now):
                continue
            failures = {
                notice.detector: notice.text
                for notice in self._inbox.unsettled(camera.instrument, [expected.exposure_id])
                if notice.status != 0
            }
            report.lines.append(
                {
                    "event": "exposure incomplete" if missing else "exposure complete now",
                    "instrument": camera.instrument,
                    "exposure": expected.exposure_id,
                    "type": expected.calib_type,
                    "expected": len(expected.expected),
                    "missing": list(missing),
                    "reason": finding(expected, missing, camera, failures),
                }
            )
