"""The form of a limits file: what each field may hold, and what is refused."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from calwatch.verify.metrics import CALIB_TYPES, METRICS, TESTS, Level

SEVERITIES: tuple[Literal["warning", "serious"], ...] = ("warning", "serious")
"""From the milder to the graver."""


class Form(StrEnum):
    """How the allowed range follows from the limit L and the reference R."""

    ABSOLUTE = "absolute"
    """R ± L, in the metric's unit; without a reference the limit is the bound itself."""
    RELATIVE = "relative"
    """R·(1 ± L)."""
    MULTIPLE = "multiple"
    """0 ± L·R."""
    SQRT = "sqrt"
    """√R·(1 ± L)."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _moment(value: object) -> object:
    """Read a UTC date, a UTC date and time, or a day_obs (which begins at 12:00 UTC)."""
    if isinstance(value, bool):
        raise ValueError("expected a UTC date such as 2026-11-22 or a day_obs such as 20261122")
    if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"\d{8}", value)):
        try:
            day = datetime.strptime(str(value), "%Y%m%d").replace(tzinfo=UTC)
        except ValueError:
            raise ValueError(f"{value} is no day_obs such as 20261122") from None
        return day + timedelta(hours=12)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is no UTC date such as 2026-11-22") from None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError("expected a UTC date such as 2026-11-22 or a day_obs such as 20261122")


def version_text(value: object) -> object:
    """Let a version be written as a bare date."""
    return value.isoformat() if isinstance(value, date) else value


Moment = Annotated[datetime, BeforeValidator(_moment)]
"""An instant in UTC."""


class Sides(_Strict):
    """A limit that differs between the two sides; an absent side is open."""

    lower: float | None = None
    upper: float | None = None

    @model_validator(mode="after")
    def _has_a_side(self) -> Sides:
        if self.lower is None and self.upper is None:
            raise ValueError("expected lower, upper or both")
        return self


LONGEST = 50
"""The most exposures of which M of the last N may be asked."""


class Share(_Strict):
    """M of the last N exposures of a kind; written ``2 of 3``."""

    m: int = Field(ge=1)
    n: int = Field(ge=1, le=LONGEST)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if isinstance(value, str):
            found = re.fullmatch(r"\s*(\d+)\s+of\s+(\d+)\s*", value)
            if found is None:
                raise ValueError(f"expected M of N such as 2 of 3, got {value!r}")
            return {"m": int(found[1]), "n": int(found[2])}
        return value

    @model_validator(mode="after")
    def _possible(self) -> Share:
        if self.m > self.n:
            raise ValueError(f"expected M of N with M at most N, got {self.m} of {self.n}")
        return self

    def __str__(self) -> str:
        return f"{self.m} of {self.n}"


class Persistence(_Strict):
    """How often a test must fail to raise an alarm, and be good to clear it."""

    raise_: Share = Field(alias="raise")
    clear: Share


class AlarmPersistence(_Strict):
    """What a test asks for in place of the alarm rules' own persistence."""

    serious: Persistence | None = None
    warning: Persistence | None = None
    never: bool = False
    """Its failures raise no alarm, however often: they are a part of verdicts only."""

    @model_validator(mode="after")
    def _means_one_thing(self) -> AlarmPersistence:
        if self.never and (self.serious is not None or self.warning is not None):
            raise ValueError("expected never alone: what is never raised needs no persistence")
        return self


CalibType = Literal[
    "bias",
    "dark",
    "flat",
    "gain",
    "cti",
    "ptc",
    "linearity",
    "defects",
    "dark_stack",
    "crosstalk",
    "bias_stability",
]
Section = Annotated[str, Field(pattern=r"^(\d+(\.\d+)*)?$")]

Bound = float | Sides
"""One number for every side the test has, or the sides apart."""


class Levels(_Strict):
    """The limit of each severity; an absent one is never crossed."""

    warning: Bound | None = None
    serious: Bound | None = None

    @field_validator("warning", "serious")
    @classmethod
    def _finite(cls, bound: Bound | None) -> Bound | None:
        parts = (bound.lower, bound.upper) if isinstance(bound, Sides) else (bound,)
        if any(part is not None and not math.isfinite(part) for part in parts):
            raise ValueError("expected a finite number")
        return bound


