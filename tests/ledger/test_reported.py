"""What a report asks, of a real SQLite and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fakes import NOON, make_exposure, make_job, make_result, merge
from sqlalchemy import LargeBinary, type_coerce, update

from calwatch.arrivals.model import Expectation
from calwatch.ledger import reported
from calwatch.ledger.inbox import LedgerInbox
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import exposure_verdict, judgement
from calwatch.verify.model import ALGORITHM, Verdict


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger.open(ledger_url)
    yield made
    made.close()


def take(ledger: Ledger, number: int, *detectors: int, fingerprint: str = "f0", **changes):
    """Record one exposure with its merged verdict."""
    exposure = make_exposure(number, **changes)
    for detector in detectors or (0,):
        job = make_job(number, detector, fingerprint, **changes)
        ledger.record(make_result(job), exposure, NOON)
    found = ledger.results(exposure.instrument, exposure.exposure_id)
    ledger.record_exposure(
        merge(found.results, exposure), exposure, NOON, expected=detectors or (0,),
        last_judgement_id=found.last_judgement_id,
    )  # fmt: skip
    return exposure


def spoil(ledger: Ledger, table, *where) -> None:
    """Put something else in the place of documents."""
    broken = type_coerce(b"\x00\xff", LargeBinary)
    ledger.write(lambda c: c.execute(update(table).where(*where).values(document=broken)), "spoil")


def test_the_nearest_nights_are_found(ledger: Ledger) -> None:
    for number, day in ((1, 20261101), (2, 20261105), (3, 20261109)):
        take(ledger, number, day_obs=day)
    assert reported.nights_beside(ledger, "LATISS", 20261105) == (20261101, 20261109)
    assert reported.nights_beside(ledger, "LATISS", 20261101) == (None, 20261105)
    assert reported.nights_beside(ledger, "LSSTCam", 20261101) == (None, None)


def test_a_collection_is_one_or_what_is_below_it(ledger: Ledger) -> None:
    exposure = take(ledger, 1)
    assert reported.collections_of(ledger, "LATISS") == ["certified"]
    for name, found in (
        ("certified", {(exposure.exposure_id, ALGORITHM)}),
        ("cert", set()),
        ("c%", set()),
    ):
        assert reported.judged_with(ledger, "LATISS", name) == found
    assert reported.judged_with(ledger, "LSSTCam", "certified") == set()


def test_only_the_last_judgement_of_a_detector_is_read(ledger: Ledger) -> None:
    exposure = take(ledger, 1, 1, 0)
    take(ledger, 1, 0, fingerprint="f1")
    found = list(reported.judgements_of(ledger, "LATISS", exposure.exposure_id))
    assert [one.detector for one in found] == [0, 1]
    prints = [one.result.provenance["fingerprint"] for one in found if one.result]
    assert prints == ["f1", "f0"]


def test_a_damaged_document_hides_no_other(ledger: Ledger) -> None:
    exposure = take(ledger, 1, 0, 1)
    spoil(ledger, judgement, judgement.c.detector == 0)
    bad, good = reported.judgements_of(ledger, "LATISS", exposure.exposure_id)
    assert (bad.result, bad.verdict, bad.detector_name) == (None, Verdict.PASS, "R00_S00")
    assert "incorrect header" in bad.damage
    assert good.result is not None
    assert good.damage == ""


def test_the_tests_of_an_exposure_are_read_or_their_damage_is_raised(ledger: Ledger) -> None:
    exposure = take(ledger, 1)
    assert reported.exposure_tests(ledger, "LATISS", exposure.exposure_id) == {}
    spoil(ledger, exposure_verdict)
    with pytest.raises(reported.DAMAGE):
        reported.exposure_tests(ledger, "LATISS", exposure.exposure_id)


def test_what_did_not_come_is_told_of_its_time(ledger: Ledger) -> None:
    inbox = LedgerInbox(ledger)
    due = NOON + timedelta(minutes=4)
    for number, missing in ((1, (3,)), (2, ())):
        what = Expectation("LATISS", number, f"x{number}", "bias", NOON, due, (0, 3))
        inbox.note([], [what])
        waiting = inbox.due(due, "LATISS")
        (mine,) = [one.expectation_id for one in waiting if one.expectation.exposure_id == number]
        inbox.close(mine, missing, due)
    hour = timedelta(hours=1)
    told = reported.announced_missing(ledger, "LATISS", NOON - hour, NOON + hour)
    assert told == [reported.Announced(1, "bias", (3,))]
    assert reported.announced_missing(ledger, "LATISS", NOON + hour, NOON + 2 * hour) == []
    assert reported.announced_missing(ledger, "LATISS", NOON - hour, NOON) == []
