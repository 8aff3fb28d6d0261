"""A night of which every number is known, judged, recorded and with alarms, for dashboards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from evening import Clock
from fakes import AMPS, NOON, make_exposure, make_job, make_result, merge

from calwatch.alarms.model import Severity
from calwatch.arrivals.model import Expectation
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.inbox import LedgerInbox
from calwatch.ledger.store import Ledger
from calwatch.publish.schemas import metrics_of
from calwatch.service.alarm_books import AlarmBooks
from calwatch.verify.counts import count_by_level
from calwatch.verify.metrics import CALIB_TYPES, METRICS, SET_TYPES
from calwatch.verify.model import AmpResult, DetectorResult, TestResult, Verdict, algorithm_of

INSTRUMENT = "LSSTCam"
DETECTORS = (94, 95)
TAKEN = {"bias": (1, 2, 3), "dark": (4, 5), "flat": (6, 7, 8)} | dict.fromkeys(SET_TYPES, (6, 7, 8))
"""Exposure numbers by type; of a set its last."""
VERDICTS = {
    (2, 95): Verdict.FAIL, (3, 94): Verdict.UNKNOWN, (5, 95): Verdict.FAIL, (8, 94): Verdict.FAIL,
}  # fmt: skip
"""By exposure number and detector; all others are PASS."""
OF_SETS = {(7, 95): Verdict.UNKNOWN, (8, 94): Verdict.FAIL}
"""The same of each kind of set."""
FAILED_AMPS, WARNING_AMPS = 3, 2
"""In a detector that fails, and in every other."""
MISSING = (7, 9)
"""Detectors that never came, of exposure 20."""
_PLACES = {name: place for place, name in enumerate(METRICS)}


def end(number: int) -> datetime:
    return make_exposure(number).end_utc


def value(number: int, detector: int, amp: int, metric: str) -> float:
    """Return a number of one amplifier (or of the detector: 20, of the exposure: 30)."""
    return 2.0 + 0.5 * number + 0.03 * (detector - 94) + 0.11 * amp + 0.007 * _PLACES[metric]


def verdict_of(number: int, detector: int, kind: str = "") -> Verdict:
    found = OF_SETS if kind in SET_TYPES else VERDICTS
    return found.get((number, detector), Verdict.PASS)


def record(ledger: Ledger) -> None:
    """Record the exposures and what did not come."""
    for kind in CALIB_TYPES:
        for number in TAKEN[kind]:
            _take(ledger, number, kind, NOON)
    due = end(20) + timedelta(seconds=240)
    exposure = make_exposure(20, INSTRUMENT)
    inbox = LedgerInbox(ledger)
    expected = (*MISSING, 94)
    what = Expectation(
        INSTRUMENT, exposure.exposure_id, "MC_O_20261120_000020", "bias", end(20), due, expected
    )
    inbox.note([], [what])
    (open_one,) = inbox.due(due, INSTRUMENT)
    assert inbox.close(open_one.expectation_id, MISSING, due)


def _take(ledger: Ledger, number: int, kind: str, now: datetime) -> None:
    taken_as = "flat" if kind in SET_TYPES else kind
    exposure = make_exposure(number, INSTRUMENT, taken_as)
    for detector in DETECTORS:
        job = make_job(number, detector, instrument=INSTRUMENT, kind=taken_as)
        job = replace(job, calib_type=kind)
        ledger.record(_result(job, number, detector, kind), exposure, now)
    algorithm = algorithm_of(kind)
    recorded = ledger.results(INSTRUMENT, exposure.exposure_id, algorithm)
    metrics = {m.name: value(number, 94, 30, m.name) for m in metrics_of("exposure", kind)}
    counts = count_by_level(recorded.results, {})
    ledger.record_exposure(
        replace(merge(recorded.results, exposure), metrics=metrics, test_counts=counts),
        exposure,
        now,
        expected=list(DETECTORS),
        last_judgement_id=recorded.last_judgement_id,
        algorithm=algorithm,
    )


def _result(job, number: int, detector: int, kind: str) -> DetectorResult:
    verdict = verdict_of(number, detector, kind)
    failed = FAILED_AMPS if verdict is Verdict.FAIL else 0
    amps = {}
    for place, amp in enumerate(AMPS):
        metrics = {m.name: value(number, detector, place, m.name) for m in metrics_of("amp", kind)}
        fails = place < failed
        severity = "SERIOUS" if fails else "WARNING" if place >= 16 - WARNING_AMPS else ""
        outcome = Verdict.FAIL if fails else Verdict.PASS
        test = TestResult("NOISE", outcome, 6.0, (5.0, 7.0), "e-", "4.3", severity, True, "")
        amps[amp] = AmpResult(metrics, {"NOISE": test}, outcome)
    whole = {m.name: value(number, detector, 20, m.name) for m in metrics_of("detector", kind)}
    reason = "" if verdict is Verdict.PASS else f"it is {verdict.value}"
    result = make_result(job, verdict, reason)
    last = job.exposure.exposure_id
    members = {"members": [last - 1, last]} if kind in SET_TYPES else {}
    return replace(
        result, amps=amps, detector_metrics=whole, detector_tests={},
        provenance={**result.provenance, **members},
    )  # fmt: skip


def raise_alarms(books: AlarmBooks, clock: Clock, seen, everywhere: Sequence[str]) -> None:
    """Have a WARNING, a SERIOUS and a CRITICAL alarm raised, and one more that recovers."""
    warned, serious, over = "R22_S11/C05", "R10_S00/C01", "R33_S22/C11"

    def take(number: int, bad: Sequence[str], **more: object) -> None:
        sighting = seen(number, bad, **more)
        clock.at = sighting.end + timedelta(seconds=10)
        books.observe(sighting, [])

    for number in range(1, 6):
        take(number, [warned], severity=Severity.WARNING)
    for number in (6, 7):
        take(number, [serious, over], near=[warned], more={"OVERSCAN_LEVEL": everywhere})
    for number in (8, 9):
        take(number, [serious], near=[warned], more={"OVERSCAN_LEVEL": everywhere})


def severities(store: AlarmStore) -> dict[str, int]:
    """Return how many alarms stand at each severity."""
    found = dict.fromkeys((s.name for s in Severity), 0)
    for one in store.open_alarms():
        found[one.alarm.severity.name] += 1
    return found
