"""The text of a message: what has happened, what is wrong, the last values, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from shlex import quote
from types import MappingProxyType

from calwatch.alarms.model import AUTO, Alarm, Kind, Sample, Severity, Symptom, Transition, What
from calwatch.alarms.naming import compress, how_many, noun, where
from calwatch.alarms.phrases import (
    allowed,
    as_sentence,
    by,
    deciding,
    number,
    one_line,
    stamp,
)
from calwatch.alarms.problem import is_condition, is_group, leading, title
from calwatch.alarms.rebuild import to_rebuild
from calwatch.alarms.rules import Rules
from calwatch.verify.metrics import SET_TYPES

SYMPTOMS = 3
"""Tests given with their last values; the rest is counted."""
SAMPLES = 10
"""Last values of each."""
WORDS: Mapping[What, str] = MappingProxyType(
    {
        What.RAISED: "raised",
        What.WORSE: "graver",
        What.EASED: "less grave",
        What.MEMBERS: "changed",
        What.CONFIRMED: "confirmed",
        What.RECOVERED: "recovered",
        What.RETURNED: "back again",
        What.CLEARED: "over",
        What.ABSORBED: "part of a larger problem",
        What.ACKNOWLEDGED: "acknowledged",
        What.UNACKNOWLEDGED: "no longer acknowledged",
        What.MUTED: "muted",
        What.UNMUTED: "no longer muted",
        What.ESCALATED: "escalated",
        What.DEESCALATED: "no longer escalated",
    }
)
"""What has happened, in the words of notices."""


def text(transition: Transition, rules: Rules, *, page: str, link: str) -> str:
    """Return the text of a message: paragraphs of short lines.

    Parameters
    ----------
    transition
        What has happened.
    rules
        Give causes and what is to be rebuilt.
    page
        Address of the page; empty if there is none.
    link
        Address of the section of the playbook.
    """
    alarm = transition.alarm
    paragraphs = (
        _happened(transition),
        _wrong(alarm, rules),
        _values(alarm),
        _next(alarm, rules, link),
        [*_state(transition), *_commands(alarm, page)],
    )
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def grade(severity: Severity) -> str:
    """Name a severity; that of what is good again is a word of its own."""
    return "GOOD" if severity is Severity.NONE else severity.name


def good_again(alarm: Alarm) -> str:
    """Say what shows that it is over."""
    if is_condition(alarm):
        return "no longer late"
    shown = f" in exposure {alarm.cleared_by}" if alarm.cleared_by is not None else ""
    return f"good again{shown}"


def how_it_ended(transition: Transition) -> str:
    """Say why an episode ended: by evidence and acknowledgement, or by a person's word alone."""
    alarm = transition.alarm
    if alarm.cleared_by is None and transition.who != AUTO:
        return f"ended {by(transition.who, transition.why)}"
    shown = good_again(alarm)
    if not alarm.acknowledged:
        return shown
    return f"{shown}, acknowledged {by(alarm.acknowledged_by, alarm.acknowledged_why)}"


def has_grown(transition: Transition) -> bool:
    """Tell whether an alarm became worse by its members alone."""
    return transition.before >= transition.alarm.severity


def _happened(transition: Transition) -> list[str]:
    """Say what has happened, and when."""
    alarm, at = transition.alarm, stamp(transition.at)
    now, actor = grade(alarm.severity), by(transition.who, transition.why)
    match transition.what:
        case What.RAISED:
            line = f"raised at {at} as {now}"
        case What.WORSE if has_grown(transition):
            line = f"grown at {at} beyond what was acknowledged; nobody has acknowledged it now"
        case What.WORSE | What.EASED:
            line = f"{now} since {at}, {grade(transition.before)} before"
        case What.MEMBERS:
            return [f"Changed at {at}.", *_moved(transition)]
        case What.CONFIRMED:
            line = f"confirmed by a fresh exposure at {at}; only late ones told of it before"
        case What.RECOVERED:
            line = f"{good_again(alarm)}, at {at}. The alarm stays until somebody acknowledges it"
        case What.RETURNED:
            line = f"back again at {at} as {now}, after it had recovered"
        case What.CLEARED:
            line = f"over at {at}: {how_it_ended(transition)}"
        case What.ABSORBED:
            line = f"since {at} this is part of the alarm {alarm.absorbed_by}; this one ends"
        case What.ESCALATED:
            why = transition.why or f"{alarm.escalate_to} is called"
            line = f"escalated at {at}: {why}"
        case What.ACKNOWLEDGED:
            line = f"acknowledged at {at} {actor}"
        case What.MUTED:
            line = f"muted at {at} {_muting(alarm)}"
        case _:
            line = f"{WORDS[transition.what]} since {at}, {actor}"
    return [as_sentence(line)]


