"""What an alarm says: who reads it at 15:00 knows what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calwatch.alarms import body
from calwatch.alarms.model import Alarm, Severity, Transition, What
from calwatch.alarms.naming import compress, how_many, short_where, where
from calwatch.alarms.phrases import (
    allowed,
    by,
    deciding,
    number,
    one_line,
    say,
    stamp,
    unit_text,
)
from calwatch.alarms.problem import detailed, is_condition, is_group, leading, problem, title
from calwatch.alarms.rebuild import to_rebuild
from calwatch.alarms.rules import Rules

LONGEST_SUBJECT = 200
_LONGEST_WHY = 80
_SHORTEST_PROBLEM = 20
_GOOD = (What.RECOVERED, What.CLEARED)


@dataclass(frozen=True, slots=True)
class Message:
    """One transition in words."""

    subject: str
    """One line, such as a subject of an e-mail or the first line on Slack."""
    body: str
    """Several lines of plain text."""
    facts: Mapping[str, str]
    """The same, word by word, for a channel that has fields of its own. The names are always the
    same; what does not apply is empty."""


def reason_line(alarm: Alarm, rules: Rules) -> str:
    """Say in one line what is wrong, without how grave it is.

    Such as ``Noise or gain is above the certified one (144 of 144 amplifiers); worst R22_S11/C05:
    noise 7.31 e- is 12 % above the expected 6.52 e- (limit 5 %)``.
    """
    line = title(alarm, rules)
    worst = leading(alarm)
    said = say(worst).full if worst else ""
    if not is_group(alarm):
        return detailed(alarm, line, said)
    tests = ", ".join(f"{many} {name}" for name, many in alarm.counts.items())
    counted = f"; {tests}" if len(alarm.counts) > 1 else ""
    line = f"{line} ({how_many(alarm.members, alarm.total)}{counted})"
    return one_line(f"{line}; worst {worst.part}: {said}" if worst and said else line)


def message(
    transition: Transition, rules: Rules, *, page: str = "", playbook: str = "docs/playbook.md"
) -> Message:
    """Say what has happened to an alarm.

    Parameters
    ----------
    transition
        What has happened, with the alarm as it was afterwards.
    rules
        Give title, causes, section of the playbook and what is to be rebuilt.
    page
        Address of the page; empty if there is none.
    playbook
        Address of the playbook.
    """
    family = rules.family(transition.alarm.key.family)
    link = f"{playbook}#{family.playbook}"
    return Message(
        subject=_subject(transition, rules),
        body=body.text(transition, rules, page=page, link=link),
        facts=_facts(transition, rules, page=page, link=link),
    )


def _subject(transition: Transition, rules: Rules) -> str:
    """Return one line that a person on shift understands; of a long one the middle is cut."""
    alarm = transition.alarm
    place = short_where(alarm.key.instrument, alarm.key.part, alarm.level)
    parts = f", {how_many(alarm.members, alarm.total)}" if is_group(alarm) else ""
    before = one_line(f"{_tag(transition)}: {place}{parts}:")
    if transition.what in _GOOD:
        before, after = one_line(f"{before} {_ending(transition)} (was:"), ")"
    else:
        after = one_line(_ending(transition))
    room = LONGEST_SUBJECT - len(before) - len(after) - 1
    wrong = _cut(problem(alarm, rules), max(room, _SHORTEST_PROBLEM))
    return _cut(f"{before} {wrong}{after}", LONGEST_SUBJECT)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3].rstrip()}..."


def _tag(transition: Transition) -> str:
    """Return the first words: how grave it is now, or what else has happened."""
    alarm = transition.alarm
    now = body.grade(alarm.severity)
    match transition.what:
        case What.RAISED:
            return now
        case What.WORSE if body.has_grown(transition):
            return f"{now} (grown)"
        case What.WORSE | What.EASED:
            return f"{now} (was {body.grade(transition.before)})"
        case What.MEMBERS:
            return f"{now} ({_moved(transition)})"
        case What.CONFIRMED:
            return f"{now} (confirmed by a fresh exposure)"
        case What.RETURNED:
            return f"{now} (back again)"
        case What.CLEARED:
            return "OVER"
        case What.ABSORBED:
            return "PART OF A LARGER PROBLEM"
        case What.ESCALATED:
            return f"{now}, ESCALATED to {alarm.escalate_to}" if alarm.escalate_to else "ESCALATED"
        case _:
            return body.WORDS[transition.what].upper()


def _moved(transition: Transition) -> str:
    moved = ((transition.joined, "joined"), (transition.left, "left"))
    said = [f"{len(names)} {word}" for names, word in moved if names]
    return ", ".join(said) or "parts changed"


def _ending(transition: Transition) -> str:
    alarm = transition.alarm
    match transition.what:
        case What.RECOVERED:
            return f"{body.good_again(alarm)}, waits to be acknowledged"
        case What.CLEARED:
            return _cut(body.how_it_ended(transition), LONGEST_SUBJECT // 2)
        case What.ABSORBED:
            return f"; see {alarm.absorbed_by}" if alarm.absorbed_by else ""
        case What.ACKNOWLEDGED | What.UNACKNOWLEDGED | What.UNMUTED | What.DEESCALATED:
            return f"; {_cut(by(transition.who, transition.why), _LONGEST_WHY)}"
        case What.MUTED:
            until = f"; until {stamp(alarm.unmute_at)}" if alarm.unmute_at else ";"
            return f"{until} {_cut(by(transition.who, transition.why), _LONGEST_WHY)}"
        case _:
            return "" if is_condition(alarm) else f", since {stamp(alarm.since)}"


def _facts(transition: Transition, rules: Rules, *, page: str, link: str) -> dict[str, str]:
    alarm, key = transition.alarm, transition.alarm.key
    state = {
        "name": alarm.name,
        "instrument": key.instrument,
        "part": key.part,
        "level": alarm.level,
        "where": where(key.part, alarm.level),
        "family": key.family,
        "kind": alarm.kind.value,
        "what": transition.what.value,
        "at": stamp(transition.at),
        "severity": alarm.severity.name,
        "max_severity": alarm.max_severity.name,
        "since": stamp(alarm.since),
        "exposure": _text(alarm.exposure_id),
        "cleared_by": _text(alarm.cleared_by),
        "reason": alarm.reason,
        "members": compress(alarm.members),
        "total": _text(alarm.total or None),
        "acknowledged_by": alarm.acknowledged_by if alarm.acknowledged else "",
        "acknowledged_why": alarm.acknowledged_why if alarm.acknowledged else "",
        "muted_by": alarm.muted_by if alarm.muted_severity > Severity.NONE else "",
        "muted_until": stamp(alarm.unmute_at) if alarm.unmute_at else "",
        "escalated_to": alarm.escalate_to if alarm.escalated_at else "",
        "who": transition.who,
        "why": transition.why,
        "playbook": link,
        "page": page,
        "rebuild": ", ".join(to_rebuild(rules.family(key.family).rebuild)),
    }
    return {name: one_line(word) for name, word in (state | _measured(alarm)).items()}


def _measured(alarm: Alarm) -> dict[str, str]:
    """Return what the worst symptom measured."""
    worst = leading(alarm)
    sample = deciding(worst) if worst else None
    return {
        "test": f"{worst.calib_type} {worst.test}" if worst else "",
        "section": worst.section if worst else "",
        "unit": unit_text(worst.unit).strip() if worst else "",
        "value": number(sample.value, "") if sample else "",
        "limit": allowed(worst, unit=False) if worst else "",
        "calibration": sample.collection if sample else "",
        "calibration_uuid": sample.uuid if sample else "",
    }


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
