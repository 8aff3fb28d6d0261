"""From the ledger to Kafka: a real broker, a real registry, Confluent's own deserializer."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from fakes import NOON, make_exposure, make_job, make_result, merge
from sqlalchemy import update
from structlog.testing import capture_logs

from calwatch.cli.main import cli
from calwatch.errors import StopError
from calwatch.kafka.connection import KafkaConnection
from calwatch.kafka.registry import SchemaRegistry
from calwatch.ledger.outbox import Outbox
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import judgement
from calwatch.publish.channel import Channel, register_schemas
from calwatch.publish.publisher import Publisher
from calwatch.publish.schemas import NAMES, SchemaSet, build_schemas
from calwatch.verify.model import Verdict

pytestmark = pytest.mark.services
SECONDS = 90.0
"""No test takes so long; one that would is broken."""


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url, publishing=True)
    yield ledger
    ledger.close()


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", publishing=True)
    yield ledger
    ledger.close()


@dataclass
class Wire:
    """A broker, a registry and a prefix of one's own."""

    bootstrap: str
    registry_url: str
    schemas: SchemaSet = field(
        default_factory=lambda: build_schemas(prefix=f"lsst.cp.t{uuid.uuid4().hex[:8]}")
    )

    def channel(self, send_seconds: float = 2.0) -> Channel:
        connection = KafkaConnection(bootstrap_servers=self.bootstrap)
        return Channel(connection, self.registry_url, self.schemas, send_seconds=send_seconds)

    def publisher(self, ledger: Ledger, **options: Any) -> Publisher:
        fast = {"idle_seconds": 0.1, "first_wait_seconds": 0.1, "most_wait_seconds": 0.5}
        return Publisher(Outbox(ledger), self.channel(), **{**fast, **options})

    def read(self, name: str) -> list[Message]:
        """Return everything on a topic."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "x", "enable.auto.commit": False}
        )
        place = TopicPartition(self.schemas.topic(name), 0, 0)
        try:
            _, end = consumer.get_watermark_offsets(place, timeout=20)
            consumer.assign([place])
            found: list[Message] = []
            while len(found) < end and (message := consumer.poll(20)) is not None:
                assert message.error() is None, message.error()
                found.append(message)
            assert len(found) == end
            return found
        finally:
            consumer.close()

    def decoded(self, name: str) -> list[dict[str, Any]]:
        """Return everything on a topic as Confluent's own deserializer reads it."""
        read = AvroDeserializer(SchemaRegistryClient({"url": self.registry_url}))
        context = SerializationContext(self.schemas.topic(name), MessageField.VALUE)
        return [read(message.value(), context) for message in self.read(name)]


@pytest.fixture
def wire(kafka_server, schema_registry) -> Wire:
    return Wire(kafka_server.bootstrap, schema_registry.url)


def judge(ledger: Ledger, number: int, detector: int = 0, **result: Any) -> None:
    job = make_job(number, detector)
    ledger.record(make_result(job, value=float(number), **result), job.exposure, NOON)


def merged(ledger: Ledger, number: int) -> None:
    exposure = make_exposure(number)
    recorded = ledger.results("LATISS", exposure.exposure_id)
    ledger.record_exposure(
        merge(recorded.results, exposure),
        exposure,
        NOON,
        expected=[r.detector for r in recorded.results],
        last_judgement_id=recorded.last_judgement_id,
    )


def until_empty(publisher: Publisher, ledger: Ledger) -> None:
    """Run a publisher until the outbox is empty, then stop it."""

    async def go() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(publisher.run(stop))
        async with asyncio.timeout(SECONDS):
            while await asyncio.to_thread(Outbox(ledger).size):
                await asyncio.sleep(0.05)
        stop.set()
        await running

    asyncio.run(go())


def identities(messages: list[Message]) -> list[str]:
    return [dict(message.headers())["event_id"].decode() for message in messages]


def test_everything_judged_arrives_in_order(ledger: Ledger, wire: Wire) -> None:
    for number in range(1, 31):
        judge(ledger, number, number % 3)
        merged(ledger, number)
    until_empty(wire.publisher(ledger, batch=7), ledger)
    records = wire.decoded("bias")
    assert [record["seq_num"] for record in records] == list(range(1, 31))
    exposures = wire.decoded("exposure")
    assert [record["seq_num"] for record in exposures] == list(range(1, 31))
    assert len(set(identities(wire.read("bias") + wire.read("exposure")))) == 60