class LimitEntry(Levels):
    """Limits in force from a date on."""

    from_: Moment | None = Field(default=None, alias="from")

    @model_validator(mode="after")
    def _has_a_level(self) -> LimitEntry:
        if self.warning is None and self.serious is None:
            raise ValueError("expected warning, serious or both")
        return self


class Override(Levels):
    """Other limits for one instrument, or for some of its detectors and amplifiers."""

    instrument: str = Field(min_length=1)
    detectors: tuple[int | str, ...] = ()
    """Numbers or names; empty means all."""
    amps: tuple[str, ...] = ()
    from_: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None
    reason: str = Field(min_length=1)
    counts: bool | None = None
    """False: report the test, but leave it out of the verdict."""

    @model_validator(mode="after")
    def _changes_something(self) -> Override:
        if self.warning is None and self.serious is None and self.counts is None:
            raise ValueError("expected warning, serious or counts")
        if self.from_ and self.until and self.until <= self.from_:
            raise ValueError("until: expected a date after from")
        return self


class TestSpec(_Strict):
    """One test and its limits."""

    name: str
    calib_types: tuple[CalibType, ...] = Field(min_length=1)
    level: Level
    section: Section | dict[CalibType, Section] = ""
    """DMTN-101 section, of all types or by type; empty where the document has none."""
    metric: str
    unit: str
    form: Form
    reference: str | None = None
    side: Literal["lower", "upper", "both"]
    strict: bool = False
    """A value that stands exactly on the limit has crossed it."""
    n_sigma: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    error: str | None = None
    """Metric whose n_sigma-fold widens the allowed range."""
    counts: bool = True
    optional: bool = False
    """Leave the test out, with a warning, where the reference does not exist."""
    except_reasons: tuple[str, ...] = ()
    """Exposures whose observation reason matches one of these patterns are not tested."""
    limits: tuple[LimitEntry, ...] = Field(min_length=1)
    overrides: tuple[Override, ...] = ()
    alarm: AlarmPersistence = AlarmPersistence()
    """How many exposures it takes to raise and to clear an alarm; the alarm rules decide where
    nothing is said."""

    @model_validator(mode="after")
    def _means_something(self) -> TestSpec:
        problems = [*self._name_problems(), *self._metric_problems(), *self._form_problems()]
        problems += self._limit_problems()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _name_problems(self) -> list[str]:
        test = TESTS.get((self.name, self.level))
        if test is None:
            known = ", ".join(
                sorted(
                    name
                    for (name, level), test in TESTS.items()
                    if level == self.level and set(self.calib_types) & set(test.calib_types)
                )
            )
            return [f"name: {self.name!r} is no {self.level} test (known: {known})"]
        return [
            f"calib_types: {self.name} is no test of a {calib_type}"
            for calib_type in self.calib_types
            if calib_type not in test.calib_types
        ]

    def _metric_problems(self) -> list[str]:
        problems = []
        for field in ("metric", "reference", "error"):
            name = getattr(self, field)
            if name is None:
                continue
            metric = METRICS.get(name)
            if metric is None or metric.level != self.level:
                known = ", ".join(
                    m.name
                    for m in METRICS.values()
                    if m.level == self.level and set(self.calib_types) & set(m.calib_types)
                )
                problems.append(f"{field}: {name!r} is no {self.level} metric (known: {known})")
                continue
            problems += [
                f"{field}: {name} is not measured in a {calib_type}"
                for calib_type in self.calib_types
                if calib_type not in metric.calib_types
            ]
            if field == "metric" and metric.unit != self.unit:
                problems.append(f"unit: {name} is in {metric.unit!r}, not {self.unit!r}")
        return problems

    def _form_problems(self) -> list[str]:
        problems = []
        if self.form is not Form.ABSOLUTE and self.reference is None:
            problems.append(f"reference: a {self.form} test needs one")
        if (self.n_sigma > 0) != (self.error is not None):
            problems.append("n_sigma and error: expected both or neither")
        if self.optional and self.reference is None:
            problems.append("optional: only a test with a reference can be optional")
        return problems

    def _limit_problems(self) -> list[str]:
        starts = [entry.from_ for entry in self.limits]
        problems = []
        if any(start is None for start in starts[1:]):
            problems.append("limits: only the first entry may lack from")
        known = [start for start in starts if start is not None]
        if any(a >= b for a, b in pairwise(known)):
            problems.append("limits: expected entries in order of from, each date once")
        for entry in (*self.limits, *self.overrides):
            where = "limits" if isinstance(entry, LimitEntry) else "overrides"
            problems += [f"{where}: {problem}" for problem in self._level_problems(entry)]
        return problems

    def _level_problems(self, entry: Levels) -> list[str]:
        problems = []
        for severity in SEVERITIES:
            bound = getattr(entry, severity)
            if bound is None:
                continue
            lower, upper = offsets(self, bound)
            if isinstance(bound, Sides) and (
                (bound.lower is not None and self.side == "upper")
                or (bound.upper is not None and self.side == "lower")
            ):
                problems.append(f"{severity}: the test has only its {self.side} side")
            if lower is not None and upper is not None and lower > upper:
                problems.append(f"{severity}: expected a range, got {lower:g} to {upper:g}")
            if not self.is_bound and ((lower or 0.0) > 0.0 or (upper or 0.0) < 0.0):
                problems.append(f"{severity}: expected a number ≥ 0, got {bound}")
        if entry.warning is not None and entry.serious is not None:
            mild, grave = offsets(self, entry.warning), offsets(self, entry.serious)
            if _outside(mild, grave):
                problems.append("serious: expected to lie at or beyond warning")
        return problems

    def section_of(self, calib_type: str) -> str:
        """Return the DMTN-101 section of this test for one calibration type."""
        if isinstance(self.section, str):
            return self.section
        return {str(key): value for key, value in self.section.items()}.get(calib_type, "")

    @property
    def is_bound(self) -> bool:
        """Whether a limit is the bound itself and not a distance from something expected."""
        return self.form is Form.ABSOLUTE and self.reference is None


