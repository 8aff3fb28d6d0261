"""Days, exposures and detectors, as the page and the report ask for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from fakes import NOON, make_exposure, make_job, make_result, merge

from calwatch.ledger import nights
from calwatch.ledger.store import Ledger
from calwatch.verify.model import Verdict


def judge(ledger: Ledger, number: int, verdict: Verdict = Verdict.PASS, **changes) -> int:
    """Record one exposure of two detectors; return its number."""
    for detector in (0, 1):
        job = make_job(number, detector, **changes)
        ledger.record(make_result(job, verdict), job.exposure, NOON)
    exposure = make_exposure(number, **changes)
    recorded = ledger.results(exposure.instrument, exposure.exposure_id)
    ledger.record_exposure(
        merge(recorded.results, exposure),
        exposure,
        NOON,
        expected=[0, 1],
        last_judgement_id=recorded.last_judgement_id,
    )
    return exposure.exposure_id


@pytest.fixture
def ledger(ledger_url: str):
    made = Ledger.open(ledger_url)
    yield made
    made.close()


def test_an_empty_ledger_has_nothing(ledger: Ledger) -> None:
    assert nights.instruments(ledger) == []
    assert nights.days(ledger, "LATISS") == []
    assert nights.last_checks(ledger, "LATISS") == []
    assert nights.exposure_line(ledger, "LATISS", 1) is None
    assert nights.detector_lines(ledger, "LATISS", 1) == []
    assert nights.detector_result(ledger, "LATISS", 1, 0) is None
    assert nights.newest_judgement(ledger) == 0


def test_instruments_and_days_are_told_once_each(ledger: Ledger) -> None:
    for number, day in enumerate([20261120, 20261122, 20261120, 20261121], start=1):
        judge(ledger, number, day_obs=day)
    judge(ledger, 9, instrument="LSSTCam", day_obs=20261130)
    assert nights.instruments(ledger) == ["LATISS", "LSSTCam"]
    assert nights.days(ledger, "LATISS") == [20261122, 20261121, 20261120]
    assert nights.days(ledger, "LATISS", most=2) == [20261122, 20261121]
    assert nights.days_beside(ledger, "LATISS", 20261121) == (20261120, 20261122)
    assert nights.days_beside(ledger, "LATISS", 20270101) == (20261122, None)
    assert nights.days_beside(ledger, "LSSTCam", 20200101)[0] is None


def test_exposures_of_days_come_oldest_first(ledger: Ledger) -> None:
    second = judge(ledger, 2, kind="dark")
    first = judge(ledger, 1, Verdict.FAIL)
    judge(ledger, 3, day_obs=20261123)
    found = nights.exposures_between(ledger, "LATISS", 20261120, 20261121)
    assert [line.exposure_id for line in found] == [first, second]
    assert found[0].verdict is Verdict.FAIL
    assert found[0].counts == {"PASS": 0, "FAIL": 2, "UNKNOWN": 0}
    assert found[0].expected == (0, 1)
    darks = nights.exposures_between(ledger, "LATISS", 20261120, 20261123, "dark")
    assert darks == [nights.exposure_line(ledger, "LATISS", second)]


def test_the_last_good_check_is_told_beside_the_last(ledger: Ledger) -> None:
    good = judge(ledger, 1)
    bad = judge(ledger, 2, Verdict.FAIL)
    dark = judge(ledger, 3, Verdict.UNKNOWN, kind="dark")
    checks = {check.calib_type: check for check in nights.last_checks(ledger, "LATISS")}
    assert list(checks) == ["bias", "dark"]
    assert checks["bias"].last.exposure_id == bad
    assert checks["bias"].last_pass is not None
    assert checks["bias"].last_pass.exposure_id == good
    assert (checks["dark"].last.exposure_id, checks["dark"].last_pass) == (dark, None)


def test_neighbours_are_of_the_same_type(ledger: Ledger) -> None:
    ids = [
        judge(ledger, n, kind=kind) for n, kind in enumerate(["bias", "dark", "bias", "bias"], 1)
    ]
    line = nights.exposure_line(ledger, "LATISS", ids[2])
    assert line is not None
    assert nights.neighbours(ledger, line) == (ids[0], ids[3])
    assert nights.neighbours(ledger, replace(line, end_utc=None)) == (None, None)
    first = nights.exposure_line(ledger, "LATISS", ids[0])
    assert first is not None
    assert nights.neighbours(ledger, first) == (None, ids[2])


def test_only_the_last_judgement_of_a_detector_counts(ledger: Ledger) -> None:
    exposure_id = judge(ledger, 1)
    job = make_job(1, 1, "f1")
    again = make_result(job, Verdict.FAIL, "too noisy")
    ledger.record(again, job.exposure, NOON + timedelta(hours=1))
    lines = nights.detector_lines(ledger, "LATISS", exposure_id)
    assert [(line.detector, line.verdict, line.fingerprint) for line in lines] == [
        (0, Verdict.PASS, "f0"),
        (1, Verdict.FAIL, "f1"),
    ]
    assert lines[1].reason == "too noisy"
    assert lines[1].judgement_id == nights.newest_judgement(ledger)
    assert nights.detector_result(ledger, "LATISS", exposure_id, 1) == again
