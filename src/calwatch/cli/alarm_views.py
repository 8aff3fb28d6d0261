"""Alarms on a terminal: the table of many, the whole of one, and the history."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from calwatch.alarms.model import Alarm, Numbered, Severity, Symptom
from calwatch.alarms.naming import compress
from calwatch.cli.asking import plain
from calwatch.ledger.alarm_rows import DeliveryState, StoredTransition
from calwatch.service.alarm_words import (
    change_words,
    delivery_words,
    grade_words,
    handling_words,
    number_text,
    range_words,
    severity_words,
    utc,
    where_words,
    who_words,
)

STYLES = {
    Severity.CRITICAL: "bold white on red",
    Severity.SERIOUS: "bold red",
    Severity.WARNING: "yellow",
    Severity.NONE: "dim",
}


def severity_text(alarm: Alarm) -> Text:
    """Return `severity_words` in colour."""
    words = severity_words(alarm)
    return Text(words, "cyan" if alarm.stale else STYLES[alarm.severity])


def alarm_table(found: Sequence[Numbered]) -> Table:
    """Build the table, one row an alarm."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("nr", justify="right", no_wrap=True)
    table.add_column("severity", max_width=12)
    table.add_column("since (UTC)", no_wrap=True)
    table.add_column("where", overflow="fold")
    table.add_column("what", overflow="fold", min_width=30)
    table.add_column("handling", overflow="fold")
    for one in found:
        alarm = one.alarm
        table.add_row(
            str(one.alarm_id),
            severity_text(alarm),
            utc(alarm.since),
            Text(plain(where_words(alarm))),
            Text(plain(alarm.reason)),
            Text(plain(handling_words(alarm))),
        )
    return table


def print_alarm(
    console: Console, one: Numbered, body: str, history: Sequence[StoredTransition]
) -> None:
    """Print everything of one alarm.

    Parameters
    ----------
    console
        Where.
    one
        The alarm.
    body
        What it says, as messages have it.
    history
        What happened to it, oldest first.
    """
    alarm = one.alarm
    head = Text.assemble((f"alarm {one.alarm_id}  ", "bold"), plain(alarm.name), "  ")
    head.append_text(severity_text(alarm))
    console.print(head)
    console.print(Text(plain(body)))
    console.print(_facts(alarm))
    if alarm.symptoms:
        console.print(Text("\nWhat stands behind it, with the last values", "bold"))
        console.print(_symptom_table(alarm.symptoms))
    if alarm.members:
        console.print(Text(f"Bad parts: {plain(compress(alarm.members))}"))
    console.print(Text("\nHistory (UTC)", "bold"))
    console.print(history_table(history, names=False))


def history_table(history: Sequence[StoredTransition], *, names: bool) -> Table:
    """Build the history, one row a transition.

    Parameters
    ----------
    history
        In the order to show.
    names
        Whether to name the alarms.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("when (UTC)", no_wrap=True)
    if names:
        table.add_column("nr", justify="right", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("who, why", overflow="fold", min_width=20)
    table.add_column("told", overflow="fold")
    for stored in history:
        told = stored.transition
        row: list[RenderableType] = [told.at.strftime("%Y-%m-%d %H:%M:%S")]
        if names:
            row.append(str(stored.alarm_id))
        row += [
            told.what.value,
            Text(change_words(told), STYLES[told.alarm.severity]),
            Text(plain(_line(stored, names=names))),
            _told(stored),
        ]
        table.add_row(*row)
    return table


def _facts(alarm: Alarm) -> Table:
    facts = {
        "where": where_words(alarm),
        "since": f"{utc(alarm.since)} UTC (raised {utc(alarm.opened_at)})",
        "gravest": f"{alarm.max_severity.name} ({utc(alarm.max_severity_at)})",
        "newest exposure": str(alarm.exposure_id or ""),
        "handling": handling_words(alarm),
        "ended by exposure": str(alarm.cleared_by or ""),
        "closed": utc(alarm.closed_at),
        "will be escalated": utc(alarm.escalate_at),
        "acknowledgement ends": utc(alarm.auto_unacknowledge_at),
        "acknowledges itself": utc(alarm.auto_acknowledge_at),
    }
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, value in facts.items():
        if value:
            table.add_row(Text(name, "dim"), Text(plain(value)))
    return table


def _symptom_table(symptoms: Sequence[Symptom]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("part", "test", "severity", "exposure", "value", "allowed", "against"):
        table.add_column(name, overflow="fold")
    for symptom in symptoms:
        section = f" §{symptom.section}" if symptom.section else ""
        for number, sample in enumerate(reversed(symptom.samples)):
            first = number == 0
            table.add_row(
                Text(plain(symptom.part)) if first else "",
                Text(plain(f"{symptom.calib_type} {symptom.test}{section}")) if first else "",
                Text(grade_words(sample), STYLES[sample.severity]),
                str(sample.exposure_id),
                number_text(sample.value, symptom.unit),
                range_words(sample.limit),
                Text(plain(sample.collection.rsplit("/", 1)[-1])),
            )
    return table


def _told(stored: StoredTransition) -> Text | Group:
    if not stored.deliveries:
        return Text("nobody: quiet" if stored.transition.quiet else "nobody", "dim")
    return Group(*(Text(plain(delivery_words(one)), _style(one)) for one in stored.deliveries))


def _style(one: DeliveryState) -> str:
    return {"sent": "green", "failed": "bold red", "waiting": "yellow"}.get(one.state, "")


def _line(stored: StoredTransition, *, names: bool) -> str:
    told = stored.transition
    words = who_words(told)
    return f"{told.alarm.name}; {words}".rstrip("; ") if names else words
