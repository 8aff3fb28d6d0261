"""The daemon: look at what is missing, have it judged, record it, and look again.

Nothing is remembered that the Butler and the ledger do not say. Whenever it is stopped, killed or
cut off, the next look finds exactly what remains.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import structlog

from calwatch.arrivals.interval import IntervalSource
from calwatch.arrivals.job import Job
from calwatch.arrivals.reconcile import age
from calwatch.arrivals.source import Arrival, ArrivalSource
from calwatch.ledger.store import Ledger
from calwatch.service.doing import Doer, Performer, telling
from calwatch.service.exposures import Bookkeeper
from calwatch.service.judging import JudgeFactory, RepositoryLike
from calwatch.service.lifecycle import (
    Clock,
    Stop,
    SystemClock,
    reloaded_by_hangup,
    stopped_by_signals,
)
from calwatch.service.looking import ExposureInHand, look
from calwatch.service.looking_sets import look_for_sets
from calwatch.service.numbers import with_numbers
from calwatch.service.patience import Desk, Patience, StoppedError, first
from calwatch.service.pool import worker_pool
from calwatch.service.progress import Listener, Load, Looked, RunSummary
from calwatch.service.retries import Retries
from calwatch.service.wakes import Wakes
from calwatch.service.watch import Watch
from calwatch.settings import Settings

JOBS_PER_WORKER = 8
"""Jobs handed to the pool at once, each worker: enough for affinity, little enough for memory."""

COMPANION_SECONDS = 6.0
"""What runs beside the daemon may take so long to end."""

Companion: TypeAlias = Callable[[asyncio.Event], Awaitable[None]]
"""Runs beside the daemon until the event is set, such as what publishes."""

Reload: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Reads again what may change while the daemon runs."""


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
    companions
        What runs beside it. One that fails is logged and started again.
    watch
        Looks after what was announced and has not come; None where nothing announces.
    performer
        Has the jobs done; a pool of worker processes if None.
    jobs_ahead
        Jobs handed out at once; a few for each worker if None.
    clock
        The time.
    on_event
        Called in the event loop for every `calwatch.service.progress.Event`.
    rejudge
        Do again what has PASS or FAIL, where the certified chain has changed since.
    reload
        Called on SIGHUP.
    """

    def __init__(
        self,
        settings: Settings,
        repository: RepositoryLike,
        ledger: Ledger,
        judging: JudgeFactory,
        *,
        sources: Sequence[ArrivalSource] = (),
        companions: Sequence[Companion] = (),
        watch: Watch | None = None,
        performer: Performer | None = None,
        jobs_ahead: int | None = None,
        clock: Clock | None = None,
        on_event: Listener | None = None,
        rejudge: bool = False,
        reload: Reload | None = None,
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._ledger = ledger
        self._judging = judging
        self._sources = (IntervalSource(settings.interval_seconds), *sources)
        self._companions = companions
        self._watch = watch
        self._clock = clock or SystemClock()
        self._tell = telling(on_event)
        self._rejudge = rejudge
        self._reload = reload
        self._log = structlog.get_logger("calwatch")
        self._summary = RunSummary()
        self._stop = Stop()
        self._wakes = Wakes()
        self._retries = Retries(settings.retry)
        self._last_recheck: float | None = None
        self._performer = performer or worker_pool(settings, judging)
        self._room = asyncio.Semaphore(jobs_ahead or settings.workers * JOBS_PER_WORKER)
        self._butler, self._clerk = Desk("butler"), Desk("ledger")
        self._books = Bookkeeper(ledger, judging, self._clock, self._summary, self._log, self._tell)
        self._queue: list[tuple[tuple[int, ...], Job]] = []
        self._queued = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: Exception | None = None
        self._failed = asyncio.Event()

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that live now."""
        return self._performer.pids

    @property
    def load(self) -> Load:
        """What lies with the daemon just now; may be asked from any thread."""
        waiting, running = len(self._queue), len(self._tasks)
        return Load(waiting, running, self._books.in_hand, len(self.worker_pids))

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
        attempts = self._settings.retry.attempts if once else None
        patience = Patience(self._stop, self._settings.retry, attempts, self._log, self._tell)
        with stopped_by_signals(self._stop), reloaded_by_hangup(self._reload):
            pumps = [asyncio.create_task(self._pump(source)) for source in self._sources]
            ending = asyncio.Event()
            beside = [
                asyncio.create_task(self._kept_up(partial(companion, ending)))
                for companion in self._companions
            ]
            try:
                await patience.ask(partial(self._start_workers, patience))
                await self._judge(patience, once)
            except StoppedError:
                pass
            finally:
                await _cancelled(pumps)
                ending.set()
                if beside:
                    await asyncio.wait(beside, timeout=None if once else COMPANION_SECONDS)
                await _cancelled(beside)
                await self._performer.close()
                self._butler.close()
                self._clerk.close()
        self._summary.stopped = self._stop.asked
        self._summary.seconds = self._clock.monotonic() - began
        return self._summary

    async def _start_workers(self, patience: Patience) -> None:
        await patience.unless_stopped(asyncio.create_task(self._performer.start()))

    async def _judge(self, patience: Patience, once: bool) -> None:
        """Look and have done what is found, until told to stop or, ``once``, nothing is left."""
        doer = Doer(
            self._performer,
            self._judging,
            self._clock,
            self._books,
            self._clerk,
            patience,
            partial(with_numbers, self._ledger),
            self._retries,
            self._summary,
            self._log,
            self._tell,
        )
        beside = [asyncio.create_task(self._feed(doer))]
        if self._watch is not None:
            watching = partial(self._keep_watch, self._watch, patience)
            beside.append(asyncio.create_task(self._kept_up(watching)))
        try:
            with suppress(StoppedError):
                await self._loop(doer, patience, once)
            beside[0].cancel()
            await self._drain()
        finally:
            await _cancelled([*beside, *self._tasks])

    async def _loop(self, doer: Doer, patience: Patience, once: bool) -> None:
        while not self._stop.asked:
            only = self._wakes.take()
            new = await self._look_once(doer, patience, only)
            if once:
                await self._finish_all()
                if new:
                    self._wakes.add(Arrival())
                    continue
            pause = self._retries.next_in(self._clock.monotonic())
            if once and pause is None:
                return
            await self._until(self._wakes.wait(), seconds=pause)
            if self._retries.next_in(self._clock.monotonic()) == 0:
                self._wakes.add(Arrival())

    async def _look_once(self, doer: Doer, patience: Patience, only: Any) -> bool:
        """Look, and queue up what is found; tell whether anything was.

        Sets come second: a single exposure does not wait until all have been looked through.
        """
        now = self._clock.monotonic()
        last, every = self._last_recheck, self._settings.recheck_unknown_seconds
        recheck = only is None and (last is None or now - last >= every)
        anything = False
        for question in (look, look_for_sets):
            began = self._clock.monotonic()
            found = await patience.ask(partial(self._ask, patience, question, only, recheck))
            new = self._books.take_in(self._retries.ready(found, self._clock.monotonic()))
            jobs = sum(len(hand.jobs) for hand in new)
            if jobs or question is look:
                self._tell(Looked(len(new), jobs, self._clock.monotonic() - began))
            for hand in new:
                self._queue_up(hand, doer)
            anything = anything or bool(new)
        if recheck:
            self._last_recheck = now
        return anything

    def _queue_up(self, hand: ExposureInHand, doer: Doer) -> None:
        if not hand.jobs:
            self._start(doer.finish(hand.record, hand.algorithm))
        for job in hand.jobs:
            self._retries.begin(job)
            heapq.heappush(self._queue, ((*age(job.exposure), job.detector, id(job)), job))
            self._queued.set()

    async def _until(self, *waits: Awaitable[Any], seconds: float | None = None) -> None:
        """Wait for one of these, for the order to stop, or for a failure, which is raised."""
        ends = (*waits, self._stop.wait(), self._failed.wait())
        tasks = [asyncio.ensure_future(end) for end in ends]
        try:
            await first(*tasks, seconds=seconds)
        finally:
            for task in tasks:
                task.cancel()
        if self._failure is not None:
            raise self._failure

    async def _finish_all(self) -> None:
        """Wait until all that is in hand is done, or for the order to stop."""
        while (self._queue or self._tasks) and not self._stop.asked:
            waits = [asyncio.wait(set(self._tasks))] if self._tasks else [asyncio.sleep(0.01)]
            await self._until(*waits)

    async def _pump(self, source: ArrivalSource) -> None:
        """Let a source wake the daemon; start it again if it ends or fails."""
        failures = 0
        while True:
            try:
                async for arrival in source.arrivals():
                    failures = 0
                    self._wakes.add(arrival)
            except Exception as error:
                self._log.warning("source failed", source=source.name, reason=str(error))
            failures += 1
            await asyncio.sleep(self._settings.retry.wait(failures))

    async def _kept_up(self, work: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await work()
                return
            except StoppedError:
                return
            except Exception as error:
                failures += 1
                self._log.exception("companion failed", reason=str(error))
            await asyncio.sleep(self._settings.retry.wait(failures))

    async def _keep_watch(self, watch: Watch, patience: Patience) -> None:
        """Wake the daemon for what was announced and has not come; tell what is missing."""
        question = partial(watch.report, self._repository)
        while not self._stop.asked:
            report = await patience.ask(lambda: self._butler.ask(question))
            for arrival in report.arrivals:
                self._wakes.add(arrival)
            for line in report.lines:
                self._log.warning(**line)
            await self._stop.sleep(watch.seconds)

    async def _ask(
        self, patience: Patience, question: Callable[..., Any], only: Any, recheck: bool
    ) -> list[ExposureInHand]:
        asked = partial(
            question,
            self._repository,
            self._ledger,
            self._judging,
            self._settings,
            self._clock.now(),
            only,
            recheck_unknown=recheck,
            rejudge=self._rejudge,
        )
        answer: list[ExposureInHand] = await patience.unless_stopped(self._butler.ask(asked))
        return answer

    async def _feed(self, doer: Doer) -> None:
        """Hand out what is queued, the oldest exposure first, as there is room."""
        while True:
            while not self._queue:
                self._queued.clear()
                await self._queued.wait()
            await self._room.acquire()
            _age, job = heapq.heappop(self._queue)
            self._start(doer.do(job, self._room.release))

    def _start(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as error:
                self._failure = self._failure or error
                self._failed.set()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        """Let what runs finish, for as long as the settings allow; abandon the rest."""
        self._performer.drop_waiting()
        self._summary.abandoned += len(self._queue)
        if not self._tasks:
            return
        all_done = asyncio.ensure_future(asyncio.wait(set(self._tasks)))
        at_once = asyncio.create_task(self._stop.wait_at_once())
        await first(all_done, at_once, seconds=self._settings.timeouts.shutdown_seconds)
        at_once.cancel()
        all_done.cancel()
        self._summary.abandoned += len(self._tasks)


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
