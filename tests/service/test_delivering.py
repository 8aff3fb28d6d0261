"""Each transition is told once to each channel, and a channel that is down delays only itself.

The channels here are doubles, so that they can fail at will; the real ones are tried with real
servers in `tests/services`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import time, timedelta
from functools import partial
from pathlib import Path

import pytest
from evening import CAMERAS, LIMITS, Clock, judged

from calwatch.alarms.deliver.routing import Route
from calwatch.alarms.deliver.settings import ConsoleSettings
from calwatch.alarms.machine import AlarmActionError
from calwatch.alarms.rules import load_rules
from calwatch.alarms.words import message
from calwatch.errors import LedgerError, RecordError, WaitError
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.deliveries import Deliveries
from calwatch.ledger.store import Ledger
from calwatch.service import delivering
from calwatch.service.alarm_books import AlarmBooks, make_books
from calwatch.service.alarming import Alarmist
from calwatch.service.delivering import Deliverer, Outlet
from calwatch.settings import AlarmSettings

SETTINGS = AlarmSettings(
    channels=(
        ConsoleSettings(type="console", name="one"),
        ConsoleSettings(type="console", name="two"),
    )
)


class Fake:
    """A double of a channel that does what a test tells it to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.got: list[str] = []
        self.repeats: list[bool] = []
        self.resent: list[list[str]] = []
        self.told: list[str] = []
        self.failure: Exception | None = None
        self.before_send: Callable[[], Awaitable[None]] | None = None
        self.closed = False

    async def open(self) -> None:
        if isinstance(self.failure, WaitError):
            raise self.failure

    async def send(self, delivery) -> None:
        if self.before_send is not None:
            await self.before_send()
        if self.failure is not None:
            raise self.failure
        self.got.append(delivery.transition.what.value)
        self.repeats.append(delivery.repeat)

    async def resend(self, alarms) -> None:
        self.resent.append([one.alarm.name for one in alarms])

    async def tell(self, words) -> None:
        self.told.append(words.subject)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(delivering, "LONGEST_WAIT", 0.02)
    monkeypatch.setattr(delivering, "LOOK_SECONDS", 0.01)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(str(tmp_path / "ledger.db"), alarming=True)
    yield ledger
    ledger.close()


@pytest.fixture
def books(ledger: Ledger, clock: Clock) -> AlarmBooks:
    return make_books(AlarmStore(ledger), SETTINGS, CAMERAS, LIMITS, clock)


@pytest.fixture
def fault(ledger: Ledger, books: AlarmBooks, clock: Clock) -> Callable[..., None]:
    """Expose, and let the alarms see it."""
    alarmist = Alarmist(books, {}, CAMERAS, clock, lambda: None)

    def expose(*numbers: int, bad: bool = True) -> None:
        for number in numbers:
            judged(ledger, clock, number, *(["C05"] if bad else []))
        alarmist.round()

    return expose


def run(
    ledger: Ledger,
    books: AlarmBooks,
    clock: Clock,
    *outlets: Outlet,
    until: Callable[[], bool] = lambda: True,
    grace: float = 5.0,
) -> None:
    """Deliver until something holds, then end."""
    words = partial(message, rules=load_rules())
    deliverer = Deliverer(
        books.store, Deliveries(ledger), outlets, words, ("LATISS",), clock, grace_seconds=grace
    )

    async def work() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(deliverer.run(stop))
        async with asyncio.timeout(20):
            while not until():
                clock.at += timedelta(seconds=1)
                await asyncio.sleep(0.01)
        stop.set()
        await running

    asyncio.run(work())


def outlet(channel: Fake, **how) -> Outlet:
    return Outlet(channel, how.pop("route", Route()), teller=channel, **how)


def test_each_transition_is_told_once_to_each_channel_in_order(ledger, books, clock, fault) -> None:
    one, two = Fake("one"), Fake("two")
    fault(1, 2)
    run(ledger, books, clock, outlet(one), outlet(two))
    fault(3, 4, bad=False)
    run(ledger, books, clock, outlet(one), outlet(two))
    assert one.got == two.got == ["raised", "recovered"]
    assert (one.closed, one.repeats) == (True, [False, False])
    states = [d.state for entry in books.store.history() for d in entry.deliveries]
    assert states == ["sent"] * 4


