"""``calwatch limits``: check limits files, and show what is in force."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click

from calwatch.errors import LimitsError

if TYPE_CHECKING:
    from calwatch.verify.limits import ActiveTest, Limits, Part
    from calwatch.verify.limits_schema import Bound, TestSpec
    from calwatch.verify.metrics import Level

TYPES = ("bias", "dark", "flat")


@click.group()
def limits() -> None:
    """Check and show limits: the profiles dmtn101 and cp_verify, or any file.

    Example: calwatch limits show --instrument LATISS
    """


@limits.command()
@click.argument("files", nargs=-1, required=True)
def check(files: tuple[str, ...]) -> None:
    """Check limits FILES (or names of profiles) and say everything that is wrong with them.

    Example: calwatch limits check config/limits/dmtn101.yaml
    """
    from calwatch.verify.limits import load_limits

    problems = []
    for name in files:
        try:
            found = load_limits(name)
        except LimitsError as error:
            problems.append(str(error))
        else:
            click.echo(f"{name}: {found.label}, {len(found.tests)} tests, nothing wrong")
    if problems:
        raise LimitsError("\n".join(problems))


@limits.command()
@click.argument("profile", default="dmtn101")
@click.option("--instrument", "-I", default="", help="Apply the overrides of this instrument.")
@click.option("--detector", "-d", default="", help="Number or name of a detector.")
@click.option("--amp", default="", help="Name of an amplifier.")
@click.option("--calib-type", "-t", type=click.Choice(TYPES), help="Only tests of this type.")
@click.option("--at", default="", help="UTC date or day_obs [default: the latest limits].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(
    profile: str,
    instrument: str,
    detector: str,
    amp: str,
    calib_type: str | None,
    at: str,
    as_json: bool,
) -> None:
    """Show the limits of PROFILE (a name or a file) that are in force.

    Example: calwatch limits show dmtn101 --instrument LSSTCam --detector R22_S11 --at 20261122
    """
    from calwatch.verify.limits import Part, load_limits

    if (detector or amp) and not instrument:
        raise click.UsageError("--detector and --amp need --instrument")
    chosen = load_limits(profile)
    number = int(detector) if detector.isdigit() else None
    part = Part(instrument, number, detector, amp)
    moment = _moment(at)
    found = [
        (kind, level, test)
        for kind in ([calib_type] if calib_type else TYPES)
        for level, test in _active(chosen, kind, part, moment)
    ]
    if as_json:
        rows = [_row(kind, level, test) for kind, level, test in found]
        content = {"limits": chosen.label, "source": chosen.source, "tests": rows}
        click.echo(json.dumps(content, ensure_ascii=False))
    else:
        _print_table(chosen, found)


def _moment(text: str) -> datetime | None:
    """Read ``--at``: a UTC date, a date and time, or a day_obs (to its end)."""
    if not text:
        return None
    try:
        if len(text) == 8 and text.isdigit():
            day = datetime.strptime(text, "%Y%m%d").date()
            return datetime.combine(day, time(12), UTC) + timedelta(days=1, seconds=-1)
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(23, 59, 59), UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no UTC date such as 2026-11-22 and no day_obs such as 20261122",
            param_hint="--at",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _active(
    chosen: Limits, calib_type: str, part: Part, at: datetime | None
) -> list[tuple[Level, ActiveTest]]:
    from calwatch.verify.metrics import LEVELS

    return [
        (level, test) for level in LEVELS for test in chosen.active(calib_type, level, part, at)
    ]


def _row(calib_type: str, level: str, test: ActiveTest) -> dict[str, Any]:
    from calwatch.verify.limits_schema import SEVERITIES, offsets

    spec = test.spec
    bounds = {"warning": test.warning, "serious": test.serious}
    return {
        "calib_type": calib_type,
        "level": level,
        "test": spec.name,
        "section": test.section,
        "metric": spec.metric,
        "unit": spec.unit,
        "form": spec.form.value,
        "reference": spec.reference,
        "n_sigma": spec.n_sigma,
        "error": spec.error,
        "counts": test.counts,
        "optional": spec.optional,
        **{s: None if (b := bounds[s]) is None else offsets(spec, b) for s in SEVERITIES},
        "except_reasons": list(spec.except_reasons),
        "alarm": _persistence(spec),
        "note": test.note,
    }


def _persistence(spec: TestSpec) -> dict[str, dict[str, str]]:
    """Return M of N to raise and to clear, by severity, where the test asks for its own."""
    asked = {"warning": spec.alarm.warning, "serious": spec.alarm.serious}
    return {
        severity: {"raise": str(found.raise_), "clear": str(found.clear)}
        for severity, found in asked.items()
        if found is not None
    }


def _print_table(chosen: Limits, found: list[tuple[str, Level, ActiveTest]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{chosen.label}: {chosen.description}", title_justify="left")
    for heading in ("type", "level", "test", "§", "allowed before a WARNING", "before a FAIL"):
        table.add_column(heading, overflow="fold")
    for calib_type, level, test in found:
        table.add_row(
            calib_type,
            level,
            test.spec.name + ("" if test.counts else " (only reported)"),
            test.section,
            _allowed(test.spec, test.warning),
            "\n".join([_allowed(test.spec, test.serious), *_remarks(test)]),
        )
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table)
    console.print(f"from {chosen.source}", markup=False, soft_wrap=True)


def _remarks(test: ActiveTest) -> list[str]:
    """Say what else decides whether the test applies, and when it makes an alarm."""
    exceptions = ", ".join(test.spec.except_reasons)
    remarks = [f"not where the observation reason is {exceptions}"] if exceptions else []
    remarks += ["never an alarm"] if test.spec.alarm.never else []
    remarks += [
        f"{severity.upper()} alarm after {asked['raise']}, good again after {asked['clear']}"
        for severity, asked in _persistence(test.spec).items()
    ]
    return [*remarks, test.note] if test.note else remarks


def _allowed(spec: TestSpec, bound: Bound | None) -> str:
    """Write an allowed range as a formula."""
    from calwatch.verify.explain import formula

    return "–" if bound is None else formula(spec, bound)