def test_confluents_deserializer_reads_what_was_judged(sqlite_ledger: Ledger, wire: Wire) -> None:
    value = 0.1 + 0.2
    job = make_job(7, 4)
    result = make_result(job, Verdict.FAIL, "σ too high", value=value)
    sqlite_ledger.record(result, job.exposure, NOON)
    until_empty(wire.publisher(sqlite_ledger), sqlite_ledger)
    (record,) = wire.decoded("bias")
    assert record["C10_MEAN"] == value
    assert record["C17_NOISE"] == value + 7
    assert record["C10_MEDIAN"] is None
    assert record["timestamp"] == job.exposure.end_utc.timestamp()
    assert record["exposure_id"] == job.exposure.exposure_id
    assert (record["instrument"], record["detector"]) == ("LATISS", "4")
    assert (record["verdict"], record["reason"]) == ("FAIL", "σ too high")
    assert record["n_amp_fail"] == 16.0
    assert record["bias_uuid"] == "bias-f0"
    assert record["dark_uuid"] == ""
    (message,) = wire.read("bias")
    assert message.key() == b"LATISS/4"
    magic, schema_id = struct.unpack(">BI", message.value()[:5])
    assert magic == 0
    known = httpx.get(f"{wire.registry_url}/schemas/ids/{schema_id}").json()
    assert json.loads(known["schema"]) == wire.schemas.schemas["bias"]


def test_the_same_is_sent_again_byte_for_byte_after_a_restart(
    sqlite_ledger: Ledger, wire: Wire
) -> None:
    for number in (1, 2):
        judge(sqlite_ledger, number)
        merged(sqlite_ledger, number)
    until_empty(wire.publisher(sqlite_ledger), sqlite_ledger)

    async def again() -> None:
        channel = wire.channel()  # a new one, as another process would have
        await channel.open()
        stored = list(Outbox(sqlite_ledger).stored("LATISS"))
        results = await channel.send([channel.encoder.encode(item) for item in stored])
        assert results == [None] * 4
        await channel.close()

    asyncio.run(again())
    for name in ("bias", "exposure"):
        messages = wire.read(name)
        told = [(m.key(), m.value(), m.headers()) for m in messages]
        assert len(told) == 4
        assert told[:2] == told[2:]


def test_a_broker_that_goes_away_is_waited_for(
    sqlite_ledger: Ledger, wire: Wire, kafka_server
) -> None:
    publisher = wire.publisher(sqlite_ledger, batch=5)

    async def go() -> None:
        stop = asyncio.Event()
        await publisher.prepare()
        running = asyncio.create_task(publisher.run(stop))
        outbox = Outbox(sqlite_ledger)
        async with asyncio.timeout(SECONDS):
            for number in range(1, 11):
                judge(sqlite_ledger, number)
            while await asyncio.to_thread(outbox.size):
                await asyncio.sleep(0.05)
            await asyncio.to_thread(kafka_server.kill)
            for number in range(11, 31):
                judge(sqlite_ledger, number)
                publisher.wake()
            await asyncio.sleep(4)
            assert await asyncio.to_thread(outbox.size) == 20
            assert not running.done()
            await asyncio.to_thread(kafka_server.start)
            while await asyncio.to_thread(outbox.size):
                await asyncio.sleep(0.05)
        stop.set()
        await running

    with capture_logs() as logs:
        asyncio.run(go())
    assert [(line["event"][:16], line.get("cause")) for line in logs] == [
        ("publishing is he", "kafka"),
        ("publishing again", None),
    ]
    in_order = list(dict.fromkeys(record["seq_num"] for record in wire.decoded("bias")))
    assert in_order == list(range(1, 31))
    values: dict[str, set[bytes]] = {}
    messages = wire.read("bias")
    for identity, message in zip(identities(messages), messages, strict=True):
        values.setdefault(identity, set()).add(message.value())
    assert len(values) == 30
    assert all(len(same) == 1 for same in values.values())


