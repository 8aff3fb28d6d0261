"""The SAL channel: what it sends, in which order, and what it does when it cannot."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from deliveries import NOON, C, N, S, alarm, closed, delivery
from fastavro import parse_schema, schemaless_reader

from calwatch.alarms.deliver import sal
from calwatch.alarms.deliver.sal import Envelope, SalChannel
from calwatch.alarms.deliver.sal_schema import Topic
from calwatch.alarms.deliver.sal_settings import SalSettings
from calwatch.alarms.deliver.sal_topics import ALARM, HEARTBEAT, SUMMARY, TOPICS
from calwatch.alarms.model import Alarm, Numbered
from calwatch.alarms.rules import load_rules
from calwatch.errors import RecordError, StopError, WaitError
from calwatch.kafka.connection import KafkaConnection
from calwatch.kafka.producer import BrokerError, Message, RefusedRecordError
from calwatch.kafka.wire import unframe

SETTINGS = SalSettings(type="sal")
CONNECTION = KafkaConnection(bootstrap_servers="a:9092", registry_url="http://a:8081")
BY_TOPIC = {topic.kafka_name("sal", "CalWatch"): topic for topic in TOPICS}


@dataclass
class DoubleProducer:
    """Takes messages, or says what is wrong with them."""

    sent: list[Message] = field(default_factory=list)
    problems: list[Exception | None] = field(default_factory=list)
    is_open: bool = True

    async def send(self, messages: Sequence[Message]) -> list[Exception | None]:
        self.sent += messages
        return [*self.problems, *[None] * len(messages)][: len(messages)]

    async def close(self) -> None:
        self.is_open = False


@dataclass
class Bench:
    """A channel with nothing real behind it."""

    instruments: tuple[str, ...] = ("LATISS", "LSSTCam")
    connection: KafkaConnection = CONNECTION
    alarms: list[Numbered] = field(default_factory=list)
    producer: DoubleProducer = field(default_factory=DoubleProducer)

    def channel(self, monkeypatch: pytest.MonkeyPatch) -> SalChannel:
        monkeypatch.setattr(sal, "Producer", lambda *_, **__: self.producer)
        return SalChannel(
            SETTINGS,
            self.connection,
            load_rules(),
            self.instruments,
            self.open_alarms,
            lambda: NOON,
        )

    async def open_alarms(self, instrument: str) -> list[Numbered]:
        return [one for one in self.alarms if one.alarm.key.instrument == instrument]

    def opened(self, alarm_id: int, found: Alarm) -> None:
        self.alarms = [one for one in self.alarms if one.alarm_id != alarm_id]
        if found.open:
            self.alarms.append(Numbered(alarm_id, found))

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what was sent: short name of the topic and the event."""
        return [(BY_TOPIC[m.topic].sal_name[9:], decoded(m)) for m in self.producer.sent]


def decoded(message: Message, topic: Topic | None = None) -> dict[str, Any]:
    topic = topic or BY_TOPIC[message.topic]
    _, payload = unframe(message.value)
    found = schemaless_reader(io.BytesIO(payload), parse_schema(topic.schema("CalWatch")), None)
    assert isinstance(found, dict)
    return found


def test_the_whole_message() -> None:
    envelope = Envelope(SETTINGS, lambda: NOON)
    message = envelope.message(HEARTBEAT, 3, {"heartbeat": False}, 77)
    assert message.topic == "lsst.sal.CalWatch.logevent_heartbeat"
    assert message.key == b'{ "name": "CalWatch", "index": 3, "topic": "logevent_heartbeat" }'
    assert message.value[:5] == b"\x00\x00\x00\x00\x4d"
    found = decoded(message)
    assert found.pop("private_origin") > 0
    assert found == {
        "salIndex": 3,
        "private_sndStamp": NOON.timestamp() + 37,
        "private_rcvStamp": 0.0,
        "private_efdStamp": NOON.timestamp(),
        "private_kafkaStamp": NOON.timestamp() + 37,
        "private_seqNum": 1,
        "private_revCode": "a6af2cd8",
        "private_identity": "CalWatch:3",
        "heartbeat": False,
    }


