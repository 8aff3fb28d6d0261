"""Events through a real broker and a real schema registry into a real ledger."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sal as events
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError
from confluent_kafka import Consumer, TopicPartition
from kafka_server import KafkaServer
from prometheus_client import CollectorRegistry
from registry_server import RegistryServer
from structlog.testing import capture_logs

from calwatch.arrivals.counters import IntakeCounters
from calwatch.arrivals.decode import Decoder
from calwatch.arrivals.kafka import KafkaSource
from calwatch.arrivals.model import Expectation, Notice, Reason
from calwatch.arrivals.sal import expected_detectors
from calwatch.arrivals.source import Arrival
from calwatch.arrivals.topics import Kind, default_topics, topics_of
from calwatch.camera.loader import load_camera
from calwatch.errors import LedgerError, WaitError
from calwatch.kafka.connection import KafkaConnection
from calwatch.kafka.registry import SchemaRegistry
from calwatch.ledger.inbox import LedgerInbox
from calwatch.ledger.store import Ledger

pytestmark = pytest.mark.services

CAMERA = load_camera("LSSTCam")
NAMES = {d.number: (d.raft, d.slot, d.purpose) for d in CAMERA.detectors}
DAY = 20261122
OODS = ("MTOODS", "logevent_imageInOODS")
READOUT = ("MTCamera", "logevent_endReadout")
IMPATIENT = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 500, "max_poll_interval_ms": 2000}
"""A consumer with these is put out of its group after two seconds without a poll."""


class Slow:
    """An inbox that keeps all in another one, but slowly, or not at all while it is away."""

    def __init__(self, inbox: LedgerInbox, seconds: float = 0.0, away: bool = False) -> None:
        self.inbox, self.seconds, self.away = inbox, seconds, away

    def note(self, notices: Sequence[Notice], expectations: Sequence[Expectation]) -> None:
        time.sleep(self.seconds)
        if self.away:
            raise LedgerError("ledger: away")
        self.inbox.note(notices, expectations)


class Site:
    """Topics of its own on the broker, a publisher, and a ledger."""

    def __init__(self, kafka: KafkaServer, registry: RegistryServer, folder: Path) -> None:
        self.kafka, self.registry = kafka, registry
        mark = uuid.uuid4().hex[:8]
        self.group = f"calwatch-{mark}"
        table = dict(default_topics(mark))
        self.bucket = f"lsst.s3.raw.{mark}"
        table["LSSTCam"] = {**table["LSSTCam"], Kind.BUCKET: [self.bucket]}
        self.topics = topics_of(["LSSTCam"], s3=True, table=table)
        self.sal = events.Sal(kafka.options, registry.url, mark)
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", publishing=True)
        self.inbox = LedgerInbox(self.ledger)
        self.metrics = CollectorRegistry()

    def make_topics(self, *but: str) -> None:
        names = [t.name for t in self.topics if t.kind is not Kind.BUCKET and t.name not in but]
        self.kafka.create_topics(*names, cleanup_policy="compact")
        self.kafka.create_topics(self.bucket)
        while not self.kafka.topics() >= {*names, self.bucket}:
            time.sleep(0.1)

    def topic(self, which: tuple[str, str]) -> str:
        return self.sal.topic(*which)

    def send_exposure(self, number: int, *, doubled: float = 0.0, seed: int = 0) -> None:
        """Send all that is told of one exposure, in any order, some of it more than once."""
        chance = random.Random(seed)
        told = [*range(205)]
        told += [detector for detector in told if chance.random() < doubled]
        chance.shuffle(told)
        self.sal.readout(obs_id(number))
        for detector in told:
            self.send_file(number, detector)

    def send_file(self, number: int, detector: int) -> None:
        raft, slot, purpose = NAMES[detector]
        component = "WFOODS" if purpose == "WAVEFRONT" else "MTOODS"
        self.sal.ingested("LSSTCam", obs_id(number), raft, slot, component=component)

    def kept(self) -> set[tuple[int, int]]:
        return {(n.exposure_id, n.detector) for n in self.inbox.unsettled("LSSTCam")}

    def committed(self, topic: str) -> int:
        """Return the offset that the group has committed, -1 if none."""
        consumer = Consumer({**self.kafka.options, "group.id": self.group})
        try:
            [found] = consumer.committed([TopicPartition(topic, 0)], timeout=20)
            return max(found.offset, -1)
        finally:
            consumer.close()

    def ends(self) -> dict[str, int]:
        """Return the end of every topic that has messages."""
        consumer = Consumer({**self.kafka.options, "group.id": "looking"})
        try:
            parts = [TopicPartition(t.name, 0) for t in self.topics]
            found = {p.topic: consumer.get_watermark_offsets(p, timeout=20)[1] for p in parts}
            return {topic: end for topic, end in found.items() if end}
        finally:
            consumer.close()

    def all_committed(self) -> bool:
        ends = self.ends()
        return bool(ends) and all(self.committed(topic) == ends[topic] for topic in ends)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.get_sample_value(f"calwatch_{name}", labels) or 0.0


@pytest.fixture
def site(kafka_server: KafkaServer, schema_registry: RegistryServer, tmp_path: Path) -> Any:
    site = Site(kafka_server, schema_registry, tmp_path)
    yield site
    site.ledger.close()


def obs_id(number: int) -> str:
    return f"MC_O_{DAY}_{number:06d}"


def files(*numbers: int) -> set[tuple[int, int]]:
    """Return (exposure, detector) of all that should be kept of some exposures."""
    return {(DAY * 100_000 + n, d) for n in numbers for d in expected_detectors(CAMERA)}


async def until(true: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait until something is true, or fail."""
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.1)


