"""The alarm rules: which tests are one problem, when parts are a group, how long it must last.

They are data (``config/alarms/default.yaml``, or a deployment's own file), checked on load.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from calwatch.alarms.model import Kind, Severity
from calwatch.errors import StopError
from calwatch.verify.limits_schema import Persistence, version_text
from calwatch.verify.metrics import CALIB_TYPES, TESTS
from calwatch.yaml_file import YamlFileError, parse_yaml

SeverityName = Annotated[
    Severity, BeforeValidator(lambda v: Severity[v] if isinstance(v, str) else v)
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Persistences(_Strict):
    """How often a problem must be seen, and how often not, by what it is."""

    serious: Persistence
    warning: Persistence
    unknown: Persistence
    ingest: Persistence
    chain: Persistence
    margin: float = Field(default=0.2, ge=0, lt=1)
    """Nearer to its limit than this a good value clears nothing; see `calwatch.alarms.evidence`."""


class Causes(_Strict):
    """What it usually is, by where it is seen."""

    camera: tuple[str, ...] = ()
    part: tuple[str, ...] = ()


class Family(_Strict):
    """Tests that tell of one problem."""

    name: str = Field(pattern=r"^[a-z][a-z-]*$")
    title: str = Field(min_length=1)
    """May hold ``{direction}`` (above, below), ``{amount}`` (much, little) and ``{aspect}``."""
    playbook: str = Field(min_length=1)
    """Section of the playbook."""
    directed: bool = True
    """Whether above and below are two problems."""
    kind: Kind = Kind.FAILURE
    severity: SeverityName = Severity.SERIOUS
    """Of a problem that no limit gives one."""
    rebuild: str = ""
    """Certified calibration that would no longer describe the camera; empty: none."""
    tests: dict[str, tuple[str, ...]] = {}
    """By kind of exposure."""
    causes: Causes = Causes()


class Explained(_Strict):
    """A failure that follows from another one of the same exposure."""

    test: str
    calib_type: str
    by: tuple[str, ...] = Field(min_length=1)
    larger: bool = False
    """By a test of a larger part, where that part has ``many`` of them."""
    many: Annotated[int, Field(ge=2)] = 2


class Resting(_Strict):
    """Failures of a set that follow from an exposure of it which has an alarm already."""

    calib_type: str
    """Kind of set."""
    tests: tuple[str, ...] = Field(min_length=1)
    families: tuple[str, ...] = Field(min_length=1)
    """Of the alarm of the exposure."""


class Group(_Strict):
    """When the parts of one level have a problem as a whole."""

    level: str = Field(min_length=1)
    fraction: float = Field(gt=0, le=1)
    """Of the judged amplifiers (or detectors) under the part."""
    coverage: float = Field(default=0.5, ge=0, le=1)
    """Of all of them, so many must have been judged."""
    many: Annotated[int, Field(ge=2)] | None = None
    """So many bad parts at the same time are one problem, however few of all they are."""
    at_once: bool = False
    """If most is bad one exposure is enough."""
    severity: SeverityName = Severity.SERIOUS
    """What SERIOUS becomes."""


class Rules(_Strict):
    """A whole file of alarm rules."""

    name: str = Field(min_length=1)
    version: Annotated[str, BeforeValidator(version_text)] = Field(min_length=1)
    persistence: Persistences
    families: tuple[Family, ...] = Field(min_length=1)
    explained: tuple[Explained, ...] = ()
    resting: tuple[Resting, ...] = ()
    groups: tuple[Group, ...] = ()
    by_filter: tuple[str, ...] = ()
    """Tests of flats that are counted filter by filter."""

    @model_validator(mode="after")
    def _holds_together(self) -> Rules:
        problems = []
        names = [family.name for family in self.families]
        problems += [f"family {n} is given twice" for n in sorted(set(names)) if names.count(n) > 1]
        owner: dict[tuple[str, str], str] = {}
        for family in self.families:
            for calib_type, tests in family.tests.items():
                for test in tests:
                    problems += _unknown_test(f"family {family.name}", calib_type, test)
                    other = owner.setdefault((calib_type, test), family.name)
                    if other != family.name:
                        problems.append(f"{calib_type} {test} is in {other} and in {family.name}")
        for rule in self.explained:
            for test in (rule.test, *rule.by):
                problems += _unknown_test("explained", rule.calib_type, test)
        for rests in self.resting:
            for test in rests.tests:
                problems += _unknown_test("resting", rests.calib_type, test)
            unknown = sorted(set(rests.families) - set(names))
            problems += [f"resting: there is no family {name!r}" for name in unknown]
        for test in self.by_filter:
            if test != "NO_REFERENCE:flat":
                problems += _unknown_test("by_filter", "flat", test)
        levels = [group.level for group in self.groups]
        problems += [
            f"group {n} is given twice" for n in sorted(set(levels)) if levels.count(n) > 1
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @cached_property
    def _families(self) -> dict[str, Family]:
        return {family.name: family for family in self.families}

    @cached_property
    def _owners(self) -> dict[tuple[str, str], Family]:
        return {
            (calib_type, test): family
            for family in self.families
            for calib_type, tests in family.tests.items()
            for test in tests
        }

    @cached_property
    def _explained(self) -> dict[tuple[str, str], tuple[Explained, ...]]:
        found: dict[tuple[str, str], tuple[Explained, ...]] = {}
        for rule in self.explained:
            key = (rule.calib_type, rule.test)
            found[key] = (*found.get(key, ()), rule)
        return found

    @cached_property
    def _resting(self) -> dict[tuple[str, str], frozenset[str]]:
        found: dict[tuple[str, str], frozenset[str]] = {}
        for rule in self.resting:
            for test in rule.tests:
                key = (rule.calib_type, test)
                found[key] = found.get(key, frozenset()).union(rule.families)
        return found

    def family(self, name: str) -> Family:
        """Return a family by name; one that no rule names has the test's own words."""
        known = self._families.get(name)
        if known is not None:
            return known
        words = name.replace("-", " ").upper().replace(" ", "_")
        return Family(name=name, title=f"{words} is out of its limits", playbook="other")

    def family_of(self, calib_type: str, test: str) -> Family:
        """Return the family of a test in one kind of exposure."""
        known = self._owners.get((calib_type, test))
        return known or self.family(re.sub(r"[^a-z]+", "-", test.lower()).strip("-") or "other")

    def explained_by(self, calib_type: str, test: str) -> tuple[Explained, ...]:
        """Return what may explain the failure of a test."""
        return self._explained.get((calib_type, test), ())

    def rests_on(self, calib_type: str, test: str) -> frozenset[str]:
        """Return the families of alarms of single exposures that explain a test of a set."""
        return self._resting.get((calib_type, test), frozenset())

    def group(self, level: str) -> Group | None:
        """Return the rule of a level; None where parts of it are never a group."""
        return next((group for group in self.groups if group.level == level), None)


