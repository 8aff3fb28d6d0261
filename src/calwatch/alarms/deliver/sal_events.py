"""What the SAL events say of alarms: plain functions of the alarms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from calwatch.alarms.model import Alarm, Numbered, Severity
from calwatch.tai import tai_from_utc

Fields = dict[str, Any]

ALARMS_BYTES = 60_000
"""The list of open alarms has no more: InfluxDB, where the EFD keeps it, takes no string of more
than 64 KiB."""
MEMBERS_LENGTH = 8_000
TEXT_LENGTH = 2_000
REASON_LENGTHS = (TEXT_LENGTH, 200, 60, 0)
"""So long are the reasons in the list, the first for which it is not too long."""


def alarm_fields(numbered: Numbered, playbook: str) -> Fields:
    """Return one alarm's own fields of its event.

    An alarm that is over has severity and maxSeverity NONE, however it ended.

    Parameters
    ----------
    numbered
        The alarm.
    playbook
        Its section of the playbook.
    """
    alarm = numbered.alarm
    return _as_watcher(numbered) | {
        "alarmId": numbered.alarm_id,
        "instrument": alarm.key.instrument,
        "kind": alarm.kind.value,
        "family": alarm.key.family,
        "aspect": alarm.key.aspect,
        "part": alarm.key.part,
        "level": alarm.level,
        "members": _members(alarm.members),
        "numMembers": len(alarm.members),
        "numJudged": alarm.total,
        "exposureId": alarm.exposure_id or 0,
        "clearedBy": alarm.cleared_by or 0,
        "playbook": playbook,
        "acknowledgedWhy": _short(alarm.acknowledged_why),
        "mutedWhy": _short(alarm.muted_why),
        "announced": alarm.announced,
        "absorbedBy": alarm.absorbed_by,
        "timestampSince": _tai(alarm.since),
        "timestampOpened": _tai(alarm.opened_at),
        "timestampClosed": _tai(alarm.closed_at),
    }


def summary_fields(instrument: str, alarms: Iterable[Numbered]) -> Fields:
    """Return the own fields of the summary of an instrument's open alarms.

    The three booleans are for rules that know nothing else: each is true while an alarm of just
    that severity *calls* (see `calls`). An acknowledged alarm does not hold its boolean up, so that
    the next one can raise it; a graver one does not hold up the lesser, so that it is told once.
    """
    ranked = sorted(alarms, key=_rank)
    states = [numbered.alarm for numbered in ranked]
    calling = {alarm.severity for alarm in states if calls(alarm)}
    listed, unlisted = _list(ranked)
    return {
        "instrument": instrument,
        "warningOpen": Severity.WARNING in calling,
        "seriousOpen": Severity.SERIOUS in calling,
        "criticalOpen": Severity.CRITICAL in calling,
        "severity": int(max((alarm.severity for alarm in states), default=Severity.NONE)),
        "maxSeverity": int(max((alarm.max_severity for alarm in states), default=Severity.NONE)),
        "numOpen": len(states),
        "numWarning": sum(alarm.severity is Severity.WARNING for alarm in states),
        "numSerious": sum(alarm.severity is Severity.SERIOUS for alarm in states),
        "numCritical": sum(alarm.severity is Severity.CRITICAL for alarm in states),
        "numStale": sum(alarm.stale for alarm in states),
        "numAcknowledged": sum(alarm.acknowledged for alarm in states),
        "numMuted": sum(alarm.muted for alarm in states),
        "alarms": listed,
        "numUnlisted": unlisted,
    }


def calls(alarm: Alarm) -> bool:
    """Return whether an alarm calls for somebody now.

    It is active, and neither acknowledged nor muted at its severity, and a fresh exposure stands
    behind it.
    """
    return alarm.active and alarm.announced and not alarm.acknowledged and not alarm.muted


def _as_watcher(numbered: Numbered) -> Fields:
    """Return what ts_watcher's own alarm event has as well."""
    alarm = numbered.alarm
    return {
        "name": alarm.name,
        "severity": int(alarm.severity if alarm.open else Severity.NONE),
        "reason": _short(alarm.reason),
        "maxSeverity": int(alarm.max_severity if alarm.open else Severity.NONE),
        "acknowledged": alarm.acknowledged,
        "acknowledgedBy": _short(alarm.acknowledged_by),
        "escalatedId": f"calwatch-{numbered.alarm_id}" if alarm.escalated_at else "",
        "escalateTo": _short(alarm.escalate_to),
        "mutedSeverity": int(alarm.muted_severity),
        "mutedBy": _short(alarm.muted_by),
        "timestampSeverityOldest": _tai(alarm.severity_oldest),
        "timestampSeverityNewest": _tai(alarm.severity_newest),
        "timestampMaxSeverity": _tai(alarm.max_severity_at),
        "timestampAcknowledged": _tai(alarm.acknowledged_at),
        "timestampAutoAcknowledge": _tai(alarm.auto_acknowledge_at),
        "timestampAutoUnacknowledge": _tai(alarm.auto_unacknowledge_at),
        "timestampEscalate": _tai(alarm.escalated_at or alarm.escalate_at),
        "timestampUnmute": _tai(alarm.unmute_at),
    }


def _rank(numbered: Numbered) -> tuple[int, int, datetime, int]:
    alarm = numbered.alarm
    return -alarm.severity, -alarm.max_severity, alarm.opened_at, numbered.alarm_id


def _list(ranked: Sequence[Numbered]) -> tuple[str, int]:
    """Return the alarms as a JSON array that is not too long, and how many are left out."""
    for length in REASON_LENGTHS:
        entries = [_entry(numbered, length) for numbered in ranked]
        if sum(map(_size, entries)) + 2 <= ALARMS_BYTES:
            return f"[{','.join(entries)}]", 0
    kept = _fitting(map(_size, entries), ALARMS_BYTES - 2)
    return f"[{','.join(entries[:kept])}]", len(entries) - kept


def _entry(numbered: Numbered, reason_length: int) -> str:
    alarm = numbered.alarm
    content = {
        "alarmId": numbered.alarm_id,
        "name": alarm.name,
        "level": alarm.level,
        "severity": int(alarm.severity),
        "maxSeverity": int(alarm.max_severity),
        "acknowledged": alarm.acknowledged,
        "acknowledgedBy": _short(alarm.acknowledged_by, 100),
        "muted": alarm.muted,
        "announced": alarm.announced,
        "since": alarm.since.astimezone(UTC).isoformat(timespec="seconds"),
        "reason": _short(alarm.reason, reason_length),
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _size(entry: str) -> int:
    """Return the bytes of an entry with its comma."""
    return len(entry.encode()) + 1


def _members(names: Sequence[str]) -> str:
    """Return names separated by commas; if they are too many, how many more there are."""
    kept = _fitting((len(name) + 2 for name in names), MEMBERS_LENGTH)
    more = len(names) - kept
    return ", ".join(names[:kept]) + (f" and {more} more" if more else "")


def _fitting(sizes: Iterable[int], room: int) -> int:
    """Return how many of the first there is room for."""
    return sum(total <= room for total in accumulate(sizes))


def _short(text: str, length: int = TEXT_LENGTH) -> str:
    """Return a text of at most so many characters, all of which UTF-8 has."""
    text = text.encode(errors="replace").decode()
    if len(text) <= length:
        return text
    return f"{text[: length - 1]}…" if length else ""


def _tai(when: datetime | None) -> float:
    return 0.0 if when is None else tai_from_utc(when)