def test_a_registry_away_at_the_start_is_waited_for(
    sqlite_ledger: Ledger, wire: Wire, schema_registry
) -> None:
    judge(sqlite_ledger, 1)
    schema_registry.stop()
    publisher = wire.publisher(sqlite_ledger)

    async def go() -> None:
        stop = asyncio.Event()
        await publisher.prepare()
        running = asyncio.create_task(publisher.run(stop))
        async with asyncio.timeout(SECONDS):
            await asyncio.sleep(2)
            assert Outbox(sqlite_ledger).size() == 1
            await asyncio.to_thread(schema_registry.start)
            while await asyncio.to_thread(Outbox(sqlite_ledger).size):
                await asyncio.sleep(0.05)
        stop.set()
        await running

    with capture_logs() as logs:
        asyncio.run(go())
    assert [line.get("cause") for line in logs] == ["registry", None]
    assert len(wire.decoded("bias")) == 1


def test_a_stop_while_the_broker_is_away_is_quick(
    sqlite_ledger: Ledger, wire: Wire, kafka_server
) -> None:
    publisher = wire.publisher(sqlite_ledger, grace_seconds=1.0)

    async def go() -> float:
        stop = asyncio.Event()
        await publisher.prepare()
        running = asyncio.create_task(publisher.run(stop))
        await asyncio.to_thread(kafka_server.kill)
        judge(sqlite_ledger, 1)
        publisher.wake()
        await asyncio.sleep(1)
        began = time.monotonic()
        stop.set()
        await running
        return time.monotonic() - began

    assert asyncio.run(go()) < 15
    assert Outbox(sqlite_ledger).size() == 1


def test_bad_rows_are_set_aside_and_the_others_arrive(sqlite_ledger: Ledger, wire: Wire) -> None:
    judge(sqlite_ledger, 1)
    timeless = make_job(2, end_utc=None)
    sqlite_ledger.record(make_result(timeless), timeless.exposure, NOON)
    strange = make_job(3)
    sqlite_ledger.record(make_result(strange, amps=("Z99",)), strange.exposure, NOON)
    judge(sqlite_ledger, 4)
    damaged = make_job(5)
    sqlite_ledger.record(make_result(damaged), damaged.exposure, NOON)
    huge = make_job(6)
    long = replace(make_result(huge), detector_name="x" * 2_000_000)
    sqlite_ledger.record(long, huge.exposure, NOON)
    judge(sqlite_ledger, 7)
    spoil = update(judgement).where(judgement.c.seq_num == 5).values(document={"amps": 3})
    sqlite_ledger.write(lambda c: c.execute(spoil), "test")
    with capture_logs() as logs:
        until_empty(wire.publisher(sqlite_ledger), sqlite_ledger)
    assert [record["seq_num"] for record in wire.decoded("bias")] == [1, 4, 7]
    causes = {line["what"]: line["cause"] for line in logs if "what" in line}
    words = ["no time", "no amplifier Z99", "cannot be read", "too large"]
    assert len(causes) == 4
    for word, cause in zip(words, causes.values(), strict=True):
        assert word in cause


def test_a_schema_that_breaks_with_the_registered_one_refuses_to_start(
    sqlite_ledger: Ledger, wire: Wire
) -> None:
    theirs = json.loads(json.dumps(wire.schemas.schemas["dark"]))
    theirs["fields"].append({"name": "more", "type": "double", "default": 0.0})
    (noise,) = [f for f in theirs["fields"] if f["name"] == "C03_NOISE"]
    noise.update(type="string", default="")

    async def before() -> None:
        async with SchemaRegistry(wire.registry_url) as registry:
            await registry.register(wire.schemas.subject("dark"), theirs)

    asyncio.run(before())
    with pytest.raises(StopError) as caught:
        asyncio.run(wire.publisher(sqlite_ledger).prepare())
    text = str(caught.value)
    assert f"{wire.schemas.subject('dark')}: field more would be removed" in text
    assert "field C03_NOISE was of type string and would become null or double" in text

    async def registered() -> Any:
        async with SchemaRegistry(wire.registry_url) as registry:
            return await registry.latest(wire.schemas.subject("bias"))

    assert asyncio.run(registered()) is None


def test_registering_again_gives_the_same_ids(wire: Wire) -> None:
    async def ids() -> dict[str, int]:
        async with SchemaRegistry(wire.registry_url) as registry:
            return await register_schemas(registry, wire.schemas)

    first = asyncio.run(ids())
    assert asyncio.run(ids()) == first
    assert len(set(first.values())) == len(NAMES)


