"""The outbox gives everything once, in order, whole, and lets go of it only when told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from episodes import make_alarm, make_transition
from fakes import NOON, make_exposure, make_job, make_result, merge
from sqlalchemy import insert, update

from calwatch.alarms.model import What
from calwatch.ledger.alarms import AlarmStore, Written
from calwatch.ledger.outbox import (
    AlarmTold,
    Completeness,
    JudgedDetector,
    JudgedExposure,
    Outbox,
)
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import alarm_transition, expectation, judgement, outbox
from calwatch.verify.model import Verdict


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url, publishing=True)
    yield ledger
    ledger.close()


def judge(ledger: Ledger, number: int, detector: int = 0, at: datetime = NOON, **changes):
    job = make_job(number, detector, **changes)
    result = make_result(job, value=float(number))
    assert ledger.record(result, job.exposure, at)
    return result


def merged(ledger: Ledger, number: int, **changes) -> None:
    exposure = make_exposure(number, **changes)
    recorded = ledger.results(exposure.instrument, exposure.exposure_id)
    assert ledger.record_exposure(
        merge(recorded.results, exposure),
        exposure,
        NOON,
        expected=[0, 1],
        last_judgement_id=recorded.last_judgement_id,
    )


def expect(ledger: Ledger, number: int, missing: list[int] | None, *, tell: bool = False) -> None:
    exposure = make_exposure(number)
    row = {
        "instrument": "LATISS",
        "exposure_id": exposure.exposure_id,
        "obs_id": exposure.obs_id,
        "calib_type": "bias",
        "end_of_readout_utc": exposure.end_utc,
        "due_at": exposure.end_utc + timedelta(seconds=240),
        "expected": [0, 1, 2],
        "missing": missing,
        "checked_at": None if missing is None else NOON,
    }

    def write(connection) -> None:
        statement = insert(expectation).returning(expectation.c.id)
        found = connection.execute(statement, row).scalar_one()
        if tell:
            ledger.announce(connection, NOON, expectation_id=found)

    ledger.write(write, "test")


def alarm(ledger: Ledger, *whens: datetime, instrument: str = "LATISS") -> None:
    """Let something happen to one alarm at these times."""
    one = make_alarm("R00_S00", instrument)
    told = [make_transition(one, What.MEMBERS, at=when) for when in whens]
    AlarmStore(ledger).step(instrument, lambda _: Written({}, [one], told), "test")


def test_what_is_written_waits_in_order(ledger: Ledger) -> None:
    box = Outbox(ledger)
    assert (box.pending(10), box.size(), box.oldest()) == ([], 0, None)
    result = judge(ledger, 2)
    judge(ledger, 1, at=NOON + timedelta(hours=1))
    merged(ledger, 2)
    expect(ledger, 3, [1, 2], tell=True)
    rows = box.pending(10)
    assert (box.size(), box.oldest()) == (4, NOON)
    assert [row.outbox_id for row in rows] == sorted(row.outbox_id for row in rows)
    first, second, exposure, finding = [row.stored.told for row in rows]
    assert isinstance(first, JudgedDetector)
    assert first.result == result
    assert first.taken.end_utc == make_exposure(2).end_utc
    assert (first.taken.day_obs, first.taken.seq_num) == (20261120, 2)
    assert isinstance(second, JudgedDetector)
    assert second.taken.seq_num == 1
    assert isinstance(exposure, JudgedExposure)
    assert (exposure.verdict, exposure.n_pass, exposure.expected) == (Verdict.PASS, 1, (0, 1))
    assert isinstance(finding, Completeness)
    assert (finding.missing, finding.expected) == ((1, 2), (0, 1, 2))
    assert finding.end_of_readout_utc == make_exposure(3).end_utc


def test_what_happens_to_alarms_waits_among_the_rest(ledger: Ledger) -> None:
    judge(ledger, 1)
    alarm(ledger, NOON, NOON + timedelta(minutes=1))
    judge(ledger, 2)
    one, first, second, two = [row.stored for row in Outbox(ledger).pending(10)]
    assert isinstance(one.told, JudgedDetector)
    assert isinstance(two.told, JudgedDetector)
    assert isinstance(first.told, AlarmTold)
    assert isinstance(second.told, AlarmTold)
    assert first.what == f"LATISS alarm {first.told.alarm_id} members"
    assert first.told.transition.at == NOON
    assert second.told.alarm_id == first.told.alarm_id
    assert second.told.transition_id > first.told.transition_id


def test_a_damaged_alarm_is_named(ledger: Ledger) -> None:
    alarm(ledger, NOON)
    spoil = update(alarm_transition).values(document={"what": "nothing"})
    ledger.write(lambda c: c.execute(spoil), "test")
    (row,) = Outbox(ledger).pending(10)
    assert row.stored.told is None
    assert row.stored.what == "LATISS alarm 1 members"
    assert "cannot be read: ValueError" in row.stored.problem


def test_only_so_many_at_once_and_gone_only_when_done(ledger: Ledger) -> None:
    box = Outbox(ledger)
    for number in range(1, 6):
        judge(ledger, number)
    first = [row.outbox_id for row in box.pending(3)]
    assert len(first) == 3
    assert [row.outbox_id for row in box.pending(3)] == first
    box.done(first[:2])
    assert box.pending(3)[0].outbox_id == first[2]
    assert box.size() == 3
    box.done([])
    assert box.size() == 3
    box.done([row.outbox_id for row in box.pending(10)])
    assert (box.size(), box.oldest()) == (0, None)


def test_a_merge_that_is_told_twice_tells_its_present_state(ledger: Ledger) -> None:
    judge(ledger, 1)
    merged(ledger, 1)
    judge(ledger, 1, 1)
    merged(ledger, 1)
    told = [row.stored.told for row in Outbox(ledger).pending(10)]
    assert told[1] == told[3]
    assert told[3].n_pass == 2


def test_a_damaged_row_does_not_hide_its_neighbours(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        judge(ledger, number)
    spoil = update(judgement).where(judgement.c.seq_num == 2).values(document={"no": "result"})
    ledger.write(lambda c: c.execute(spoil), "test")
    empty = insert(outbox).values(created_at=NOON)
    ledger.write(lambda c: c.execute(empty), "test")
    one, two, three, four = [row.stored for row in Outbox(ledger).pending(10)]
    assert one.told is not None
    assert three.told is not None
    assert two.told is None
    assert two.what == f"LATISS exposure {make_exposure(2).exposure_id} detector 0"
    assert "cannot be read: KeyError" in two.problem
    assert (four.told, four.problem) == (None, "it points at nothing")


def test_nothing_waits_where_nothing_is_published(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url)
    judge(ledger, 1)
    assert Outbox(ledger).size() == 0
    ledger.close()


def test_what_is_stored_can_be_had_again_without_touching_the_outbox(ledger: Ledger) -> None:
    box = Outbox(ledger)
    for number in range(1, 71):  # more than a page
        judge(ledger, number)
    merged(ledger, 1)
    expect(ledger, 1, [2])
    expect(ledger, 2, [])
    expect(ledger, 3, None)
    before = box.size()
    found = [stored.told for stored in box.stored("LATISS")]
    assert [told.taken.seq_num for told in found[:70]] == list(range(1, 71))
    assert isinstance(found[70], JudgedExposure)
    assert isinstance(found[71], Completeness)
    assert len(found) == box.count_stored("LATISS") == 72
    assert box.size() == before
    assert [row.stored.told for row in box.pending(1)] == found[:1]


def test_days_and_exposures_choose_what_is_had_again(ledger: Ledger) -> None:
    box = Outbox(ledger)
    for number, day in enumerate((20261119, 20261120, 20261121), start=1):
        judge(ledger, number, day_obs=day)
        merged(ledger, number, day_obs=day)
    judge(ledger, 4, instrument="LSSTCam")
    expect(ledger, 2, [1])  # read out on the 20th
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)  # when the 20th begins
    second = timedelta(seconds=1)
    alarm(ledger, noon - second, noon, noon + timedelta(days=1) - second)
    alarm(ledger, noon, instrument="LSSTCam")
    one = make_exposure(1).exposure_id

    def days(*chosen) -> list[int]:
        assert box.count_stored("LATISS", *chosen) == len(list(box.stored("LATISS", *chosen)))
        told = [stored.told for stored in box.stored("LATISS", *chosen)]
        short = {Completeness: 0, AlarmTold: 1}
        return [t.taken.day_obs if hasattr(t, "taken") else short[type(t)] for t in told]

    assert days(20261120, 20261120) == [20261120, 20261120, 0, 1, 1]
    assert days(20261121) == [20261121, 20261121]
    assert days(None, 20261119) == [20261119, 20261119, 1]
    assert days()[-3:] == [1, 1, 1]
    assert days(None, None, [one]) == [20261119, 20261119]
    assert days(20261120, None, [one]) == []
    assert box.count_stored("LSSTComCam") == 0


def test_an_sqlite_ledger_has_one_daemon_and_always_gives_the_turn(tmp_path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'l.db'}", publishing=True)
    turn = Outbox(ledger).turn()
    assert turn is not None
    turn.end()
    ledger.close()


@pytest.mark.services
def test_one_process_at_a_time_publishes_from_postgresql(postgresql_url: str) -> None:
    ledgers = [Ledger.open(postgresql_url, publishing=True) for _ in range(2)]
    one, two = (Outbox(ledger) for ledger in ledgers)
    for _ in range(20):  # more often than a pool has connections: none is lost
        turn = one.turn()
        assert turn is not None
        assert two.turn() is None
        turn.end()
    turn = two.turn()
    assert turn is not None
    ledgers[1].close()
    turn.end()
    assert one.turn() is not None
    ledgers[0].close()
