"""The day in a few lines: what was seen, what is wrong, what is new and what is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from calwatch.alarms.model import Alarm
from calwatch.alarms.words import Message


@dataclass(frozen=True, slots=True)
class DigestFacts:
    """What is to be told of one instrument's day."""

    instrument: str
    day: date
    """Day of observation."""
    exposures: Mapping[str, int] = field(default_factory=dict)
    """Number of the day's exposures by verdict, such as ``FAIL``."""
    detectors: Mapping[str, int] = field(default_factory=dict)
    """Number of their detectors by verdict."""
    open: Sequence[Alarm] = ()
    """All open alarms, also of earlier days."""
    new: Sequence[Alarm] = ()
    """Alarms that were raised on the day, whether they are open or over."""
    over: Sequence[Alarm] = ()
    """Alarms that were cleared on the day."""


def digest(facts: DigestFacts) -> Message:
    """Return the daily summary: ``LATISS today: 62 exposures, 3 problems, 1 new``."""
    active = sorted((a for a in facts.open if a.active), key=lambda a: (-a.severity, a.name))
    stale = sorted((a for a in facts.open if a.stale), key=lambda a: a.name)
    muted = [alarm for alarm in active if alarm.muted]
    counts = {
        "exposures": sum(facts.exposures.values()),
        "problems": len(active),
        "new": len(facts.new),
        "recovered": len(stale),
        "over": len(facts.over),
        "muted": len(muted),
    }
    words = [_count(counts["exposures"], "exposure"), _count(counts["problems"], "problem")]
    words += [f"{counts[name]} {name}" for name in ("new", "recovered", "muted") if counts[name]]
    lines = _judged(facts)
    new = {(alarm.name, alarm.opened_at) for alarm in facts.new}
    lines += _section("Problems", [_problem(a, (a.name, a.opened_at) in new) for a in active])
    lines += _section("Recovered, to be acknowledged", [f"{a.name}: {_line(a)}" for a in stale])
    lines += _section("Over", [_ended(a) for a in sorted(facts.over, key=lambda a: a.name)])
    return Message(
        subject=f"{facts.instrument} today: {', '.join(words)}",
        body="\n".join(lines),
        facts={
            "instrument": facts.instrument,
            "day": facts.day.isoformat(),
            **{name: str(count) for name, count in counts.items()},
        },
    )


def _judged(facts: DigestFacts) -> list[str]:
    lines = [f"Day of observation {facts.day.isoformat()}."]
    for noun, found in (("Exposures", facts.exposures), ("Detectors", facts.detectors)):
        counts = [f"{count} {verdict}" for verdict, count in found.items() if count]
        if counts:
            lines.append(f"{noun}: {', '.join(counts)}.")
    if not any(facts.exposures.values()):
        lines.append("No exposure of this day was judged.")
    return lines


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def _problem(alarm: Alarm, new: bool) -> str:
    notes = []
    if new:
        notes.append("new")
    if alarm.acknowledged:
        notes.append(f"acknowledged by {alarm.acknowledged_by}")
    if alarm.muted:
        until = f" until {alarm.unmute_at:%Y-%m-%d %H:%M} UTC" if alarm.unmute_at else ""
        notes.append(f"muted by {alarm.muted_by}{until}")
    noted = f" ({', '.join(notes)})" if notes else ""
    return (
        f"{alarm.severity.name} since {alarm.since:%Y-%m-%d %H:%M} UTC, {alarm.name}: "
        f"{_line(alarm)}{noted}"
    )


def _ended(alarm: Alarm) -> str:
    end = f" at {alarm.closed_at:%Y-%m-%d %H:%M} UTC" if alarm.closed_at else ""
    return f"{alarm.name}: {_line(alarm)} (over{end})"


def _line(alarm: Alarm) -> str:
    return " ".join(alarm.reason.split())


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