def test_the_revision_codes_are_known() -> None:
    """A change of these is a change of the interface: deploy/sal must go with it."""
    envelope = Envelope(SETTINGS, lambda: NOON)
    assert {name[9:]: code for name, code in envelope._codes.items()} == {
        "alarm": "f2e3d46b",
        "summary": "8fe1175f",
        "heartbeat": "a6af2cd8",
    }


def test_stamps_never_go_back_and_numbers_grow() -> None:
    times = iter([NOON, NOON - timedelta(hours=1), NOON, NOON + timedelta(seconds=1)])
    envelope = Envelope(SETTINGS, lambda: next(times))
    order = [(HEARTBEAT, 1), (HEARTBEAT, 3), (ALARM, 3), (HEARTBEAT, 1)]
    found = []
    for topic, index in order:
        empty = {f.name: f.schema()["default"] for f in topic.fields}
        found.append(decoded(envelope.message(topic, index, empty, 1)))
    stamps = [event["private_sndStamp"] for event in found]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] == NOON.timestamp() + 38
    assert [event["private_seqNum"] for event in found] == [1, 2, 1, 3]
    for event in found:
        assert event["private_sndStamp"] - event["private_efdStamp"] == pytest.approx(37, abs=1e-5)


def test_fields_that_are_not_the_topics_are_refused() -> None:
    envelope = Envelope(SETTINGS, lambda: NOON)
    for fields in ({}, {"heartbeat": True, "more": 1}):
        with pytest.raises(RecordError, match=r"logevent_heartbeat: cannot be encoded"):
            envelope.message(HEARTBEAT, 1, fields, 1)


def test_a_change_is_told_with_the_summary_after_it(monkeypatch) -> None:
    bench = Bench()
    found = alarm(S)
    bench.opened(7, found)
    bench.opened(8, alarm(C, instrument="LATISS"))
    asyncio.run(bench.channel(monkeypatch).send(delivery(found=found)))
    (first, event), (second, summary) = bench.told()
    assert (first, second) == ("alarm", "summary")
    assert (event["alarmId"], event["severity"], event["playbook"]) == (7, 3, "readout")
    assert (event["salIndex"], summary["salIndex"]) == (3, 3)
    assert [entry["alarmId"] for entry in json.loads(summary["alarms"])] == [7]
    assert summary["seriousOpen"]
    assert not summary["criticalOpen"]


def test_the_state_told_is_the_newest(monkeypatch) -> None:
    """Whatever the delivery was of: it has waited, and the alarm went on."""
    bench = Bench()
    bench.opened(7, alarm(C))
    asyncio.run(bench.channel(monkeypatch).send(delivery(found=alarm(S), newest=alarm(S))))
    assert bench.told()[0][1]["severity"] == 4


def test_an_alarm_that_is_over_is_told_once_and_gone_from_the_summary(monkeypatch) -> None:
    bench = Bench()
    over = closed(alarm(S), NOON + timedelta(hours=1))
    asyncio.run(bench.channel(monkeypatch).send(delivery(found=over)))
    (_, event), (_, summary) = bench.told()
    assert (event["severity"], event["maxSeverity"]) == (1, 1)
    assert (summary["numOpen"], summary["alarms"]) == (0, "[]")


def test_all_is_told_again_for_each_instrument(monkeypatch) -> None:
    bench = Bench()
    bench.opened(7, alarm(S))
    bench.opened(9, alarm(N, max_severity=C, part="R22"))
    stale_view = [Numbered(1, alarm(C, part="R10"))]
    asyncio.run(bench.channel(monkeypatch).resend(stale_view))
    told = [(what, event["salIndex"], event.get("alarmId")) for what, event in bench.told()]
    assert told == [("summary", 1, None), ("alarm", 3, 7), ("alarm", 3, 9), ("summary", 3, None)]


