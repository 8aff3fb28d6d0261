"""One alarm, and what happens to it, for tests that need no book."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from calwatch.alarms.model import (
    ENDS,
    Alarm,
    Key,
    Kind,
    Sample,
    Severity,
    Symptom,
    Transition,
    What,
)

NOON = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
PART = "R22_S11/C05"


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def make_alarm(part: str = PART, instrument: str = "LSSTCam", **changes) -> Alarm:
    """Return an alarm that was raised at noon."""
    sample = Sample(NOON, 2026112000007, Severity.SERIOUS, 7.3, (6.1, 6.8), "NOISE is high")
    symptom = Symptom(part, "bias", "NOISE", "e-", "4.3", Severity.SERIOUS, (sample,))
    alarm = Alarm(
        key=Key(instrument, "readout", "above", part),
        kind=Kind.FAILURE,
        level="amplifier",
        severity=Severity.SERIOUS,
        max_severity=Severity.SERIOUS,
        reason="NOISE is high",
        opened_at=NOON,
        since=NOON,
        severity_oldest=NOON,
        severity_newest=NOON,
        max_severity_at=NOON,
        members=(part,),
        total=16,
        symptoms=(symptom,),
        counts={"bias NOISE": 1},
        exposure_id=2026112000007,
    )
    return replace(alarm, **changes)


def make_transition(
    alarm: Alarm, what: What = What.RAISED, minutes: float = 0.0, **changes
) -> Transition:
    """Return what happened so long after noon; an end closes the alarm."""
    at = after(minutes)
    if what in ENDS and alarm.closed_at is None:
        alarm = replace(alarm, closed_at=at)
    return replace(Transition(what, at, alarm, Severity.NONE), **changes)


def ended(alarm: Alarm, minutes: float, **changes) -> Alarm:
    """Return the alarm as it is when it is over."""
    return replace(alarm, severity=Severity.NONE, closed_at=after(minutes), **changes)
