"""What signals bring about, in a process that really gets them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

from calwatch.service.lifecycle import Stop, reloaded_by_hangup, stopped_by_signals


def test_each_hangup_calls_for_a_reload_and_none_stops() -> None:
    async def run() -> tuple[int, bool]:
        stop, reloads = Stop(), []

        async def reload() -> None:
            reloads.append(1)

        before = signal.getsignal(signal.SIGHUP)
        with stopped_by_signals(stop), reloaded_by_hangup(reload):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGHUP)
                await asyncio.sleep(0.05)
            assert not stop.asked
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(stop.wait(), 5)
        assert signal.getsignal(signal.SIGHUP) == before
        return len(reloads), stop.asked

    assert asyncio.run(run()) == (2, True)


EARLY = """
import asyncio, os, signal
from calwatch.service.lifecycle import hangups_held, reloaded_by_hangup

reloads = []

async def reload():
    reloads.append(1)

async def run():
    with reloaded_by_hangup(reload):
        await asyncio.sleep(0.05)

with hangups_held():
    os.kill(os.getpid(), signal.SIGHUP)
    print(len(reloads))
    asyncio.run(run())
    print(len(reloads))
    os.kill(os.getpid(), signal.SIGHUP)
print(len(reloads), signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, set()))
"""
"""In a process of its own: here other threads would hear the signal."""


def test_one_that_comes_too_early_waits_until_it_is_heard() -> None:
    done = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["0", "1", "1 False", ""]


def test_without_anything_to_reload_the_signal_is_left_alone() -> None:
    async def run() -> None:
        before = signal.getsignal(signal.SIGHUP)
        with reloaded_by_hangup(None):
            assert signal.getsignal(signal.SIGHUP) == before

    asyncio.run(run())


def test_outside_the_main_thread_too() -> None:
    async def reload() -> None:
        raise AssertionError

    async def run() -> str:
        with reloaded_by_hangup(reload):
            return "done"

    async def elsewhere() -> str:
        return await asyncio.to_thread(lambda: asyncio.run(run()))

    assert asyncio.run(elsewhere()) == "done"
