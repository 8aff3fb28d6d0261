"""What should have happened by now and has not: the dead man's questions, asked of the ledger.

They are answered from what was judged and announced, not from what wakes the daemon, so that a
stream of events that has dried up is noticed too. What is late clears only by an exposure that has
come: a day that is over without its exposures stays late until the next one has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

from calwatch.alarms.book import Condition
from calwatch.alarms.rules import Rules

FAMILIES = ("cadence", "judging", "expected")
"""Families of alarms that these questions raise and clear."""
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Expected:
    """Exposures that every day of observation should have by a time."""

    calib_type: str
    number: int
    by: time
    """UTC; a day of observation begins at 12:00."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What is expected of one instrument."""

    cadence: Mapping[str, timedelta] = field(default_factory=dict)
    """Longest time between two exposures of a type, once there was one."""
    judged: timedelta = timedelta(minutes=30)
    """Longest time from when an exposure was due to its verdict."""
    expected: Sequence[Expected] = ()


@dataclass(frozen=True, slots=True)
class Unjudged:
    """An exposure whose files came and that has no verdict."""

    exposure_id: int
    obs_id: str
    calib_type: str
    due_at: datetime
    """When its files were due."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ledger has of one instrument."""

    last: Mapping[str, datetime] = field(default_factory=dict)
    """End of the newest judged exposure of each type."""
    unjudged: Sequence[Unjudged] = ()
    taken: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    """Exposures judged by day of observation and type."""


def what_is_late(facts: Facts, demands: Demands, now: datetime, rules: Rules) -> list[Condition]:
    """Return everything that is late now.

    Parameters
    ----------
    facts
        What the ledger has.
    demands
        What is expected.
    now
        The time (aware).
    rules
        Give the severities.
    """
    return [
        *_cadence(facts, demands, now, rules),
        *_judging(facts, demands, now, rules),
        *_expected(facts, demands, now, rules),
    ]


def days_asked(demands: Demands, now: datetime) -> list[int]:
    """Return the days of observation whose exposures `what_is_late` needs to know of."""
    return sorted({_day(expected, now)[0] for expected in demands.expected})


def _cadence(facts: Facts, demands: Demands, now: datetime, rules: Rules) -> list[Condition]:
    found = []
    for calib_type, longest in demands.cadence.items():
        last = facts.last.get(calib_type)
        if last is None or now - last <= longest:
            continue
        reason = (
            f"No {calib_type} has been judged since {_when(last)}; one is expected within "
            f"{_span(longest)}"
        )
        severity = rules.family("cadence").severity
        found.append(Condition("cadence", calib_type, severity, reason, last))
    return found


def _judging(facts: Facts, demands: Demands, now: datetime, rules: Rules) -> list[Condition]:
    late = [one for one in facts.unjudged if now - one.due_at > demands.judged]
    if not late:
        return []
    named = ", ".join(f"{one.calib_type} {one.obs_id}" for one in late[:_NAMED])
    more = f" and {len(late) - _NAMED} more" if len(late) > _NAMED else ""
    first = min(one.due_at for one in late)
    noun = "exposure has" if len(late) == 1 else "exposures have"
    reason = (
        f"{len(late)} {noun} files in the Butler and no verdict {_span(demands.judged)} after they "
        f"were due: {named}{more}"
    )
    return [Condition("judging", "", rules.family("judging").severity, reason, first)]


def _expected(facts: Facts, demands: Demands, now: datetime, rules: Rules) -> list[Condition]:
    found = []
    for expected in demands.expected:
        day_obs, by = _day(expected, now)
        number = facts.taken.get(day_obs, {}).get(expected.calib_type, 0)
        if number >= expected.number:
            continue
        reason = (
            f"{number} of {expected.number} {expected.calib_type} exposures of {day_obs} were "
            f"judged by {_when(by)}"
        )
        severity = rules.family("expected").severity
        found.append(Condition("expected", expected.calib_type, severity, reason, by))
    return found


def _day(expected: Expected, now: datetime) -> tuple[int, datetime]:
    """Return the last day of observation whose time has come, and that time."""
    by = datetime.combine(now.astimezone(UTC).date(), expected.by, UTC)
    if by > now:
        by -= timedelta(days=1)
    day = (by - timedelta(hours=12)).date()
    return day.year * 10000 + day.month * 100 + day.day, by


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes / 60:g} h" if minutes >= 90 else f"{minutes} min"
