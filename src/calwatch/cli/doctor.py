"""``calwatch doctor``: look at everything that the daemon needs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from calwatch.doctor.model import Finding

_STYLES = {"OK": "green", "WARN": "yellow", "FAIL": "bold red", "SKIPPED": "dim"}
_WIDTH = 160
"""Columns of the table where the output is no terminal."""


@click.command()
@click.option("--config", "-c", type=click.Path(dir_okay=False, path_type=Path),
              help="Configuration file (YAML); CALWATCH_… variables win over it.")  # fmt: skip
@click.option("--role", type=click.Choice(("all", "intake", "worker")), default="all",
              show_default=True, help="What `calwatch run` will be told.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(min=1), default=20.0, show_default=True,
              help="Each check may take so long.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def doctor(
    ctx: click.Context, config: Path | None, role: str, seconds: float, as_json: bool
) -> None:
    """Look at all that the daemon needs, and say what is wrong and what to do.

    That is: the files of the configuration, Butler and certified chain, ledger, Kafka with its
    topics and access rights, schema registry, alarm channels, disks, clock and ports. Nothing is
    written, no message is sent, and the daemon may be running. Every check is made even if another
    one fails. Exit code 1 tells that something FAILed.

    \b
    Example:
      calwatch doctor --config config/latiss.yaml
    """
    findings = list(_examine(config, role, seconds))
    if as_json:
        worst = any(one.status == "FAIL" for one in findings)
        content = {"ok": not worst, "findings": [asdict(one) for one in findings]}
        click.echo(json.dumps(content, ensure_ascii=False))
    else:
        _show(findings)
    ctx.exit(int(any(one.status == "FAIL" for one in findings)))


def _examine(config: Path | None, role: str, seconds: float) -> Sequence[Finding]:
    from calwatch.doctor.model import Case, fail, ok, skipped
    from calwatch.errors import CalwatchError
    from calwatch.redaction import redact
    from calwatch.service.lifecycle import SystemClock

    name = "settings"
    try:
        from calwatch.kafka.connection import load_connection
        from calwatch.ledger.engine import parse_url
        from calwatch.settings import load_settings

        settings = load_settings(config)
        parse_url(settings.ledger)
        connection = load_connection()
    except CalwatchError as error:
        advice = "mend them: nothing else can be looked at before"
        return [
            fail(name, redact(str(error)), advice),
            skipped("all else", "the settings are wrong"),
        ]
    from calwatch.doctor.checks import checks
    from calwatch.doctor.examine import examine

    case = Case(settings, connection, role, SystemClock().now)
    first = ok(name, f"{config or 'environment'}: nothing wrong")
    return [first, *examine(checks(case), seconds)]


def _show(findings: Sequence[Finding]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from calwatch.cli.asking import plain

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("", "check", "what was found, and what to do"):
        table.add_column(head, overflow="fold")
    for one in findings:
        advice = f"\n[dim]→ {escape(plain(one.advice))}[/]" if one.advice else ""
        mark = f"[{_STYLES[one.status]}]{one.status}[/]"
        table.add_row(mark, one.check, f"{escape(plain(one.says))}{advice}")
    console.print(table)
    counts = Counter(one.status for one in findings)
    click.echo(", ".join(f"{counts[status]} {status}" for status in counts))
