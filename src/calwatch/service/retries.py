"""Which jobs are to be tried again, and when. Remembered only while the daemon runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import TypeAlias

from calwatch.arrivals.job import Job
from calwatch.butler.model import ExposureRecord
from calwatch.errors import CalwatchError, RetryError, WaitError
from calwatch.service.looking import ExposureInHand
from calwatch.settings import RetrySettings
from calwatch.verify.model import ALGORITHM

Key: TypeAlias = tuple[str, int, int, str]


def _key(job: Job) -> Key:
    return (job.exposure.instrument, job.exposure.exposure_id, job.detector, job.calib_type)


@dataclass(slots=True)
class _Failed:
    times: int
    due: float


class Retries:
    """The failures of this run of the daemon.

    Parameters
    ----------
    settings
        How often and how soon.
    """

    def __init__(self, settings: RetrySettings) -> None:
        self._settings = settings
        self._failed: dict[Key, _Failed] = {}
        self._given_up: set[Key] = set()
        self._unmergeable: set[tuple[str, int, str]] = set()

    def again(self, job: Job, error: CalwatchError, now: float) -> bool:
        """Count a failure; tell whether its cause may pass and another attempt is due later."""
        if not isinstance(error, RetryError | WaitError):
            return False
        failed = self._failed.setdefault(_key(job), _Failed(0, now))
        failed.times += 1
        failed.due = now + self._settings.wait(failed.times)
        return failed.times < self._settings.attempts

    def begin(self, job: Job) -> None:
        """Note that a job is in hand: no attempt is due until it has failed again."""
        failed = self._failed.get(_key(job))
        if failed is not None:
            failed.due = inf

    def wait(self, job: Job) -> float:
        """Return the seconds between the last failure and the next attempt."""
        return self._settings.wait(self._failed[_key(job)].times)

    def reason(self, job: Job, error: CalwatchError) -> str:
        """Return the error in words, and how often it was tried."""
        failed = self._failed.get(_key(job))
        return str(error) if failed is None else f"{error} (tried {failed.times} times)"

    def forget(self, job: Job) -> None:
        """Drop what is known of a job: it is recorded."""
        self._failed.pop(_key(job), None)

    def give_up(self, job: Job) -> None:
        """Leave a job alone until the daemon starts anew."""
        self._failed.pop(_key(job), None)
        self._given_up.add(_key(job))

    def give_up_merging(self, record: ExposureRecord, algorithm: str = ALGORITHM) -> None:
        """Do not merge an exposure again before a detector of it is judged anew."""
        self._unmergeable.add((record.instrument, record.exposure_id, algorithm))

    def ready(self, found: Iterable[ExposureInHand], now: float) -> list[ExposureInHand]:
        """Keep what may be done now: not what waits for its next attempt or was given up."""
        ready = []
        for hand in found:
            jobs = tuple(job for job in hand.jobs if self._may(job, now))
            record = hand.record
            key = (record.instrument, record.exposure_id, hand.algorithm)
            given_up = key in self._unmergeable
            if jobs or (not hand.jobs and not given_up):
                ready.append(replace(hand, jobs=jobs))
        return ready

    def _may(self, job: Job, now: float) -> bool:
        key = _key(job)
        failed = self._failed.get(key)
        return key not in self._given_up and (failed is None or failed.due <= now)

    def next_in(self, now: float) -> float | None:
        """Return the seconds until the next attempt is due; None if nothing waits for one."""
        due = min((failed.due for failed in self._failed.values()), default=inf)
        return None if due == inf else max(0.0, due - now)
