"""Alarms and deliveries for the tests of the channels."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from calwatch.alarms.deliver.channel import Delivery
from calwatch.alarms.model import Alarm, Key, Kind, Severity, Transition, What
from calwatch.alarms.words import Message

NOON = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
N, W, S, C = Severity
KEY = Key("LSSTCam", "readout", "above", "R22_S11/C05")


def alarm(severity: Severity = S, **given: Any) -> Alarm:
    """Return an open alarm; `part` and `instrument` are those of its key."""
    key = replace(
        KEY, **{name: given.pop(name) for name in ("part", "instrument") if name in given}
    )
    at = given.pop("opened_at", NOON)
    plain = Alarm(
        key=key,
        kind=Kind.FAILURE,
        level="amplifier",
        severity=severity,
        max_severity=max(severity, W),
        reason=f"Noise or gain is above the certified one in {key.part}",
        opened_at=at,
        since=at - timedelta(minutes=1),
        severity_oldest=at,
        severity_newest=at,
        max_severity_at=at,
    )
    return replace(plain, **given)


def closed(found: Alarm, at: datetime) -> Alarm:
    return replace(found, severity=N, severity_oldest=at, closed_at=at, acknowledged=True)


def transition(what: What = What.RAISED, found: Alarm | None = None, **given: Any) -> Transition:
    given.setdefault("before", N)
    given.setdefault("at", NOON)
    return Transition(what=what, alarm=found or alarm(), **given)


def delivery(
    what: What = What.RAISED,
    found: Alarm | None = None,
    *,
    newest: Alarm | None = None,
    number: int = 1,
    alarm_id: int = 7,
    repeat: bool = False,
) -> Delivery:
    found = found or alarm()
    words = Message(
        f"[{found.severity.name}] {what.value}: {found.key.part}",
        f"Noise in {found.key.part}\nSee the playbook.",
        {"alarm": found.name},
    )
    return Delivery(number, alarm_id, transition(what, found), words, newest or found, repeat)
