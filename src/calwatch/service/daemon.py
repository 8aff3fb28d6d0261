"""The daemon: look at what is missing, have it judged, record it, and look again.

Nothing is remembered that the Butler and the ledger do not say. Whenever it is stopped, killed or
cut off, the next look finds exactly what remains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import structlog

from calwatch.arrivals.interval import IntervalSource
from calwatch.arrivals.job import Job
from calwatch.arrivals.source import ArrivalSource
from calwatch.butler.model import ExposureRecord
from calwatch.errors import CalwatchError, RecordError, WaitError
from calwatch.ledger.store import Ledger
from calwatch.service.exposures import Bookkeeper
from calwatch.service.judging import JudgeFactory, RepositoryLike
from calwatch.service.lifecycle import Clock, Stop, SystemClock, stopped_by_signals
from calwatch.service.looking import ExposureInHand, look
from calwatch.service.pool import PoolError, PoolPlan, WorkerPool
from calwatch.service.progress import (
    Event,
    JobDelayed,
    JobDone,
    Listener,
    Looked,
    RunSummary,
    Waiting,
)
from calwatch.service.retries import Retries
from calwatch.settings import Settings
from calwatch.verify.model import DetectorResult

T = TypeVar("T")
JOBS_PER_WORKER = 8
"""Jobs handed to the pool at once, each worker: enough for affinity, little enough for memory."""


class StoppedError(CalwatchError):
    """The daemon was asked to stop while it waited."""


class Daemon:
    """Judges all that is missing, oldest first, for as long as it runs.

    Parameters
    ----------
    settings
        What the deployment sets.
    repository
        Whom to ask what exists; used by one thread only.
    ledger
        Where judgements are kept.
    judging
        Who judges.
    sources
        What wakes the daemon sooner than its interval.
    clock
        The time.
    on_event
        Called in the event loop for every `calwatch.service.progress.Event`.
    rejudge
        Do again what has PASS or FAIL, where the certified chain has changed since.
    """

    def __init__(
        self,
        settings: Settings,
        repository: RepositoryLike,
        ledger: Ledger,
        judging: JudgeFactory,
        *,
        sources: Sequence[ArrivalSource] = (),
        clock: Clock | None = None,
        on_event: Listener | None = None,
        rejudge: bool = False,
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._ledger = ledger
        self._judging = judging
        self._sources = (IntervalSource(settings.interval_seconds), *sources)
        self._clock = clock or SystemClock()
        self._listener = on_event
        self._rejudge = rejudge
        self._log = structlog.get_logger("calwatch")
        self._summary = RunSummary()
        self._stop = Stop()
        self._wake = asyncio.Event()
        self._retries = Retries(settings.retry)
        self._last_recheck: float | None = None
        plan = PoolPlan(
            judging.work,
            judging.initializer,
            judging.arguments,
            settings.workers,
            settings.timeouts.job_seconds,
            settings.timeouts.start_seconds,
        )
        self._pool = WorkerPool(plan, lambda job: job.detector)
        self._room = asyncio.Semaphore(settings.workers * JOBS_PER_WORKER)
        self._ledger_turn = asyncio.Lock()
        self._butler_thread = ThreadPoolExecutor(1, thread_name_prefix="calwatch-butler")
        self._ledger_thread = ThreadPoolExecutor(1, thread_name_prefix="calwatch-ledger")

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that live now."""
        return self._pool.pids

    def stop(self) -> None:
        """Ask to stop, as SIGTERM does; a second time: at once."""
        self._stop.ask()

    async def run(self, once: bool = False) -> RunSummary:
        """Run until told to stop, or (``once``) until nothing is missing.

        Parameters
        ----------
        once
            End when every exposure is judged. What is out of reach is then given up after
            ``settings.retry.attempts`` attempts, where otherwise it is waited for.

        Raises
        ------
        StopError
            If the workers cannot be set up (limits, camera).
        WaitError
            With ``once``, if the Butler or the ledger stays out of reach.
        """
        began = self._clock.monotonic()
        with stopped_by_signals(self._stop):
            pumps = [asyncio.create_task(self._pump(source)) for source in self._sources]
            try:
                await self._unless_stopped(asyncio.create_task(self._pool.start()))
                await self._loop(once)
            except StoppedError:
                pass
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                await self._pool.close()
                self._butler_thread.shutdown(wait=False, cancel_futures=True)
                self._ledger_thread.shutdown(wait=False, cancel_futures=True)
        self._summary.stopped = self._stop.asked
        self._summary.seconds = self._clock.monotonic() - began
        return self._summary

    async def _loop(self, once: bool) -> None:
        attempts = self._settings.retry.attempts if once else None
        while not self._stop.asked:
            self._wake.clear()
            found = await self._patiently(self._look, attempts)
            now = self._clock.monotonic()
            ready = self._retries.ready(found, now)
            self._tell(Looked(len(ready), sum(len(hand.jobs) for hand in ready)))
            if ready:
                await self._work(ready, attempts)
                if once:
                    continue
            pause = self._retries.next_in(self._clock.monotonic())
            if once and pause is None:
                return
            await self._idle(pause)

    async def _idle(self, pause: float | None) -> None:
        """Wait to be woken, for the next attempt that is due, or for the order to stop."""
        waits: list[asyncio.Future[Any]] = [
            asyncio.create_task(self._wake.wait()),
            asyncio.create_task(self._stop.wait()),
        ]
        await _first(*waits, seconds=pause)
        for task in waits:
            task.cancel()

    async def _pump(self, source: ArrivalSource) -> None:
        """Let a source wake the daemon; start it again if it ends or fails."""
        failures = 0
        while True:
            try:
                async for _arrival in source.arrivals():
                    failures = 0
                    self._wake.set()
            except Exception as error:
                self._log.warning("source failed", source=source.name, reason=str(error))
            failures += 1
            await asyncio.sleep(self._settings.retry.wait(failures))

    async def _look(self) -> list[ExposureInHand]:
        now = self._clock.monotonic()
        last, every = self._last_recheck, self._settings.recheck_unknown_seconds
        recheck = last is None or now - last >= every
        question = partial(
            look,
            self._repository,
            self._ledger,
            self._judging,
            self._settings,
            self._clock.now(),
            recheck_unknown=recheck,
            rejudge=self._rejudge,
        )
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(self._butler_thread, question)
        answer = await self._unless_stopped(asked)
        if recheck:
            self._last_recheck = now
        return answer

    async def _unless_stopped(self, answer: asyncio.Future[T]) -> T:
        """Wait for something that cannot be hurried, but not once asked to stop."""
        stop = asyncio.create_task(self._stop.wait())
        try:
            await _first(answer, stop)
            if not answer.done():
                answer.add_done_callback(lambda late: late.cancelled() or late.exception())
                raise StoppedError("stopped while waiting for the Butler or the workers")
            return answer.result()
        finally:
            stop.cancel()

    async def _patiently(self, ask: Callable[[], Awaitable[T]], attempts: int | None) -> T:
        """Ask until there is an answer; wait longer after each time something is out of reach."""
        failures = 0
        while True:
            try:
                return await ask()
            except WaitError as error:
                failures += 1
                if attempts is not None and failures >= attempts:
                    raise
                seconds = self._settings.retry.wait(failures)
                self._log.warning("out of reach", reason=str(error), again_in_seconds=seconds)
                self._tell(Waiting(str(error), seconds))
                if await self._stop.sleep(seconds):
                    raise StoppedError(f"stopped while out of reach: {error}") from error

    async def _work(self, hands: Sequence[ExposureInHand], attempts: int | None) -> None:
        """Have all jobs done, and finish each exposure when its last detector is in."""
        books = Bookkeeper(
            self._ledger, self._judging, self._clock, self._summary, self._log, self._tell
        )
        tasks: set[asyncio.Task[None]] = set()
        with self._gathering(tasks) as start:
            for hand in hands:
                books.open(hand)
                if not hand.jobs:
                    start(self._finish(books, hand.record, attempts))
                for job in hand.jobs:
                    if not await self._has_room():
                        break
                    start(self._one(books, job, attempts))
                if self._stop.asked:
                    break
            await self._drain(tasks)

    @contextmanager
    def _gathering(
        self, tasks: set[asyncio.Task[None]]
    ) -> Iterator[Callable[[Awaitable[None]], None]]:
        """Start tasks; whatever still runs when an error ends the work is cancelled."""

        async def run(work: Awaitable[None]) -> None:
            await work

        def start(work: Awaitable[None]) -> None:
            tasks.add(asyncio.create_task(run(work)))

        try:
            yield start
        finally:
            for task in tasks:
                task.cancel()

    async def _has_room(self) -> bool:
        """Wait until the pool may be given another job; False once asked to stop."""
        if self._stop.asked:
            return False
        room = asyncio.create_task(self._room.acquire())
        stop = asyncio.create_task(self._stop.wait())
        await _first(room, stop)
        stop.cancel()
        if self._stop.asked:
            if not room.cancel():
                self._room.release()
            return False
        return True

    async def _drain(self, tasks: set[asyncio.Task[None]]) -> None:
        """Wait for all tasks; once asked to stop, only for as long as the settings allow."""
        if not tasks:
            return
        all_done = asyncio.gather(*tasks)
        stop = asyncio.create_task(self._stop.wait())
        await _first(all_done, stop)
        stop.cancel()
        if not self._stop.asked:
            await all_done
            return
        self._pool.drop_waiting()
        at_once = asyncio.create_task(self._stop.wait_at_once())
        await _first(all_done, at_once, seconds=self._settings.timeouts.shutdown_seconds)
        at_once.cancel()
        if not all_done.done():
            self._summary.abandoned += sum(not task.done() for task in tasks)
            all_done.cancel()
        await asyncio.gather(all_done, return_exceptions=True)

    async def _one(self, books: Bookkeeper, job: Job, attempts: int | None) -> None:
        """Have one job done and recorded. No error but one of the ledger leaves here."""
        try:
            try:
                outcome = await self._pool.run(job)
            finally:
                self._room.release()
            self._summary.worker_deaths += outcome.deaths
            result: DetectorResult
            if outcome.error is None:
                result = outcome.result
            elif self._retries.again(job, outcome.error, self._clock.monotonic()):
                self._delay(job, outcome.error)
                return
            else:
                if outcome.trace:
                    self._log.error("job failed", **_names(job), trace=outcome.trace)
                result = self._judging.unknown(job, self._retries.reason(job, outcome.error))
            await self._record(books, job, result, outcome.seconds, attempts)
        except (PoolError, StoppedError):
            self._summary.abandoned += 1
        except WaitError:
            raise
        except Exception as error:
            self._log.exception("job cannot be recorded", **_names(job), reason=str(error))
            self._retries.give_up(job)

    def _delay(self, job: Job, error: CalwatchError) -> None:
        seconds = self._retries.wait(job)
        self._summary.delayed += 1
        self._log.info("job delayed", **_names(job), reason=str(error), again_in_seconds=seconds)
        self._tell(JobDelayed(job, str(error), seconds))

    async def _record(
        self,
        books: Bookkeeper,
        job: Job,
        result: DetectorResult,
        seconds: float,
        attempts: int | None,
    ) -> None:
        try:
            await self._keep(partial(books.record, job, result), attempts)
        except RecordError as error:
            result = self._judging.unknown(job, str(error))
            await self._keep(partial(books.record, job, result), attempts)
        self._retries.forget(job)
        self._summary.detectors[result.verdict] += 1
        self._tell(JobDone(job, result, seconds))
        if books.check_off(job, seconds):
            await self._finish(books, job.exposure, attempts)

    async def _finish(
        self, books: Bookkeeper, record: ExposureRecord, attempts: int | None
    ) -> None:
        """Merge and record an exposure whose detectors are all in."""
        try:
            judged = await self._keep(partial(books.finish, record), attempts)
        except (WaitError, StoppedError):
            raise
        except Exception as error:
            self._log.exception(
                "exposure cannot be merged",
                instrument=record.instrument,
                exposure=record.exposure_id,
                reason=str(error),
            )
            self._retries.give_up_merging(record)
        else:
            if judged is not None:
                books.announce(judged)

    async def _keep(self, write: Callable[[], T], attempts: int | None) -> T:
        """Do something with the ledger in its own thread, until it succeeds."""
        loop = asyncio.get_running_loop()

        async def ask() -> T:
            return await loop.run_in_executor(self._ledger_thread, write)

        async with self._ledger_turn:  # one at a time, so that an outage is told of once
            return await self._patiently(ask, attempts)

    def _tell(self, event: Event) -> None:
        if self._listener is not None:
            with suppress(Exception):  # who only watches must not stop the work
                self._listener(event)


async def _first(*waits: asyncio.Future[Any], seconds: float | None = None) -> None:
    """Wait until one of these is done, or for so long."""
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def _names(job: Job) -> dict[str, object]:
    return {
        "instrument": job.exposure.instrument,
        "exposure": job.exposure.exposure_id,
        "detector": job.detector,
        "type": job.calib_type,
    }