class Watcher:
    """Reads arrivals as the daemon does: whatever fails is started again."""

    def __init__(self, source: KafkaSource) -> None:
        self.source = source
        self.seen: set[Arrival] = set()
        self.failures: list[str] = []

    async def run(self) -> None:
        while True:
            try:
                async for arrival in self.source.arrivals():
                    self.seen.add(arrival)
            except WaitError as error:
                self.failures.append(str(error))
            await asyncio.sleep(0.2)


@asynccontextmanager
async def watching(
    site: Site, inbox: Any = None, metrics: CollectorRegistry | None = None, **options: Any
) -> AsyncIterator[Watcher]:
    """Run a source for as long as the block lasts."""
    async with SchemaRegistry(site.registry.url, timeout=3.0) as registry:
        source = KafkaSource(
            KafkaConnection(bootstrap_servers=site.kafka.bootstrap),
            site.topics,
            Decoder(registry, {"LSSTCam": CAMERA}),
            inbox or site.inbox,
            IntakeCounters(metrics or site.metrics),
            group=site.group,
            wait=lambda failures: 0.2,
            client_options=options,
        )
        watcher = Watcher(source)
        task = asyncio.create_task(watcher.run())
        try:
            yield watcher
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(scene(), 240)

    asyncio.run(limited())


def test_an_exposure_with_duplicates_in_any_order(site: Site) -> None:
    site.make_topics()
    for number in (1, 2, 3):
        site.send_exposure(number, doubled=0.3, seed=number)
    site.sal.flush()

    async def scene() -> None:
        async with watching(site) as watcher:
            await until(site.all_committed)
            assert site.kept() == files(1, 2, 3)
            arrivals = {(a.exposure_id, a.detector) for a in watcher.seen}
            assert arrivals >= files(1, 2, 3)
            assert watcher.source.state.rebalances == 1
            assert watcher.failures == []

    play(scene)
    due = site.inbox.due(datetime.now(UTC) + timedelta(hours=1), "LSSTCam")
    assert [one.expectation.obs_id for one in due] == [obs_id(n) for n in (1, 2, 3)]
    assert site.count("events_ignored_total", topic=site.topic(OODS), reason="guider") >= 24


OBSERVATORY = Path(__file__).parents[3] / "shared" / "data" / "events"
"""Messages of the observatory's own, as JSON."""


