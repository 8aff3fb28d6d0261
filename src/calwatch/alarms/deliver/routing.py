"""Who is told of what, and when: plain functions of a route and of what happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from fnmatch import fnmatchcase

from calwatch.alarms.model import Alarm, Kind, Severity, Transition, What

DAY = timedelta(days=1)
USUAL = frozenset(
    {
        What.RAISED,
        What.WORSE,
        What.CONFIRMED,
        What.RETURNED,
        What.RECOVERED,
        What.CLEARED,
        What.ACKNOWLEDGED,
        What.ESCALATED,
        What.DEESCALATED,
        What.UNMUTED,
    }
)
"""What people are told of, if the settings do not say otherwise."""
CALLS = frozenset({What.ESCALATED, What.DEESCALATED})
"""These call somebody (or call it off); they wait for no morning."""


@dataclass(frozen=True, slots=True)
class Route:
    """What one channel is told of. Whatever is empty is no condition."""

    severity: Severity = Severity.WARNING
    """Least latched severity of an alarm."""
    instruments: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    alarms: tuple[str, ...] = ()
    """Globs on the alarm's name, whatever the case; one must match."""
    on: frozenset[What] = USUAL
    """What must have happened, for a channel that gives notices."""
    escalations_only: bool = False
    """Only alarms that nobody acknowledged in time, from then on."""
    state: bool = False
    """The channel holds the state of alarms (Alertmanager, SAL): whatever happens changes it."""
    quiet_hours: tuple[time, time] | None = None
    """From and until when (UTC) notices wait."""
    quiet_below: Severity = Severity.CRITICAL
    """What is as grave as this waits for nothing."""
    digest: time | None = None
    """When (UTC) the day is summed up."""


def concerns(route: Route, alarm: Alarm) -> bool:
    """Return whether a channel is ever told of an alarm, by what it is and was at its worst."""
    name = alarm.name.lower()
    return (
        alarm.max_severity >= route.severity
        and (not route.instruments or alarm.key.instrument in route.instruments)
        and (not route.kinds or alarm.kind in route.kinds)
        and (not route.alarms or any(fnmatchcase(name, glob.lower()) for glob in route.alarms))
    )


def holds(route: Route, alarm: Alarm) -> bool:
    """Return whether a channel that holds the state of alarms has this one among the open."""
    escalated = alarm.escalated_at is not None or not route.escalations_only
    return alarm.open and escalated and concerns(route, alarm)


def wants(route: Route, transition: Transition) -> bool:
    """Return whether a channel is to be told of a transition.

    An alarm is judged by the gravest it has been: who was told that it was raised is told that it
    is over, and nobody else. What is over and acknowledged at once is told once, as cleared.
    """
    if not concerns(route, transition.alarm):
        return False
    if route.state:
        return True
    if transition.quiet or transition.what not in route.on:
        return False
    if transition.what is What.WORSE and transition.alarm.severity < route.severity:
        return False
    if route.escalations_only:
        return transition.what in CALLS or transition.alarm.escalated_at is not None
    return not _told_by_another(route, transition)


def _told_by_another(route: Route, transition: Transition) -> bool:
    """Return whether the same step has a transition that says this as well.

    To acknowledge what has recovered clears it; whatever ends an escalation is told by itself.
    """
    alarm = transition.alarm
    if transition.what is What.ACKNOWLEDGED:
        return alarm.stale and What.CLEARED in route.on
    if transition.what is not What.DEESCALATED or alarm.absorbed_by:
        return False
    ended = What.CLEARED in route.on and not alarm.active
    return ended or (What.ACKNOWLEDGED in route.on and alarm.open and alarm.acknowledged)


def due(route: Route, transition: Transition, now: datetime) -> datetime:
    """Return when a channel is to be told of a transition: now, or when its quiet hours end."""
    grave = transition.alarm.max_severity >= route.quiet_below
    if route.state or grave or transition.what in CALLS:
        return now
    return quiet_until(route, now) or now


def quiet_until(route: Route, now: datetime) -> datetime | None:
    """Return when the quiet hours end; None outside of them."""
    if route.quiet_hours is None:
        return None
    begin, end = route.quiet_hours
    clock = now.astimezone(UTC).time()
    inside = begin <= clock < end if begin < end else clock >= begin or clock < end
    return _next(end, now) if inside else None


def next_digest(route: Route, after: datetime) -> datetime | None:
    """Return when the next daily summary is due; None for a channel that has none."""
    return None if route.digest is None else _next(route.digest, after)


def _next(clock: time, after: datetime) -> datetime:
    """Return the first moment after another at which the clock (UTC) shows a time."""
    after = after.astimezone(UTC)
    found = datetime.combine(after.date(), clock, UTC)
    return found if found > after else found + DAY
