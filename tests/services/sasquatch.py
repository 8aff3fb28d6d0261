"""Publishing what a ledger has, as the daemon does, and waiting for it in InfluxDB."""

from __future__ import annotations

import asyncio
import time

from influx_server import InfluxServer

from calwatch.kafka.connection import KafkaConnection
from calwatch.ledger.outbox import Outbox
from calwatch.ledger.store import Ledger
from calwatch.publish.channel import Channel
from calwatch.publish.publisher import Publisher
from calwatch.publish.schemas import SchemaSet

SECONDS = 60.0
"""No step takes so long; one that would is broken."""


def channel_to(bootstrap: str, registry_url: str, schemas: SchemaSet) -> Channel:
    return Channel(KafkaConnection(bootstrap_servers=bootstrap), registry_url, schemas)


async def publish(ledger: Ledger, channel: Channel) -> None:
    """Publish all that is in the outbox."""
    publisher = Publisher(Outbox(ledger), channel, idle_seconds=0.1)
    stop = asyncio.Event()
    await publisher.prepare()
    running = asyncio.create_task(publisher.run(stop))
    async with asyncio.timeout(SECONDS):
        while await asyncio.to_thread(Outbox(ledger).size):
            await asyncio.sleep(0.05)
    stop.set()
    await running


def points(influxdb: InfluxServer, database: str, measurement: str) -> int:
    """Return how many points a measurement has."""
    source = f'"{database}"."autogen"."{measurement}"'
    rows = influxdb.query(f'SELECT count("timestamp") FROM {source}')
    return rows[0]["count"] if rows else 0


def all_there(influxdb: InfluxServer, database: str, measurement: str, number: int) -> bool:
    """Wait for so many points; tell whether there are exactly so many."""
    deadline = time.monotonic() + SECONDS
    while points(influxdb, database, measurement) < number and time.monotonic() < deadline:
        time.sleep(0.2)
    return points(influxdb, database, measurement) == number
