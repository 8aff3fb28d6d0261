"""What the drain does in every kind of trouble.

The channel here is a double that fails when told to; the drain is held to a real broker by the
tests that start one.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from episodes import make_alarm, make_transition
from fakes import NOON, make_job, make_result
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from calwatch.errors import LedgerError, StopError
from calwatch.kafka.producer import RefusalError
from calwatch.kafka.registry import RegistryError
from calwatch.ledger.alarms import AlarmStore, Written
from calwatch.ledger.outbox import Outbox
from calwatch.ledger.store import Ledger
from calwatch.publish.channel import BrokerError, RefusedRecordError
from calwatch.publish.encoder import Encoder, Message
from calwatch.publish.publisher import Publisher
from calwatch.publish.schemas import NAMES, build_schemas

AWAY = BrokerError("Kafka a:9092: no answer in time")


class DoubleChannel:
    """Takes messages as told: an error for some, or for all for a while."""

    def __init__(self) -> None:
        schemas = build_schemas()
        self.encoder = Encoder(schemas, {name: i for i, name in enumerate(NAMES)})
        self.arrived: list[Message] = []
        self.batches: list[int] = []
        self.open_errors: list[Exception] = []
        self.judge: Callable[[Message, int], Exception | None] = lambda message, batch: None
        self.closed = False

    async def open(self) -> None:
        if self.open_errors:
            raise self.open_errors.pop(0)

    async def send(self, messages: Sequence[Message]) -> list[Exception | None]:
        self.batches.append(len(messages))
        results = [self.judge(message, len(messages)) for message in messages]
        pairs = zip(messages, results, strict=True)
        self.arrived += [message for message, result in pairs if result is None]
        return results

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", publishing=True)
    yield ledger
    ledger.close()


@pytest.fixture
def channel() -> DoubleChannel:
    return DoubleChannel()


def judge(ledger: Ledger, *detectors: int, **result: Any) -> None:
    for detector in detectors:
        job = make_job(1, detector)
        assert ledger.record(make_result(job, **result), job.exposure, NOON)


def publisher_of(ledger: Ledger, channel: DoubleChannel, **options: Any) -> Publisher:
    fast = {"idle_seconds": 0.02, "first_wait_seconds": 0.01, "most_wait_seconds": 0.02}
    return Publisher(Outbox(ledger), channel, **{**fast, **options})


def drain(publisher: Publisher, ledger: Ledger, until: int = 0) -> None:
    """Run until only so many rows remain, then stop."""

    async def go() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(publisher.run(stop))
        async with asyncio.timeout(20):
            while await asyncio.to_thread(Outbox(ledger).size) > until:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
        assert not running.done()
        stop.set()
        await running

    asyncio.run(go())


def keys(channel: DoubleChannel) -> list[int]:
    return [int(message.key.decode().split("/")[1]) for message in channel.arrived]


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_batches_in_order_and_the_way_closed_at_the_end(ledger, channel) -> None:
    before = value("calwatch_published_total", topic="lsst.cp.calwatch.bias")
    judge(ledger, *range(25))
    drain(publisher_of(ledger, channel, batch=10), ledger)
    assert keys(channel) == list(range(25))
    assert channel.batches == [10, 10, 5]
    assert channel.closed
    after = value("calwatch_published_total", topic="lsst.cp.calwatch.bias")
    assert after - before == 25
    assert value("calwatch_outbox_rows") == 0


def test_what_happens_to_alarms_goes_to_a_topic_of_its_own(ledger, channel) -> None:
    alarm = make_alarm()
    work = Written({}, [alarm], [make_transition(alarm), make_transition(alarm, minutes=1)])
    AlarmStore(ledger).step("LSSTCam", lambda _: work, "test")
    judge(ledger, 1)
    drain(publisher_of(ledger, channel), ledger)
    assert [message.topic for message in channel.arrived] == [
        "lsst.cp.calwatch.alarm",
        "lsst.cp.calwatch.alarm",
        "lsst.cp.calwatch.bias",
    ]
    assert [message.key for message in channel.arrived[:2]] == [b"LSSTCam"] * 2


def test_a_wake_is_heard_at_once(ledger, channel) -> None:
    publisher = publisher_of(ledger, channel, idle_seconds=60.0)

    async def go() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(publisher.run(stop))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(judge, ledger, 1)
        publisher.wake()
        async with asyncio.timeout(20):
            while not channel.arrived:
                await asyncio.sleep(0.01)
        stop.set()
        await running

    asyncio.run(go())
    assert keys(channel) == [1]


def test_what_comes_after_a_failure_waits_for_its_turn(ledger, channel) -> None:
    failures = iter([AWAY] * 3)

    def third_fails(message: Message, batch: int) -> Exception | None:
        return next(failures, None) if message.key == b"LATISS/3" else None

    channel.judge = third_fails
    judge(ledger, *range(6))
    drain(publisher_of(ledger, channel), ledger)
    # 4 and 5 went through beside the failure and are sent again, behind 3.
    assert keys(channel) == [0, 1, 2, 4, 5, 3, 4, 5]
    assert len({message.value for message in channel.arrived}) == 6


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (AWAY, "kafka"),
        (RegistryError("schema registry http://r: away"), "registry"),
        (StopError("topics are missing"), "refused"),
        (LedgerError("ledger: locked"), "ledger"),
        (ZeroDivisionError("a bug"), "unexpected"),
    ],
)
def test_an_outage_of_any_kind_is_one_line_and_is_waited_out(ledger, channel, error, cause) -> None:
    before = value("calwatch_publish_failures_total", cause=cause)
    channel.open_errors = [error] * 7
    judge(ledger, 1, 2)
    with capture_logs() as logs:
        drain(publisher_of(ledger, channel), ledger)
    assert keys(channel) == [1, 2]
    assert [line.get("cause") for line in logs] == [cause, None]
    assert logs[0]["error"] == str(error)
    assert logs[1]["event"] == "publishing again"
    assert value("calwatch_publish_failures_total", cause=cause) - before == 7
    assert value("calwatch_publish_outage") == 0


def test_a_broker_that_is_back_and_refuses_is_told_of(ledger, channel) -> None:
    channel.open_errors = [AWAY, AWAY, RefusalError("Kafka a:1: wrong password"), AWAY]
    judge(ledger, 1)
    publisher = publisher_of(ledger, channel)
    assert publisher.held_up_by() == ""
    with capture_logs() as logs:
        asyncio.run(publisher.prepare())
        assert publisher.held_up_by() == str(AWAY)
        drain(publisher, ledger)
    assert [line.get("error") for line in logs] == [str(AWAY), "Kafka a:1: wrong password", None]
    assert publisher.held_up_by() == ""


def test_the_second_outage_is_told_too(ledger, channel) -> None:
    channel.open_errors = [AWAY]
    judge(ledger, 1)
    publisher = publisher_of(ledger, channel)
    with capture_logs() as logs:
        drain(publisher, ledger)
        channel.open_errors = [AWAY]
        publisher = publisher_of(ledger, channel)
        judge(ledger, 2)
        drain(publisher, ledger)
    assert [line.get("cause") for line in logs] == ["kafka", None] * 2


def test_waits_double_up_to_the_longest(ledger, channel) -> None:
    publisher = publisher_of(ledger, channel, first_wait_seconds=1.0, most_wait_seconds=60.0)
    waits = []
    with capture_logs():
        for _ in range(2000):
            publisher._held_up(AWAY)
            waits.append(publisher._wait_seconds())
    assert waits[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert set(waits[6:]) == {60.0}


def test_a_row_that_cannot_be_published_is_set_aside(ledger, channel) -> None:
    before = value("calwatch_publish_set_aside_total", cause="RecordError")
    judge(ledger, 1)
    judge(ledger, 2, amps=("Z9",))
    judge(ledger, 3)
    with capture_logs() as logs:
        drain(publisher_of(ledger, channel), ledger)
    assert keys(channel) == [1, 3]
    (line,) = logs
    assert line["log_level"] == "error"
    assert line["what"].endswith("detector 2")
    assert "no amplifier Z9" in line["cause"]
    assert value("calwatch_publish_set_aside_total", cause="RecordError") - before == 1
    assert len(list(Outbox(ledger).stored("LATISS"))) == 3  # still in the ledger


def test_only_bad_rows_at_once(ledger, channel) -> None:
    judge(ledger, 1, 2, amps=("Z9",))
    with capture_logs():
        drain(publisher_of(ledger, channel), ledger)
    assert channel.batches == []


def test_one_row_that_spoils_its_batch_is_found(ledger, channel) -> None:
    def too_large(message: Message, batch: int) -> Exception | None:
        if batch > 1:
            return AWAY  # the broker refused the batch, whosever fault it was
        return RefusedRecordError("too large") if message.key == b"LATISS/0" else None

    channel.judge = too_large
    judge(ledger, 0)
    judge(ledger, 1)
    with capture_logs() as logs:
        drain(publisher_of(ledger, channel), ledger, until=1)
        channel.judge = lambda message, batch: None
        drain(publisher_of(ledger, channel), ledger)
    assert keys(channel) == [1]
    assert any("too large" in line.get("cause", "") for line in logs)


def test_the_start_is_refused_only_for_what_a_person_must_mend(ledger, channel) -> None:
    channel.open_errors = [AWAY, StopError("field C00_MEAN would be removed")]
    publisher = publisher_of(ledger, channel)
    with capture_logs() as logs:
        asyncio.run(publisher.prepare())
        with pytest.raises(StopError, match="C00_MEAN"):
            asyncio.run(publisher.prepare())
    assert [line["cause"] for line in logs] == ["kafka"]


def test_a_stop_in_an_outage_ends_at_once(ledger, channel) -> None:
    channel.open_errors = [AWAY] * 1000
    judge(ledger, 1)
    publisher = publisher_of(ledger, channel, first_wait_seconds=60.0, most_wait_seconds=60.0)

    async def go() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(publisher.run(stop))
        await asyncio.sleep(0.1)
        stop.set()
        async with asyncio.timeout(5):
            await running

    with capture_logs():
        asyncio.run(go())
    assert Outbox(ledger).size() == 1
    assert value("calwatch_outbox_rows") == 1
    assert value("calwatch_outbox_oldest_seconds") > 0
    assert value("calwatch_publish_outage") == 1


def test_a_stop_lets_what_is_there_go_out_first(ledger, channel) -> None:
    judge(ledger, *range(30))
    publisher = publisher_of(ledger, channel, batch=3, grace_seconds=20.0)

    async def go() -> None:
        stop = asyncio.Event()
        stop.set()
        await publisher.run(stop)

    asyncio.run(go())
    assert len(channel.arrived) == 30
    assert Outbox(ledger).size() == 0


def test_a_broken_ledger_disturbs_nobody(ledger, channel, monkeypatch) -> None:
    judge(ledger, 1)
    publisher = publisher_of(ledger, channel)
    real = publisher._outbox.done
    failures = iter([LedgerError("ledger: disk full")] * 2)

    def done(ids) -> None:
        error = next(failures, None)
        if error is not None:
            raise error
        real(ids)

    monkeypatch.setattr(publisher._outbox, "done", done)
    with capture_logs() as logs:
        drain(publisher, ledger)
    assert keys(channel) == [1, 1, 1]
    assert len({message.value for message in channel.arrived}) == 1
    assert [line.get("cause") for line in logs] == ["ledger", None]


@settings(max_examples=15)
@given(data=st.data())
def test_whatever_fails_everything_arrives_in_order(data: st.DataObject) -> None:
    """Failures at random: nothing is lost, and what is last heard of each comes in order."""
    with tempfile.TemporaryDirectory() as folder, capture_logs():
        ledger = Ledger.open(f"sqlite:///{folder}/ledger.db", publishing=True)
        judge(ledger, *range(8))
        channel = DoubleChannel()
        lost = iter(data.draw(st.lists(st.booleans(), max_size=25)))
        channel.judge = lambda message, batch: AWAY if next(lost, False) else None
        channel.open_errors = [AWAY] * data.draw(st.integers(0, 2))
        batch = data.draw(st.integers(1, 9))
        drain(publisher_of(ledger, channel, batch=batch), ledger)
        ledger.close()
    last = {key: place for place, key in enumerate(keys(channel))}
    assert sorted(last, key=last.__getitem__) == list(range(8))
    assert len({message.value for message in channel.arrived}) == 8