def test_two_processes_do_not_publish_at_once(postgresql_url: str, wire: Wire) -> None:
    ledgers = [Ledger.open(postgresql_url, publishing=True) for _ in range(2)]
    outboxes = [Outbox(ledger) for ledger in ledgers]
    mine = outboxes[0].turn()
    assert mine is not None
    assert outboxes[1].turn() is None
    mine.end()
    theirs = outboxes[1].turn()
    assert theirs is not None
    theirs.end()
    for number in range(1, 41):
        judge(ledgers[0], number)
    threads = [
        threading.Thread(target=until_empty, args=(wire.publisher(ledger, batch=3), ledger))
        for ledger in ledgers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert [record["seq_num"] for record in wire.decoded("bias")] == list(range(1, 41))
    for ledger in ledgers:
        ledger.close()


def test_the_command_publishes_again_byte_for_byte(
    tmp_path: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger.open(url, publishing=True)
    for number in (1, 2, 3):
        judge(ledger, number)
        merged(ledger, number)
    until_empty(wire.publisher(ledger), ledger)
    ledger.close()
    config = tmp_path / "calwatch.yaml"
    config.write_text(
        f"repo: /nowhere\ninstruments: [LATISS]\nledger: {url}\n"
        f"kafka: {{prefix: {wire.schemas.prefix}}}\n"
    )
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", wire.bootstrap)
    monkeypatch.setenv("SCHEMA_MANAGER_REGISTRY_URL", wire.registry_url)
    which = ["--instrument", "LATISS", "--exposure", str(make_exposure(2).exposure_id)]
    done = CliRunner().invoke(cli, ["replay", "-c", str(config), *which], catch_exceptions=False)
    assert done.exit_code == 0
    assert "2 of 2 records published" in done.output
    for name in ("bias", "exposure"):
        told = [(m.key(), m.value(), m.headers()) for m in wire.read(name)]
        assert len(told) == 4
        assert told[3] == told[1]


def test_the_command_registers_the_schemas(wire: Wire) -> None:
    words = ["schemas", "--register", "--registry", wire.registry_url]
    words += ["--prefix", wire.schemas.prefix]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.count("registered as") == len(NAMES)
    subjects = httpx.get(f"{wire.registry_url}/subjects").json()
    assert {wire.schemas.subject(name) for name in wire.schemas.schemas} <= set(subjects)


def test_topics_that_may_not_be_made_are_all_named(
    sqlite_ledger: Ledger, wire: Wire, secure_kafka_server
) -> None:
    connection = KafkaConnection(
        bootstrap_servers=secure_kafka_server.bootstrap,
        security_protocol="SASL_SSL",
        sasl_username=secure_kafka_server.powerless,
        sasl_password=secure_kafka_server.password,
        cluster_ca_path=secure_kafka_server.ca_path,
    )
    channel = Channel(connection, wire.registry_url, wire.schemas)
    with pytest.raises(StopError) as told:
        asyncio.run(Publisher(Outbox(sqlite_ledger), channel).prepare())
    assert all(topic in str(told.value) for topic in wire.schemas.topics)
    assert secure_kafka_server.topics().isdisjoint(wire.schemas.topics)


def test_publishing_through_tls_and_a_password(
    sqlite_ledger: Ledger, wire: Wire, secure_kafka_server
) -> None:
    judge(sqlite_ledger, 1)
    options = {
        "bootstrap_servers": secure_kafka_server.bootstrap,
        "security_protocol": "SASL_SSL",
        "sasl_username": secure_kafka_server.username,
        "cluster_ca_path": secure_kafka_server.ca_path,
    }

    def publisher(password: str) -> Publisher:
        connection = KafkaConnection(**options, sasl_password=password)
        channel = Channel(connection, wire.registry_url, wire.schemas)
        return Publisher(Outbox(sqlite_ledger), channel, idle_seconds=0.1)

    with capture_logs() as logs:
        asyncio.run(publisher("wr0ng-word").prepare())
    (line,) = logs
    assert line["cause"] == "kafka"
    assert "wr0ng-word" not in str(line)
    with capture_logs() as logs:
        until_empty(publisher(secure_kafka_server.password), sqlite_ledger)
    assert logs == []
    assert set(wire.schemas.topics) <= secure_kafka_server.topics()
