"""An evening of exposures that a test makes up, recorded as the daemon records them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from fakes import AMPS, NOON, make_job, make_result, merge

from calwatch.camera.loader import load_camera
from calwatch.ledger.store import Ledger
from calwatch.service.lifecycle import SystemClock
from calwatch.verify.limits import load_limits
from calwatch.verify.model import TestResult, Verdict

CAMERAS = {"LATISS": load_camera("LATISS")}
LIMITS = load_limits("dmtn101")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOON).total_seconds()


def judged(
    ledger: Ledger, clock: Clock | SystemClock, number: int, *bad: str, end: datetime | None = None
) -> None:
    """Record an exposure of which the noise of some amplifiers is too high."""
    job = make_job(number) if end is None else make_job(number, end_utc=end)
    result = make_result(job)
    verdict = Verdict.FAIL if bad else Verdict.PASS
    amps = {}
    for amp in AMPS:
        severity = "SERIOUS" if amp in bad else ""
        reason = f"{amp} NOISE is 30 % above the expected" if severity else ""
        test = TestResult(
            "NOISE", Verdict.FAIL if severity else Verdict.PASS, 9.0 if severity else 6.5,
            (6.2, 6.9), "e-", "4.3", severity, True, reason,
        )  # fmt: skip
        amps[amp] = replace(result.amps[amp], tests={"NOISE": test}, verdict=test.verdict)
    result = replace(
        result, amps=amps, verdict=verdict, detector_name="RXX_S00", reason="", detector_tests={}
    )
    if isinstance(clock, Clock):
        clock.at = max(clock.at, job.exposure.end_utc + timedelta(seconds=20))
    ledger.record(result, job.exposure, clock.now())
    recorded = ledger.results("LATISS", job.exposure.exposure_id)
    ledger.record_exposure(
        merge(recorded.results, job.exposure),
        job.exposure,
        clock.now(),
        expected=[0],
        last_judgement_id=recorded.last_judgement_id,
    )
