"""A pool of worker processes in which a detector always finds its calibrations warm.

Each worker serves one job at a time. A detector belongs to one worker (its *home*), which keeps
that detector's certified calibrations in memory. An idle worker helps another one out only where
that pays. A worker that dies is replaced and its job tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from calwatch.errors import CalwatchError, RecordError, StopError, WaitError
from calwatch.service.judging import JudgeFactory
from calwatch.service.notes import Notes
from calwatch.service.worker import Done, Failed, Ready, Renew, work_for_ever
from calwatch.settings import Settings
from calwatch.verify.model import Verdict

MOST_DEATHS = 3
"""A job that has killed so many workers is given up."""
HELP_FROM = 4
"""Jobs waiting at a busy worker from which on an idle one takes a detector it does not know."""


class PoolError(WaitError):
    """The pool was stopped before the job was done: it remains to be done."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job: a result or an error."""

    result: Any
    error: CalwatchError | None
    trace: str
    """Traceback of an unexpected error, for the log."""
    seconds: float
    """Wall time in the worker, all attempts."""
    deaths: int
    """Workers that died over it."""
    recorded: Verdict | None = None
    """The verdict, where whoever did the job has recorded it in the ledger already."""
    notes: Notes = field(default_factory=Notes)
    """What the worker noted."""

    @property
    def failure(self) -> str:
        """Name of the class of the error; ``Unexpected`` for one that is not ours."""
        return "Unexpected" if self.trace else type(self.error).__name__


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """How to make a worker, and how long to wait for it.

    ``work``, ``renew``, ``initializer``, its arguments, jobs and results cross a process border
    (pickle).
    """

    work: Callable[[Any], Any]
    initializer: Callable[..., None] | None = None
    arguments: tuple[Any, ...] = ()
    renew: Callable[..., None] | None = None
    """Takes new arguments in a worker that is set up already; without it, it is made anew."""
    workers: int = 1
    job_seconds: float = 600.0
    start_seconds: float = 120.0


class _DeadError(Exception):
    """The worker ended by itself or was killed."""


class _SlowError(Exception):
    """The worker did not answer in time."""


class _Slot:
    """One place in the pool: a worker process, made when needed. Used by one thread at a time."""

    def __init__(self, plan: PoolPlan, number: int) -> None:
        self._plan = plan
        self._number = number
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._stopped = False
        self._wanted = self._given = plan.arguments

    def renew(self, arguments: tuple[Any, ...]) -> None:
        """Have the worker take new arguments before its next job; may be called in any thread."""
        self._wanted = arguments

    def start(self) -> None:
        """Make the worker if there is none, and see that it has the newest arguments.

        Raises
        ------
        CalwatchError
            If its set-up failed.
        _DeadError, _SlowError
            If it did not become ready.
        """
        wanted = self._wanted
        alive = self._process is not None and self._process.is_alive()
        if not (alive and (wanted is self._given or self._renewed(wanted))):
            self._make(wanted)

    def _renewed(self, arguments: tuple[Any, ...]) -> bool:
        """Give a worker new arguments; tell whether it could take them."""
        if self._plan.renew is None or self._connection is None:
            return False
        try:
            self._connection.send(Renew(self._plan.renew, arguments))
            message = self._receive(self._plan.start_seconds)
        except (OSError, _DeadError, _SlowError):
            return False
        if isinstance(message, Ready):
            self._given = arguments
        return isinstance(message, Ready)

    def _make(self, arguments: tuple[Any, ...]) -> None:
        """Make a worker in place of the one that there may be."""
        self.kill()
        if self._stopped:
            raise _DeadError
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        plan = self._plan
        process = context.Process(
            target=work_for_ever,
            args=(theirs, plan.work, plan.initializer, arguments),
            name=f"calwatch-worker-{self._number}",
            daemon=True,
        )
        process.start()
        theirs.close()
        self._process, self._connection = process, ours
        if self._stopped:  # stopped while it was being made
            self.kill()
            raise _DeadError
        message = self._receive(plan.start_seconds)
        if isinstance(message, Failed):
            self.kill()
            raise message.error
        self._given = arguments

    def ask(self, job: Any) -> Done | Failed:
        """Have one job done.

        Raises
        ------
        _DeadError, _SlowError
            If the worker died, or was too slow (then it is killed).
        """
        self.start()
        if self._connection is None:
            raise _DeadError
        try:
            self._connection.send(job)
        except OSError as error:
            raise _DeadError from error
        message = self._receive(self._plan.job_seconds)
        if isinstance(message, Ready):
            raise _DeadError
        return message

    def _receive(self, seconds: float) -> Ready | Done | Failed:
        process, connection = self._process, self._connection
        if process is None or connection is None:
            raise _DeadError
        try:
            ready = wait([connection, process.sentinel], timeout=seconds)
            if not ready:
                self.kill()
                raise _SlowError
            if connection not in ready and not connection.poll():
                self.kill()
                raise _DeadError
            message: Ready | Done | Failed = connection.recv()
        except (EOFError, OSError) as error:
            self.kill()
            raise _DeadError from error
        return message

    def kill(self) -> None:
        """End the worker at once, if there is one."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if process is not None:
            process.kill()
            process.join()
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        """End the worker from another thread: whoever waits for it finds it dead."""
        self._stopped = True
        process = self._process
        if process is not None:
            with contextlib.suppress(ValueError):  # closed meanwhile
                process.kill()

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None once it has ended, whether that was seen or not."""
        process = self._process
        with contextlib.suppress(ValueError):  # closed meanwhile
            # The sentinel can be asked from any thread; is_alive() would reap the process.
            if process is not None and not wait([process.sentinel], timeout=0):
                return process.pid
        return None

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped


