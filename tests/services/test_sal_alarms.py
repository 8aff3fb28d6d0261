"""Alarms as SAL events: a real broker and registry, read as a salobj Remote reads them."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import ConfigResource
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from calwatch.alarms.deliver.channel import Delivery
from calwatch.alarms.deliver.sal import SalChannel
from calwatch.alarms.deliver.sal_schema import Topic, rev_code
from calwatch.alarms.deliver.sal_settings import SalSettings
from calwatch.alarms.deliver.sal_topics import ALARM, HEARTBEAT, SUMMARY, TOPICS
from calwatch.alarms.model import Alarm, Key, Kind, Numbered, Severity, Transition, What
from calwatch.alarms.rules import load_rules
from calwatch.alarms.words import Message as Words
from calwatch.errors import StopError, WaitError
from calwatch.kafka.connection import KafkaConnection

pytestmark = pytest.mark.services
SECONDS = 90.0
NOON = datetime(2026, 11, 22, 18, tzinfo=UTC)
N, W, S, C = Severity


def make_alarm(part: str, severity: Severity = S, instrument: str = "LSSTCam") -> Alarm:
    return Alarm(
        key=Key(instrument, "readout", "above", part),
        kind=Kind.FAILURE,
        level="amplifier",
        severity=severity,
        max_severity=severity,
        reason=f"Noise or gain is above the certified one in {part}",
        opened_at=NOON,
        since=NOON,
        severity_oldest=NOON,
        severity_newest=NOON,
        max_severity_at=NOON,
    )


@dataclass
class Alarms:
    """The open alarms, as a ledger keeps them, and the clock."""

    open: dict[int, Alarm] = field(default_factory=dict)
    now: datetime = NOON

    async def of(self, instrument: str) -> list[Numbered]:
        return [Numbered(n, a) for n, a in self.open.items() if a.key.instrument == instrument]

    def change(self, alarm_id: int, found: Alarm, what: What = What.RAISED) -> Delivery:
        """Set an alarm's state and return what the channel is asked to tell."""
        self.now += timedelta(seconds=1)
        self.open[alarm_id] = found
        if not found.open:
            del self.open[alarm_id]
        told = Transition(what, self.now, found, N)
        return Delivery(1, alarm_id, told, Words("", "", {}), found)


@dataclass
class Wire:
    """A broker, a registry and a sub-name of one's own."""

    kafka: Any
    registry_url: str
    subname: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}")
    instruments: tuple[str, ...] = ("LATISS", "LSSTCam")

    def channel(self, alarms: Alarms, **given: Any) -> SalChannel:
        settings = SalSettings(type="sal", subname=self.subname)
        connection = given.pop(
            "connection",
            KafkaConnection(bootstrap_servers=self.kafka.bootstrap, registry_url=self.registry_url),
        )
        return SalChannel(
            settings,
            connection,
            load_rules(),
            self.instruments,
            alarms.of,
            lambda: alarms.now,
            **{"send_seconds": 2.0, **given},
        )

    def topic(self, topic: Topic) -> str:
        return topic.kafka_name(self.subname, "CalWatch")

    def read(self, topic: Topic) -> list[Message]:
        """Return everything on a topic."""
        consumer = Consumer({**self.kafka.options, "group.id": "x", "enable.auto.commit": False})
        place = TopicPartition(self.topic(topic), 0, 0)
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

    def events(self, topic: Topic) -> list[dict[str, Any]]:
        """Return the events that a salobj Remote would take, read by its own schema."""
        client = SchemaRegistryClient({"url": self.registry_url})
        read = AvroDeserializer(client, json.dumps(topic.schema("CalWatch")))
        context = SerializationContext(self.topic(topic), MessageField.VALUE)
        last: dict[int, float] = {}
        found = []
        for message in self.read(topic):
            event: Any = read(message.value(), context)
            assert message.key() == topic.key("CalWatch", event["salIndex"])
            if event["private_sndStamp"] >= last.get(event["salIndex"], 0.0):
                last[event["salIndex"]] = event["private_sndStamp"]
                found.append(event)
        return found

    def last(self, topic: Topic) -> dict[bytes, dict[str, Any]]:
        """Return what is left after compaction: the last event of each key."""
        return {topic.key("CalWatch", e["salIndex"]): e for e in self.events(topic)}

    def open_names(self) -> dict[int, list[str]]:
        """Return the names of the open alarms by index, as the last summaries have them."""
        summaries = self.last(SUMMARY).values()
        return {
            e["salIndex"]: sorted(entry["name"] for entry in json.loads(e["alarms"]))
            for e in summaries
        }


