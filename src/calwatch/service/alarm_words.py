"""How alarms are said on a terminal and on the page, beside what `calwatch.alarms.words` says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from calwatch.alarms.model import AUTO, Alarm, Numbered, Sample, Severity, Transition, What
from calwatch.alarms.naming import how_many, short_where
from calwatch.alarms.rules import Rules
from calwatch.alarms.words import message
from calwatch.ledger.alarm_rows import DeliveryState, StoredTransition
from calwatch.settings import AlarmSettings


def gravest_first(found: Iterable[Numbered]) -> list[Numbered]:
    """Sort alarms: active ones by severity, recovered ones, closed ones with the last first."""

    def key(one: Numbered) -> tuple[bool, int, float]:
        alarm = one.alarm
        if alarm.closed_at is not None:
            return (True, 0, -alarm.closed_at.timestamp())
        return (False, -alarm.severity, alarm.since.timestamp())

    return sorted(found, key=key)


def severity_words(alarm: Alarm) -> str:
    """Say how grave an alarm is, and was."""
    if not alarm.open:
        return "absorbed" if alarm.absorbed_by else "over"
    if alarm.stale:
        return f"recovered (was {alarm.max_severity.name})"
    return alarm.severity.name


def handling_words(alarm: Alarm) -> str:
    """Say who has dealt with an alarm, and how."""
    words = []
    if alarm.absorbed_by:
        words.append(f"now part of {alarm.absorbed_by}")
    elif alarm.acknowledged:
        words.append(f"acknowledged by {alarm.acknowledged_by}: {alarm.acknowledged_why}")
    elif alarm.open and alarm.announced:
        words.append("nobody has acknowledged it")
    if alarm.muted_severity > Severity.NONE and alarm.open:
        until = f" until {utc(alarm.unmute_at)}" if alarm.unmute_at else ""
        words.append(f"muted{until} by {alarm.muted_by}")
    if alarm.escalated_at:
        words.append(f"escalated to {alarm.escalate_to}")
    if not alarm.announced and alarm.open:
        words.append("nobody was told: only late exposures say it")
    return "; ".join(words)


def where_words(alarm: Alarm) -> str:
    """Say which part of the camera it is, and how much of it is bad."""
    place = short_where(alarm.key.instrument, alarm.key.part, alarm.level)
    many = len(alarm.members) > 1
    return f"{place}, {how_many(alarm.members, alarm.total)}" if many else place


def count_line(found: Sequence[Numbered]) -> str:
    """Say how many alarms there are of each sort."""
    active = [one.alarm for one in found if one.alarm.active]
    parts = [f"{sum(a.severity is s for a in active)} {s.name}" for s in reversed(Severity)]
    parts = [part for part in parts[:-1] if not part.startswith("0 ")]
    stale = sum(one.alarm.stale for one in found)
    closed = sum(not one.alarm.open for one in found)
    parts += [f"{stale} recovered, waiting to be acknowledged"] if stale else []
    parts += [f"{closed} over"] if closed else []
    return ", ".join(parts) or "no alarm"


def delivery_words(one: DeliveryState) -> str:
    """Say whether and when a channel was told."""
    repeat = ", perhaps twice" if one.repeat else ""
    match one.state:
        case "sent":
            at = one.sent_at.strftime("%m-%d %H:%M:%S") if one.sent_at else ""
            return f"{one.channel} {at}{repeat}"
        case "waiting" if one.attempts:
            return f"{one.channel} waits after {one.attempts} attempts: {one.error}"
        case _:
            error = f": {one.error}" if one.error else ""
            return f"{one.channel} {one.state}{error}{repeat}"


def number_text(value: float | None, unit: str = "") -> str:
    """Return a number as a person reads it; empty for none."""
    return "" if value is None else f"{value:.4g} {unit}".strip()


def utc(at: datetime | None) -> str:
    """Return a time to the minute, in UTC."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def range_words(limit: tuple[float | None, float | None]) -> str:
    """Return an allowed range; empty for one that is open on both sides."""
    lower, upper = limit
    if lower is None and upper is None:
        return ""
    return f"{number_text(lower) or '−∞'} … {number_text(upper) or '∞'}"


def grade_words(sample: Sample) -> str:
    """Say how one exposure did."""
    return "good" if sample.severity is Severity.NONE else sample.severity.name


def change_words(told: Transition) -> str:
    """Say what became of the severity."""
    before, after = told.before, told.alarm.severity
    return after.name if before is after else f"{before.name} → {after.name}"


def who_words(told: Transition) -> str:
    """Say who did it and why, and which parts joined or left."""
    words = []
    if told.who != AUTO or told.why:
        words.append(f"{told.who}: {told.why}" if told.why else told.who)
    if told.joined:
        words.append(f"joined: {_few(told.joined)}")
    if told.left:
        words.append(f"left: {_few(told.left)}")
    return "; ".join(words)


def _few(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - 4} more" if len(parts) > 4 else ""
    return ", ".join(parts[:4]) + more


def body_of(
    one: Numbered, history: Sequence[StoredTransition], rules: Rules, settings: AlarmSettings
) -> str:
    """Return what a message of an alarm as it stands now would say.

    Parameters
    ----------
    one
        The alarm.
    history
        Of it, oldest first.
    rules, settings
        Give words, and the address of the playbook.
    """
    alarm = one.alarm
    if history:
        last = replace(history[-1].transition, alarm=alarm)
    else:
        last = Transition(What.RAISED, alarm.opened_at, alarm, Severity.NONE)
    return message(last, rules, playbook=settings.playbook).body