def _moved(transition: Transition) -> Iterable[str]:
    for names, word in ((transition.joined, "joined"), (transition.left, "left")):
        if names:
            yield f"{len(names)} {noun(names)} {word}: {compress(names)}."


def _wrong(alarm: Alarm, rules: Rules) -> list[str]:
    """Say what is or was wrong, where, since when, and with which certified calibration."""
    lines = [
        f"{'What' if alarm.active else 'What it was'}: "
        f"{as_sentence(alarm.reason or title(alarm, rules))}",
        f"Where: {_where(alarm)}.",
    ]
    if is_group(alarm):
        lines.append(f"Parts: {how_many(alarm.members, alarm.total)}: {compress(alarm.members)}.")
    first = "" if is_condition(alarm) else " (end of the first bad exposure)"
    newest = f", newest exposure {alarm.exposure_id}" if alarm.exposure_id is not None else ""
    lines.append(f"Since: {stamp(alarm.since)}{first}{newest}.")
    if alarm.active and alarm.max_severity > alarm.severity:
        lines.append(f"Severity: {alarm.severity.name} now, {alarm.max_severity.name} before.")
    worst = leading(alarm)
    sample = deciding(worst) if worst else None
    if worst and sample and sample.collection:
        collection = one_line(sample.collection)
        calibration = one_line(sample.calibration or worst.calib_type)
        lines.append(f"Certified {calibration}: that of {collection}.")
    return lines


def _where(alarm: Alarm) -> str:
    joint = " " if alarm.level == "focal plane" else " of "
    return one_line(f"{where(alarm.key.part, alarm.level)}{joint}{alarm.key.instrument}")


def _values(alarm: Alarm) -> list[str]:
    """Return the last values of the worst tests, newest last."""
    lines = []
    shown = alarm.symptoms[:SYMPTOMS]
    for symptom in shown:
        lines += _last(symptom)
    more = sum(alarm.counts.values()) - len(shown)
    if shown and more > 0:
        listed = ", ".join(f"{many} {one_line(name)}" for name, many in alarm.counts.items())
        lines.append(f"and {more} more; in all {listed}.")
    return lines


def _last(symptom: Symptom) -> list[str]:
    """Return the last values of one test; of what has no number, the exposures that were bad."""
    samples = symptom.samples[-SAMPLES:]
    if any(number(sample.value, "") for sample in samples):
        return [_heading(symptom), *(_sample(symptom, sample) for sample in samples)]
    bad = [str(sample.exposure_id) for sample in samples if sample.severity > Severity.NONE]
    noun = "exposure" if len(bad) == 1 else "exposures"
    return [f"{one_line(symptom.part)}: bad in {noun} {', '.join(bad)}."] if bad else []


def _heading(symptom: Symptom) -> str:
    section = f"DMTN-101 section {symptom.section}" if symptom.section else ""
    bounds = allowed(symptom)
    notes = ", ".join(note for note in (bounds and f"allowed {bounds}", section) if note)
    about = one_line(f"{symptom.part}, {symptom.calib_type} {symptom.test}")
    return f"Last values of {about}{f' ({one_line(notes)})' if notes else ''}:"


def _sample(symptom: Symptom, sample: Sample) -> str:
    bad = "" if sample.severity is Severity.NONE else f" {sample.severity.name}"
    bad = " near its limit" if sample.near else bad
    return f"  {sample.exposure_id}: {number(sample.value, symptom.unit) or 'no value'}{bad}"