def _unknown_test(where: str, calib_type: str, test: str) -> list[str]:
    if calib_type not in CALIB_TYPES:
        return [f"{where}: there is no kind of exposure {calib_type!r}"]
    if not any(name == test and calib_type in t.calib_types for (name, _), t in TESTS.items()):
        return [f"{where}: there is no {calib_type} test {test!r}"]
    return []


def shipped_rules() -> Path:
    """Return the file of the rules that come with calwatch.

    Raises
    ------
    StopError
        If it is neither inside an installed package nor in a checkout.
    """
    package = Path(__file__).resolve().parent.parent
    places = (
        package / "alarms" / "default.yaml",
        package.parent.parent / "config" / "alarms" / "default.yaml",
    )
    for place in places:
        if place.is_file():
            return place
    raise StopError(f"the shipped alarm rules are in neither {' nor '.join(map(str, places))}")


def load_rules(name_or_path: str | Path = "default") -> Rules:
    """Read and check alarm rules: ``default``, or any file by its path.

    Raises
    ------
    StopError
        Naming the file and every mistake in it.
    """
    path = shipped_rules() if str(name_or_path) == "default" else Path(name_or_path)
    try:
        file = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StopError(f"{path}: cannot be read: {error}") from error
    except YamlFileError as error:
        raise StopError(f"{path}: {error}") from error
    try:
        return Rules.model_validate(file.content)
    except ValidationError as error:
        lines = "\n".join(
            f"  line {file.line(e['loc']) or 1}: {'.'.join(map(str, e['loc'])) or 'rules'}: "
            f"{e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise StopError(f"{path}: the alarm rules have mistakes\n{lines}") from error


PersistenceName = Literal["serious", "warning", "unknown", "ingest", "chain"]
"""The fields of `Persistences`."""
