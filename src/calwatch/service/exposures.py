"""Keeping the books of the exposures in hand: which detectors are in, and the merged verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from calwatch.arrivals.job import Job
from calwatch.butler.model import ExposureRecord
from calwatch.ledger.sets import results_with_arrays
from calwatch.ledger.store import Ledger
from calwatch.service.judging import JudgeFactory
from calwatch.service.lifecycle import Clock
from calwatch.service.looking import ExposureInHand
from calwatch.service.progress import Event, ExposureJudged, RunSummary
from calwatch.verify.model import ALGORITHM, DetectorResult, algorithm_of

SHOWN_FAILURES = 5
"""Failures named in the log line of an exposure; the ledger has them all."""

_WITH_ARRAYS = algorithm_of("bias_stability")
"""All detectors are compared exposure by exposure, which takes their arrays."""

Key = tuple[str, int, str]
"""(instrument, exposure id, algorithm): a set is in hand beside its last exposure."""


@dataclass(slots=True)
class _Open:
    record: ExposureRecord
    expected: tuple[int, ...]
    seconds: float = 0.0
    waiting: set[int] = field(default_factory=set)
    put_off: set[int] = field(default_factory=set)


class Bookkeeper:
    """The exposures of which something is being done now.

    `record` and `finish` speak to the ledger and may be called in a thread; the rest belongs to
    the event loop.

    Parameters
    ----------
    ledger, judging, clock
        As the daemon has them.
    summary
        Counts what is merged.
    log
        A structlog logger.
    tell
        Takes every event.
    """

    def __init__(
        self,
        ledger: Ledger,
        judging: JudgeFactory,
        clock: Clock,
        summary: RunSummary,
        log: Any,
        tell: Callable[[Event], None],
    ) -> None:
        self._ledger = ledger
        self._judging = judging
        self._clock = clock
        self._summary = summary
        self._log = log
        self._tell = tell
        self._open: dict[Key, _Open] = {}

    def take_in(self, found: Iterable[ExposureInHand]) -> list[ExposureInHand]:
        """Begin or go on with exposures; return what of them is not in hand already."""
        new = []
        for hand in found:
            key = _key(hand.record, hand.algorithm)
            book = self._open.get(key)
            if book is None:
                book = self._open[key] = _Open(hand.record, hand.expected)
            elif not hand.jobs:
                continue  # It is merged when its last detector is in.
            book.record = hand.record
            book.expected = tuple(sorted({*book.expected, *hand.expected}))
            jobs = tuple(job for job in hand.jobs if job.detector not in book.waiting)
            detectors = {job.detector for job in jobs}
            book.waiting |= detectors
            book.put_off -= detectors
            if jobs or not hand.jobs:
                new.append(replace(hand, jobs=jobs))
        return new

    @property
    def in_hand(self) -> int:
        """Number of exposures of which something is being done."""
        return len(self._open)

    def record(self, job: Job, result: DetectorResult) -> bool:
        """Record one result."""
        return self._ledger.record(result, job.exposure, self._clock.now())

    def check_off(self, job: Job, seconds: float) -> bool:
        """Note that a detector is recorded; tell whether it was the exposure's last."""
        book = self._open[_key_of(job)]
        book.seconds += seconds
        book.waiting.discard(job.detector)
        return not book.waiting and not book.put_off

    def put_off(self, job: Job) -> None:
        """Note that a detector must wait for another attempt: its exposure is not finished."""
        book = self._open[_key_of(job)]
        book.waiting.discard(job.detector)
        book.put_off.add(job.detector)

    def finish(self, record: ExposureRecord, algorithm: str = ALGORITHM) -> ExposureJudged | None:
        """Merge all detectors of an exposure and record the verdict; None if it stood already."""
        book = self._open[_key(record, algorithm)]
        asked = (record.instrument, record.exposure_id, algorithm)
        if algorithm == _WITH_ARRAYS:
            recorded = results_with_arrays(self._ledger, *asked)
        else:
            recorded = self._ledger.results(*asked)
        merged = self._judging.merge(recorded.results, book.record)
        new = self._ledger.record_exposure(
            merged,
            book.record,
            self._clock.now(),
            expected=book.expected,
            last_judgement_id=recorded.last_judgement_id,
            algorithm=algorithm,
        )
        if not new:
            return None
        return ExposureJudged(book.record, merged, recorded.results, book.seconds)

    def close(self, record: ExposureRecord, algorithm: str = ALGORITHM) -> bool:
        """End with an exposure, unless more of it came while it was merged; tell which."""
        key = _key(record, algorithm)
        book = self._open.get(key)
        if book is not None and not book.waiting and not book.put_off:
            del self._open[key]
            return True
        return False

    def announce(self, judged: ExposureJudged) -> None:
        """Log the one line of an exposure, count it and tell of it."""
        merged, record = judged.merged, judged.exposure
        self._summary.exposures[merged.verdict] += 1
        self._log.info(
            "exposure judged",
            instrument=merged.instrument,
            exposure=merged.exposure_id,
            type=merged.calib_type,
            day_obs=record.day_obs,
            seq_num=record.seq_num,
            physical_filter=record.physical_filter,
            verdict=merged.verdict.value,
            reason=merged.reason,
            counts=dict(merged.counts),
            failures=list(merged.failures[:SHOWN_FAILURES]),
            more_failures=max(0, len(merged.failures) - SHOWN_FAILURES),
            seconds=round(judged.seconds, 3),
        )
        self._tell(judged)


def _key(record: ExposureRecord, algorithm: str) -> Key:
    return (record.instrument, record.exposure_id, algorithm)


def _key_of(job: Job) -> Key:
    return _key(job.exposure, algorithm_of(job.calib_type))
