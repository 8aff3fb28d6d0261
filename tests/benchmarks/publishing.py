"""What it takes to bring the numbers of one detector from the ledger into Kafka."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from costs import Cost
from judging import camera_of_results
from tables import Table

from calwatch.butler.model import ExposureRecord
from calwatch.camera.loader import load_camera
from calwatch.kafka.connection import KafkaConnection
from calwatch.ledger.outbox import Outbox, Pending
from calwatch.ledger.store import Ledger
from calwatch.publish.channel import Channel
from calwatch.publish.encoder import Message
from calwatch.publish.schemas import build_schemas
from calwatch.verify.model import DetectorResult

SERVICES = Path(__file__).parents[1] / "services"
sys.path[:0] = [str(SERVICES)]

import kafka_server  # noqa: E402  (these are found only now)
import registry_server  # noqa: E402

RUNS = 5


def measure(result: DetectorResult, exposure: ExposureRecord) -> Table:
    """Read, encode and send the results of a whole camera, in one batch, again and again.

    Parameters
    ----------
    result, exposure
        A real one, with all its numbers, tests and arrays.
    """
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="calwatch-publish-"))
        kafka = stack.enter_context(kafka_server.server())
        registry = stack.enter_context(registry_server.server())
        ledger = Ledger.open(f"sqlite:///{scratch}/ledger.db", publishing=True)
        stack.callback(ledger.close)
        results = camera_of_results(result)
        for one in results:
            ledger.record(one, exposure, datetime.now(UTC))
        connection = KafkaConnection(
            bootstrap_servers=kafka.bootstrap, SCHEMA_MANAGER_REGISTRY_URL=registry.url
        )
        schemas = build_schemas([load_camera("LSSTCam")])
        channel = Channel(connection, None, schemas)
        costs, size = asyncio.run(_publish(channel, Outbox(ledger), len(results)))
    count = len(results)
    rows = [
        [name, f"{cost.cpu_ms / count:.2f}", f"{cost.wall_ms / count:.2f}"]
        for name, cost in costs.items()
    ]
    return Table(
        f"Publishing one {result.calib_type} of one detector",
        ["", "CPU ms", "wall ms"],
        rows,
        f"A batch of {count}, medians of {RUNS} runs, one broker on this machine; a message has "
        f"{size} bytes. Aim: 2 ms for encoding and sending.",
    )


async def _publish(channel: Channel, outbox: Outbox, count: int) -> tuple[dict[str, Cost], int]:
    """Return the costs of each stage, and the size of a message."""
    await channel.open()
    costs = {"read from the outbox": Cost(), "encode": Cost(), "send and acknowledged": Cost()}
    try:
        for number in range(RUNS + 1):
            rounds = costs if number else {name: Cost() for name in costs}
            pending = rounds["read from the outbox"].add(outbox.pending, count)
            messages = rounds["encode"].add(_encode, channel, pending)
            await _send(channel, messages, rounds["send and acknowledged"])
    finally:
        await channel.close()
    return costs, len(messages[0].value)


def _encode(channel: Channel, pending: list[Pending]) -> list[Message]:
    return [channel.encoder.encode(row.stored) for row in pending]


async def _send(channel: Channel, messages: list[Message], cost: Cost) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    assert not any(await channel.send(messages))
    cost.cpu.append(time.process_time() - cpu)
    cost.wall.append(time.perf_counter() - wall)