@pytest.fixture
def wire(kafka_server, schema_registry) -> Wire:
    return Wire(kafka_server, schema_registry.url)


async def patiently(channel: SalChannel, deliveries: Sequence[Delivery]) -> int:
    """Send as the daemon does, until all is sent; return how often it had to wait."""
    waits = 0
    left = list(deliveries)
    async with asyncio.timeout(SECONDS):
        while left:
            try:
                await channel.open()
                await channel.send(left[0])
                left.pop(0)
            except WaitError:
                waits += 1
                await asyncio.sleep(0.1)
    return waits


def test_a_remote_reads_what_was_sent(wire: Wire) -> None:
    alarms = Alarms()

    async def go() -> None:
        channel = wire.channel(alarms)
        await channel.open()
        await channel.open()
        await channel.beat()
        await channel.resend([])
        first = alarms.change(7, make_alarm("R22_S11/C05"))
        await channel.send(first)
        over = replace(first.newest, severity=N, closed_at=NOON, acknowledged=True)
        await channel.send(alarms.change(7, over, What.CLEARED))
        await channel.close()

    asyncio.run(go())
    assert [(e["salIndex"], e["heartbeat"]) for e in wire.events(HEARTBEAT)] == [
        (1, False),
        (3, False),
    ]
    assert [(e["alarmId"], e["severity"], e["maxSeverity"]) for e in wire.events(ALARM)] == [
        (7, 3, 3),
        (7, 1, 1),
    ]
    summaries = wire.events(SUMMARY)
    assert [(e["salIndex"], e["numOpen"], e["seriousOpen"]) for e in summaries] == [
        (1, 0, False),
        (3, 0, False),
        (3, 1, True),
        (3, 0, False),
    ]
    for topic in TOPICS:
        codes = {event["private_revCode"] for event in wire.events(topic)}
        assert codes == {rev_code(topic.schema("CalWatch"))}


def test_topics_are_compacted_and_schemas_are_where_salobj_looks(wire: Wire) -> None:
    async def go() -> None:
        channel = wire.channel(Alarms())
        await channel.open()
        await channel.close()

    asyncio.run(go())
    admin = wire.kafka.admin()
    names = [wire.topic(topic) for topic in TOPICS]
    wanted = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    for found in admin.describe_configs(wanted).values():
        assert found.result(20)["cleanup.policy"].value == "compact"
    there = admin.list_topics(timeout=20).topics
    assert [len(there[name].partitions) for name in names] == [1, 1, 1]
    for topic, name in zip(TOPICS, names, strict=True):
        url = f"{wire.registry_url}/subjects/{name}-value/versions/latest"
        assert json.loads(httpx.get(url).json()["schema"]) == topic.schema("CalWatch")


def test_a_topic_that_salobj_made_is_used_as_it_is(wire: Wire) -> None:
    wire.kafka.create_topics(*(wire.topic(topic) for topic in TOPICS))
    alarms = Alarms()
    asyncio.run(patiently(wire.channel(alarms), [alarms.change(1, make_alarm("R22"))]))
    assert wire.open_names() == {3: ["LSSTCam.readout.above.R22"]}