def test_instruments_that_others_watch_are_left_alone(monkeypatch) -> None:
    bench = Bench(instruments=("LSSTCam", "TestStand"))
    channel = bench.channel(monkeypatch)
    asyncio.run(channel.resend([]))
    asyncio.run(channel.beat())
    assert [(what, event["salIndex"]) for what, event in bench.told()] == [
        ("summary", 3),
        ("heartbeat", 3),
    ]
    for instrument in ("LATISS", "TestStand"):
        with pytest.raises(RecordError, match=f"{instrument} has no SAL index here"):
            asyncio.run(channel.send(delivery(found=alarm(S, instrument=instrument))))


def test_what_is_in_the_way_decides_whether_to_try_again(monkeypatch) -> None:
    away, refused = BrokerError("Kafka a:9092: away"), RefusedRecordError("too large")
    for problems, kind in [
        ([None, away], WaitError),
        ([refused, away], WaitError),
        ([refused, None], RecordError),
    ]:
        bench = Bench(producer=DoubleProducer(problems=problems))
        with pytest.raises(kind):
            asyncio.run(bench.channel(monkeypatch).send(delivery()))


def test_a_ledger_that_is_away_is_waited_for(monkeypatch) -> None:
    bench = Bench()

    async def away(instrument: str) -> list[Numbered]:
        raise WaitError("ledger: locked")

    bench.open_alarms = away  # type: ignore[method-assign]
    with pytest.raises(WaitError, match="locked"):
        asyncio.run(bench.channel(monkeypatch).send(delivery()))
    assert bench.told() == []


def test_nothing_older_follows_something_newer(monkeypatch) -> None:
    """A resend that waits for the ledger and a change at the same time."""
    bench = Bench(instruments=("LSSTCam",))
    channel = bench.channel(monkeypatch)
    bench.opened(7, alarm(S))
    asked = asyncio.Event()
    plain = bench.open_alarms

    async def slow(instrument: str) -> list[Numbered]:
        found = await plain(instrument)
        asked.set()
        await asyncio.sleep(0.01)
        return found

    channel._open_alarms = slow

    async def go() -> None:
        resending = asyncio.create_task(channel.resend([]))
        await asked.wait()
        over = closed(alarm(S), NOON)
        bench.opened(7, over)
        await channel.send(delivery(found=over))
        await resending

    asyncio.run(go())
    states = [(what, e.get("severity"), e.get("numOpen")) for what, e in bench.told()]
    assert states == [
        ("alarm", 3, None),
        ("summary", 3, 1),
        ("alarm", 1, None),
        ("summary", 1, 0),
    ]


def test_settings_that_cannot_work(monkeypatch) -> None:
    watched = Bench(instruments=("TestStand", "HyperSuprime"))
    with pytest.raises(StopError, match="no SAL index is set for HyperSuprime nor TestStand"):
        watched.channel(monkeypatch)
    without = Bench(connection=CONNECTION.model_copy(update={"registry_url": None}))
    with pytest.raises(StopError, match="SCHEMA_MANAGER_REGISTRY_URL: is not set"):
        without.channel(monkeypatch)
    for index in ({"LATISS": 0}, {}, {"LATISS": 1, "LSSTCam": 1}, {"LATISS": 2**31}):
        with pytest.raises(ValueError, match="index"):
            SalSettings(type="sal", index=index)


def test_the_topics_have_the_sub_name_and_component_of_the_settings() -> None:
    settings = SalSettings(type="sal", subname="test", component="CalWatchTest")
    envelope = Envelope(settings, lambda: NOON)
    assert envelope.topics[SUMMARY.sal_name] == "lsst.test.CalWatchTest.logevent_summary"
    assert envelope.schemas[SUMMARY.sal_name]["namespace"] == "lsst.sal.CalWatchTest"
