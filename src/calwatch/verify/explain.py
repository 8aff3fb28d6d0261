"""Why one test has its verdict: the number, the limit with its source, and the formula in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from calwatch.verify.evaluate import evaluate
from calwatch.verify.limits import ActiveTest, Limits, Part, in_force
from calwatch.verify.limits_schema import SEVERITIES, Bound, Form, TestSpec, offsets
from calwatch.verify.metrics import METRICS, TESTS, Level
from calwatch.verify.model import TestResult

Range = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Number:
    """One measured number that the test needs."""

    name: str
    value: float | None
    unit: str
    phrase: str
    """Such as ``the expected noise``."""
    description: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """What one severity allows."""

    severity: str
    """``WARNING`` or ``SERIOUS``."""
    allowed: Range
    """With these numbers; (None, None) if one of them does not exist."""
    formula: str
    """Such as ``0.95·EXPECTED_NOISE − 5·NOISE_ERROR ≤ NOISE``."""
    words: str
    """The same in words."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Other limits that hold for this part."""

    reason: str
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One test, explained."""

    test: TestResult
    """As it was judged and recorded."""
    description: str
    """What the test is for."""
    numbers: tuple[Number, ...]
    """The judged one; then reference and error, where the test has them."""
    allowed: tuple[Allowed, ...]
    """By severity, the milder first. Empty if these limits do not have the test."""
    n_sigma: float
    widening: float | None
    """By so much n_sigma times the error widens the allowed range; None: by nothing."""
    judged_with: str
    """Profile and version with which it was judged."""
    limits: str
    """Profile and version of the limits file as it is now."""
    source: str
    """That file."""
    since: datetime | None
    """From when its entry holds; None: always."""
    overrides: tuple[Applied, ...]
    note: str
    """What keeps the limits shown from being those that decided; empty if nothing does."""


def explain(
    test: TestResult,
    numbers: Mapping[str, float | None],
    calib_type: str,
    level: Level,
    part: Part,
    at: datetime | None,
    limits: Limits,
    judged_with: str,
) -> Explanation:
    """Explain one judged test.

    Parameters
    ----------
    test
        As it was recorded.
    numbers
        Metrics of the part.
    calib_type, level, part, at
        What was judged, and the end of the exposure: they decide which limits hold.
    limits
        The limits file as it is now.
    judged_with
        Label of the limits that judged it.
    """
    spec = _spec(limits, test.name, level, calib_type)
    known = TESTS.get((test.name, level))
    description = known.description if known else ""
    if spec is None:
        note = f"{limits.label} has no {calib_type} test {test.name}"
        return Explanation(test, description, (), (), 0.0, None, judged_with, limits.label,
                           limits.source, None, (), note)  # fmt: skip
    entry, overrides = in_force(spec, part, at)
    active = _active(limits, spec, calib_type, level, part, at)
    allowed = () if active is None else _allowed(active, numbers)
    error = numbers.get(spec.error) if spec.error else None
    return Explanation(
        test=test,
        description=description,
        numbers=tuple(_number(name, numbers) for name in _names(spec)),
        allowed=allowed,
        n_sigma=spec.n_sigma,
        widening=None if error is None else spec.n_sigma * error,
        judged_with=judged_with,
        limits=limits.label,
        source=limits.source,
        since=entry.from_ if entry else None,
        overrides=tuple(Applied(o.reason, o.from_, o.until) for o in overrides),
        note=_note(test, allowed, judged_with, limits),
    )


def formula(spec: TestSpec, bound: Bound) -> str:
    """Write an allowed range as a formula, such as ``NOISE ≤ 1.05·PTC_NOISE + 5·NOISE_ERROR``."""
    lower, upper = offsets(spec, bound)
    sign = "<" if spec.strict else "≤"
    left = "" if lower is None else f"{_edge(spec, lower, '−')} {sign} "
    right = "" if upper is None else f" {sign} {_edge(spec, upper, '+')}"
    return f"{left}{spec.metric}{right}"


def in_words(spec: TestSpec, bound: Bound) -> str:
    """Say what a limit demands, such as ``the noise must be within 5 % of the expected``."""
    lower, upper = offsets(spec, bound)
    text = f"{_called(spec.metric)} must {'lie' if spec.is_bound else 'be'} "
    if spec.is_bound or spec.form is Form.MULTIPLE:
        text += _between(spec, lower, upper)
    else:
        text += _near(spec, lower, upper)
    if spec.error:
        text += f"; {spec.n_sigma:g} times {_called(spec.error)} more is allowed"
    return text


def _spec(limits: Limits, name: str, level: Level, calib_type: str) -> TestSpec | None:
    for spec in limits.tests:
        if spec.name == name and spec.level == level and calib_type in spec.calib_types:
            return spec
    return None


def _active(
    limits: Limits, spec: TestSpec, calib_type: str, level: Level, part: Part, at: datetime | None
) -> ActiveTest | None:
    found = limits.active(calib_type, level, part, at)
    return next((test for test in found if test.spec is spec), None)


def _allowed(active: ActiveTest, numbers: Mapping[str, float | None]) -> tuple[Allowed, ...]:
    found = []
    for severity in SEVERITIES:
        bound = active.warning if severity == "warning" else active.serious
        if bound is None:
            continue
        alone = replace(active, warning=None, serious=bound)
        judged = evaluate(alone, numbers, "")
        allowed: Range = (None, None) if judged is None else judged.limit
        spec = active.spec
        found.append(
            Allowed(severity.upper(), allowed, formula(spec, bound), in_words(spec, bound))
        )
    return tuple(found)


def _note(test: TestResult, allowed: tuple[Allowed, ...], judged_with: str, limits: Limits) -> str:
    """Say whether the limits of today's file are those that decided."""
    if not allowed:
        return f"{limits.label} has no limit of {test.name} in force at that time"
    if test.limit == (None, None) or any(_close(test.limit, one.allowed) for one in allowed):
        return ""
    if judged_with == limits.label:
        return f"the limits in {limits.source} have changed since, without a new version"
    return f"it was judged with {judged_with}; {limits.source} is {limits.label} now"


