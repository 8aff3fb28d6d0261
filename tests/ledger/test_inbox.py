"""What events said is kept until it is settled, in either database."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from fakes import NOON, make_job, make_result
from sqlalchemy import select

from calwatch.arrivals.model import Expectation, Notice
from calwatch.errors import RecordError
from calwatch.ledger.inbox import LedgerInbox
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import outbox

EXPOSURE = make_job().exposure.exposure_id
OK = Notice("LATISS", EXPOSURE, 0, NOON)
FAILED = replace(OK, status=1, text="no space")
COMING = Expectation(
    "LATISS", EXPOSURE, "AT_O_1", "bias", NOON, NOON + timedelta(seconds=240), (0, 1, 2)
)
DUE = COMING.due_at
LATER = DUE + timedelta(hours=1)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url, publishing=True)
    yield ledger
    ledger.close()


@pytest.fixture
def inbox(ledger: Ledger) -> LedgerInbox:
    return LedgerInbox(ledger)


def announced(ledger: Ledger) -> list[int]:
    asked = select(outbox.c.expectation_id).order_by(outbox.c.id)
    return [row[0] for row in ledger.read(lambda c: c.execute(asked).all()) if row[0] is not None]


def test_nothing_is_nothing(inbox: LedgerInbox) -> None:
    inbox.note([], [])
    assert inbox.unsettled("LATISS") == []
    assert inbox.due(LATER, "LATISS") == []


def test_notices_come_back_oldest_first(inbox: LedgerInbox) -> None:
    later = replace(OK, detector=1, noticed_at=NOON + timedelta(seconds=1))
    inbox.note([later, OK], [])
    inbox.note([replace(OK, instrument="LSSTCam")], [])
    other = replace(OK, exposure_id=OK.exposure_id + 1)
    inbox.note([other], [])
    assert inbox.unsettled("LATISS", [EXPOSURE]) == [OK, later]
    assert inbox.unsettled("LATISS", [other.exposure_id]) == [other]
    assert inbox.waiting("LATISS") == [EXPOSURE, other.exposure_id]


def test_the_same_said_again_changes_nothing(inbox: LedgerInbox) -> None:
    for _ in range(3):
        inbox.note([OK, OK], [COMING, COMING])
    assert inbox.unsettled("LATISS") == [OK]
    assert [one.expectation for one in inbox.due(LATER, "LATISS")] == [COMING]


@pytest.mark.parametrize("together", [True, False])
def test_an_ingested_file_stands_against_any_failure(inbox: LedgerInbox, together: bool) -> None:
    said = [FAILED, OK, replace(FAILED, noticed_at=LATER)]
    for batch in [said] if together else [[one] for one in said]:
        inbox.note(batch, [])
    assert inbox.unsettled("LATISS") == [OK]


def test_of_two_failures_the_later_stands_in_any_order(inbox: LedgerInbox) -> None:
    newer = replace(FAILED, noticed_at=LATER, text="no header")
    for order in ([FAILED, newer], [newer, FAILED]):
        for one in order:
            inbox.note([one], [])
        assert inbox.unsettled("LATISS") == [newer]
        inbox.forget_before(LATER + timedelta(days=1))


def test_a_judged_file_is_settled(ledger: Ledger, inbox: LedgerInbox) -> None:
    other = replace(OK, detector=1)
    inbox.note([OK, other], [])
    job = make_job()
    assert inbox.settle("LATISS") == 0
    ledger.record(make_result(job), job.exposure, NOON)
    assert inbox.settle("LSSTCam") == 0
    assert inbox.settle("LATISS", "another algorithm") == 0
    assert inbox.settle("LATISS") == 1
    assert inbox.unsettled("LATISS") == [other]


def test_what_the_butler_has_is_dropped(inbox: LedgerInbox) -> None:
    kept = [replace(OK, detector=2), replace(OK, exposure_id=OK.exposure_id + 1)]
    foreign = replace(OK, instrument="LSSTCam")
    inbox.note([OK, replace(OK, detector=1), *kept, foreign], [])
    inbox.drop("LATISS", EXPOSURE, {0, 1})
    assert sorted(inbox.unsettled("LATISS"), key=lambda n: n.exposure_id) == kept
    assert inbox.unsettled("LSSTCam") == [foreign]


def test_old_notices_are_given_up(inbox: LedgerInbox) -> None:
    newer = replace(OK, detector=1, noticed_at=LATER)
    foreign = replace(OK, instrument="LSSTCam")
    inbox.note([OK, newer, foreign], [])
    assert inbox.forget_before(NOON, "LATISS") == []
    assert inbox.forget_before(LATER, "LATISS") == [OK]
    assert inbox.forget_before(LATER) == [foreign]
    assert inbox.unsettled("LATISS") == [newer]


def test_an_expectation_is_due_at_its_time(inbox: LedgerInbox) -> None:
    inbox.note([], [COMING])
    assert inbox.due(DUE - timedelta(milliseconds=1), "LATISS") == []
    assert inbox.due(DUE, "LSSTCam") == []
    [found] = inbox.due(DUE, "LATISS")
    assert (found.expectation, found.missing) == (COMING, None)


def test_what_is_complete_is_never_due_again(ledger: Ledger, inbox: LedgerInbox) -> None:
    inbox.note([], [COMING])
    [found] = inbox.due(DUE, "LATISS")
    assert inbox.close(found.expectation_id, [], DUE) is False
    assert inbox.due(LATER, "LATISS") == []
    inbox.note([], [COMING])  # delivered again
    assert inbox.due(LATER, "LATISS") == []
    assert announced(ledger) == []


def test_what_is_missing_is_told_when_it_changes(ledger: Ledger, inbox: LedgerInbox) -> None:
    inbox.note([], [COMING])
    which = inbox.due(DUE, "LATISS")[0].expectation_id
    told = [
        inbox.close(which, missing, LATER)
        for missing in ([2, 0], [0, 2], [0], [0], [], [], [1], [])
    ]
    assert told == [True, False, True, False, True, False, True, True]
    assert announced(ledger) == [which] * 5


def test_what_is_missing_is_looked_for_again_for_some_days(inbox: LedgerInbox) -> None:
    inbox.note([], [COMING])
    which = inbox.due(DUE, "LATISS")[0].expectation_id
    inbox.close(which, [1, 2], LATER)
    [found] = inbox.due(LATER, "LATISS")
    assert found.missing == (1, 2)
    assert inbox.due(DUE + timedelta(days=2.9), "LATISS")
    assert inbox.due(DUE + timedelta(days=3.1), "LATISS") == []
    assert inbox.due(DUE + timedelta(days=3.1), "LATISS", look_again_days=4)


def test_an_old_expectation_is_looked_at_once_at_least(inbox: LedgerInbox) -> None:
    inbox.note([], [COMING])
    assert inbox.due(DUE + timedelta(days=300), "LATISS")


def test_no_outbox_no_announcement(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url)
    inbox = LedgerInbox(ledger)
    inbox.note([], [COMING])
    assert inbox.close(inbox.due(DUE, "LATISS")[0].expectation_id, [1], DUE) is True
    assert announced(ledger) == []
    ledger.close()


def test_what_cannot_be_kept_is_refused_with_all_its_batch(inbox: LedgerInbox) -> None:
    with pytest.raises(RecordError):
        inbox.note([OK, replace(OK, detector=1, noticed_at=NOON.replace(tzinfo=None))], [])
    assert inbox.unsettled("LATISS") == []
    with pytest.raises(RecordError, match="expectation 99"):
        inbox.close(99, [], NOON)


def test_many_writers_at_once_lose_nothing(inbox: LedgerInbox) -> None:
    notices = [replace(OK, detector=number) for number in range(60)]
    failures = []

    def write(seed: int) -> None:
        mine = random.Random(seed).sample(notices, len(notices))
        try:
            for start in range(0, len(mine), 20):
                inbox.note(mine[start : start + 20], [])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(one.detector for one in inbox.unsettled("LATISS")) == list(range(60))
