"""What is written of an alarm is read back exactly, this year and later ones."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
import strategies
from episodes import NOON, make_alarm, make_transition
from hypothesis import given
from hypothesis import strategies as st

from calwatch.alarms.codec import (
    alarm_from_dict,
    alarm_to_dict,
    sample_from_dict,
    sample_to_dict,
    symptom_from_dict,
    symptom_to_dict,
    time_from_text,
    time_to_text,
    transition_from_dict,
    transition_to_dict,
)
from calwatch.alarms.model import Alarm, Sample, Severity, What


def through_json(document):
    return json.loads(json.dumps(document, allow_nan=False))


@given(alarm=strategies.alarms)
def test_an_alarm_comes_back_as_it_was(alarm) -> None:
    again = alarm_from_dict(through_json(alarm_to_dict(alarm)))
    assert again == alarm
    for field in fields(Alarm):  # Severity.NONE == 1: equality alone does not tell them apart
        assert type(getattr(again, field.name)) is type(getattr(alarm, field.name))
    assert hash(again.key) == hash(alarm.key)


@given(transition=strategies.transitions)
def test_a_transition_comes_back_as_it_was(transition) -> None:
    again = transition_from_dict(through_json(transition_to_dict(transition)))
    assert again == transition
    assert (type(again.what), type(again.before)) == (What, Severity)


@given(symptom=strategies.symptoms)
def test_a_symptom_comes_back_as_it_was(symptom) -> None:
    assert symptom_from_dict(through_json(symptom_to_dict(symptom))) == symptom


@given(
    value=st.none() | st.floats(),
    limit=st.tuples(st.none() | st.floats(), st.none() | st.floats()),
)
def test_what_is_no_number_is_none(value, limit) -> None:
    def finite(number):
        return number if number is not None and math.isfinite(number) else None

    sample = Sample(NOON, 1, Severity.WARNING, value, limit)
    again = sample_from_dict(through_json(sample_to_dict(sample)))
    assert again == replace(sample, value=finite(value), limit=(finite(limit[0]), finite(limit[1])))


@given(at=strategies.times)
def test_times_are_utc_to_the_microsecond(at: datetime) -> None:
    text = time_to_text(at)
    assert len(text) == len("2026-11-20T18:00:00.000000+00:00")
    assert text.endswith("+00:00")
    assert time_from_text(text) == at
    assert time_from_text(text).tzinfo is UTC


def test_times_without_a_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        time_to_text(datetime(2026, 11, 20))
    with pytest.raises(ValueError, match="no time zone"):
        time_from_text("2026-11-20T18:00:00.000000")


def test_the_words_of_a_document() -> None:
    document = transition_to_dict(make_transition(make_alarm()))
    assert (document["what"], document["before"]) == ("raised", "NONE")
    assert document["at"] == "2026-11-20T18:00:00.000000+00:00"
    alarm = document["alarm"]
    assert alarm["key"] == {
        "instrument": "LSSTCam",
        "family": "readout",
        "aspect": "above",
        "part": "R22_S11/C05",
    }
    assert (alarm["kind"], alarm["severity"]) == ("failure", "SERIOUS")
    assert alarm["symptoms"][0]["samples"][0]["limit"] == [6.1, 6.8]


def test_documents_of_other_versions_are_read() -> None:
    document = alarm_to_dict(make_alarm())
    del document["absorbed_by"], document["announced"]
    document["colour"] = "red"
    assert alarm_from_dict(document) == make_alarm()


@pytest.mark.parametrize("document", [{}, {"key": {}}, {"key": 7}, {"severity": "GRAVE"}])
def test_what_is_no_alarm_is_refused(document) -> None:
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        alarm_from_dict(document)
