"""The clock, and the signals that stop the daemon or have it read its limits again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, Protocol


class Clock(Protocol):
    """The time, given in from outside."""

    def now(self) -> datetime:
        """Return the time of day (aware)."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()


class Stop:
    """Whether the daemon has been asked to stop, and how urgently."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._at_once = asyncio.Event()

    def ask(self) -> None:
        """Ask to stop; a second time: at once."""
        if self._asked.is_set():
            self._at_once.set()
        self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether to stop."""
        return self._asked.is_set()

    async def wait(self) -> None:
        """Wait until asked to stop."""
        await self._asked.wait()

    async def wait_at_once(self) -> None:
        """Wait until asked a second time."""
        await self._at_once.wait()

    async def sleep(self, seconds: float) -> bool:
        """Sleep, or less if asked to stop meanwhile; tell whether to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        return self.asked


@contextlib.contextmanager
def hangups_held() -> Iterator[None]:
    """Let SIGHUP wait, while inside, for `reloaded_by_hangup`: until then it would be the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        while signal.sigtimedwait({signal.SIGHUP}, 0) is not None:
            pass  # nobody is left to hear it
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def reloaded_by_hangup(reload: Callable[[], Coroutine[Any, Any, None]] | None) -> Iterator[None]:
    """Have SIGHUP call for a reload, while inside.

    Without one, or outside the main thread (as some tests run it), the signal is left alone.
    """
    if reload is None:
        yield
        return
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def begin() -> None:
        task = loop.create_task(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    try:
        loop.add_signal_handler(signal.SIGHUP, begin)
    except (RuntimeError, ValueError, NotImplementedError):
        yield
        return
    held = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # what waited comes now
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        loop.remove_signal_handler(signal.SIGHUP)


@contextlib.contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """Have SIGTERM and SIGINT ask to stop, while inside.

    Outside the main thread (as some tests run it) signals are left alone.
    """
    loop = asyncio.get_running_loop()
    caught = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(RuntimeError, ValueError, NotImplementedError):
            loop.add_signal_handler(number, stop.ask)
            caught.append(number)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