def test_a_channel_that_is_down_delays_only_itself_and_loses_nothing(
    ledger, books, clock, fault
) -> None:
    one, two = Fake("one"), Fake("two")
    two.failure = WaitError("no answer")
    fault(1, 2)
    run(ledger, books, clock, outlet(one), outlet(two), until=lambda: one.got == ["raised"])
    assert (one.got, two.got) == (["raised"], [])
    fault(3, 4, bad=False)
    two.failure = None
    run(ledger, books, clock, outlet(one), outlet(two), until=lambda: len(two.got) == 2)
    assert one.got == two.got == ["raised", "recovered"]


def test_what_is_never_accepted_is_written_down_and_the_rest_is_told(
    ledger, books, clock, fault
) -> None:
    one = Fake("one")
    one.failure = RecordError("it is malformed")
    fault(1, 2)
    run(ledger, books, clock, outlet(one), outlet(Fake("two")))
    one.failure = None
    fault(3, 4, bad=False)
    run(ledger, books, clock, outlet(one), outlet(Fake("two")))
    assert one.got == ["recovered"]
    first = books.store.history()[0].deliveries[0]
    assert (first.state, first.error) == ("failed", "it is malformed")


def test_what_was_being_sent_when_the_daemon_was_cut_off_says_that_it_may_be_a_repeat(
    ledger, books, clock, fault
) -> None:
    one = Fake("one")

    async def hang() -> None:
        await asyncio.sleep(60)

    one.before_send = hang
    fault(1, 2)
    run(ledger, books, clock, outlet(one), outlet(Fake("two")), grace=0.2)
    one.before_send = None
    run(ledger, books, clock, outlet(one), outlet(Fake("two")))
    assert (one.got, one.repeats) == (["raised"], [True])


def test_a_ledger_that_is_away_after_sending_makes_nothing_be_sent_twice(
    ledger, books, clock, fault, monkeypatch
) -> None:
    one, tries = Fake("one"), []
    whole = Deliveries.sent

    def sent(self, *args):
        tries.append(1)
        if len(tries) < 4:
            raise LedgerError("locked")
        whole(self, *args)

    monkeypatch.setattr(Deliveries, "sent", sent)
    fault(1, 2)
    run(ledger, books, clock, outlet(one), until=lambda: len(tries) >= 4)
    assert one.got == ["raised"]


def test_a_channel_that_holds_the_state_is_told_what_is_open_at_the_start_and_again(
    ledger, books, clock, fault
) -> None:
    one = Fake("one")
    fault(1, 2)
    state = outlet(one, route=Route(state=True), resend_seconds=5.0)
    run(ledger, books, clock, state, until=lambda: len(one.resent) >= 3)
    assert set(map(tuple, one.resent)) == {("LATISS.readout.above.RXX_S00/C05",)}


def test_the_day_is_summed_up_once(ledger, books, clock, fault) -> None:
    one = Fake("one")
    evening = outlet(one, route=Route(digest=time(21, 0)))
    run(ledger, books, clock, evening)
    assert one.told == []
    fault(1, 2)
    clock.at += timedelta(hours=4)
    run(ledger, books, clock, evening)
    run(ledger, books, clock, evening)
    assert one.told == ["LATISS today: 2 exposures, 1 problem, 1 new"]


def test_a_flood_is_told_no_faster_than_people_can_read(ledger, books, clock, fault) -> None:
    one = Fake("one")
    fault(1, 2)
    fault(3, 4, bad=False)
    slow = outlet(one, per_minute=1)
    with pytest.raises(TimeoutError):
        run_for(ledger, books, clock, slow, lambda: len(one.got) == 2, seconds=1.0)
    assert one.got == ["raised"]


def run_for(ledger, books, clock, slow, until, seconds: float) -> None:
    words = partial(message, rules=load_rules())
    deliverer = Deliverer(
        books.store, Deliveries(ledger), [slow], words, ("LATISS",), clock, grace_seconds=0.1
    )

    async def work() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(deliverer.run(stop))
        try:
            async with asyncio.timeout(seconds):
                while not until():
                    await asyncio.sleep(0.01)
        finally:
            stop.set()
            await running

    asyncio.run(work())


def test_acknowledging_is_told_by_the_same_way(ledger, books, clock, fault) -> None:
    one = Fake("one")
    fault(1, 2)
    (found,) = books.store.open_alarms()
    books.acknowledge(found.alarm_id, "ada", "known")
    with pytest.raises(AlarmActionError):
        books.unmute(found.alarm_id, "ada", "")
    run(ledger, books, clock, outlet(one))
    assert one.got == ["raised", "acknowledged"]
