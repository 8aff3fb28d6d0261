"""Alarms in the ledger: steps lose nothing, the queue is in order, and questions are answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import strategies
from episodes import NOON, after, ended, make_alarm, make_transition
from fakes import make_exposure, make_job, make_result, merge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text, update

from calwatch.alarms.lateness import Unjudged
from calwatch.alarms.model import Alarm, Severity, Transition, What
from calwatch.arrivals.model import Expectation
from calwatch.errors import LedgerError, RecordError
from calwatch.ledger import alarm_queries as queries
from calwatch.ledger.alarm_rows import alarm_row
from calwatch.ledger.alarms import (
    AlarmCounts,
    AlarmStore,
    Beat,
    Loaded,
    QueuedExposure,
    QueuedFinding,
    Written,
)
from calwatch.ledger.inbox import LedgerInbox
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import alarm, alarm_queue, exposure_verdict, outbox
from calwatch.verify.model import Verdict

CAMERA = "LSSTCam"


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url, publishing=True, alarming=True)
    yield ledger
    ledger.close()


@pytest.fixture
def store(ledger: Ledger) -> AlarmStore:
    return AlarmStore(ledger)


def write(
    store: AlarmStore,
    alarms: Sequence[Alarm] = (),
    transitions: Sequence[Transition] = (),
    instrument: str = CAMERA,
    **more,
):
    """Do a step that leaves these."""
    book = more.pop("book", {})
    return store.step(
        instrument, lambda _: Written(book, alarms, transitions, **more), "test alarms"
    )


def numbers(found) -> list[int]:
    return [one.alarm_id for one in found]


def count(ledger: Ledger, column) -> int:
    return len(ledger.read(lambda c: c.execute(select(column)).all()))


def judge(ledger: Ledger, number: int, *, kind: str = "bias", detectors=(0,), **changes) -> int:
    """Judge and merge an exposure; return its id."""
    for detector in detectors:
        job = make_job(number, detector, kind=kind, **changes)
        ledger.record(make_result(job), job.exposure, NOON)
    exposure = make_exposure(number, kind=kind, **changes)
    recorded = ledger.results(exposure.instrument, exposure.exposure_id)
    assert ledger.record_exposure(
        merge(recorded.results, exposure),
        exposure,
        NOON,
        expected=list(detectors),
        last_judgement_id=recorded.last_judgement_id,
    )
    return exposure.exposure_id


def expect(ledger: Ledger, number: int, missing: Sequence[int] | None) -> Expectation:
    """Announce an exposure and look what is missing of it; None: nobody looks."""
    exposure = make_exposure(number)
    due = exposure.end_utc + timedelta(seconds=240)
    what = Expectation(
        "LATISS", exposure.exposure_id, exposure.obs_id, "bias", exposure.end_utc, due, (0, 1)
    )
    inbox = LedgerInbox(ledger)
    inbox.note([], [what])
    if missing is not None:
        which = {
            one.expectation.exposure_id: one.expectation_id for one in inbox.due(due, "LATISS")
        }
        inbox.close(which[what.exposure_id], missing, due)
    return what


def test_a_step_finds_what_the_last_one_left(store: AlarmStore) -> None:
    found: list[Loaded] = []

    def work(loaded: Loaded) -> Written:
        found.append(loaded)
        return Written({"n": len(found)}, [make_alarm()] if len(found) == 1 else [], value="done")

    assert store.step(CAMERA, work, "test") == "done"
    assert store.step(CAMERA, work, "test") == "done"
    store.step("LATISS", work, "test")
    assert [loaded.book for loaded in found] == [None, {"n": 1}, None]
    assert [[one.alarm for one in loaded.alarms] for loaded in found] == [[], [make_alarm()], []]


def test_an_episode_is_one_row_until_it_ends(store: AlarmStore) -> None:
    one = make_alarm()
    write(store, [one], [make_transition(one)])
    grave = replace(one, severity=Severity.CRITICAL, max_severity=Severity.CRITICAL)
    write(store, [grave], [make_transition(grave, What.WORSE, 1)])
    (found,) = store.open_alarms(CAMERA)
    assert found.alarm == grave
    over = ended(grave, 2)
    write(store, [over], [make_transition(over, What.CLEARED, 2)])
    assert store.open_alarms() == []
    assert store.alarm(found.alarm_id) == replace(found, alarm=over)
    again = replace(one, opened_at=after(3))
    write(store, [again], [make_transition(again, What.RAISED, 3)])
    (second,) = store.open_alarms()
    assert second.alarm_id != found.alarm_id
    whats = [s.transition.what for s in store.history(found.alarm_id)]
    assert whats == [What.RAISED, What.WORSE, What.CLEARED]
    assert [s.transition.what for s in store.history(second.alarm_id)] == [What.RAISED]


def test_several_episodes_of_a_name_in_one_step(store: AlarmStore) -> None:
    one = make_alarm()
    write(store, [one])
    first, second, third = ended(one, 1), ended(one, 3, opened_at=after(2)), make_alarm()
    third = replace(third, opened_at=after(4))
    told = [
        make_transition(first, What.CLEARED, 1),
        make_transition(second, What.RAISED, 2),
        make_transition(second, What.CLEARED, 3),
        make_transition(third, What.RAISED, 4),
    ]
    write(store, [first, second, third], told)
    episodes = store.alarms(CAMERA)
    assert [e.alarm for e in episodes] == [first, second, third]
    assert [s.alarm_id for s in store.history()] == [
        episodes[place].alarm_id for place in (0, 1, 1, 2)
    ]
    assert [s.transition for s in store.history()] == told
    assert numbers(store.open_alarms()) == [episodes[2].alarm_id]


def test_other_instruments_may_have_the_same_parts(store: AlarmStore) -> None:
    here, there = make_alarm("R00"), make_alarm("R00", "LATISS")
    write(store, [here])
    write(store, [there], instrument="LATISS")
    assert [one.alarm for one in store.open_alarms()] == [here, there]
    assert [one.alarm for one in store.open_alarms("LATISS")] == [there]


def test_what_fits_together_with_nothing_is_refused_whole(store: AlarmStore) -> None:
    one = make_alarm()
    for alarms, transitions in (
        ([make_alarm(instrument="LATISS")], []),
        ([], [make_transition(one)]),
        ([one], [make_transition(ended(one, 1), What.CLEARED), make_transition(one)]),
        ([make_alarm(reason=3 + 4j)], []),
        ([one, make_alarm(opened_at=NOON.replace(tzinfo=None))], []),
    ):
        with pytest.raises(RecordError, match="test alarms: cannot be kept"):
            write(store, alarms, transitions, book={"new": True})
    assert store.alarms() == []
    store.step(CAMERA, lambda loaded: Written({}, value=loaded.book), "test")
    assert store.step(CAMERA, lambda loaded: Written({}, value=loaded.book), "test") == {}


def test_a_step_that_fails_leaves_nothing(store: AlarmStore) -> None:
    class OwnError(Exception):
        pass

    def work(_: Loaded) -> Written:
        raise OwnError

    with pytest.raises(OwnError):
        store.step(CAMERA, work, "test")
    assert store.step(CAMERA, lambda loaded: Written({}, value=loaded.book), "test") is None


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(strategies.transitions, max_size=3))
def test_any_history_comes_back(store: AlarmStore, told: list[Transition]) -> None:
    known = {s.transition_id for s in store.history()}
    for one in told:
        alarm = replace(one.alarm, closed_at=after(0))
        write(store, [alarm], [replace(one, alarm=alarm)])
    new = sorted(
        (s for s in store.history() if s.transition_id not in known),
        key=lambda s: s.transition_id,
    )
    assert [replace(s.transition, alarm=s.transition.alarm) for s in new] == [
        replace(one, alarm=replace(one.alarm, closed_at=after(0))) for one in told
    ]
    assert [store.alarm(s.alarm_id).alarm for s in new] == [s.transition.alarm for s in new]


def test_transitions_are_published_where_anything_is(ledger: Ledger, ledger_url: str) -> None:
    one = make_alarm()
    write(AlarmStore(ledger), [one], [make_transition(one), make_transition(one, What.WORSE, 1)])
    assert count(ledger, outbox.c.alarm_transition_id) == 2
    silent = Ledger.open(ledger_url)
    write(AlarmStore(silent), [one], [make_transition(one, What.EASED, 2)])
    assert count(ledger, outbox.c.alarm_transition_id) == 2
    silent.close()


def test_two_at_once_never_lose_an_update(ledger: Ledger, ledger_url: str) -> None:
    ledgers = [ledger, Ledger.open(ledger_url)]
    failures = []

    def work(loaded: Loaded) -> Written:
        steps = (loaded.book or {"steps": 0})["steps"] + 1
        alarm = loaded.alarms[0].alarm if loaded.alarms else make_alarm(total=0)
        alarm = replace(alarm, total=alarm.total + 1)
        return Written({"steps": steps}, [alarm], [make_transition(alarm, What.MEMBERS, steps)])

    def run(own: Ledger) -> None:
        try:
            for _ in range(25):
                AlarmStore(own).step(CAMERA, work, "test")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=[own]) for own in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledgers[1].close()
    assert failures == []
    store = AlarmStore(ledger)
    (one,) = store.open_alarms()
    assert one.alarm.total == 50
    assert store.step(CAMERA, lambda loaded: Written({}, value=loaded.book), "t") == {"steps": 50}
    history = store.history(one.alarm_id)
    assert [s.transition.alarm.total for s in history] == list(range(1, 51))


@pytest.mark.services
def test_two_instruments_do_not_wait_for_each_other(postgresql_url: str) -> None:
    ledger = Ledger.open(postgresql_url)
    store = AlarmStore(ledger)

    def work(_: Loaded) -> Written:
        write(store, [make_alarm(instrument="LATISS")], instrument="LATISS")
        return Written({})

    store.step(CAMERA, work, "test")
    assert len(store.open_alarms()) == 1
    ledger.close()


def test_no_two_open_alarms_have_a_name(ledger: Ledger, store: AlarmStore) -> None:
    raise_one(store, "R01", 0, 10)
    raise_one(store, "R01", 20, None)
    again = insert(alarm).values(alarm_row(make_alarm("R01")))
    with pytest.raises(LedgerError, match=r"(?i)unique"):
        ledger.write(lambda c: c.execute(again), "test")


def test_the_queue_has_the_oldest_exposure_first(ledger: Ledger, store: AlarmStore) -> None:
    assert (store.queued(9), store.queue_size(), store.oldest_queued()) == ([], 0, None)
    judge(ledger, 5)
    judge(ledger, 2)
    late = expect(ledger, 3, [1])
    no_time = judge(ledger, 4, end_utc=None)  # judged at noon, before any of them ended
    queued = store.queued(9)
    assert [q.exposure_id % 100 for q in queued] == [4, 2, 3, 5]
    assert [q.exposure_id % 100 for q in store.queued(2)] == [4, 2]
    assert (store.queue_size(), store.oldest_queued()) == (4, NOON)
    first, second, finding, _ = queued
    assert isinstance(first, QueuedExposure)
    assert (first.exposure_id, first.end_utc, first.judged_at) == (no_time, None, NOON)
    assert isinstance(second, QueuedExposure)
    assert (second.instrument, second.calib_type, second.day_obs) == ("LATISS", "bias", 20261120)
    assert (second.verdict, second.tests) == (Verdict.PASS, {})
    assert [r.exposure_id for r in store.results(second)] == [second.exposure_id]
    assert finding == QueuedFinding(
        finding.queue_id, "LATISS", late.exposure_id, late.obs_id, "bias",
        late.end_of_readout_utc, late.due_at, (0, 1), (1,),
    )  # fmt: skip


def test_what_was_looked_at_leaves_the_queue_with_the_step(
    ledger: Ledger, store: AlarmStore
) -> None:
    for number in (1, 2, 3):
        judge(ledger, number)
    one, two, three = store.queued(9)
    with pytest.raises(RecordError):
        write(store, [make_alarm(reason=object())], done=[one.queue_id])
    assert store.queued(9) == [one, two, three]
    write(store, done=[one.queue_id])
    assert store.queued(9) == [two, three]
    write(store, done=[one.queue_id])  # somebody else was quicker
    store.forget([two.queue_id])
    store.forget([])
    assert store.queued(9) == [three]


def test_a_merge_is_queued_again_when_it_is_another(ledger: Ledger, store: AlarmStore) -> None:
    judge(ledger, 1)
    judge(ledger, 1, detectors=(0, 1))
    one, two = store.queued(9)
    assert (one.exposure_id, one.document) == (two.exposure_id, two.document)
    assert len(store.results(one)) == 2


def test_first_findings_and_news_are_queued(ledger: Ledger, store: AlarmStore) -> None:
    expect(ledger, 1, [])
    expect(ledger, 2, [1])
    expect(ledger, 3, None)
    assert [q.missing for q in store.queued(9)] == [(), (1,)]
    inbox = LedgerInbox(ledger)
    (open_one,) = [o for o in inbox.due(NOON + timedelta(hours=1), "LATISS") if o.missing]
    for missing in ([1], [], []):
        inbox.close(open_one.expectation_id, missing, NOON)
    assert store.queue_size() == 3


def test_nothing_is_queued_where_there_are_no_alarms(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url, publishing=True)
    judge(ledger, 1)
    expect(ledger, 2, [1])
    assert AlarmStore(ledger).queue_size() == 0
    ledger.close()


def test_a_damaged_exposure_does_not_hide_its_neighbours(ledger: Ledger, store: AlarmStore) -> None:
    for number in (1, 2):
        judge(ledger, number)
    spoil = text("UPDATE exposure_verdict SET document = :no WHERE seq_num = 1")
    ledger.write(lambda c: c.execute(spoil, {"no": b"no zlib"}), "test")
    one, two = store.queued(9)
    assert one.document is None
    assert two.document is not None
    with pytest.raises(RecordError, match=r"LATISS exposure \d+1: its merged verdict cannot"):
        _ = one.tests
    other = update(exposure_verdict).values(document={"tests": 7})
    ledger.write(lambda c: c.execute(other), "test")
    with pytest.raises(RecordError, match="its merged verdict cannot"):
        _ = store.queued(9)[1].tests


def raise_one(store: AlarmStore, part: str, opened: float, closed: float | None, **changes) -> int:
    alarm = make_alarm(part, opened_at=after(opened), **changes)
    write(store, [alarm], [make_transition(alarm, What.RAISED, opened)])
    (number,) = [one.alarm_id for one in store.open_alarms() if one.alarm == alarm]
    if closed is not None:
        over = ended(alarm, closed)
        write(store, [over], [make_transition(over, What.CLEARED, closed)])
    return number


def test_alarms_of_a_span_of_time(store: AlarmStore) -> None:
    old = raise_one(store, "R01", 0, 10)
    long = raise_one(store, "R02", 5, 60)
    standing = raise_one(store, "R03", 8, None)
    new = raise_one(store, "R04", 30, None)
    assert numbers(store.alarms()) == [old, long, standing, new]
    assert numbers(store.alarms(CAMERA, open_only=True)) == [standing, new]
    assert numbers(store.alarms(since=after(20), until=after(30))) == [long, standing]
    assert numbers(store.alarms(until=after(8))) == [old, long]
    assert numbers(store.alarms(since=after(60.1))) == [standing, new]
    assert numbers(store.alarms(limit=2)) == [standing, new]
    assert store.alarms("LATISS") == []
    assert store.alarm(999) is None


def test_alarms_are_found_by_name(store: AlarmStore) -> None:
    first = raise_one(store, "R22_S11/C05", 0, 10)
    second = raise_one(store, "R22_S11/C05", 20, None)
    other = raise_one(store, "R22_S12", 30, None)
    name = "LSSTCam.readout.above.R22_S11/C05"
    assert numbers(store.by_name(None, name)) == [second, first]
    assert numbers(store.by_name(CAMERA, name)) == [second, first]
    assert store.by_name("LATISS", name) == []
    assert numbers(store.by_name(None, "r22_s1")) == [second, other]
    assert numbers(store.by_name(CAMERA, "S12")) == [other]
    assert store.by_name(None, "R99") == []


def test_history_of_a_span_of_time(store: AlarmStore) -> None:
    one = raise_one(store, "R01", 0, 10)
    two = raise_one(store, "R02", 5, None)

    def told(**asked) -> list[tuple[int, str]]:
        return [(s.alarm_id, s.transition.what.value) for s in store.history(**asked)]

    everything = [(one, "raised"), (two, "raised"), (one, "cleared")]
    assert told() == told(instrument=CAMERA) == everything
    assert told(alarm_id=one) == [everything[0], everything[2]]
    assert told(alarm_id=one, limit=1) == everything[2:]
    assert told(since=after(5)) == everything[1:]
    assert told(since=after(1), until=after(10)) == everything[1:2]
    assert told(limit=2) == everything[1:]
    assert told(instrument="LATISS") == []


def test_the_history_says_who_was_told(store: AlarmStore) -> None:
    one = make_alarm()
    told = [make_transition(one), make_transition(one, What.WORSE, 1)]
    write(
        store, [one], told, deliveries=[(0, "slack", NOON), (1, "slack", NOON), (1, "mail", NOON)]
    )
    assert [[d.channel for d in s.deliveries] for s in store.history(limit=1)] == [
        ["slack", "mail"]
    ]
    first = store.history()[0].deliveries[0]
    assert (first.state, first.attempts, first.repeat, first.error) == ("waiting", 0, False, "")
    assert (first.due_at, first.tried_at, first.sent_at) == (NOON, None, None)


def test_problems_of_a_day_are_counted(store: AlarmStore) -> None:
    raise_one(store, "R01", 0, 10)
    raise_one(store, "R02", 5, 45)
    raise_one(store, "R03", 25, None)
    raise_one(store, "R04", 30, None, announced=False)
    absorbed = make_alarm("R05", opened_at=after(31))
    over = ended(absorbed, 32, absorbed_by="R")
    write(store, [over], [make_transition(over, What.ABSORBED, 32)])
    assert store.alarm_counts(CAMERA, after(20), after(40)) == AlarmCounts(2, 1, 0)
    assert store.alarm_counts(None, after(40), after(60)) == AlarmCounts(2, 0, 1)
    assert store.alarm_counts("LATISS", after(0), after(60)) == AlarmCounts(0, 0, 0)


def test_exposures_of_a_day_are_counted(ledger: Ledger, store: AlarmStore) -> None:
    judge(ledger, 1)
    judge(ledger, 2)
    judge(ledger, 3, kind="dark")
    judge(ledger, 4, day_obs=20261121)
    assert store.exposure_counts("LATISS", 20261120) == {"PASS": 3}
    assert store.exposure_counts("LATISS", 20261120, "other") == {}
    assert store.taken("LATISS", 20261120) == {"bias": 2, "dark": 1}
    assert store.taken("LATISS", 20261122) == {}


def test_the_newest_exposure_of_a_type(ledger: Ledger, store: AlarmStore) -> None:
    assert store.last_end("LATISS", "bias") is None
    newest = judge(ledger, 7)
    judge(ledger, 3)
    judge(ledger, 8, end_utc=None)
    judge(ledger, 9, kind="dark")
    assert store.last_end("LATISS", "bias") == (make_exposure(7).end_utc, newest)
    assert store.last_end("LSSTCam", "bias") is None


def test_complete_exposures_without_a_verdict(ledger: Ledger, store: AlarmStore) -> None:
    complete, lacking, judged, unlooked, later = [
        expect(ledger, number, missing)
        for number, missing in ((1, []), (2, [1]), (3, []), (4, None), (900, []))
    ]
    judge(ledger, 3)
    due = complete.due_at
    mine = Unjudged(complete.exposure_id, complete.obs_id, "bias", due)
    assert store.unjudged("LATISS", due) == [mine]
    assert store.unjudged("LATISS", unlooked.due_at) == [mine]
    assert store.unjudged("LATISS", due + timedelta(seconds=59), 60.0) == []
    assert store.unjudged("LATISS", due + timedelta(seconds=60), 60.0) == [mine]
    assert len(store.unjudged("LATISS", later.due_at)) == 2
    assert store.unjudged("LSSTCam", later.due_at) == []
    assert store.unjudged("LATISS", due + timedelta(days=31)) == []
    assert {lacking.exposure_id, judged.exposure_id}.isdisjoint(
        one.exposure_id for one in store.unjudged("LATISS", later.due_at)
    )


def test_heartbeats(store: AlarmStore) -> None:
    assert store.beats() == {}
    store.beat("daemon", NOON, {"pid": 7})
    store.beat("other", NOON, {})
    store.beat("daemon", after(1), {"pid": 8})
    assert store.beats() == {"daemon": Beat(after(1), {"pid": 8}), "other": Beat(NOON, {})}


def plan(ledger: Ledger, statement) -> list[str]:
    """Return how the database would look something up, in lines that name tables and indices."""
    engine = ledger._engine
    options = {"literal_binds": True, "render_postcompile": True}
    written = str(statement.compile(engine, compile_kwargs=options))
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            found = connection.execute(text(f"EXPLAIN QUERY PLAN {written}")).all()
            return [row.detail for row in found]
        # An empty table is scanned whatever its indices: show that the index can serve.
        connection.execute(text("SET enable_seqscan = off"))
        return [row[0] for row in connection.execute(text(f"EXPLAIN {written}")).all()]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (queries.open_statement(CAMERA), "alarm_"),
        (queries.open_statement(None), "alarm_"),
        (queries.alarms_statement(CAMERA, False, NOON, None, None), "ix_alarm_closed"),
        (queries.alarms_statement(CAMERA, False, NOON, NOON, 9), "ix_alarm_closed"),
        (queries.alarms_statement(CAMERA, True, None, None, 9), "alarm_"),
        (queries.named_statement(None, "x"), "ix_alarm_name"),
        (queries.history_statement(None, CAMERA, NOON, NOON, 9), "ix_alarm_transition_at"),
        (queries.history_statement(None, None, NOON, None, None), "ix_alarm_transition_at"),
        (queries.history_statement(7, None, None, None, 9), "ix_alarm_transition_alarm"),
        (queries.last_end_statement(CAMERA, "bias"), "ix_exposure_verdict_type"),
        (queries.unjudged_statement(CAMERA, NOON, 0.0), "ix_expectation_instrument"),
    ],
)
def test_questions_go_through_their_index(ledger: Ledger, statement, index: str) -> None:
    lines = plan(ledger, statement)
    assert any(index in line for line in lines), lines
    assert not any(line.startswith("SCAN") for line in lines), lines


def test_queue_rows_are_times_in_utc(ledger: Ledger, store: AlarmStore) -> None:
    judge(ledger, 1)
    times = ledger.read(lambda c: c.execute(select(alarm_queue.c.created_at)).scalars().all())
    assert times == [NOON]
    assert isinstance(store.oldest_queued(), datetime)
