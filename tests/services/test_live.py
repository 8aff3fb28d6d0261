"""The whole way, with nothing in place of anything: an event on Kafka becomes numbers on Kafka.

``calwatch run`` as a process of its own on a simulated Butler repository; the observatory's events
written by Confluent's serializer, what is published read by Confluent's deserializer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from running import free_port
from sal import Sal

from calwatch.butler.repository import Repository
from calwatch.ledger.store import Ledger
from calwatch.simulate.live import add_exposures

pytestmark = pytest.mark.services
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

    def __init__(self, root: Path, folder: Path, camera: str, kafka, registry) -> None:
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
                "due_seconds": 3.0,
            },
        }
        self.config = folder / "calwatch.yaml"
        self.config.write_text(yaml.safe_dump(config))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        known = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "SCHEMA_MANAGER_REGISTRY_URL": self.registry.url,
        }
        code = "from calwatch.cli.main import main; main()"
        command = [sys.executable, "-c", code, "run", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **known}, stdout=log, stderr=log
            )
        until(lambda: self.metric("calwatch_rebalances_total") >= 1, "the consumer's assignment")

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


@pytest.fixture
def live(nights, tmp_path: Path, kafka_server, schema_registry) -> Iterator[Live]:
    root = nights.registry(tmp_path)
    deployment = Live(root, tmp_path, nights.camera_file, kafka_server, schema_registry)
    deployment.root = root
    deployment.start()
    yield deployment
    if deployment.process is not None and deployment.process.poll() is None:
        deployment.process.kill()
        deployment.process.wait()
    print(deployment.log.read_text())


def take(live: Live, biases: int) -> list[Any]:
    """Take and ingest exposures; return their records."""
    new = add_exposures(live.root, biases=biases, darks=0, flats=0)
    with Repository.open(live.root) as repository:
        return repository.exposures("MiniCam", exposure_ids=new)


def test_an_event_becomes_numbers_and_nothing_is_lost(live: Live) -> None:
    exposures = take(live, 2)
    for record in exposures:
        for _twice in range(2):
            live.sal.ingested("MiniCam", record.obs_id, "R00", "S00", component="MNOODS")
    live.sal.raw(live.sal.topic("MNOODS", "logevent_imageInOODS"), b"garbage")
    live.sal.flush()

    records = live.published("bias", 2)
    ledger = Ledger.open(str(live.ledger_path))
    assert [r["exposure_id"] for r in records] == [e.exposure_id for e in exposures]
    for record, exposure in zip(records, exposures, strict=True):
        assert record["timestamp"] == exposure.end_utc.timestamp()
        assert (record["instrument"], record["detector"]) == ("MiniCam", "0")
        (result,) = ledger.results("MiniCam", exposure.exposure_id).results
        assert record["verdict"] == result.verdict.value
        for amp, of_amp in result.amps.items():
            for name in ("MEAN", "NOISE", "CR_NOISE", "READ_NOISE"):
                if name in of_amp.metrics:
                    assert record[f"{amp}_{name}"] == of_amp.metrics[name]
    merged = live.published("exposure", 2)
    assert [m["exposure_id"] for m in merged] == [e.exposure_id for e in exposures]
    until(
        lambda: live.metric("calwatch_events_undecodable_total") == 1, "the garbage in the counts"
    )

    ready = httpx.get(f"http://127.0.0.1:{live.port}/readyz")
    says = {check["name"]: check["says"] for check in ready.json()["checks"]}
    assert ready.status_code == 200, says
    assert says["workers"] == "1 of 1 live"
    assert "logevent_imageInOODS[0] at 5, 0 behind" in says["kafka"]
    assert httpx.get(f"http://127.0.0.1:{live.port}/healthz").status_code == 200
    assert live.metric("calwatch_exposures_judged_total") == 2
    assert live.metric("calwatch_step_seconds_count") >= 2 * 5

    # An exposure was read out and its file never comes.
    live.sal.readout("MN_O_20260401_000001", component="MNCamera")
    live.sal.flush()
    (missing,) = live.published("completeness", 1)
    assert missing["exposure_id"] == 2026040100001
    assert missing["n_missing"] == missing["n_expected"] == 2.0

    # While nobody is there an exposure is taken and its event sent; then all of it is found.
    assert live.end() == 0
    (later,) = take(live, 1)
    live.sal.ingested("MiniCam", later.obs_id, "R00", "S00", component="MNOODS")
    live.sal.flush()
    live.start()
    records = live.published("bias", 3)
    assert records[2]["exposure_id"] == later.exposure_id
    assert len({r["event_id"] for r in records}) == 3
    assert live.end() == 0
    assert "Traceback" not in live.log.read_text()


def test_an_event_that_is_ahead_of_its_file_is_waited_for(live: Live) -> None:
    truth_before = {path.name for path in (live.root / "raws").rglob("*.fits")}
    with Repository.open(live.root) as repository:
        last = max(e.day_obs for e in repository.exposures("MiniCam"))
    expected = f"MN_O_{last + 1}_000001"
    live.sal.ingested("MiniCam", expected, "R00", "S00", component="MNOODS")
    live.sal.flush()
    until(lambda: live.metric("calwatch_events_noted_total") >= 1, "the notice")
    (record,) = take(live, 1)
    assert record.obs_id == expected
    assert record.obs_id not in truth_before
    (found,) = live.published("bias", 1)
    assert found["exposure_id"] == record.exposure_id
    assert live.end() == 0
