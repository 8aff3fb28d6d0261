"""Every channel is told of everything it wants, once, in order; what became of it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import pytest
from episodes import NOON, after, make_alarm, make_transition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from calwatch.alarms.model import Severity, What
from calwatch.errors import LedgerError
from calwatch.ledger.alarms import AlarmStore, DeliveryState, Written
from calwatch.ledger.deliveries import Deliveries, DueDelivery
from calwatch.ledger.store import Ledger

LATE = after(600)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url)
    yield ledger
    ledger.close()


@pytest.fixture
def deliveries(ledger: Ledger) -> Deliveries:
    return Deliveries(ledger)


def tell(ledger: Ledger, *wanted: tuple[str, datetime], what: What = What.RAISED) -> None:
    """Let something happen to the alarm of which some channels are to tell."""
    alarm = make_alarm()
    written = Written(
        {}, [alarm], [make_transition(alarm, what)], [(0, name, at) for name, at in wanted]
    )
    AlarmStore(ledger).step("LSSTCam", lambda _: written, "test")


def due(deliveries: Deliveries, channel: str = "slack", now: datetime = NOON) -> list[int]:
    return [one.delivery_id for one in deliveries.due_deliveries(channel, now, 99)]


def states(ledger: Ledger) -> list[DeliveryState]:
    return [one for told in AlarmStore(ledger).history() for one in told.deliveries]


def test_a_channel_is_told_in_order_with_all_there_is_to_tell(
    ledger: Ledger, deliveries: Deliveries
) -> None:
    assert deliveries.due_deliveries("slack", NOON, 9) == []
    tell(ledger, ("slack", NOON), ("mail", NOON))
    grave = make_alarm(severity=Severity.CRITICAL)
    worse = make_transition(grave, What.WORSE, 1)
    written = Written({}, [grave], [worse], [(0, "slack", NOON)])
    AlarmStore(ledger).step("LSSTCam", lambda _: written, "test")
    one, two = deliveries.due_deliveries("slack", NOON, 9)
    first, second = AlarmStore(ledger).history()
    assert one == DueDelivery(
        delivery_id=first.deliveries[0].delivery_id,
        alarm_id=first.alarm_id,
        transition_id=first.transition_id,
        transition=make_transition(make_alarm()),
        newest=grave,
        repeat=False,
        attempts=0,
        due_at=NOON,
    )
    assert (two.transition, two.newest) == (second.transition, grave)
    assert len(deliveries.due_deliveries("slack", NOON, 1)) == 1
    assert [deliveries.waiting(name) for name in ("slack", "mail", "other")] == [2, 1, 0]


def test_what_is_sent_is_never_due_again(ledger: Ledger, deliveries: Deliveries) -> None:
    tell(ledger, ("slack", NOON), ("mail", NOON))
    (number,) = due(deliveries)
    assert deliveries.begin(number, after(1))
    assert due(deliveries) == []
    assert not deliveries.begin(number, after(1))
    deliveries.sent(number, after(2))
    assert not deliveries.begin(number, after(3))
    assert due(deliveries, now=LATE) == []
    assert deliveries.waiting("slack") == 0
    assert len(due(deliveries, "mail")) == 1
    state = states(ledger)[0]
    assert (state.state, state.attempts, state.tried_at) == ("sent", 1, after(1))
    assert (state.sent_at, state.error, state.repeat) == (after(2), "", False)


def test_what_failed_for_now_holds_up_the_rest_of_its_channel(
    ledger: Ledger, deliveries: Deliveries
) -> None:
    for _ in range(3):
        tell(ledger, ("slack", NOON), ("mail", NOON))
    first, second, third = due(deliveries)
    deliveries.begin(first, NOON)
    assert due(deliveries, now=LATE) == []  # it is on its way
    deliveries.try_again(first, NOON, "no answer " * 100, after(5))
    assert due(deliveries, now=after(4.9)) == []
    assert len(due(deliveries, "mail")) == 3
    assert due(deliveries, now=after(5)) == [first, second, third]
    state = states(ledger)[0]
    assert (state.state, state.attempts, state.due_at) == ("waiting", 1, after(5))
    assert len(state.error) == 500
    deliveries.begin(first, after(5))
    deliveries.failed(first, after(6), "refused")
    assert due(deliveries, now=after(6)) == [second, third]
    state = states(ledger)[0]
    assert (state.state, state.error, state.tried_at) == ("failed", "refused", after(6))
    assert state.sent_at is None


def test_what_waits_for_the_morning_holds_up_nothing(
    ledger: Ledger, deliveries: Deliveries
) -> None:
    tell(ledger, ("slack", after(480)))
    tell(ledger, ("slack", NOON))
    tell(ledger, ("slack", after(480)))
    (second,) = due(deliveries)
    assert len(due(deliveries, now=after(480))) == 3
    deliveries.begin(second, NOON)
    deliveries.sent(second, NOON)
    one, three = due(deliveries, now=after(480))
    assert one < second < three


def test_what_was_cut_off_is_sent_again_and_says_so(ledger: Ledger, deliveries: Deliveries) -> None:
    for _ in range(2):
        tell(ledger, ("slack", NOON), ("mail", NOON))
    first, second = due(deliveries)
    mail = due(deliveries, "mail")[0]
    deliveries.begin(first, NOON)
    deliveries.begin(mail, NOON)
    assert deliveries.interrupted("slack") == 1
    assert deliveries.interrupted("slack") == 0
    found = deliveries.due_deliveries("slack", NOON, 9)
    assert [(one.delivery_id, one.repeat, one.attempts) for one in found] == [
        (first, True, 1),
        (second, False, 0),
    ]
    assert due(deliveries, "mail") == []


def test_channels_that_are_gone_do_not_pile_up(ledger: Ledger, deliveries: Deliveries) -> None:
    for _ in range(2):
        tell(ledger, ("slack", NOON), ("mail", NOON), ("old", NOON))
    slack = due(deliveries)[0]
    deliveries.begin(slack, NOON)
    deliveries.sent(slack, NOON)
    deliveries.begin(due(deliveries, "old")[0], NOON)
    assert deliveries.drop_channels_not_in(["slack", "mail"]) == 2
    assert [deliveries.waiting(name) for name in ("slack", "mail", "old")] == [1, 2, 0]
    assert deliveries.drop_channels_not_in([]) == 3
    found = [(one.channel, one.state) for one in states(ledger)]
    assert found[:3] == [("slack", "sent"), ("mail", "dropped"), ("old", "dropped")]
    assert "no longer have the channel" in states(ledger)[-1].error


def test_nothing_is_told_twice_to_a_channel(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match=r"(?i)unique"):
        tell(ledger, ("slack", NOON), ("slack", NOON))
    assert AlarmStore(ledger).history() == []


def test_a_damaged_transition_is_in_nobodys_way(ledger: Ledger, deliveries: Deliveries) -> None:
    for _ in range(3):
        tell(ledger, ("slack", NOON))
    first, second, third = due(deliveries)
    spoil = text("UPDATE alarm_transition SET document = :no WHERE id = 2")
    ledger.write(lambda c: c.execute(spoil, {"no": b"no zlib"}), "test")
    assert due(deliveries) == [first, third]
    asked = text(f"SELECT state, error FROM alarm_delivery WHERE id = {second}")
    state, error = ledger.read(lambda c: c.execute(asked).one())
    assert state == "failed"
    assert error.startswith("cannot be read: error: ")
    assert due(deliveries) == [first, third]


ACTS = st.lists(
    st.tuples(st.sampled_from(["tell", "sent", "again", "fail", "crash", "wait"]), st.booleans()),
    max_size=25,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_whatever_happens_a_channel_hears_in_order_and_nothing_is_lost(
    ledger: Ledger, deliveries: Deliveries, acts: Sequence[tuple[str, bool]]
) -> None:
    deliveries.drop_channels_not_in([])
    told, heard, minutes = len(states(ledger)), [], 0
    before = told

    def send(act: str) -> None:
        for one in deliveries.due_deliveries("slack", after(minutes), 1):
            assert deliveries.begin(one.delivery_id, after(minutes))
            if act == "sent":
                heard.append(one.delivery_id)
                deliveries.sent(one.delivery_id, after(minutes))
            elif act == "again":
                later = after(minutes + 1)
                deliveries.try_again(one.delivery_id, after(minutes), "away", later)
            elif act == "fail":
                deliveries.failed(one.delivery_id, after(minutes), "never")
            else:
                deliveries.interrupted("slack")

    for act, _ in acts:
        if act == "tell":
            tell(ledger, ("slack", NOON))
            told += 1
        elif act == "wait":
            minutes += 1
        else:
            send(act)
    minutes += 1
    while deliveries.waiting("slack"):
        send("sent")
    assert heard == sorted(set(heard))
    mine = states(ledger)[before:]
    assert len(mine) == told - before
    assert {one.delivery_id for one in mine if one.state == "sent"} == set(heard)
    assert {one.state for one in mine} <= {"sent", "failed"}


def test_an_sqlite_ledger_always_gives_the_turn(tmp_path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'l.db'}")
    turn = Deliveries(ledger).turn()
    assert turn is not None
    turn.end()
    ledger.close()


@pytest.mark.services
def test_one_process_at_a_time_delivers_and_another_may_publish(postgresql_url: str) -> None:
    from calwatch.ledger.outbox import Outbox

    ledgers = [Ledger.open(postgresql_url) for _ in range(2)]
    one, two = (Deliveries(ledger) for ledger in ledgers)
    turn = one.turn()
    assert turn is not None
    assert two.turn() is None
    publishing = Outbox(ledgers[1]).turn()
    assert publishing is not None
    publishing.end()
    turn.end()
    assert two.turn() is not None
    for ledger in ledgers:
        ledger.close()


def test_the_newest_state_is_of_the_same_episode(ledger: Ledger, deliveries: Deliveries) -> None:
    tell(ledger, ("slack", NOON))
    over = replace(make_alarm(), closed_at=after(1), severity=Severity.NONE)
    again = make_alarm(opened_at=after(2))
    written = Written(
        {},
        [over, again],
        [make_transition(over, What.CLEARED, 1), make_transition(again, What.RAISED, 2)],
        [(0, "slack", NOON), (1, "slack", NOON)],
    )
    AlarmStore(ledger).step("LSSTCam", lambda _: written, "test")
    newest = [one.newest for one in deliveries.due_deliveries("slack", NOON, 9)]
    assert newest == [over, over, again]