@dataclass(slots=True, eq=False)
class _Place:
    """A slot as the event loop sees it."""

    slot: _Slot
    busy: bool = False
    known: set[int] = field(default_factory=set)
    waiting: deque[tuple[Any, int, asyncio.Future[Outcome]]] = field(default_factory=deque)


class WorkerPool:
    """Worker processes with detector affinity.

    Parameters
    ----------
    plan
        What the workers do and how many there are.
    detector_of
        Tells which detector a job is of.
    """

    def __init__(self, plan: PoolPlan, detector_of: Callable[[Any], int]) -> None:
        self._plan = plan
        self._detector_of = detector_of
        self._places = [_Place(_Slot(plan, number)) for number in range(plan.workers)]
        self._threads = ThreadPoolExecutor(plan.workers, thread_name_prefix="calwatch-slot")
        self._starting: list[Future[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that live now."""
        found = [place.slot.pid for place in self._places]
        return [pid for pid in found if pid is not None]

    def begin(self) -> None:
        """Begin to make every worker, and do not wait: `start` does."""
        self._starting = [self._threads.submit(place.slot.start) for place in self._places]

    async def start(self) -> None:
        """Make every worker, so that a wrong configuration shows at once.

        Raises
        ------
        CalwatchError
            What the initializer raised.
        WaitError
            If a worker died or was not ready in time.
        """
        if not self._starting:
            self.begin()
        starting, self._starting = self._starting, []
        try:
            await asyncio.gather(*(asyncio.wrap_future(one) for one in starting))
        except (_DeadError, _SlowError) as error:
            words = "died" if isinstance(error, _DeadError) else "was not ready in time"
            raise WaitError(f"a worker process {words} while starting") from error

    def renew(self, arguments: tuple[Any, ...]) -> None:
        """Have every worker take new arguments, for all jobs that are begun from now on."""
        for place in self._places:
            place.slot.renew(arguments)

    @property
    def wants_numbers(self) -> bool:
        """Workers have no ledger."""
        return True

    async def run(self, job: Any) -> Outcome:
        """Have one job done and return what became of it; jobs are begun in the order given.

        Raises
        ------
        PoolError
            If the pool is stopped before the job is done.
        """
        if self._closed:
            raise PoolError("the worker pool is stopped")
        detector = self._detector_of(job)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._places[detector % len(self._places)].waiting.append((job, detector, future))
        self._dispatch()
        return await future

    def drop_waiting(self) -> int:
        """Give up the jobs that no worker has begun; return how many there were."""
        dropped = 0
        for place in self._places:
            while place.waiting:
                _job, _detector, future = place.waiting.popleft()
                if not future.done():
                    future.set_exception(PoolError("the worker pool is stopping"))
                    dropped += 1
        return dropped

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Take no more jobs, let running ones finish for so long, then end every worker."""
        self._closed = True
        self.drop_waiting()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for place in self._places:
            place.slot.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """End every worker at once."""
        for place in self._places:
            place.slot.stop()
        self._threads.shutdown()
        for place in self._places:
            place.slot.kill()

    def _dispatch(self) -> None:
        """Give every idle worker its next job."""
        for place in self._places:
            if place.busy or self._closed:
                continue
            taken = self._take(place)
            if taken is not None:
                place.busy = True
                task = asyncio.get_running_loop().create_task(self._serve(place, *taken))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _take(self, place: _Place) -> tuple[Any, int, asyncio.Future[Outcome]] | None:
        """Return the oldest job of an idle worker's own, else one it may help with."""
        if place.waiting:
            return place.waiting.popleft()
        for other in sorted(self._places, key=lambda p: -len(p.waiting)):
            if other.busy and other.waiting:
                known = other.waiting[0][1] in place.known
                if known or len(other.waiting) >= HELP_FROM:
                    return other.waiting.popleft()
        return None

    async def _serve(
        self, place: _Place, job: Any, detector: int, future: asyncio.Future[Outcome]
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            if future.done():  # whoever asked has gone
                return
            outcome = await loop.run_in_executor(self._threads, _do, place.slot, job, self._plan)
            place.known.add(detector)
            if not future.done():
                future.set_result(outcome)
        except Exception as error:
            if not future.done():
                future.set_exception(error)
        finally:
            place.busy = False
            self._dispatch()


def _do(slot: _Slot, job: Any, plan: PoolPlan) -> Outcome:
    """Have one job done, replacing a worker that dies. Runs in a thread."""
    began = time.monotonic()
    deaths = 0
    error: CalwatchError
    while True:
        try:
            answer = slot.ask(job)
        except _DeadError:
            if slot.stopped:
                raise PoolError("the worker pool was stopped while the job ran") from None
            deaths += 1
            if deaths < MOST_DEATHS:
                continue
            error = RecordError(f"worker died {deaths} times over this job")
        except _SlowError:
            error = RecordError(f"took longer than {plan.job_seconds:g} s and was ended")
        except StopError as wrong:  # a new worker could not be set up
            error = WaitError(f"a worker process cannot be set up: {wrong}")
        except CalwatchError as wrong:
            error = wrong
        else:
            seconds = time.monotonic() - began
            if isinstance(answer, Done):
                return Outcome(answer.result, None, "", seconds, deaths, notes=answer.notes)
            return Outcome(None, answer.error, answer.trace, seconds, deaths, notes=answer.notes)
        return Outcome(None, error, "", time.monotonic() - began, deaths)


def worker_pool(settings: Settings, judging: JudgeFactory) -> WorkerPool:
    """Return the pool of worker processes that the settings ask for."""
    plan = PoolPlan(
        judging.work,
        judging.initializer,
        judging.arguments,
        judging.renew,
        settings.workers,
        settings.timeouts.job_seconds,
        settings.timeouts.start_seconds,
    )
    return WorkerPool(plan, lambda job: job.detector)
