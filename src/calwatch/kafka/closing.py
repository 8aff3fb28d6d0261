"""Ending what reads from Kafka, whatever comes of that."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaConsumer

_CLOSE_SECONDS = 10.0


async def give_up(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer.

    If it is about to try something again, aiokafka cancels that and lets the cancellation out, as
    if it were its caller that is cancelled, and leaves its connections open.
    """
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait({stopping}, timeout=_CLOSE_SECONDS)
    await end_task(stopping)
    with suppress(Exception):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await consumer._client.close()


async def end_task(task: asyncio.Task[None], again_seconds: float = 1.0) -> None:
    """Cancel a task and wait until it has ended, whatever it ends with.

    It is cancelled again if it goes on: a library may lose a cancellation, as `asyncio.wait_for`
    of Python 3.11 does when what it waits for is done at the same moment.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=again_seconds)
    await asyncio.gather(task, return_exceptions=True)
