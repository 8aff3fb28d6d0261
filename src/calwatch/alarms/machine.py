"""The life of one alarm, after ts_watcher: plain functions of (alarm, what happens, time).

Names and numbers are ts_watcher's (`alarm.py`). Where its behaviour is known to lose or hide a
problem, ours differs:

* A drop below CRITICAL cancels a running escalation there. Here the time runs on until somebody
  acknowledges, so that a flapping alarm is escalated all the same (only while it is active).
* Acknowledging may raise the latched severity there and so mask a later rise. Here it covers what
  was there at most: whatever is graver takes the acknowledgement back.
* An alarm that was reset is still published as acknowledged there. Here an episode ends, and the
  next one begins without anybody having acknowledged it.
* An automatic un-acknowledge does not bring escalation back there. Here it does.
* A mute there hides whatever comes later. Here it holds for the severity it was given for and
  below; a graver one is told. Muting does not restart the time until escalation.
* ``timestampSeverityNewest`` is never filled there. Here it says when evidence last confirmed it.
* State there is lost on a restart. Here it is data, with every time at which something falls due,
  so that a restart at any moment changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatch

from calwatch.alarms.model import (
    AUTO,
    Alarm,
    Key,
    Kind,
    Severity,
    Symptom,
    Transition,
    What,
)
from calwatch.errors import StopError

Step = tuple[Alarm, tuple[Transition, ...]]
GROWTH = 2
"""An acknowledged alarm that comes to have more than so many times its fewest members is news: what
was acknowledged was small, or had become so."""


class AlarmActionError(StopError):
    """What was asked of an alarm cannot be done with it; the message says why."""


@dataclass(frozen=True, slots=True)
class Escalation:
    """Whom to call when nobody acknowledges."""

    alarms: str
    """Glob on the alarm's name, whatever the case."""
    responder: str
    delay: timedelta
    severity: Severity = Severity.CRITICAL
    """From this latched severity on."""


@dataclass(frozen=True, slots=True)
class Delays:
    """What happens by itself, and when. Zero: never."""

    auto_acknowledge: timedelta = timedelta(0)
    """A recovered alarm counts as acknowledged after so long."""
    auto_unacknowledge: timedelta = timedelta(0)
    """An acknowledged alarm that is still active is brought back after so long."""
    escalations: tuple[Escalation, ...] = ()
    """The first whose alarms and severity match applies."""

    def escalation_of(self, alarm: Alarm) -> Escalation | None:
        """Return the escalation that applies to an alarm."""
        name = alarm.name.lower()
        for rule in self.escalations:
            if alarm.max_severity >= rule.severity and fnmatch(name, rule.alarms.lower()):
                return rule
        return None


