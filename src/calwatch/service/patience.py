"""Waiting for what is out of reach, without ever missing the order to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from calwatch.errors import CalwatchError, WaitError
from calwatch.service.lifecycle import Stop
from calwatch.service.progress import Event, Waiting
from calwatch.settings import RetrySettings

T = TypeVar("T")


class StoppedError(CalwatchError):
    """The daemon was asked to stop while it waited."""


class Desk:
    """One thread in which one question after the other is asked, in order."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"calwatch-{name}")

    def ask(self, question: Callable[[], T]) -> asyncio.Future[T]:
        """Put a question; the future has the answer."""
        return asyncio.get_running_loop().run_in_executor(self._thread, question)

    def close(self) -> None:
        """Take no more questions; one that is being asked is left to end by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class Patience:
    """Asks until there is an answer.

    Parameters
    ----------
    stop
        Ends every wait.
    retry
        How long to wait after each failure.
    attempts
        After so many failures give up; None to ask for ever.
    log
        A structlog logger.
    tell
        Takes every event.
    """

    def __init__(
        self,
        stop: Stop,
        retry: RetrySettings,
        attempts: int | None,
        log: Any,
        tell: Callable[[Event], None],
    ) -> None:
        self._stop = stop
        self._retry = retry
        self._attempts = attempts
        self._log = log
        self._tell = tell

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer; wait longer after each time something is out of reach.

        Raises
        ------
        WaitError
            When giving up.
        StoppedError
            If asked to stop while waiting.
        """
        failures = 0
        while True:
            try:
                return await question()
            except WaitError as error:
                failures += 1
                if self._attempts is not None and failures >= self._attempts:
                    raise
                seconds = self._retry.wait(failures)
                self._log.warning("out of reach", reason=str(error), again_in_seconds=seconds)
                self._tell(Waiting(str(error), seconds, type(error).__name__))
                if await self._stop.sleep(seconds):
                    raise StoppedError(f"stopped while out of reach: {error}") from error

    async def unless_stopped(self, answer: asyncio.Future[T]) -> T:
        """Wait for something that cannot be hurried, but not once asked to stop.

        Raises
        ------
        StoppedError
            If asked to stop first.
        """
        stop = asyncio.create_task(self._stop.wait())
        try:
            await first(answer, stop)
            if not answer.done():
                answer.add_done_callback(lambda late: late.cancelled() or late.exception())
                raise StoppedError("stopped while waiting for the Butler or the workers")
            return answer.result()
        finally:
            stop.cancel()


async def first(*waits: asyncio.Future[Any], seconds: float | None = None) -> None:
    """Wait until one of these is done, or for so long."""
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
