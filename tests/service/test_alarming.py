"""What is judged reaches the books of alarms: once, whatever dies when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from evening import CAMERAS, LIMITS, Clock, judged
from fakes import NOON, make_exposure, make_job, make_result, merge

from calwatch.alarms.lateness import Demands
from calwatch.alarms.machine import AlarmActionError
from calwatch.alarms.model import Severity, What
from calwatch.arrivals.model import Expectation
from calwatch.errors import LedgerError, StopError
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.inbox import LedgerInbox
from calwatch.ledger.store import Ledger
from calwatch.service.alarm_books import AlarmBooks, make_books
from calwatch.service.alarming import Alarmist
from calwatch.settings import AlarmSettings
from calwatch.verify.limits_schema import AlarmPersistence

NAME = "LATISS.readout.above.RXX_S00/C05"


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
    return make_books(AlarmStore(ledger), AlarmSettings(), CAMERAS, LIMITS, clock)


@pytest.fixture
def alarmist(books: AlarmBooks, clock: Clock) -> Alarmist:
    demands = {"LATISS": Demands(cadence={"bias": timedelta(hours=36)})}
    return Alarmist(books, demands, CAMERAS, clock, lambda: None)


def history(books: AlarmBooks) -> list[tuple[What, str]]:
    return [(h.transition.what, h.transition.alarm.name) for h in books.store.history()]


def test_a_fault_is_raised_and_remembered_in_the_ledger(ledger, clock, books, alarmist) -> None:
    for number in (1, 2):
        judged(ledger, clock, number, "C05")
    assert alarmist.round() == 1
    assert history(books) == [(What.RAISED, NAME)]
    (found,) = books.store.open_alarms("LATISS")
    assert (found.alarm.severity, found.alarm.members) == (Severity.SERIOUS, ("RXX_S00/C05",))
    assert books.store.queue_size() == 0


def test_a_restart_raises_nothing_again_and_forgets_nothing(ledger, clock, books, alarmist) -> None:
    judged(ledger, clock, 1, "C05")
    alarmist.round()
    anew = make_books(AlarmStore(ledger), AlarmSettings(), CAMERAS, LIMITS, clock)
    again = Alarmist(anew, {}, CAMERAS, clock, lambda: None)
    judged(ledger, clock, 2, "C05")
    assert again.round() == 1
    assert again.round() == 0
    judged(ledger, clock, 3)
    judged(ledger, clock, 4)
    again.round()
    assert [what for what, _ in history(books)] == [What.RAISED, What.RECOVERED]
    (found,) = books.store.open_alarms("LATISS")
    books.acknowledge(found.alarm_id, "ada", "cable")
    assert books.store.open_alarms("LATISS") == []
    assert [what for what, _ in history(books)][2:] == [What.ACKNOWLEDGED, What.CLEARED]


def test_exposures_that_wait_are_taken_in_the_order_of_the_sky(
    ledger, clock, books, alarmist
) -> None:
    clock.at = NOON + timedelta(hours=1)
    for number, bad in ((3, ()), (1, ("C05",)), (4, ()), (2, ("C05",))):
        judged(ledger, clock, number, *bad)
    alarmist.round()
    assert [what for what, _ in history(books)] == [What.RAISED, What.RECOVERED]


def test_what_cannot_be_taken_in_is_left_out_and_the_rest_goes_on(
    ledger, clock, books, alarmist, monkeypatch
) -> None:
    for number in (1, 2, 3):
        judged(ledger, clock, number, "C05")
    whole = books.store.results
    broken = make_exposure(1).exposure_id

    def results(queued):
        if queued.exposure_id == broken:
            raise ValueError("damaged")
        return whole(queued)

    monkeypatch.setattr(books.store, "results", results)
    alarmist.round()
    assert history(books) == [(What.RAISED, NAME)]
    assert books.store.queue_size() == 0


def test_while_the_ledger_is_away_nothing_is_crossed_off(
    ledger, clock, books, alarmist, monkeypatch
) -> None:
    for number in (1, 2):
        judged(ledger, clock, number, "C05")

    def away(*args, **kwargs):
        raise LedgerError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(books.store, "step", away)
        with pytest.raises(LedgerError):
            alarmist.round()
    assert books.store.queue_size() == 2
    assert alarmist.round() == 1


def test_an_instrument_that_is_not_ours_is_not_in_the_way(ledger, clock, books, alarmist) -> None:
    job = make_job(1, instrument="LSSTComCam")
    result = replace(make_result(job), instrument="LSSTComCam")
    ledger.record(result, job.exposure, clock.now())
    recorded = ledger.results("LSSTComCam", job.exposure.exposure_id)
    merged = merge(recorded.results, job.exposure)
    ledger.record_exposure(merged, job.exposure, NOON, expected=[0], last_judgement_id=1)
    assert alarmist.round() == 0
    assert books.store.queue_size() == 0


def test_files_that_do_not_come_are_an_alarm_until_an_exposure_is_whole(
    ledger, clock, books, alarmist
) -> None:
    inbox = LedgerInbox(ledger)
    for number, missing in ((1, [0]), (2, [])):
        exposure = make_exposure(number)
        end = exposure.end_utc
        due = end + timedelta(seconds=240)
        expected = Expectation(
            "LATISS", exposure.exposure_id, exposure.obs_id, "bias", end, due, (0,)
        )
        inbox.note([], [expected])
        clock.at = due + timedelta(seconds=1)
        for one in inbox.due(clock.now(), "LATISS"):
            gone = missing if one.expectation.exposure_id == exposure.exposure_id else [0]
            inbox.close(one.expectation_id, gone, clock.now())
        alarmist.round()
    assert history(books) == [
        (What.RAISED, "LATISS.ingest.RXX_S00"),
        (What.RECOVERED, "LATISS.ingest.RXX_S00"),
    ]


def test_silence_is_an_alarm_that_the_next_exposure_ends(ledger, clock, books, alarmist) -> None:
    judged(ledger, clock, 1)
    alarmist.round()
    clock.at += timedelta(hours=37)
    alarmist.round()
    assert history(books) == [(What.RAISED, "LATISS.cadence.bias.LATISS")]
    (found,) = books.store.open_alarms()
    assert "No bias has been judged since 2026-11-20 18:00 UTC" in found.alarm.reason
    job = make_job(2)
    late = replace(job.exposure, end_utc=clock.now() - timedelta(minutes=1))
    ledger.record(replace(make_result(job), detector_tests={}), late, clock.now())
    recorded = ledger.results("LATISS", late.exposure_id)
    ledger.record_exposure(
        merge(recorded.results, late), late, clock.now(), expected=[0],
        last_judgement_id=recorded.last_judgement_id,
    )  # fmt: skip
    clock.at += timedelta(minutes=1)
    alarmist.round()
    (found,) = books.store.open_alarms()
    assert (found.alarm.stale, found.alarm.cleared_by) == (True, late.exposure_id)


def test_the_daemon_says_that_it_lives(books, clock, alarmist) -> None:
    alarmist.round()
    assert books.store.beats()["daemon"].at == NOON
    clock.at += timedelta(seconds=11)
    alarmist.round()
    assert books.store.beats()["daemon"].at == clock.now()


def test_what_a_person_cannot_do_is_said(ledger, clock, books, alarmist) -> None:
    with pytest.raises(AlarmActionError, match="there is no alarm 7"):
        books.acknowledge(7, "ada", "")
    for number in (1, 2, 3, 4):
        judged(ledger, clock, number, *(["C05"] if number < 3 else []))
    alarmist.round()
    (found,) = books.store.open_alarms()
    books.acknowledge(found.alarm_id, "ada", "")
    with pytest.raises(AlarmActionError, match="is over"):
        books.acknowledge(found.alarm_id, "ada", "")
    other = AlarmBooks(books.store, {}, [], clock)
    with pytest.raises(StopError, match="not among the instruments"):
        other.tick("LATISS")


def test_new_limits_may_ask_for_fewer_exposures(ledger, clock, books, alarmist) -> None:
    judged(ledger, clock, 1, "C05")
    alarmist.round()
    assert history(books) == []
    once = {"raise": "1 of 1", "clear": "1 of 1"}
    alarm = AlarmPersistence.model_validate({"serious": once})
    tests = tuple(spec.model_copy(update={"alarm": alarm}) for spec in LIMITS.tests)
    books.renew(replace(LIMITS, tests=tests))
    judged(ledger, clock, 2, "C06")
    alarmist.round()
    assert (What.RAISED, NAME.replace("C05", "C06")) in history(books)
