"""How a test is drawn: which number is compared, and where its limits lie.

A limit that is relative to another number moves with it. So what is drawn is the number as the
limit sees it (``NOISE / EXPECTED_NOISE − 1`` for a limit of ± 5 %), and the limits are straight
lines. A range that is widened by a statistical error is wider than the lines by that error, which
differs from point to point.
"""

from __future__ import annotations

from collections.abc import Callable

from calwatch.dashboards.influxql import number, quoted, shifted
from calwatch.dashboards.model import Line
from calwatch.verify.limits import Limits
from calwatch.verify.limits_schema import SEVERITIES, Form, TestSpec, offsets

_RATIO = ""


def specs(limits: Limits, calib_type: str, level: str) -> list[TestSpec]:
    """Return the tests of a type and level that have limits."""
    return [t for t in limits.tests if calib_type in t.calib_types and t.level == level]


def expression(spec: TestSpec, field: Callable[[str], str]) -> str:
    """Return the number that is compared, as an InfluxQL expression.

    Parameters
    ----------
    spec
        The test.
    field
        Gives the field that holds a metric, such as that of one amplifier.
    """
    value = quoted(field(spec.metric))
    if spec.reference is None:
        return value
    reference = quoted(field(spec.reference))
    match spec.form:
        case Form.ABSOLUTE:
            return f"{value} - {reference}"
        case Form.RELATIVE:
            return f"{value} / {reference} - 1"
        case Form.MULTIPLE:
            return f"{value} / {reference}"
        case Form.SQRT:
            return f"{value} / sqrt({reference}) - 1"


def words(spec: TestSpec) -> str:
    """Return the number that is compared, in words."""
    match spec.form, spec.reference:
        case _, None:
            return spec.metric
        case Form.ABSOLUTE, reference:
            return f"{spec.metric} − {reference}"
        case Form.RELATIVE, reference:
            return f"{spec.metric} / {reference} − 1"
        case Form.MULTIPLE, reference:
            return f"{spec.metric} / {reference}"
        case Form.SQRT, reference:
            return f"{spec.metric} / √{reference} − 1"
    raise AssertionError(spec.form)


def unit(spec: TestSpec) -> str:
    """Return the unit of the number that is compared; empty for a ratio."""
    return spec.unit if spec.form is Form.ABSOLUTE else _RATIO


def lines(spec: TestSpec) -> tuple[Line, ...]:
    """Return the limits in force since the newest date, without those of single parts."""
    entry = spec.limits[-1]
    found = []
    for severity in SEVERITIES:
        bound = getattr(entry, severity)
        if bound is not None:
            pairs = zip(("lower", "upper"), offsets(spec, bound), strict=True)
            found += [Line(value, severity, side) for side, value in pairs if value is not None]
    return tuple(found)


def line_column(line: Line, always: str) -> str:
    """Return an expression that is the line's value at every point.

    Parameters
    ----------
    line
        The line.
    always
        A numeric field that every point has: InfluxQL selects no bare constant.
    """
    return shifted(f"{quoted(always)} * {number(0)}", line.value)


def described(spec: TestSpec, limits: Limits, calib_type: str) -> str:
    """Return what a picture of a test shows."""
    section = spec.section_of(calib_type)
    where = f" (DMTN-101 §{section})" if section else ""
    text = f"{words(spec)}{where}. Lines: limits of {limits.label}."
    if spec.error is not None:
        text += f" The allowed range is wider than the lines by {spec.n_sigma:g}·{spec.error}."
    if spec.except_reasons:
        text += f" Not tested where the observation reason is {', '.join(spec.except_reasons)}."
    if spec.overrides:
        text += " Some parts have limits of their own, which are not drawn."
    return text
