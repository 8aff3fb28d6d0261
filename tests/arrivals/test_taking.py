"""A batch is understood, kept and told of, whatever is away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from calwatch.arrivals.counters import IntakeCounters
from calwatch.arrivals.model import Expectation, Ignored, Notice, Reason
from calwatch.arrivals.source import Arrival
from calwatch.arrivals.taking import Taking, wait_seconds
from calwatch.arrivals.topics import Kind, Topic
from calwatch.errors import LedgerError, RecordError
from calwatch.kafka.registry import RegistryError

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
TOPICS = {
    "oods": Topic("oods", Kind.INGESTED, ("LATISS",)),
    "readout": Topic("readout", Kind.READOUT, ("LATISS",)),
}
NOTICE = Notice("LATISS", 2026112200001, 0, NOW)
COMING = Expectation("LATISS", 2026112200002, "AT", "bias", NOW, NOW + timedelta(minutes=4), (0,))
SCIENCE = Ignored(Reason.NOT_A_CALIBRATION, "OBJECT", ("LATISS", NOTICE.exposure_id))


@dataclass(frozen=True)
class Message:
    """One message; its value is what it says."""

    value: Any
    topic: str = "oods"
    offset: int = 0
    partition: int = 0


class Decoder:
    """Says what the value of a message is; away for the first so many questions."""

    def __init__(self, away: int = 0) -> None:
        self.away = away

    async def read(self, topic: Topic, value: Any, now: datetime) -> list[Any]:
        if self.away:
            self.away -= 1
            raise RegistryError("the registry is away")
        return value if isinstance(value, list) else [value]


class Inbox:
    """Keeps in memory; away for the first so many calls; never keeps what it refuses."""

    def __init__(self, away: int = 0, refused: Sequence[Any] = ()) -> None:
        self.away = away
        self.refused = refused
        self.kept: list[Any] = []

    def note(self, notices: Sequence[Notice], expectations: Sequence[Expectation]) -> None:
        if self.away:
            self.away -= 1
            raise LedgerError("the ledger is away")
        if any(one in self.refused for one in (*notices, *expectations)):
            raise RecordError("cannot be kept")
        self.kept += [*notices, *expectations]


class Bench:
    """A `Taking` with its surroundings."""

    def __init__(self, decoder: Any = None, inbox: Inbox | None = None) -> None:
        self.registry = CollectorRegistry()
        self.inbox = inbox or Inbox()
        self.waits: list[int] = []
        wait: Callable[[int], float] = lambda failures: self.waits.append(failures) or 0.0  # noqa: E731
        self.taking = Taking(
            TOPICS,
            decoder or Decoder(),
            self.inbox,
            IntakeCounters(self.registry),
            wait,
            lambda: NOW,
        )

    def take(self, *messages: Message) -> list[Arrival]:
        batch: dict[str, list[Message]] = {}
        for message in messages:
            batch.setdefault(message.topic, []).append(message)
        return asyncio.run(self.taking.take_in(batch))

    def count(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"calwatch_{name}", labels)


def test_what_is_kept_is_told_of_once() -> None:
    bench = Bench()
    told = bench.take(Message(NOTICE), Message(NOTICE), Message(COMING, "readout"))
    assert told == [
        Arrival("LATISS", COMING.exposure_id),
        Arrival("LATISS", NOTICE.exposure_id, 0),
    ]
    assert bench.inbox.kept == [NOTICE, NOTICE, COMING]
    assert bench.count("events_received_total", topic="oods") == 2
    assert bench.count("events_noted_total", kind="notice") == 2
    assert bench.count("events_noted_total", kind="expectation") == 1


@pytest.mark.parametrize("reason", list(Reason))
def test_what_is_ignored_is_counted_and_told_once(reason: Reason) -> None:
    bench = Bench()
    with capture_logs() as logs:
        assert bench.take(Message(Ignored(reason, "why"), offset=17)) == []
    [line] = logs
    assert line["reason"] == reason.value
    assert (line["topic"], line["partition"], line["offset"]) == ("oods", 0, 17)
    assert (line["log_level"] == "debug") == reason.ordinary
    name = "events_undecodable_total" if reason.undecodable else "events_ignored_total"
    assert bench.count(name, topic="oods", reason=reason.value) == 1
    assert bench.inbox.kept == []


def test_the_files_of_a_science_exposure_are_not_kept() -> None:
    bench = Bench()
    other = Notice("LATISS", 2026112200009, 0, NOW)
    told = bench.take(Message(NOTICE), Message(SCIENCE, "readout"), Message(other))
    assert [arrival.exposure_id for arrival in told] == [other.exposure_id]
    assert bench.take(Message(NOTICE)) == []
    assert bench.inbox.kept == [other]
    found = bench.count("events_ignored_total", topic="oods", reason="not_a_calibration")
    assert found == 2


def test_an_outage_is_waited_for_and_told_once() -> None:
    for decoder, inbox in ((Decoder(away=4), Inbox()), (Decoder(), Inbox(away=4))):
        bench = Bench(decoder, inbox)
        with capture_logs() as logs:
            assert bench.take(Message(NOTICE))
        assert [line["event"] for line in logs] == ["events wait", "events go on"]
        assert bench.waits == [1, 2, 3, 4]
        assert inbox.kept == [NOTICE]
        assert bench.taking.waiting_for == ""
        assert bench.count("intake_waiting") == 0


def test_what_can_never_be_kept_is_left_out() -> None:
    bad = Notice("LATISS", 1, 0, NOW)
    bench = Bench(inbox=Inbox(refused=[bad]))
    with capture_logs() as logs:
        told = bench.take(Message(NOTICE), Message(bad, offset=5), Message(COMING, "readout"))
    assert {arrival.exposure_id for arrival in told} == {NOTICE.exposure_id, COMING.exposure_id}
    assert [(line["reason"], line["offset"]) for line in logs] == [("refused", 5)]
    assert bench.count("events_ignored_total", topic="oods", reason="refused") == 1


def test_a_message_may_say_several_things() -> None:
    other = Notice("LATISS", 2026112200001, 1, NOW)
    bench = Bench()
    told = bench.take(Message([NOTICE, Ignored(Reason.NOT_A_RAW, "json"), other]))
    assert [arrival.detector for arrival in told] == [0, 1]


def test_science_exposures_are_remembered_within_a_bound() -> None:
    bench = Bench()
    many = [
        Message(Ignored(Reason.NOT_A_CALIBRATION, "", ("LATISS", number)), "readout")
        for number in range(6000)
    ]
    bench.take(*many)
    assert len(bench.taking._others) == 4096


def test_waits_grow_to_a_bound() -> None:
    assert [wait_seconds(n) for n in (1, 2, 3, 7, 8, 5000)] == [0.5, 1, 2, 30, 30, 30]