@dataclass(frozen=True, slots=True)
class View:
    """What the evidence says of a problem now."""

    severity: Severity
    since: datetime
    reason: str = ""
    """Empty where `calwatch.alarms.words.reason_line` has the words."""
    members: tuple[str, ...] = ()
    total: int = 0
    symptoms: tuple[Symptom, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    exposure_id: int | None = None


def begin(
    key: Key, kind: Kind, level: str, view: View, at: datetime, delays: Delays, *, late: bool
) -> Step:
    """Raise an alarm: a new episode.

    Parameters
    ----------
    key, kind, level
        Which problem, and of what part.
    view
        What is wrong.
    at
        When (aware).
    delays
        Begin the time until escalation.
    late
        Only late evidence stands behind it: nobody is told until a fresh exposure confirms it.
    """
    alarm = Alarm(
        key=key,
        kind=kind,
        level=level,
        severity=view.severity,
        max_severity=view.severity,
        reason=view.reason,
        opened_at=at,
        since=view.since,
        severity_oldest=at,
        severity_newest=at,
        max_severity_at=at,
        announced=not late,
    )
    alarm = _with_escalation(_with_view(alarm, view), at, delays)
    return alarm, (Transition(What.RAISED, at, alarm, Severity.NONE, quiet=late),)


def see(alarm: Alarm, view: View, at: datetime, delays: Delays, *, late: bool) -> Step:
    """Take in what the evidence says now of an open alarm; `recover` is for when all is good."""
    before = alarm.severity
    joined = tuple(sorted(set(view.members) - set(alarm.members)))
    left = tuple(sorted(set(alarm.members) - set(view.members)))
    alarm = _with_view(replace(alarm, severity=view.severity, severity_newest=at), view)
    if view.severity is not before:
        alarm = replace(alarm, severity_oldest=at)
    if view.severity > alarm.max_severity:
        alarm = replace(alarm, max_severity=view.severity, max_severity_at=at)
    grown = alarm.acknowledged and len(view.members) > GROWTH * alarm.acknowledged_members
    if grown or (alarm.acknowledged and view.severity > alarm.acknowledged_severity):
        alarm = _unacknowledged(alarm)
    fewest = min(alarm.acknowledged_members, len(view.members))
    alarm = replace(alarm, acknowledged_members=fewest)
    alarm = _with_escalation(replace(alarm, auto_acknowledge_at=None, cleared_by=None), at, delays)
    what = _what_changed(before, view.severity, bool(joined or left))
    if grown and what in (None, What.MEMBERS, What.EASED):
        what = What.WORSE
    told: list[Transition] = []
    if not late and not alarm.announced:
        alarm = replace(alarm, announced=True)
        what = What.CONFIRMED
    elif late and what in (What.WORSE, What.RETURNED):
        alarm = replace(alarm, announced=False)
    if what is not None:
        told.append(_told(what, at, alarm, before, late=late, joined=joined, left=left))
    return alarm, tuple(told)


def recover(
    alarm: Alarm, at: datetime, delays: Delays, *, exposure_id: int | None, late: bool
) -> Step:
    """Take in that all is good again: a later good exposure of the same kind said so.

    An alarm that somebody has acknowledged ends here; any other waits for that.
    """
    before = alarm.severity
    if before is Severity.NONE:
        return alarm, ()
    alarm = replace(
        alarm,
        severity=Severity.NONE,
        severity_oldest=at,
        severity_newest=at,
        members=(),
        counts={},
        exposure_id=exposure_id if exposure_id is not None else alarm.exposure_id,
        cleared_by=exposure_id,
        auto_unacknowledge_at=None,
    )
    if alarm.acknowledged or not alarm.announced:
        return _closed(alarm, What.CLEARED, at, before, late=late or not alarm.announced)
    if delays.auto_acknowledge:
        alarm = replace(alarm, auto_acknowledge_at=at + delays.auto_acknowledge)
    return alarm, (_told(What.RECOVERED, at, alarm, before, late=late),)


def absorb(alarm: Alarm, by: Key, at: datetime) -> Step:
    """End an alarm in whose place one of a larger part stands now."""
    alarm = replace(alarm, absorbed_by=by.name)
    return _closed(alarm, What.ABSORBED, at, alarm.severity, late=True)


def acknowledge(
    alarm: Alarm,
    who: str,
    why: str,
    at: datetime,
    delays: Delays,
    severity: Severity | None = None,
) -> Step:
    """Acknowledge: somebody knows of it.

    Parameters
    ----------
    alarm
        An open one.
    who, why
        The person and the reason, for the history.
    at
        When.
    delays
        When it is brought back.
    severity
        The gravest it may become without being brought back; the latched one by default and at
        most.

    Raises
    ------
    AlarmActionError
        If it is over, nobody is named, or the severity is below the present one.
    """
    _require_open(alarm)
    _require_who(who)
    covered = alarm.max_severity if severity is None else min(severity, alarm.max_severity)
    if covered < alarm.severity:
        raise AlarmActionError(
            f"{alarm.name}: is {alarm.severity.name}, which {covered.name} does not cover"
        )
    was_escalated = alarm.escalated_at is not None
    alarm = replace(
        alarm,
        acknowledged=True,
        acknowledged_by=who,
        acknowledged_why=why,
        acknowledged_severity=covered,
        acknowledged_at=at,
        acknowledged_members=len(alarm.members),
        auto_acknowledge_at=None,
        auto_unacknowledge_at=None,
        escalate_at=None,
        escalate_to="",
        escalated_at=None,
    )
    if alarm.active and delays.auto_unacknowledge:
        alarm = replace(alarm, auto_unacknowledge_at=at + delays.auto_unacknowledge)
    told = [_told(What.ACKNOWLEDGED, at, alarm, alarm.severity, who=who, why=why)]
    if was_escalated:
        told.append(_told(What.DEESCALATED, at, alarm, alarm.severity, who=who, why=why))
    if alarm.stale:
        alarm, ended = _closed(alarm, What.CLEARED, at, Severity.NONE, who=who, why=why)
        told += ended
    return alarm, tuple(told)


def unacknowledge(alarm: Alarm, who: str, why: str, at: datetime, delays: Delays) -> Step:
    """Take an acknowledgement back; the time until escalation begins again.

    Raises
    ------
    AlarmActionError
        If it is over or nobody has acknowledged it.
    """
    _require_open(alarm)
    _require_who(who)
    if not alarm.acknowledged:
        raise AlarmActionError(f"{alarm.name}: nobody has acknowledged it")
    alarm = _with_escalation(_unacknowledged(alarm), at, delays)
    return alarm, (_told(What.UNACKNOWLEDGED, at, alarm, alarm.severity, who=who, why=why),)


def mute(
    alarm: Alarm, who: str, why: str, at: datetime, until: datetime, severity: Severity
) -> Step:
    """Hold back notices of one severity and below, until a time.

    Raises
    ------
    AlarmActionError
        If it is over, the time is past, nobody is named or the severity is NONE.
    """
    _require_open(alarm)
    _require_who(who)
    if until <= at:
        raise AlarmActionError(f"{alarm.name}: muting must end in the future")
    if severity is Severity.NONE:
        raise AlarmActionError(f"{alarm.name}: muting needs a severity above NONE")
    told = Transition(What.MUTED, at, alarm, alarm.severity, who=who, why=why)
    alarm = with_mute(alarm, who, why, until, severity)
    return alarm, (replace(told, alarm=alarm),)


def with_mute(alarm: Alarm, who: str, why: str, until: datetime, severity: Severity) -> Alarm:
    """Return an alarm that is muted."""
    return replace(alarm, muted_severity=severity, muted_by=who, muted_why=why, unmute_at=until)


def unmute(alarm: Alarm, who: str, why: str, at: datetime) -> Step:
    """Tell of an alarm again.

    Raises
    ------
    AlarmActionError
        If it is over or not muted.
    """
    _require_open(alarm)
    if alarm.muted_severity is Severity.NONE:
        raise AlarmActionError(f"{alarm.name}: is not muted")
    alarm = replace(alarm, muted_severity=Severity.NONE, muted_by="", muted_why="", unmute_at=None)
    return alarm, (_told(What.UNMUTED, at, alarm, alarm.severity, who=who, why=why),)


def reset(alarm: Alarm, who: str, why: str, at: datetime) -> Step:
    """End an alarm by a person's word alone, such as of a part that was exchanged.

    Raises
    ------
    AlarmActionError
        If it is over, or person or reason are not given.
    """
    _require_open(alarm)
    _require_who(who)
    if not why.strip():
        raise AlarmActionError(f"{alarm.name}: a reset needs a reason, there is no evidence")
    before = alarm.severity
    alarm = replace(
        alarm,
        severity=Severity.NONE,
        severity_oldest=at,
        acknowledged=True,
        acknowledged_by=who,
        acknowledged_why=why,
        acknowledged_at=at,
    )
    return _closed(alarm, What.CLEARED, at, before, who=who, why=why)


def next_due(alarm: Alarm) -> datetime | None:
    """Return when something happens to an alarm by itself; None if nothing will."""
    return min((at for at, _ in _timers(alarm)), default=None)


def run_timers(alarm: Alarm, until: datetime, delays: Delays) -> Step:
    """Let everything happen that has fallen due, in its order and at its time."""
    told: list[Transition] = []
    while alarm.open:
        due = sorted(_timers(alarm), key=lambda timer: timer[0])
        if not due or due[0][0] > until:
            break
        at, fire = due[0]
        alarm, more = fire(alarm, at, delays)
        told += more
    return alarm, tuple(told)


_Fire = Callable[[Alarm, datetime, Delays], Step]


def _timers(alarm: Alarm) -> list[tuple[datetime, _Fire]]:
    found: list[tuple[datetime | None, _Fire]] = [
        (alarm.auto_acknowledge_at, _auto_acknowledge),
        (alarm.auto_unacknowledge_at, _auto_unacknowledge),
        (alarm.unmute_at, lambda a, at, _delays: unmute(a, AUTO, "the time is over", at)),
    ]
    if alarm.active and not alarm.muted:
        found.append((alarm.escalate_at, _escalate))
    return [(at, fire) for at, fire in found if at is not None]


def _auto_acknowledge(alarm: Alarm, at: datetime, delays: Delays) -> Step:
    return acknowledge(alarm, AUTO, "nobody did in time", at, delays)


def _auto_unacknowledge(alarm: Alarm, at: datetime, delays: Delays) -> Step:
    return unacknowledge(alarm, AUTO, "it is still active", at, delays)


def _escalate(alarm: Alarm, at: datetime, _delays: Delays) -> Step:
    alarm = replace(alarm, escalate_at=None, escalated_at=at)
    why = f"nobody acknowledged it; {alarm.escalate_to} is called"
    return alarm, (_told(What.ESCALATED, at, alarm, alarm.severity, why=why),)


def _with_view(alarm: Alarm, view: View) -> Alarm:
    return replace(
        alarm,
        reason=view.reason,
        since=min(alarm.since, view.since),
        members=view.members,
        total=view.total,
        symptoms=view.symptoms,
        counts=dict(view.counts),
        exposure_id=view.exposure_id if view.exposure_id is not None else alarm.exposure_id,
    )


def _with_escalation(alarm: Alarm, at: datetime, delays: Delays) -> Alarm:
    """Begin the time until escalation, unless it runs, is over or somebody has acknowledged."""
    rule = delays.escalation_of(alarm)
    running = alarm.escalate_at is not None or alarm.escalated_at is not None
    if rule is None or running or alarm.acknowledged:
        return alarm
    return replace(alarm, escalate_at=at + rule.delay, escalate_to=rule.responder)


def _unacknowledged(alarm: Alarm) -> Alarm:
    return replace(
        alarm,
        acknowledged=False,
        acknowledged_by="",
        acknowledged_why="",
        acknowledged_severity=Severity.NONE,
        acknowledged_at=None,
        acknowledged_members=0,
        auto_unacknowledge_at=None,
    )


def _what_changed(before: Severity, after: Severity, members: bool) -> What | None:
    if before is Severity.NONE:
        return What.RETURNED
    if after > before:
        return What.WORSE
    if after < before:
        return What.EASED
    return What.MEMBERS if members else None


def _told(
    what: What,
    at: datetime,
    alarm: Alarm,
    before: Severity,
    *,
    who: str = AUTO,
    why: str = "",
    late: bool = False,
    joined: tuple[str, ...] = (),
    left: tuple[str, ...] = (),
) -> Transition:
    """Describe what happened; nobody is told of it if it is late or the alarm is muted."""
    hushed = max(before, alarm.severity) <= alarm.muted_severity and what is not What.ESCALATED
    quiet = late or not alarm.announced or (hushed and alarm.muted_severity > Severity.NONE)
    return Transition(what, at, alarm, before, who, why, joined, left, quiet)


def _closed(
    alarm: Alarm,
    what: What,
    at: datetime,
    before: Severity,
    *,
    who: str = AUTO,
    why: str = "",
    late: bool = False,
) -> Step:
    """End an episode; what was still to happen to it does not."""
    was_escalated = alarm.escalated_at is not None
    alarm = replace(
        alarm,
        severity=Severity.NONE,
        closed_at=at,
        auto_acknowledge_at=None,
        auto_unacknowledge_at=None,
        unmute_at=None,
        escalate_at=None,
        escalated_at=None,
    )
    told = [_told(what, at, alarm, before, who=who, why=why, late=late)]
    if was_escalated:
        told.insert(0, _told(What.DEESCALATED, at, alarm, before, who=who, why=why))
    return alarm, tuple(told)


def _require_open(alarm: Alarm) -> None:
    if not alarm.open:
        raise AlarmActionError(f"{alarm.name}: is over since {alarm.closed_at:%Y-%m-%d %H:%M} UTC")


def _require_who(who: str) -> None:
    if not who.strip():
        raise AlarmActionError("an alarm is acknowledged, muted or reset by somebody: give a name")
