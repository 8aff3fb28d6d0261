"""What an alarm is about, in a few words."""

from __future__ import annotations

from calwatch.alarms.model import Alarm, Kind, Symptom
from calwatch.alarms.phrases import one_line, say
from calwatch.alarms.rules import Rules


class _Blanks(dict[str, str]):
    """Words for the blanks of a title; one that a title should not have stays as it is."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


_AMOUNT = {"above": "much", "below": "little"}


def title(alarm: Alarm, rules: Rules) -> str:
    """Return the title of an alarm's family with its blanks filled."""
    aspect = alarm.key.aspect
    sided = aspect in _AMOUNT
    words = _Blanks(
        direction=aspect if sided else "off",
        amount=_AMOUNT.get(aspect, "much or too little"),
        aspect=aspect or "calibration",
    )
    pattern = rules.family(alarm.key.family).title
    try:
        return one_line(pattern.format_map(words))
    except (AttributeError, IndexError, KeyError, ValueError):
        return one_line(pattern)


def is_group(alarm: Alarm) -> bool:
    """Whether several parts stand behind an alarm."""
    return len(alarm.members) > 1


def is_condition(alarm: Alarm) -> bool:
    """Whether the clock raised it, and no exposure."""
    return alarm.kind is Kind.DEADMAN and not alarm.symptoms


def leading(alarm: Alarm) -> Symptom | None:
    """Return the symptom to be told first: of the gravest, one of the test that most parts fail."""
    return min(
        alarm.symptoms,
        key=lambda s: (-s.severity, -alarm.counts.get(f"{s.calib_type} {s.test}", 0)),
        default=None,
    )


def problem(alarm: Alarm, rules: Rules) -> str:
    """Return what a headline says of an alarm; of many parts, what is worst."""
    worst = leading(alarm)
    said = say(worst) if worst else None
    if alarm.kind is Kind.FAILURE and said and said.short:
        return said.at_worst if is_group(alarm) else said.short
    reason = one_line(alarm.reason)
    if said is None and reason:
        return reason
    line = title(alarm, rules)
    if said is None or is_group(alarm) or alarm.kind is Kind.CHAIN:
        return line
    return detailed(alarm, line, said.short)


def detailed(alarm: Alarm, line: str, said: str) -> str:
    """Put a title and what a symptom says together."""
    if not said:
        return line
    return one_line(f"{line}: {said}" if alarm.kind is Kind.FAILURE else f"{line} ({said})")