def _close(one: Range, other: Range) -> bool:
    return all(
        (a is None) == (b is None)
        and (a is None or b is None or abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-30))
        for a, b in zip(one, other, strict=True)
    )


def _names(spec: TestSpec) -> list[str]:
    names = (spec.metric, spec.reference, spec.error)
    return list(dict.fromkeys(name for name in names if name))


def _number(name: str, numbers: Mapping[str, float | None]) -> Number:
    metric = METRICS[name]
    return Number(name, numbers.get(name), metric.unit, metric.phrase, metric.description)


def _called(name: str) -> str:
    return f"{METRICS[name].phrase} ({name})"


def _unit(spec: TestSpec) -> str:
    return f" {spec.unit}" if spec.unit and spec.unit != "count" else ""


def _edge(spec: TestSpec, offset: float, sign: str) -> str:
    reference = spec.reference
    match spec.form:
        case Form.RELATIVE:
            text = f"{1 + offset:g}·{reference}"
        case Form.SQRT:
            text = f"{1 + offset:g}·√{reference}"
        case Form.MULTIPLE:
            text = f"{offset:g}·{reference}"
        case Form.ABSOLUTE if reference:
            text = f"{reference} {sign} {abs(offset):g}{_unit(spec)}"
        case _:
            text = f"{offset:g}{_unit(spec)}"
    widening = f" {sign} {spec.n_sigma:g}·{spec.error}" if spec.error else ""
    return text + widening


def _between(spec: TestSpec, lower: float | None, upper: float | None) -> str:
    times = f" times {_called(spec.reference)}" if spec.reference else _unit(spec)
    if lower is None:
        return f"{'below' if spec.strict else 'at or below'} {upper:g}{times}"
    if upper is None:
        return f"{'above' if spec.strict else 'at or above'} {lower:g}{times}"
    return f"between {lower:g} and {upper:g}{times}"


def _near(spec: TestSpec, lower: float | None, upper: float | None) -> str:
    root = "the root of " if spec.form is Form.SQRT else ""
    reference = f"{root}{_called(spec.reference or spec.metric)}"
    if lower is None:
        return f"at most {_distance(spec, upper)} above {reference}"
    if upper is None:
        return f"at most {_distance(spec, lower)} below {reference}"
    if -lower == upper:
        return f"within {_distance(spec, upper)} of {reference}"
    below, above = _distance(spec, lower), _distance(spec, upper)
    return f"at most {below} below and {above} above {reference}"


def _distance(spec: TestSpec, offset: float | None) -> str:
    size = abs(offset or 0.0)
    return f"{size:g}{_unit(spec)}" if spec.form is Form.ABSOLUTE else f"{100 * size:g} %"