def test_a_broker_that_is_away_is_waited_for(wire: Wire) -> None:
    alarms = Alarms()

    async def go() -> int:
        channel = wire.channel(alarms)
        await patiently(channel, [alarms.change(1, make_alarm("R22_S11/C05"))])
        await asyncio.to_thread(wire.kafka.kill)
        second = alarms.change(2, make_alarm("R22_S11/C06", C))
        with pytest.raises(WaitError, match="Kafka"):
            await channel.send(second)
        with pytest.raises(WaitError, match="Kafka"):
            await channel.open()
        for speak in (channel.beat, lambda: channel.resend([])):
            with pytest.raises(WaitError, match="not connected"):
                await speak()
        telling = asyncio.create_task(patiently(channel, [second]))
        await asyncio.to_thread(wire.kafka.start)
        waits = await telling
        await channel.close()
        return waits

    asyncio.run(go())
    names = [f"LSSTCam.readout.above.R22_S11/C0{n}" for n in (5, 6)]
    assert wire.open_names() == {3: names}
    assert wire.last(SUMMARY)[SUMMARY.key("CalWatch", 3)]["criticalOpen"]


def test_a_registry_that_is_away_is_waited_for(wire: Wire, schema_registry) -> None:
    schema_registry.stop()
    channel = wire.channel(Alarms())

    async def go() -> None:
        with pytest.raises(WaitError, match="schema registry"):
            await channel.open()
        await asyncio.to_thread(schema_registry.start)
        await channel.open()
        await channel.beat()
        await channel.close()

    asyncio.run(go())
    assert len(wire.events(HEARTBEAT)) == 2


def test_topics_that_may_not_be_made_are_all_named(wire: Wire, secure_kafka_server) -> None:
    connection = KafkaConnection(
        bootstrap_servers=secure_kafka_server.bootstrap,
        security_protocol="SASL_SSL",
        sasl_username=secure_kafka_server.powerless,
        sasl_password=secure_kafka_server.password,
        cluster_ca_path=secure_kafka_server.ca_path,
        registry_url=wire.registry_url,
    )
    channel = wire.channel(Alarms(), connection=connection, send_seconds=30.0)
    with pytest.raises(StopError) as told:
        asyncio.run(channel.open())
    assert all(wire.topic(topic) in str(told.value) for topic in TOPICS)


@pytest.mark.parametrize("seed", [1, 2])
def test_after_restarts_and_outages_exactly_the_open_alarms_are_there(
    wire: Wire, seed: int
) -> None:
    chance = random.Random(seed)
    alarms = Alarms()
    parts = [f"R{raft}_S11/C{amp:02d}" for raft in (10, 22) for amp in range(8)]
    cameras = wire.instruments
    numbers = itertools.count(1)

    def change() -> Delivery:
        if alarms.open and chance.random() < 0.45:
            alarm_id, known = chance.choice(sorted(alarms.open.items()))
            if chance.random() < 0.5:
                over = replace(known, severity=N, closed_at=alarms.now)
                return alarms.change(alarm_id, over, What.CLEARED)
            return alarms.change(alarm_id, replace(known, severity=chance.choice([W, S, C])))
        taken = {found.key for found in alarms.open.values()}
        every = [make_alarm(part, S, camera) for part in parts for camera in cameras]
        new = chance.choice([found for found in every if found.key not in taken])
        return alarms.change(next(numbers), new)

    async def go() -> None:
        channel = wire.channel(alarms)
        for step in range(60):
            if step in (20, 40):
                await asyncio.to_thread(wire.kafka.kill)
                telling = asyncio.create_task(patiently(channel, [change(), change()]))
                await asyncio.to_thread(wire.kafka.start)
                await telling
            elif chance.random() < 0.1:  # The daemon begins anew.
                await channel.close()
                channel = wire.channel(alarms)
                await channel.open()
                await channel.resend([])
            await patiently(channel, [change()])
        await channel.close()

    asyncio.run(go())
    expected: dict[int, list[str]] = {}
    for found in alarms.open.values():
        index = {"LATISS": 1, "LSSTCam": 3}[found.key.instrument]
        expected.setdefault(index, []).append(found.name)
    told = wire.open_names()
    assert told == {index: sorted(expected.get(index, [])) for index in told}
    assert set(expected) <= set(told)
    states = {e["alarmId"]: e["severity"] for e in wire.events(ALARM)}
    assert {n: int(found.severity) for n, found in alarms.open.items()} == {
        n: states[n] for n in alarms.open
    }
    assert all(state == 1 for n, state in states.items() if n not in alarms.open)
