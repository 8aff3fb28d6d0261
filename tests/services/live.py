"""One deployment of ``calwatch run``, as processes of their own, on a simulated repository."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from running import free_port
from sal import Sal

SECONDS = 120.0
"""No step takes so long; one that would is broken."""


def until(done: Callable[[], Any], what: str) -> Any:
    """Wait for something to be true, and return it."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = done()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come within {SECONDS:g} s")


class Live:
    """One deployment: its configuration, its topics and its process."""

    def __init__(
        self, root: Path, folder: Path, camera: str, kafka, registry, **changes: Any
    ) -> None:
        word = uuid.uuid4().hex[:8]
        self.subname, self.prefix = f"sal{word}", f"lsst.cp.t{word}"
        self.kafka, self.registry = kafka, registry
        self.ledger_path, self.log = folder / "ledger.db", folder / "log"
        self.port = free_port()
        self.sal = Sal(kafka.options, registry.url, self.subname)
        ingested = self.sal.topic("MNOODS", "logevent_imageInOODS")
        readout = self.sal.topic("MNCamera", "logevent_endReadout")
        kafka.create_topics(ingested, readout)
        config = {
            "repo": str(root),
            "camera": camera,
            "instruments": ["MiniCam"],
            "ledger": f"sqlite:///{self.ledger_path}",
            "where": "exposure.observation_type = 'bias' AND exposure.day_obs > 20260311",
            "look_back_days": None,
            "interval_seconds": 3600,
            "workers": 1,
            "metrics_port": self.port,
            "retry": {"first_seconds": 0.3, "most_seconds": 1.0},
            "kafka": {
                "topics": {"MiniCam": {"ingested": [ingested], "readout": [readout]}},
                "group": f"calwatch-{word}",
                "prefix": self.prefix,
                "jobs_topic": f"jobs-{word}",
                "due_seconds": 3.0,
            },
        } | changes
        self.config = folder / "calwatch.yaml"
        self.config.write_text(yaml.safe_dump(config))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = self.spawn()
        until(lambda: self.metric("calwatch_rebalances_total") >= 1, "the consumer's assignment")

    def spawn(self, *words: str, **changes: str) -> subprocess.Popen[bytes]:
        """Start a process; ``changes`` are more of its environment."""
        known = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "SCHEMA_MANAGER_REGISTRY_URL": self.registry.url,
        }
        code = "from calwatch.cli.main import main; main()"
        command = [sys.executable, "-c", code, "run", "--config", str(self.config), *words]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, env={**os.environ, **known, **changes}, stdout=log, stderr=log
            )

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels; -1 if it is not shown."""
        try:
            text = httpx.get(f"http://127.0.0.1:{self.port}/metrics").text
        except httpx.HTTPError:
            return -1.0
        values = [
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.split("{")[0].split(" ")[0] == name
        ]
        return sum(values) if values else -1.0

    def published(self, record: str, count: int) -> list[dict[str, Any]]:
        """Wait for so many messages on a topic and return them, with their ``event_id``."""
        topic = f"{self.prefix}.{record}"
        read = AvroDeserializer(SchemaRegistryClient({"url": self.registry.url}))
        consumer = Consumer(
            {**self.kafka.options, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
        )
        consumer.subscribe([topic])
        found: list[dict[str, Any]] = []
        try:

            def enough() -> bool:
                message = consumer.poll(0.5)
                if message is not None and message.error() is None:
                    context = SerializationContext(topic, MessageField.VALUE)
                    value = read(message.value(), context)
                    found.append({**value, "event_id": dict(message.headers())["event_id"]})
                return len(found) >= count

            until(enough, f"{count} messages on {topic}")
        finally:
            consumer.close()
        return found
