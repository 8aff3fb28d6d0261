"""Having one job done and recorded, whatever happens to it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from calwatch.arrivals.job import Job
from calwatch.butler.model import ExposureRecord
from calwatch.errors import RecordError, WaitError
from calwatch.service.exposures import Bookkeeper
from calwatch.service.judging import JudgeFactory
from calwatch.service.lifecycle import Clock
from calwatch.service.patience import Desk, Patience, StoppedError
from calwatch.service.pool import Outcome, PoolError
from calwatch.service.progress import Event, JobDelayed, JobDone, RunSummary
from calwatch.service.retries import Retries
from calwatch.verify.model import ALGORITHM, algorithm_of

T = TypeVar("T")

RECORD = "record"
"""The step of writing one result to the ledger, with its waits."""


class Performer(Protocol):
    """Whoever has jobs done: a pool of worker processes, or other hosts."""

    @property
    def wants_numbers(self) -> bool:
        """Whether a job needs the numbers of earlier judgements with it; hosts read the ledger."""
        ...

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers here."""
        ...

    async def start(self) -> None:
        """Get ready."""
        ...

    async def run(self, job: Job) -> Outcome:
        """Have one job done."""
        ...

    def drop_waiting(self) -> int:
        """Begin nothing more; return how many jobs were given up."""
        ...

    async def close(self) -> None:
        """End at once."""
        ...


class Doer:
    """Does jobs and finishes exposures; every error but one of the ledger ends here.

    Parameters
    ----------
    performer
        Judges.
    judging, clock
        As the daemon has them.
    books
        The exposures in hand.
    desk
        The thread in which the ledger is spoken to.
    patience
        For the ledger.
    complete
        Reads from the ledger what a job needs with it.
    retries
        What is to be tried again.
    summary, log, tell
        Where it is counted and told.
    """

    def __init__(
        self,
        performer: Performer,
        judging: JudgeFactory,
        clock: Clock,
        books: Bookkeeper,
        desk: Desk,
        patience: Patience,
        complete: Callable[[Job], Job],
        retries: Retries,
        summary: RunSummary,
        log: Any,
        tell: Callable[[Event], None],
    ) -> None:
        self._performer = performer
        self._judging = judging
        self._clock = clock
        self._books = books
        self._desk = desk
        self._patience = patience
        self._complete = complete
        self._retries = retries
        self._summary = summary
        self._log = log
        self._tell = tell

    async def do(self, job: Job, release: Callable[[], None]) -> None:
        """Have one job done and recorded, and its exposure finished if it was the last.

        Parameters
        ----------
        job
            What is in hand.
        release
            Called as soon as no worker is busy with it any more.

        Raises
        ------
        WaitError
            If the ledger is out of reach and patience ends.
        """
        try:
            try:
                outcome = await self._performer.run(await self._whole(job))
            finally:
                release()
            self._summary.worker_deaths += outcome.deaths
            if outcome.recorded is not None:
                self._summary.detectors[outcome.recorded] += 1
                await self._check_off(job, outcome.seconds)
            else:
                await self._take(job, outcome)
        except (PoolError, StoppedError):
            self._summary.abandoned += 1
        except WaitError:
            raise
        except Exception as error:
            self._log.exception("job cannot be recorded", **names(job), reason=str(error))
            self._retries.give_up(job)
            self._books.put_off(job)

    async def _whole(self, job: Job) -> Job:
        if not job.earlier or not self._performer.wants_numbers:
            return job
        return await self.keep(partial(self._complete, job))

    async def _take(self, job: Job, outcome: Outcome) -> None:
        failures = Counter(outcome.notes.failures)
        if outcome.error is None:
            result = outcome.result
        elif self._retries.again(job, outcome.error, self._clock.monotonic()):
            self._delay(job, outcome)
            return
        else:
            if outcome.trace:
                self._log.error("job failed", **names(job), trace=outcome.trace)
            failures[outcome.failure] += 1
            result = self._judging.unknown(job, self._retries.reason(job, outcome.error))
        began = time.perf_counter()
        try:
            await self.keep(partial(self._books.record, job, result))
        except RecordError as error:
            failures[type(error).__name__] += 1
            result = self._judging.unknown(job, str(error))
            await self.keep(partial(self._books.record, job, result))
        self._retries.forget(job)
        self._summary.detectors[result.verdict] += 1
        steps = {**outcome.notes.seconds, RECORD: time.perf_counter() - began}
        self._tell(JobDone(job, result, outcome.seconds, steps, failures, outcome.deaths))
        await self._check_off(job, outcome.seconds)

    async def _check_off(self, job: Job, seconds: float) -> None:
        if self._books.check_off(job, seconds):
            await self.finish(job.exposure, algorithm_of(job.calib_type))

    def _delay(self, job: Job, outcome: Outcome) -> None:
        reason = str(outcome.error)
        seconds = self._retries.wait(job)
        self._summary.delayed += 1
        self._books.put_off(job)
        self._log.info("job delayed", **names(job), reason=reason, again_in_seconds=seconds)
        self._tell(JobDelayed(job, reason, seconds, outcome.failure, outcome.deaths))

    async def finish(self, record: ExposureRecord, algorithm: str = ALGORITHM) -> None:
        """Merge and record an exposure, or a set, whose detectors are all in.

        Raises
        ------
        WaitError
            If the ledger is out of reach and patience ends.
        """
        began = time.perf_counter()
        try:
            judged = await self.keep(partial(self._books.finish, record, algorithm))
        except StoppedError:
            return
        except WaitError:
            raise
        except Exception as error:
            self._log.exception(
                "exposure cannot be merged",
                instrument=record.instrument,
                exposure=record.exposure_id,
                reason=str(error),
            )
            self._retries.give_up_merging(record, algorithm)
        else:
            if judged is not None:
                seconds = time.perf_counter() - began
                self._books.announce(replace(judged, merge_seconds=seconds))
        finally:
            self._books.close(record, algorithm)

    async def keep(self, write: Callable[[], T]) -> T:
        """Do something with the ledger in its own thread, until it succeeds."""
        return await self._patience.ask(lambda: self._desk.ask(write))


def telling(listener: Callable[[Event], None] | None) -> Callable[[Event], None]:
    """Return what passes events on: who only watches must not stop the work."""

    def tell(event: Event) -> None:
        if listener is not None:
            with suppress(Exception):
                listener(event)

    return tell


def names(job: Job) -> dict[str, object]:
    """Return what names a job in the log."""
    return {
        "instrument": job.exposure.instrument,
        "exposure": job.exposure.exposure_id,
        "detector": job.detector,
        "type": job.calib_type,
    }