@pytest.mark.parametrize("file", sorted(OBSERVATORY.glob("MTCamera.logevent_endReadout.json")))
def test_a_message_of_the_observatory_s_own(site: Site, file: Path) -> None:
    site.make_topics()
    record = json.loads(file.read_text())
    value = site.sal.encode(site.topic(READOUT), events.end_readout(), record)
    site.sal.raw(site.topic(READOUT), value, events.key(*READOUT))
    site.sal.flush()

    async def scene() -> None:
        async with watching(site):
            await until(site.all_committed)

    play(scene)
    (due,) = site.inbox.due(datetime.now(UTC), "LSSTCam", look_again_days=10_000)
    expected = due.expectation
    assert (expected.obs_id, expected.exposure_id) == ("MC_O_20250502_000010", 2025050200010)
    assert expected.calib_type == "bias"
    assert expected.end_of_readout_utc.isoformat().startswith("2025-05-02T13:38:09.98877")
    assert len(expected.expected) == 197


def test_what_was_read_is_not_read_again(site: Site) -> None:
    site.make_topics()
    site.send_exposure(1)
    site.sal.flush()

    async def scene() -> None:
        async with watching(site):
            await until(site.all_committed)
        site.send_file(2, 7)
        site.sal.flush()
        async with watching(site, metrics=CollectorRegistry()) as watcher:
            await until(lambda: len(watcher.seen) > 0)
            assert watcher.seen == {Arrival("LSSTCam", DAY * 100_000 + 2, 7)}

    play(scene)


def test_the_broker_dies_in_mid_stream(site: Site) -> None:
    site.make_topics()
    site.send_exposure(1)
    site.sal.flush()

    async def scene() -> None:
        async with watching(site):
            await until(lambda: len(site.kept()) > 0)
            await asyncio.to_thread(site.kafka.kill)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(site.kafka.start)
            site.send_exposure(2, seed=2)
            await asyncio.to_thread(site.sal.flush)
            await until(lambda: site.kept() == files(1, 2))
            await until(site.all_committed)

    play(scene)


def test_the_registry_is_away(site: Site) -> None:
    site.make_topics()
    site.send_exposure(1)
    site.sal.flush()
    site.registry.stop()

    async def scene() -> None:
        async with watching(site, **IMPATIENT) as watcher:
            await until(lambda: watcher.source.state.waiting_for != "")
            await asyncio.sleep(2 * IMPATIENT["max_poll_interval_ms"] / 1000)
            assert site.kept() == set()
            assert site.committed(site.topic(OODS)) == -1
            assert site.count("intake_waiting") == 1
            await asyncio.to_thread(site.registry.start)
            await until(site.all_committed)
            assert site.kept() == files(1)
            assert watcher.source.state.waiting_for == ""
            assert watcher.source.state.rebalances == 1  # it never left its group
            assert site.count("commit_failures_total") == 0

    play(scene)


def test_the_ledger_is_slow_and_then_away(site: Site) -> None:
    site.make_topics()
    site.send_exposure(1)
    site.sal.flush()
    slow = Slow(site.inbox, seconds=2.5, away=True)

    async def scene() -> None:
        async with watching(site, slow, **IMPATIENT) as watcher:
            await until(lambda: watcher.source.state.waiting_for != "")
            await asyncio.sleep(4.0)
            assert site.committed(site.topic(OODS)) == -1
            assert watcher.seen == set()
            slow.away, slow.seconds = False, 0.0
            await until(site.all_committed)
            assert site.kept() == files(1)
            assert watcher.source.state.rebalances == 1

    play(scene)


def test_what_was_not_kept_is_delivered_again(site: Site) -> None:
    site.make_topics()
    site.send_exposure(1)
    site.sal.flush()

    async def scene() -> None:
        async with watching(site, Slow(site.inbox, away=True)) as watcher:
            await until(lambda: watcher.source.state.waiting_for != "")
        assert site.committed(site.topic(OODS)) == -1
        async with watching(site, metrics=CollectorRegistry()):
            await until(lambda: site.kept() == files(1))

    play(scene)