def _next(alarm: Alarm, rules: Rules, link: str) -> list[str]:
    """Say what it usually is, and what to do; of what is good again, only where to read."""
    if not alarm.active:
        return [f"Playbook: {one_line(link)}"] if alarm.open else []
    family = rules.family(alarm.key.family)
    whole = alarm.level == "focal plane" or alarm.key.part == alarm.key.instrument
    causes = family.causes.camera if whole else family.causes.part or family.causes.camera
    listed = one_line("; ".join(cause.removeprefix("or ") for cause in causes))
    lines = [f"Likely causes: {listed}."] if causes else []
    lines.append(f"What to do: {one_line(link)}")
    order = to_rebuild(family.rebuild)
    if order:
        lines.append(
            "If the change is real and stays, these are to be rebuilt, in this order: "
            f"{one_line(', '.join(order))}. calwatch certifies nothing."
        )
    return lines


def _state(transition: Transition) -> list[str]:
    """Say who knows of it, who is not told, and what happens by itself."""
    alarm, what = transition.alarm, transition.what
    if not alarm.open:
        return []
    lines = [] if alarm.announced else ["Only late exposures tell of it: no notice was given."]
    if alarm.acknowledged and what is not What.ACKNOWLEDGED:
        who = by(alarm.acknowledged_by, alarm.acknowledged_why)
        at = f" at {stamp(alarm.acknowledged_at)}" if alarm.acknowledged_at else ""
        lines.append(as_sentence(f"acknowledged{at} {who}"))
    if alarm.muted_severity > Severity.NONE and what is not What.MUTED:
        lines.append(as_sentence(f"muted {_muting(alarm)}"))
    if alarm.escalated_at and what is not What.ESCALATED:
        to = one_line(alarm.escalate_to)
        lines.append(as_sentence(f"escalated to {to} at {stamp(alarm.escalated_at)}"))
    return [*lines, *_timers(alarm)]


def _muting(alarm: Alarm) -> str:
    until = f", until {stamp(alarm.unmute_at)}" if alarm.unmute_at else ""
    who = by(alarm.muted_by, alarm.muted_why)
    return f"for {grade(alarm.muted_severity)} and below{until}, {who}"


def _timers(alarm: Alarm) -> Iterable[str]:
    if alarm.escalate_at and alarm.active:
        to = one_line(alarm.escalate_to)
        yield f"If nobody acknowledges it, it is escalated to {to} at {stamp(alarm.escalate_at)}."
    if alarm.auto_acknowledge_at:
        yield f"It counts as acknowledged from {stamp(alarm.auto_acknowledge_at)} on."
    if alarm.auto_unacknowledge_at:
        at = stamp(alarm.auto_unacknowledge_at)
        yield f"If it is still active at {at}, it must be acknowledged again."


def _commands(alarm: Alarm, page: str) -> list[str]:
    lines = [*_explain(alarm)]
    name = quote(alarm.name)
    if alarm.open and not alarm.acknowledged:
        lines.append(f'To acknowledge: calwatch alarms ack {name} --by YOU --why "..."')
    elif alarm.open:
        lines.append(f"To take that back: calwatch alarms unack {name} --by YOU")
    if page:
        lines.append(f"Page: {one_line(page)}")
    return lines


def _explain(alarm: Alarm) -> Iterable[str]:
    """Say how to see where the worst number comes from."""
    worst = leading(alarm)
    sample = deciding(worst) if worst else None
    if alarm.kind is not Kind.FAILURE or worst is None or sample is None:
        return
    detector, _, amp = worst.part.partition("/")
    words = ("-", "-") if worst.part == alarm.key.instrument else (detector, amp or "-")
    place = " ".join(map(quote, words))
    of = f" --of {worst.calib_type}" if worst.calib_type in SET_TYPES else ""
    yield f"To look closer: calwatch explain {sample.exposure_id} {place} {quote(worst.test)}{of}"
