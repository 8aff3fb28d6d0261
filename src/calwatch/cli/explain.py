"""``calwatch explain``: why one test of one part of an exposure has its verdict."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calwatch.verify.definitions.model import SET_TYPES

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from calwatch.service.explaining import Explained
    from calwatch.verify.explain import Allowed


@click.command()
@click.argument("exposure", type=int)
@click.argument("detector")
@click.argument("amp")
@click.argument("test")
@click.option("--config", "-c", type=click.Path(dir_okay=False, path_type=Path),
              help="Configuration file (YAML); CALWATCH_… variables win over it.")  # fmt: skip
@click.option("--instrument", "-I", help="Of the exposure, if several have its number.")
@click.option("--of", type=click.Choice(SET_TYPES), help="What was judged of the set that ends "
              "with EXPOSURE [default: what has such a test].")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain(
    exposure: int,
    detector: str,
    amp: str,
    test: str,
    config: Path | None,
    instrument: str | None,
    of: str | None,
    as_json: bool,
) -> None:
    """Explain TEST of amplifier AMP of DETECTOR in EXPOSURE, as it stands in the ledger.

    It shows value, limit and where the limit comes from, the ten values before, the certified
    calibrations used, and the alarm that came of it. DETECTOR is a number or a name. AMP is - for a
    test of the detector; DETECTOR and AMP are - for a test of the exposure as a whole.

    \b
    Examples:
      calwatch explain 2026112000002 R00_S00 C03 NOISE --config config/latiss.yaml
      calwatch explain 2026112000002 0 - SEQUENCER --config config/latiss.yaml
      calwatch explain 2026112000031 - - SCATTER --config config/latiss.yaml
      calwatch explain 2026112000060 0 C03 PTC_GAIN --config config/latiss.yaml
    """
    from rich.console import Console

    from calwatch.alarms.parts import Parts
    from calwatch.alarms.rules import load_rules
    from calwatch.cli.asking import open_existing
    from calwatch.cli.verdicts import console_of
    from calwatch.service.alarm_desk import cameras_of
    from calwatch.service.explaining import Explainer
    from calwatch.settings import load_settings
    from calwatch.verify.limits import load_limits

    settings = load_settings(config)
    parts = {name: Parts(camera) for name, camera in cameras_of(settings).items()}
    limits, rules = load_limits(settings.limits), load_rules(settings.alarms.rules)
    ledger = open_existing(settings.ledger)
    try:
        explainer = Explainer(ledger, parts, limits, rules)
        found = explainer.explain(exposure, detector, amp, test, instrument, of or "")
    finally:
        ledger.close()
    if as_json:
        click.echo(json.dumps(_document(found), ensure_ascii=False, allow_nan=False))
        return
    _print(console_of(Console()), found)


def _document(found: Explained) -> dict[str, Any]:
    from dataclasses import asdict

    from calwatch.service.alarm_documents import alarm_document
    from calwatch.verify.codec import tests_to_dict

    why = found.explanation
    return {
        "instrument": found.exposure.instrument,
        "exposure": found.exposure.exposure_id,
        "obs_id": found.exposure.obs_id,
        "calib_type": found.exposure.calib_type,
        "physical_filter": found.exposure.physical_filter,
        "end_utc": _iso(found.exposure.end_utc),
        "part": found.part,
        "detector": found.detector,
        "amp": found.amp,
        "test": why.test.name,
        **tests_to_dict({why.test.name: why.test})[why.test.name],
        "part_reason": found.part_reason,
        "description": why.description,
        "numbers": [asdict(number) for number in why.numbers],
        "allowed": [asdict(one) for one in why.allowed],
        "n_sigma": why.n_sigma,
        "widening": why.widening,
        "judged_with": why.judged_with,
        "limits": why.limits,
        "source": why.source,
        "since": _iso(why.since),
        "overrides": [
            {"reason": o.reason, "since": _iso(o.since), "until": _iso(o.until)}
            for o in why.overrides
        ],
        "note": why.note,
        "earlier": [{**asdict(v), "end_utc": _iso(v.end_utc)} for v in found.earlier],
        "calibrations": [asdict(one) for one in found.calibrations],
        "missing": dict(found.missing),
        "light": found.light,
        "alarm_words": found.alarm_words,
        "alarms": [alarm_document(one) for one in found.alarms],
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _print(console: Console, found: Explained) -> None:
    from rich.text import Text

    from calwatch.cli.asking import plain
    from calwatch.cli.verdicts import STYLES
    from calwatch.service.alarm_words import severity_words, utc

    test, exposure = found.explanation.test, found.exposure
    line = Text.assemble(
        (f"{test.name} ", "bold"),
        f"of {found.part}, {exposure.calib_type} {exposure.exposure_id} "
        f"({utc(exposure.end_utc) or 'no time'} UTC): ",
        (test.verdict.value, STYLES[test.verdict]),
        (" with a warning", "yellow") if test.severity == "WARNING" else "",
        "" if test.counts else " (only reported: it does not enter the verdict)",
    )
    console.print(line)
    section = f"DMTN-101 §{test.section}: " if test.section else ""
    what = re.sub(r" \(.*§.*\)", "", found.explanation.description)
    why = "" if found.part_reason in test.reason else found.part_reason
    for text in (test.reason, why, section + what):
        if text:
            console.print(Text(f"  {plain(text)}"))
    _print_numbers(console, found)
    _print_limits(console, found)
    if found.light:
        console.print(Text("\nLight", "bold"))
        console.print(Text(plain(f"  {found.light}")))
    _print_earlier(console, found)
    _print_calibrations(console, found)
    console.print(Text("\nAlarm", "bold"))
    if not found.alarms:
        console.print(Text(f"  {found.alarm_words}"))
    for one in found.alarms:
        words = f"{severity_words(one.alarm)}; {one.alarm.reason}"
        console.print(
            Text(plain(f"  {found.alarm_words} {one.alarm_id}, {one.alarm.name}: {words}"))
        )


def _print_numbers(console: Console, found: Explained) -> None:
    from rich.table import Table
    from rich.text import Text

    if not found.explanation.numbers:
        return
    console.print(Text("\nNumbers", "bold"))
    table = Table.grid(padding=(0, 2, 0, 0))
    for number in found.explanation.numbers:
        value = "does not exist" if number.value is None else f"{number.value:.6g} {number.unit}"
        table.add_row(Text(f"  {number.name}"), Text(value), Text(number.description, "dim"))
    console.print(table)


def _print_limits(console: Console, found: Explained) -> None:
    from rich.text import Text

    from calwatch.cli.asking import plain
    from calwatch.service.alarm_words import utc

    why = found.explanation
    console.print(Text("\nLimits", "bold"))
    for one in why.allowed:
        console.print(Text(f"  {one.severity} beyond {_range(one, why.test.unit)}"))
        console.print(Text(f"    {one.words}", "dim"))
        console.print(Text(f"    {one.formula}", "dim"))
    if why.widening is not None:
        console.print(Text(f"  widened by {why.n_sigma:g} × error = {why.widening:.3g}"))
    since = f", in force since {utc(why.since)} UTC" if why.since else ""
    console.print(Text(f"  judged with {why.judged_with}; from {why.source}{since}"))
    for override in why.overrides:
        until = f" until {utc(override.until)}" if override.until else ""
        since = f" from {utc(override.since)}" if override.since else ""
        console.print(Text(plain(f"  other limits here{since}{until}: {override.reason}")))
    if why.note:
        console.print(Text(f"  note: {why.note}", "yellow"))


def _range(one: Allowed, unit: str) -> str:
    from calwatch.service.alarm_words import range_words

    words = range_words(one.allowed)
    return f"{words} {unit}".rstrip() if words else "what cannot be formed: a number is missing"


def _print_earlier(console: Console, found: Explained) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from calwatch.service.alarm_words import number_text, utc

    console.print(Text("\nEarlier exposures of this kind", "bold"))
    if not found.earlier:
        console.print("  none in the ledger")
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("exposure", "end (UTC)", "value", "verdict of the detector"):
        table.add_column(name)
    for value in found.earlier:
        shown = number_text(value.value) or "–"
        table.add_row(str(value.exposure_id), utc(value.end_utc), shown, value.verdict)
    console.print(table)


def _print_calibrations(console: Console, found: Explained) -> None:
    from rich.text import Text

    from calwatch.cli.asking import plain

    if not found.calibrations and not found.missing:
        return
    console.print(Text("\nCertified calibrations used", "bold"))
    for one in found.calibrations:
        console.print(Text(plain(
            f"  {one.calib_type:10s} {one.collection}, valid {one.begin} to {one.end} TAI\n"
            f"  {'':10s} from {one.run}, {one.uuid}"
        )))  # fmt: skip
    for calib_type, reason in found.missing.items():
        console.print(Text(plain(f"  {calib_type:10s} missing: {reason}"), "yellow"))
