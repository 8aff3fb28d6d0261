"""What differs between two limits files, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calwatch.verify.limits import Limits
from calwatch.verify.limits_schema import TestSpec

FILE = "file"
"""Stands for what is said of the file as a whole."""

Fields = dict[tuple[str, str], Any]
"""Values by (test, field); an empty list or mapping counts as a value."""


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()
"""There is no such field."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field that is not what it was."""

    test: str
    """Such as ``bias amp NOISE``, or ``file``."""
    field: str
    """Such as ``limits.0.serious``."""
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.test}: {self.field}: {_shown(self.old)} -> {_shown(self.new)}"


def fields(limits: Limits) -> Fields:
    """Return everything that a limits file says, for each test of each type of exposure."""
    found: Fields = {
        (FILE, "profile"): limits.profile,
        (FILE, "version"): limits.version,
        (FILE, "description"): limits.description,
    }
    for spec in limits.tests:
        for calib_type in spec.calib_types:
            test = f"{calib_type} {spec.level} {spec.name}"
            for field, value in _leaves(_plain(spec, calib_type), ""):
                found[test, field] = value
    return found


def changes(old: Limits, new: Limits) -> list[Change]:
    """Return what differs, in the order of the tests."""
    before, after = fields(old), fields(new)
    keys = dict.fromkeys([*before, *after])
    pairs = ((key, before.get(key, NOTHING), after.get(key, NOTHING)) for key in keys)
    return [Change(*key, one, other) for key, one, other in pairs if _differ(one, other)]


def apply(before: Mapping[tuple[str, str], Any], found: list[Change]) -> Fields:
    """Return fields with changes made to them."""
    after = dict(before)
    for change in found:
        if change.new is NOTHING:
            del after[change.test, change.field]
        else:
            after[change.test, change.field] = change.new
    return after


def _plain(spec: TestSpec, calib_type: str) -> dict[str, Any]:
    content = spec.model_dump(mode="json", by_alias=True, exclude={"calib_types", "name", "level"})
    return content | {"section": spec.section_of(calib_type)}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = [(str(number), one) for number, one in enumerate(value)]
    if not pairs:
        yield path, value
    for name, one in pairs:
        yield from _leaves(one, f"{path}.{name}" if path else name)


def _differ(one: Any, other: Any) -> bool:
    return type(one) is not type(other) or one != other


def _shown(value: Any) -> str:
    return "nothing" if value is NOTHING or value is None else json.dumps(value, ensure_ascii=False)
