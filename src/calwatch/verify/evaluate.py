"""Comparing one number with its limits: the verdict of one test and its reason in words."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, sqrt

from calwatch.verify.limits import ActiveTest
from calwatch.verify.limits_schema import Form, TestSpec
from calwatch.verify.metrics import METRICS
from calwatch.verify.model import TestResult, Verdict

Numbers = Mapping[str, float | None]
Range = tuple[float | None, float | None]
_PASS, _FAIL = Verdict.PASS, Verdict.FAIL
_ABSOLUTE, _RELATIVE, _MULTIPLE = Form.ABSOLUTE, Form.RELATIVE, Form.MULTIPLE
"""By names of their own: to ask an enumeration takes longer than to compare with a limit."""


def evaluate(test: ActiveTest, numbers: Numbers, subject: str) -> TestResult | None:
    """Judge one test.

    Parameters
    ----------
    test
        The test with the limits in force.
    numbers
        Metrics of the part; None stands for a number that does not exist.
    subject
        Name of the part that begins the reason, such as ``C05``; may be empty.

    Returns
    -------
    TestResult or None
        FAIL if the serious limit is crossed; PASS with severity WARNING if only the warning limit
        is; UNKNOWN if any number needed does not exist. None if the test is optional and has no
        reference here.
    """
    spec = test.spec
    value = _number(numbers, spec.metric)
    reference = _number(numbers, spec.reference) if spec.reference else None
    error = _number(numbers, spec.error) if spec.error else None
    if spec.optional and reference is None:
        return None
    if value is None or spec.reference or spec.error:
        problem = _problem(spec, value, reference, error)
        if problem or value is None:
            return unknown_test(test, f"{_label(spec, subject)} unknown: {problem}", value)
    centre, scale = _centre_and_scale(spec.form, reference or 0.0)
    widening = spec.n_sigma * (error or 0.0)
    severity = ""
    for name, lower, upper in test.bounds:
        allowed = (
            None if lower is None else centre + lower * scale - widening,
            None if upper is None else centre + upper * scale + widening,
        )
        if _crosses(value, allowed, spec.strict):
            severity = name
            break
    reason = ""
    if severity:
        reason = f"{_label(spec, subject)} {_sentence(spec, value, allowed, centre, scale)}"
        reason += f" [{test.note}]" if test.note else ""
    return TestResult(
        spec.name, _FAIL if severity == "serious" else _PASS, value, allowed,
        spec.unit, test.section, severity.upper(), test.counts, reason,
    )  # fmt: skip


def unknown_test(test: ActiveTest, reason: str, value: float | None = None) -> TestResult:
    """Return a test that could not be judged."""
    spec = test.spec
    return TestResult(
        spec.name, Verdict.UNKNOWN, value, (None, None), spec.unit, test.section, "",
        test.counts, reason,
    )  # fmt: skip


def _label(spec: TestSpec, subject: str) -> str:
    return f"{subject} {spec.name}".strip()


def _number(numbers: Numbers, name: str) -> float | None:
    """Return a finite number or None."""
    value = numbers.get(name)
    return value if value is not None and isfinite(value) else None


def _problem(
    spec: TestSpec, value: float | None, reference: float | None, error: float | None
) -> str:
    """Say what keeps the test from being judged; empty if nothing does."""
    if value is None:
        return _absent(spec.metric)
    if spec.reference:
        if reference is None:
            return _absent(spec.reference)
        of_no_use = reference < 0 or (reference == 0 and spec.form is _RELATIVE)
        if of_no_use and spec.form is not _ABSOLUTE:
            return f"{METRICS[spec.reference].phrase} ({spec.reference}) is {_show(reference)}"
    if spec.error:
        if error is None:
            return _absent(spec.error)
        if error < 0:
            return f"{METRICS[spec.error].phrase} ({spec.error}) is negative"
    return ""


def _absent(metric: str) -> str:
    return f"{METRICS[metric].phrase} ({metric}) does not exist"


def _centre_and_scale(form: Form, reference: float) -> tuple[float, float]:
    """Return what is expected, and what the offsets of a limit are multiplied by."""
    if form is _ABSOLUTE:
        return reference, 1.0
    if form is _RELATIVE:
        return reference, reference
    if form is _MULTIPLE:
        return 0.0, reference
    root = sqrt(reference)  # Form.SQRT
    return root, root


def _crosses(value: float, allowed: Range, strict: bool) -> bool:
    lower, upper = allowed
    if strict:
        return (lower is not None and value <= lower) or (upper is not None and value >= upper)
    return (lower is not None and value < lower) or (upper is not None and value > upper)


def _sentence(spec: TestSpec, value: float, allowed: Range, centre: float, scale: float) -> str:
    """Say by how much the value misses: ``7.31 e- is 12 % above the certified 6.52 e- (…)``."""
    unit = "" if spec.unit in ("", "count") else f" {spec.unit}"
    above = allowed[1] is not None and value >= allowed[1]
    edge = allowed[1] if above else allowed[0]
    if (
        spec.form in (Form.RELATIVE, Form.SQRT)
        and spec.reference
        and scale > 0
        and edge is not None
    ):
        phrase = METRICS[spec.reference].phrase
        phrase = f"the root of {phrase}" if spec.form is Form.SQRT else phrase
        side = "above" if value >= centre else "below"
        return (
            f"{_show(value)}{unit} is {_percent(value / centre - 1)} {side} {phrase} "
            f"{_show(centre)}{unit} (limit {_percent(edge / centre - 1)})"
        )
    if spec.form is Form.ABSOLUTE and spec.reference and edge is not None:
        side = "above" if value >= centre else "below"
        return (
            f"{_show(value)}{unit} is {_show(abs(value - centre))}{unit} {side} "
            f"{METRICS[spec.reference].phrase} {_show(centre)}{unit} "
            f"(limit {_show(abs(edge - centre))}{unit})"
        )
    if edge is None:
        return f"{_show(value)}{unit}"
    digits = next((n for n in range(3, 8) if _show(value, n) != _show(edge, n)), 8)
    word = "above" if above else "below"
    return f"{_show(value, digits)}{unit} is {word} {_show(edge, digits)}{unit}"


def _show(value: float, digits: int = 3) -> str:
    """Write a number as a person reads it, without an exponent if that can be avoided."""
    size = abs(value)
    if value == int(value) and size < 1e6:
        return f"{value:.0f}"
    if size >= 10**digits and size < 1e6:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def _percent(fraction: float) -> str:
    size = abs(fraction) * 100
    return f"{size:.0f} %" if size >= 9.95 else f"{size:.1f} %".replace(".0 %", " %")
