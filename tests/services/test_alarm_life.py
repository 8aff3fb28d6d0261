"""Alarms from the exposure to the people, with real servers at every end.

Each end must have been told everything once, and what holds a state must hold exactly the open
alarms, whatever was killed, stopped or restarted on the way.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from evening import CAMERAS, LIMITS, judged

from calwatch.alarms.machine import AlarmActionError
from calwatch.alarms.model import Severity
from calwatch.kafka.connection import KafkaConnection
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.deliveries import Deliveries
from calwatch.ledger.store import Ledger
from calwatch.service import delivering
from calwatch.service.alarm_books import AlarmBooks, make_books
from calwatch.service.alarm_wiring import Alarming, set_up_alarms
from calwatch.service.lifecycle import SystemClock
from calwatch.settings import AlarmSettings

pytestmark = pytest.mark.services
SECONDS = 120.0
AMPS = ("C05", "C10", "C12", "C03")
CLOCK = SystemClock()


class Town:
    """A ledger, and everybody who is told."""

    def __init__(self, ledger_url: str, kafka, registry_url: str, alertmanager, webhook, smtp):
        self.subname = f"t{uuid.uuid4().hex[:8]}"
        self.kafka, self.registry_url = kafka, registry_url
        self.alertmanager, self.webhook, self.smtp = alertmanager, webhook, smtp
        self.ledger = Ledger.open(ledger_url, alarming=True)
        hook = f"mmost://127.0.0.1:{webhook.port}/{self.subname}abcdefghijklmnopqrst"
        self.settings = AlarmSettings.model_validate(
            {
                "channels": [
                    {"type": "sal", "subname": self.subname, "resend_seconds": 1},
                    {"type": "alertmanager", "url": alertmanager.url, "resend_seconds": 1},
                    {"type": "apprise", "name": "slack", "urls": [hook], "per_minute": 100000},
                    {"type": "apprise", "name": "mail", "urls": [smtp.url()], "per_minute": 100000},
                ]
            }
        )
        self.connection = KafkaConnection(
            bootstrap_servers=kafka.bootstrap, registry_url=registry_url
        )
        self.number = 0

    def alarming(self) -> Alarming:
        """Return what a daemon that has just started has."""
        parts = (
            self.books,
            Deliveries(self.ledger),
            self.settings,
            CAMERAS,
            self.connection,
            CLOCK,
        )
        return set_up_alarms(*parts, grace_seconds=2.0)

    @property
    def books(self) -> AlarmBooks:
        return make_books(AlarmStore(self.ledger), self.settings, CAMERAS, LIMITS, CLOCK)

    def expose(self, *bad: str) -> None:
        """Record an exposure that ended just now."""
        self.number += 1
        judged(self.ledger, CLOCK, self.number, *bad, end=datetime.now(UTC))

    def open_names(self) -> set[str]:
        return {one.alarm.name for one in self.books.store.open_alarms()}

    def waiting(self) -> int:
        deliveries = Deliveries(self.ledger)
        names = ("love", "alertmanager", "slack", "mail")
        return self.books.store.queue_size() + sum(map(deliveries.waiting, names))

    def firing(self) -> Counter[str]:
        """Return the alarms that Alertmanager holds, each as often as it does."""
        return Counter(alert["labels"]["alarm"] for alert in self.alertmanager.alerts())

    def summary(self) -> dict[str, Any]:
        """Return the newest summary on the SAL topic, as whoever comes late reads it.

        Before there is one it is as an empty one.
        """
        topic = f"lsst.{self.subname}.CalWatch.logevent_summary"
        options = {"group.id": "x", "enable.auto.commit": False}
        consumer = Consumer({**self.kafka.options, **options})
        try:
            place = TopicPartition(topic, 0, 0)
            try:
                _, end = consumer.get_watermark_offsets(place, timeout=20)
            except KafkaException:
                end = 0
            if end == 0:
                return {"alarms": "[]", "seriousOpen": False}
            consumer.assign([TopicPartition(topic, 0, end - 1)])
            message = consumer.poll(20)
            assert message is not None
            assert message.error() is None
            read = AvroDeserializer(SchemaRegistryClient({"url": self.registry_url}))
            context = SerializationContext(topic, MessageField.VALUE)
            return read(message.value(), context)
        finally:
            consumer.close()

    def notices(self) -> list[str]:
        """Return what the Slack-shaped webhook was told, the first line of each."""
        mine = [post for post in self.webhook.posts if self.subname in post.path]
        return [str(post.content["text"]).strip().splitlines()[0] for post in mine]


@pytest.fixture
def town(
    tmp_path: Path, kafka_server, schema_registry, alertmanager_server, webhook, smtp, monkeypatch
):
    monkeypatch.setattr(delivering, "LONGEST_WAIT", 2.0)
    monkeypatch.setattr(delivering, "LOOK_SECONDS", 0.1)
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    found = Town(url, kafka_server, schema_registry.url, alertmanager_server, webhook, smtp)
    yield found
    found.ledger.close()


@asynccontextmanager
async def running(town: Town) -> AsyncIterator[Alarming]:
    """Run the alarms as the daemon does."""
    alarming, stop = town.alarming(), asyncio.Event()
    task = asyncio.create_task(alarming.run(stop))
    try:
        yield alarming
    finally:
        stop.set()
        await task


async def until(holds: Callable[[], bool], what: str) -> None:
    for _ in range(int(SECONDS / 0.2)):
        if await asyncio.to_thread(holds):
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"not within {SECONDS:.0f} s: {what}")


def test_from_the_fault_to_the_people_and_back(town: Town) -> None:
    async def life() -> None:
        async with running(town) as alarming:
            town.expose("C05")
            town.expose("C05")
            alarming.alarmist.wake()
            await until(lambda: len(town.notices()) == 1, "the notice that it was raised")
            await until(lambda: sum(town.firing().values()) == 1, "the alert")
            await until(lambda: town.summary()["seriousOpen"], "the SAL summary")
            (found,) = town.books.store.open_alarms()
            town.books.acknowledge(found.alarm_id, "ada", "cable reseated")
            alarming.deliverer.wake()
            await until(lambda: len(town.notices()) == 2, "the notice of acknowledging")
            town.expose()
            town.expose()
            alarming.alarmist.wake()
            await until(lambda: len(town.notices()) == 3, "the notice that it is over")
            await until(lambda: not town.firing(), "the alert to be resolved")
            await until(lambda: json.loads(town.summary()["alarms"]) == [], "an empty summary")
            await until(lambda: town.waiting() == 0, "all to be told")
        raised, known, over = town.notices()
        assert "SERIOUS: LATISS RXX_S00/C05" in raised
        assert "ada" in known
        assert "cable reseated" in known
        assert "OVER: LATISS RXX_S00/C05: good again" in over
        assert len(town.smtp.letters) == 3

    asyncio.run(life())


def test_whatever_is_killed_every_end_comes_to_hold_the_open_alarms(town: Town) -> None:
    dice = random.Random(1)

    async def act() -> None:
        match dice.choice(["expose", "expose", "expose", "good", "ack", "mute", "outage", "clean"]):
            case "expose":
                bad = dice.sample(AMPS, dice.randint(1, len(AMPS)))
                await asyncio.to_thread(town.expose, *bad)
            case "good":
                await asyncio.to_thread(town.expose)
            case "clean":
                for _ in range(2):
                    await asyncio.to_thread(town.expose)
            case "ack" | "mute" as what:
                await asyncio.to_thread(person, what)
            case "outage":
                await asyncio.to_thread(outage)

    def person(what: str) -> None:
        numbered = town.books.store.open_alarms()
        if not numbered:
            return
        alarm_id = dice.choice(numbered).alarm_id
        try:
            if what == "ack":
                town.books.acknowledge(alarm_id, "ada", "seen")
            else:
                soon = timedelta(seconds=dice.choice([1, 3600]))
                town.books.mute(alarm_id, "ada", "work", soon, Severity.CRITICAL)
        except AlarmActionError:
            return

    def outage() -> None:
        which = dice.choice(["alertmanager", "kafka", "webhook"])
        if which == "webhook":
            town.webhook.status = 503 if town.webhook.status == 200 else 200
            return
        server = getattr(town, which)
        if server.process.pid is None:
            server.start()
        else:
            dice.choice([server.stop, server.kill])()

    async def storm() -> None:
        for _round in range(3):
            async with running(town):
                for _ in range(8):
                    await act()
                    await asyncio.sleep(dice.uniform(0.0, 0.4))
        town.webhook.status = 200
        for server in (town.kafka, town.alertmanager):
            await asyncio.to_thread(server.start)
        async with running(town):
            await until(lambda: town.waiting() == 0, "all to be told")
            await until(lambda: town.firing() == Counter(town.open_names()), "Alertmanager")
            await until(
                lambda: (
                    {a["name"] for a in json.loads(town.summary()["alarms"])} == town.open_names()
                ),
                "the SAL summary",
            )
            assert town.firing() == Counter(town.open_names())

    asyncio.run(storm())
    # Nobody was told of one thing twice, but for what says that it may be a repeat.
    entries = [d for h in town.books.store.history() for d in h.deliveries if d.channel == "slack"]
    assert {d.state for d in entries} <= {"sent"}
    notices = town.notices()
    assert len(entries) <= len(notices) <= len(entries) + sum(d.repeat for d in entries)
