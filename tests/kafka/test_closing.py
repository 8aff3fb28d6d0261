"""Whatever reads from Kafka comes to an end."""

from __future__ import annotations

import asyncio

import pytest

from calwatch.kafka.closing import end_task, give_up


@pytest.mark.parametrize("lost", [0, 1, 3])
def test_a_task_that_loses_cancellations_ends_all_the_same(lost: int) -> None:
    cancelled = 0

    async def stubborn() -> None:
        nonlocal cancelled
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled += 1
                if cancelled > lost:
                    raise

    async def scene() -> asyncio.Task[None]:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await asyncio.wait_for(end_task(task, again_seconds=0.01), 10)
        return task

    assert asyncio.run(scene()).cancelled()
    assert cancelled == lost + 1


def test_a_task_that_failed_is_no_failure_of_its_end() -> None:
    async def failing() -> None:
        raise ValueError("no")

    async def scene() -> None:
        task = asyncio.create_task(failing())
        await asyncio.wait({task})
        await end_task(task)

    asyncio.run(scene())


class _Client:
    closed = False

    async def close(self) -> None:
        self.closed = True


class _Consumer:
    """Ends as aiokafka's does that is about to try something again."""

    def __init__(self, error: BaseException) -> None:
        self._client = _Client()
        self._error = error

    async def stop(self) -> None:
        raise self._error


@pytest.mark.parametrize("error", [asyncio.CancelledError(), OSError("no"), RuntimeError("no")])
def test_a_consumer_that_does_not_stop_well_is_given_up_quietly(error: BaseException) -> None:
    consumer = _Consumer(error)
    asyncio.run(give_up(consumer))
    assert consumer._client.closed