def test_a_commit_that_fails_is_survived(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.make_topics()
    site.send_exposure(1)
    site.sal.flush()
    failures = iter([CommitFailedError("the group has moved on")] * 3)
    commit = AIOKafkaConsumer.commit

    async def failing(self: AIOKafkaConsumer, offsets: Any = None) -> None:
        for error in failures:
            raise error
        await commit(self, offsets)

    monkeypatch.setattr(AIOKafkaConsumer, "commit", failing)

    async def scene() -> None:
        async with watching(site) as watcher:
            await until(site.all_committed)
            assert site.kept() == files(1)
            assert watcher.failures == []
            assert site.count("commit_failures_total") == 3

    play(scene)


def test_two_consumers_share_a_group(site: Site) -> None:
    """One comes while the other is at work, and goes again in the middle of its own work."""
    site.make_topics()
    site.send_exposure(1)
    site.sal.flush()
    slow = Slow(site.inbox, seconds=1.0)

    async def scene() -> None:
        other = CollectorRegistry()
        async with watching(site, metrics=other) as staying:
            async with watching(site, slow) as passing:
                await until(lambda: len(passing.source.state.assigned) > 0)
                site.send_exposure(2, seed=2)
                await asyncio.to_thread(site.sal.flush)
                await until(lambda: len(staying.source.state.assigned) > 0)
                await until(lambda: site.kept() >= files(1))
                site.send_exposure(3, seed=3)
                await asyncio.to_thread(site.sal.flush)
            site.send_exposure(4, seed=4)
            await asyncio.to_thread(site.sal.flush)
            await until(lambda: site.kept() == files(1, 2, 3, 4))
            await until(site.all_committed)
            assert len(staying.source.state.assigned) == len(site.topics)
            assert staying.source.state.rebalances >= 2

    play(scene)


def garbage(site: Site) -> dict[str, list[tuple[bytes | None, Reason]]]:
    """Return, by topic, one message of each kind that gives nothing to do."""
    oods, readout = site.topic(OODS), site.topic(READOUT)
    schema = events.image_in_oods()
    now = time.time()

    def event(sent_at: float = now, **changes: Any) -> bytes:
        fields = events.ingested_fields("LSSTCam", obs_id(9), "R22", "S11") | changes
        return site.sal.encode(oods, schema, events.private("x", 1, {}, sent_at) | fields)

    def ended(kind: str, ended_at: float = now, name: str = obs_id(9)) -> bytes:
        fields = events.readout_fields(name, kind, ended_at)
        record = events.private("x", 1, {}, now) | fields
        return site.sal.encode(readout, events.end_readout(), record)

    good = event()
    lacking = {**schema, "fields": [f for f in schema["fields"] if f["name"] != "sensor"]}
    number = {"name": "camera", "type": "int", "default": 0, "description": "", "units": ""}
    retyped = {
        **schema,
        "fields": [number if f["name"] == "camera" else f for f in schema["fields"]],
    }
    full = events.private("x", 1, {}, now) | events.ingested_fields("LSSTCam", "a", "b", "c")
    stem = f"LSSTCam/{DAY}/{obs_id(9)}/{obs_id(9)}"
    stored = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": f"{stem}_R22_S11.json"}}}
    return {
        oods: [
            (None, Reason.EMPTY),
            (b"", Reason.EMPTY),
            (bytes(range(1, 200)), Reason.WRONG_MAGIC),
            (b"\x01" + good[1:], Reason.WRONG_MAGIC),
            (b"\x00\x7f\xff\xff\xf0" + good[5:], Reason.UNKNOWN_SCHEMA),
            (good[:-4], Reason.TRUNCATED),
            (good[:5], Reason.TRUNCATED),
            (good + b"\x00", Reason.TRAILING_BYTES),
            (event(description="x" * 1_000_000), Reason.TOO_LARGE),
            (site.sal.encode(oods, lacking, full), Reason.MISSING_FIELD),
            (site.sal.encode(oods, retyped, full | {"camera": 1}), Reason.WRONG_TYPE),
            (event(sent_at=-2208988800.0), Reason.BAD_TIMESTAMP),
            (event(sent_at=float("nan")), Reason.BAD_TIMESTAMP),
            (event(sent_at=now + 1e9), Reason.BAD_TIMESTAMP),
            (event(camera="DECam"), Reason.UNKNOWN_CAMERA),
            (event(camera="LATISS"), Reason.OTHER_INSTRUMENT),
            (event(sensor="S99"), Reason.UNKNOWN_DETECTOR),
            (event(raft="R00", sensor="SG0"), Reason.GUIDER),
            (event(obsid="nonsense"), Reason.BAD_EXPOSURE),
            (event(camera="UNDEF", obsid="??", statusCode=2), Reason.METADATA_FAILURE),
        ],
        readout: [
            (ended("OBJECT", name=obs_id(8)), Reason.NOT_A_CALIBRATION),
            (ended("BIAS", ended_at=-2208988800.0), Reason.BAD_TIMESTAMP),
            (b"", Reason.EMPTY),
        ],
        site.bucket: [
            (b"\x00\x00\x00\x00\x01\x02", Reason.BAD_JSON),
            (b'{"Records": ', Reason.BAD_JSON),
            (json.dumps({"Records": [stored]}).encode(), Reason.NOT_A_RAW),
        ],
    }


def test_garbage_of_every_kind_is_counted_and_told_once(site: Site) -> None:
    site.make_topics()
    bad = garbage(site)
    for topic, messages in bad.items():
        for value, _ in messages:
            site.sal.raw(topic, value, b"\xff\x00 no key of ours")
    site.send_exposure(1)
    site.sal.ingested("LSSTCam", str(DAY * 100_000 + 2), "R??", "S94", 1, "ingest failure: why")
    site.sal.flush()

    async def scene() -> None:
        async with watching(site) as watcher:
            await until(site.all_committed)
            assert watcher.failures == []
            assert watcher.source.state.rebalances == 1

    with capture_logs() as logs:
        play(scene)
    assert site.kept() == files(1) | {(DAY * 100_000 + 2, 94)}
    told = [line for line in logs if line["event"] == "event skipped"]
    for topic, messages in bad.items():
        for offset, (_, reason) in enumerate(messages):
            lines = [line for line in told if (line["topic"], line["offset"]) == (topic, offset)]
            assert [(line["reason"], line["partition"]) for line in lines] == [(reason.value, 0)]
        for reason in {reason for _, reason in messages} - {Reason.GUIDER}:
            name = "undecodable" if reason.undecodable else "ignored"
            found = site.count(f"events_{name}_total", topic=topic, reason=reason.value)
            assert found == sum(one is reason for _, one in messages)


def test_a_bucket_tells_as_well(site: Site) -> None:
    site.make_topics()
    stem = f"LSSTCam/{DAY}/{obs_id(5)}/{obs_id(5)}"
    for name in ("R22_S11", "R00_SW0", "R00_SG0_guider"):
        one = {
            "eventName": "ObjectCreated:Put",
            "eventTime": "0.000000",
            "s3": {"object": {"key": f"{stem}_{name}.fits"}},
        }
        site.sal.raw(site.bucket, json.dumps({"Records": [one]}).encode())
    site.sal.flush()

    async def scene() -> None:
        async with watching(site):
            await until(site.all_committed)

    play(scene)
    assert site.kept() == {(DAY * 100_000 + 5, 94), (DAY * 100_000 + 5, 191)}


def test_missing_topics_are_named_and_found_later(site: Site) -> None:
    late = site.topic(OODS)
    site.make_topics(late)

    async def scene() -> None:
        async with watching(site) as watcher:
            await until(lambda: len(watcher.source.state.assigned) == len(site.topics) - 1)
            assert watcher.source.state.missing_topics == (late,)
            assert site.count("missing_topics") == 1
            site.kafka.create_topics(late)
            site.send_exposure(1)
            await asyncio.to_thread(site.sal.flush)
            await until(lambda: site.kept() == files(1))
            assert watcher.source.state.missing_topics == ()
            assert site.count("missing_topics") == 0

    with capture_logs() as logs:
        play(scene)
    told = [line["topics"] for line in logs if line["event"].startswith("topics missing")]
    assert told == [[late]]


def test_a_backlog_is_consumed_within_the_group(site: Site) -> None:
    """Ten thousand events with a consumer that must poll every two seconds."""
    site.make_topics()
    exposures = range(1, 50)
    for number in exposures:
        site.send_exposure(number, seed=number)
    site.sal.flush()
    assert sum(site.ends().values()) > 10_000

    async def scene() -> None:
        async with watching(site, **IMPATIENT) as watcher:
            await until(site.all_committed, 200)
            assert watcher.source.state.rebalances == 1
            assert watcher.failures == []

    play(scene)
    assert site.kept() == files(*exposures)
    assert site.count("commit_failures_total") == 0
    assert site.count("events_lag", topic=site.topic(OODS), partition="0") == 0
