"""Looking after what was announced: files not there yet, exposures that stay incomplete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from calwatch.arrivals.model import Expectation, Notice, OpenExpectation
from calwatch.arrivals.source import Arrival
from calwatch.service.judging import RepositoryLike
from calwatch.service.lifecycle import Clock
from calwatch.settings import RetrySettings

FORGET_AFTER = timedelta(days=1)
"""A file that was announced and is not in the Butler after so long is given up."""


class InboxLike(Protocol):
    """What is asked of the inbox (`calwatch.ledger.inbox.LedgerInbox` is one)."""

    def unsettled(self, instrument: str) -> list[Notice]:
        """Return what was announced and is not judged."""
        ...

    def settle(self, instrument: str) -> int:
        """Drop the notices of what is judged."""
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


@dataclass(frozen=True, slots=True)
class Finding:
    """An exposure that is not complete after the time allowed, or is complete at last."""

    expectation: Expectation
    missing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What one round of watching found."""

    waiting: tuple[Notice, ...]
    """Announced, ingested by its own word, and not judged."""
    findings: tuple[Finding, ...]
    given_up: tuple[Notice, ...]

    def lines(self) -> list[dict[str, object]]:
        """Return what is to be logged."""
        lines: list[dict[str, object]] = []
        for finding in self.findings:
            expectation = finding.expectation
            lines.append(
                {
                    "event": "exposure incomplete" if finding.missing else "exposure complete now",
                    "instrument": expectation.instrument,
                    "exposure": expectation.exposure_id,
                    "type": expectation.calib_type,
                    "expected": len(expectation.expected),
                    "missing": list(finding.missing),
                }
            )
        for notice in self.given_up:
            lines.append(
                {
                    "event": "announced file never came",
                    "instrument": notice.instrument,
                    "exposure": notice.exposure_id,
                    "detector": notice.detector,
                    "reason": notice.text,
                }
            )
        return lines


class Watch:
    """Asks the inbox and the Butler, again and again.

    `report` speaks to ledger and Butler and is called in the Butler's thread; `again` belongs to
    the event loop.

    Parameters
    ----------
    inbox
        What was announced.
    instruments
        Which are watched.
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
        instruments: Sequence[str],
        retry: RetrySettings,
        clock: Clock,
        seconds: float = 2.0,
    ) -> None:
        self._inbox = inbox
        self._instruments = instruments
        self._retry = retry
        self._clock = clock
        self.seconds = seconds
        self._late: dict[tuple[str, int], tuple[int, float]] = {}

    def report(self, repository: RepositoryLike) -> Report:
        """Drop the notices of what is judged, and see what is late or missing.

        Raises
        ------
        WaitError
            If the ledger or the Butler is out of reach.
        """
        now = self._clock.now()
        given_up = self._inbox.forget_before(now - FORGET_AFTER)
        waiting: list[Notice] = []
        findings: list[Finding] = []
        for instrument in self._instruments:
            self._inbox.settle(instrument)
            waiting += [n for n in self._inbox.unsettled(instrument) if n.status == 0]
            for due in self._inbox.due(now, instrument):
                expectation = due.expectation
                raws = repository.raws(instrument, [expectation.exposure_id])
                present = {raw.detector for raw in raws}
                missing = tuple(d for d in expectation.expected if d not in present)
                if self._inbox.close(due.expectation_id, missing, now):
                    findings.append(Finding(expectation, missing))
        return Report(tuple(waiting), tuple(findings), tuple(given_up))

    def again(
        self, waiting: Sequence[Notice], in_hand: Callable[[str, int, int], bool], now: float
    ) -> list[Arrival]:
        """Return the exposures to look at again now, each less often the longer it is late.

        Parameters
        ----------
        waiting
            Of the last report.
        in_hand
            Tells whether a detector is being judged.
        now
            Monotonic seconds.
        """
        late = {
            (n.instrument, n.exposure_id)
            for n in waiting
            if not in_hand(n.instrument, n.exposure_id, n.detector)
        }
        self._late = {key: self._late.get(key, (1, now)) for key in late}
        due = [key for key, (_times, at) in self._late.items() if at <= now]
        for key in due:
            times = self._late[key][0]
            self._late[key] = (times + 1, now + self._retry.wait(times))
        return [Arrival(instrument, exposure_id) for instrument, exposure_id in sorted(due)]
