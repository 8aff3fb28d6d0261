"""Fields may be added with a default; every other change is named."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from calwatch.publish.contract import changes
from calwatch.publish.schemas import build_schemas

BIAS = build_schemas().schemas["bias"]
COUNT = len(BIAS["fields"])


def test_the_same_schema_breaks_nothing() -> None:
    assert changes(BIAS, copy.deepcopy(BIAS)) == []


def test_words_that_are_not_on_the_wire_may_change() -> None:
    ours = copy.deepcopy(BIAS)
    ours["fields"][5].update(description="other words", units="m")
    ours["fields"].reverse()
    assert changes(BIAS, ours) == []


def test_another_spelling_of_a_type_is_the_same_type() -> None:
    before = copy.deepcopy(BIAS)
    before["fields"][0]["type"] = {"type": "double"}
    assert changes(before, BIAS) == []


def test_a_renamed_record_is_another_measurement() -> None:
    ours = copy.deepcopy(BIAS)
    ours["name"] = "zero"
    assert changes(BIAS, ours) == ["the record's name was 'bias' and would become 'zero'"]


@given(place=st.integers(0, COUNT - 1))
def test_a_field_removed_is_named(place: int) -> None:
    ours = copy.deepcopy(BIAS)
    name = ours["fields"].pop(place)["name"]
    assert changes(BIAS, ours) == [f"field {name} would be removed"]
    added = changes(ours, BIAS)
    assert added == ([] if place else ["field timestamp would be added without a default"])


@given(place=st.integers(1, COUNT - 1))
def test_a_field_retyped_is_named(place: int) -> None:
    ours = copy.deepcopy(BIAS)
    ours["fields"][place]["type"] = "long"
    name = ours["fields"][place]["name"]
    (change,) = changes(BIAS, ours)
    assert change.startswith(f"field {name} was of type ")
    assert change.endswith("would become long")