def offsets(spec: TestSpec, bound: Bound) -> tuple[float | None, float | None]:
    """Return the signed offsets (or, without reference, the bounds) a limit stands for."""
    if isinstance(bound, Sides):
        lower, upper = bound.lower, bound.upper
        if lower is not None and not spec.is_bound:
            lower = -lower
        return lower, upper
    lower = bound if spec.is_bound and spec.side == "lower" else -bound
    return (
        None if spec.side == "upper" else lower,
        None if spec.side == "lower" else bound,
    )


def _outside(
    mild: tuple[float | None, float | None], grave: tuple[float | None, float | None]
) -> bool:
    """Whether the milder range reaches beyond the graver one on a side both have."""
    lower = mild[0] is not None and grave[0] is not None and mild[0] < grave[0]
    upper = mild[1] is not None and grave[1] is not None and mild[1] > grave[1]
    return lower or upper


class LimitsFile(_Strict):
    """A whole limits file."""

    profile: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    version: Annotated[str, BeforeValidator(version_text)] = Field(min_length=1)
    description: str = Field(min_length=1)
    tests: tuple[TestSpec, ...] = Field(min_length=1)

    @field_validator("tests")
    @classmethod
    def _each_once(cls, tests: tuple[TestSpec, ...]) -> tuple[TestSpec, ...]:
        seen: set[tuple[str, str, str]] = set()
        for test in tests:
            for calib_type in test.calib_types:
                key = (test.name, test.level, calib_type)
                if key in seen:
                    raise ValueError(f"{calib_type} {test.level} {test.name} is given twice")
                seen.add(key)
        return tests


def title_of(raw: Any) -> str:
    """Name an unchecked test in a message, as far as it can be named."""
    if not isinstance(raw, dict):
        return "(not a mapping)"
    types = raw.get("calib_types")
    words = [t for t in types if t in CALIB_TYPES] if isinstance(types, list) else []
    return " ".join([*map(str, words), str(raw.get("name", "(no name)"))])
