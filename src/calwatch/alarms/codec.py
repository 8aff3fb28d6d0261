"""Alarms and what happens to them as JSON: what the ledger keeps and ``--json`` prints.

A document may be read many years after it was written. A field that it lacks has its default, and
one that no longer exists is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from calwatch.alarms.model import Alarm, Key, Kind, Sample, Severity, Symptom, Transition, What

Document = dict[str, Any]
_Change = Callable[[Any], Any]


def alarm_to_dict(alarm: Alarm) -> Document:
    """Return plain dicts, lists, strings and numbers; never NaN, and every float exact."""
    return _write(alarm, _ALARM)


def alarm_from_dict(content: Mapping[str, Any]) -> Alarm:
    """Return the alarm that `alarm_to_dict` wrote.

    Raises
    ------
    AttributeError, KeyError, TypeError, ValueError
        If it is no such document.
    """
    return Alarm(**_read(content, _ALARM))


def transition_to_dict(transition: Transition) -> Document:
    """Return plain data, the alarm as it was included."""
    return _write(transition, _TRANSITION)


def transition_from_dict(content: Mapping[str, Any]) -> Transition:
    """Return the transition that `transition_to_dict` wrote.

    Raises
    ------
    AttributeError, KeyError, TypeError, ValueError
        If it is no such document.
    """
    return Transition(**_read(content, _TRANSITION))


def symptom_to_dict(symptom: Symptom) -> Document:
    """Return plain data, its samples included."""
    return _write(symptom, _SYMPTOM)


def symptom_from_dict(content: Mapping[str, Any]) -> Symptom:
    """Return the symptom that `symptom_to_dict` wrote."""
    return Symptom(**_read(content, _SYMPTOM))


def sample_to_dict(sample: Sample) -> Document:
    """Return plain data; a number that is not finite becomes None."""
    return _write(sample, _SAMPLE)


def sample_from_dict(content: Mapping[str, Any]) -> Sample:
    """Return the sample that `sample_to_dict` wrote."""
    return Sample(**_read(content, _SAMPLE))


def time_to_text(at: datetime) -> str:
    """Return an aware time as ISO 8601 in UTC, to the microsecond.

    Raises
    ------
    ValueError
        If it has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"time {at.isoformat()} has no time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def time_from_text(text: str) -> datetime:
    """Return the time that `time_to_text` wrote.

    Raises
    ------
    ValueError
        If it is none, or has no time zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"time {text} has no time zone")
    return at


class _Form:
    """How the fields of one dataclass are written and read; a field not named is as it is."""

    def __init__(self, of: type[Any], **special: tuple[_Change, _Change]) -> None:
        self.names = tuple(field.name for field in fields(of))
        self.writers = {name: write for name, (write, _) in special.items()}
        self.readers = {name: read for name, (_, read) in special.items()}


def _write(value: Any, form: _Form) -> Document:
    same = _same
    return {name: form.writers.get(name, same)(getattr(value, name)) for name in form.names}


def _read(content: Mapping[str, Any], form: _Form) -> Document:
    same = _same
    return {
        name: form.readers.get(name, same)(content[name]) for name in form.names if name in content
    }


def _same(value: Any) -> Any:
    return value


def _or_none(change: _Change) -> _Change:
    return lambda value: None if value is None else change(value)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _severity_name(severity: Severity) -> str:
    return severity.name


def _severity(name: str) -> Severity:
    return Severity[name]


_TIME = (time_to_text, time_from_text)
_TIME_OR_NONE = (_or_none(time_to_text), _or_none(time_from_text))
_GRAVE = (_severity_name, _severity)
_WORDS = (list, tuple)
_KEY_FORM = _Form(Key)
_SAMPLE = _Form(
    Sample,
    end=_TIME,
    severity=_GRAVE,
    value=(_finite, _same),
    limit=(lambda limit: [_finite(limit[0]), _finite(limit[1])], lambda read: (read[0], read[1])),
)
_SYMPTOM = _Form(
    Symptom,
    severity=_GRAVE,
    samples=(
        lambda samples: [sample_to_dict(sample) for sample in samples],
        lambda read: tuple(sample_from_dict(sample) for sample in read),
    ),
)
_ALARM = _Form(
    Alarm,
    key=(lambda key: _write(key, _KEY_FORM), lambda read: Key(**_read(read, _KEY_FORM))),
    kind=(lambda kind: kind.value, Kind),
    severity=_GRAVE,
    max_severity=_GRAVE,
    opened_at=_TIME,
    since=_TIME,
    severity_oldest=_TIME,
    severity_newest=_TIME,
    max_severity_at=_TIME,
    members=_WORDS,
    symptoms=(
        lambda symptoms: [symptom_to_dict(symptom) for symptom in symptoms],
        lambda read: tuple(symptom_from_dict(symptom) for symptom in read),
    ),
    counts=(dict, dict),
    acknowledged_severity=_GRAVE,
    acknowledged_at=_TIME_OR_NONE,
    auto_acknowledge_at=_TIME_OR_NONE,
    auto_unacknowledge_at=_TIME_OR_NONE,
    muted_severity=_GRAVE,
    unmute_at=_TIME_OR_NONE,
    escalate_at=_TIME_OR_NONE,
    escalated_at=_TIME_OR_NONE,
    closed_at=_TIME_OR_NONE,
)
_TRANSITION = _Form(
    Transition,
    what=(lambda what: what.value, What),
    at=_TIME,
    alarm=(alarm_to_dict, alarm_from_dict),
    before=_GRAVE,
    joined=_WORDS,
    left=_WORDS,
)
