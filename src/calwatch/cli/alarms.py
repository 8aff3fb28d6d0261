"""``calwatch alarms``: see alarms, and say that somebody knows of them."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from calwatch.errors import StopError

if TYPE_CHECKING:
    from datetime import timedelta

    from calwatch.ledger.alarms import AlarmStore
    from calwatch.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

GRADES = ("WARNING", "SERIOUS", "CRITICAL")

_config = click.option(
    "--config", "-c", type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration file (YAML); CALWATCH_… variables win over it.",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_instrument = click.option("--instrument", "-I", help="Only of this Butler instrument.")
_since = click.option("--from", "since", default="", help="UTC date, time or day_obs.")
_until = click.option("--to", "until", default="", help="UTC date, time or day_obs; a day is "
                      "included.")  # fmt: skip


def _acting(why: bool) -> Callable[[F], F]:
    """Add what every change of an alarm takes."""

    def decorate(command: F) -> F:
        by = click.option("--by", "who", help="Who you are [default: your login name].")
        must = {"required": True} if why else {"default": ""}
        reason = click.option("--why", help="Reason.", **must)
        return click.argument("alarm")(_config(by(reason(_json(command)))))

    return decorate


@click.group()
def alarms() -> None:
    """See alarms, and acknowledge, mute or end them.

    ALARM is the number of an alarm, its name (the last episode of it), or the beginning of the name
    of one open alarm.

    Example: calwatch alarms list --config config/latiss.yaml
    """


@alarms.command("list")
@_config
@click.option("--all", "-a", "everything", is_flag=True, help="Those that are over as well.")
@_instrument
@_since
@_until
@_json
def list_(
    config: Path | None,
    everything: bool,
    instrument: str | None,
    since: str,
    until: str,
    as_json: bool,
) -> None:
    """List alarms, the gravest first: those that are open, or were within --from and --to.

    Example: calwatch alarms list --config config/lsstcam.yaml --from 20261101 --to 20261107
    """
    from rich.console import Console

    from calwatch.cli.alarm_views import alarm_table
    from calwatch.cli.asking import moment
    from calwatch.cli.verdicts import console_of
    from calwatch.service.alarm_documents import alarm_document
    from calwatch.service.alarm_words import count_line, gravest_first

    begin, end = moment(since, "--from"), moment(until, "--to", end=True)
    with _store(config) as (store, _settings):
        open_only = not (everything or begin or end)
        found = gravest_first(store.alarms(instrument, open_only=open_only, since=begin, until=end))
    if as_json:
        _echo(map(alarm_document, found))
        return
    console = console_of(Console())
    if found:
        console.print(alarm_table(found))
    console.print(count_line(found), highlight=False)


@alarms.command()
@click.argument("alarm")
@_config
@_json
def show(alarm: str, config: Path | None, as_json: bool) -> None:
    """Show everything of one ALARM: what it says, its values, its history and who was told.

    Example: calwatch alarms show 17 --config config/latiss.yaml
    """
    from rich.console import Console

    from calwatch.alarms.rules import load_rules
    from calwatch.cli.alarm_views import print_alarm
    from calwatch.cli.verdicts import console_of
    from calwatch.service.alarm_desk import find_alarm
    from calwatch.service.alarm_documents import alarm_document, transition_document
    from calwatch.service.alarm_words import body_of

    with _store(config) as (store, settings):
        one = find_alarm(store, alarm)
        history = store.history(one.alarm_id)
    if as_json:
        entries = [transition_document(stored) for stored in history]
        _echo([{**alarm_document(one), "history": entries}])
        return
    rules = load_rules(settings.alarms.rules)
    body = body_of(one, history, rules, settings.alarms)
    print_alarm(console_of(Console()), one, body, history)


@alarms.command()
@click.argument("alarm", default="")
@_config
@_instrument
@_since
@_until
@click.option("--limit", "-n", type=click.IntRange(1), default=200, show_default=True,
              help="The newest so many.")  # fmt: skip
@_json
def history(
    alarm: str,
    config: Path | None,
    instrument: str | None,
    since: str,
    until: str,
    limit: int,
    as_json: bool,
) -> None:
    """Show what happened, oldest first: to one ALARM, or to all.

    Example: calwatch alarms history --config config/latiss.yaml --from 20261120
    """
    from rich.console import Console

    from calwatch.cli.alarm_views import history_table
    from calwatch.cli.asking import moment
    from calwatch.cli.verdicts import console_of
    from calwatch.service.alarm_desk import find_alarm
    from calwatch.service.alarm_documents import transition_document

    begin, end = moment(since, "--from"), moment(until, "--to", end=True)
    with _store(config) as (store, _settings):
        number = find_alarm(store, alarm).alarm_id if alarm else None
        found = store.history(number, instrument, begin, end, limit)
    if as_json:
        _echo(map(transition_document, found))
        return
    console = console_of(Console())
    console.print(history_table(found, names=not alarm))
    more = f"; there may be more: --limit {limit}" if len(found) == limit else ""
    console.print(f"{len(found)} entries{more}", highlight=False)


@alarms.command()
@_acting(why=True)
@click.option("--severity", "-s", type=click.Choice(GRADES, case_sensitive=False),
              help="The gravest you know of: beyond it, it is raised again [default: what it has "
                   "been].")  # fmt: skip
def ack(alarm: str, severity: str | None, **options: Any) -> None:
    """Acknowledge ALARM: somebody knows of it. A recovered one is closed by this.

    Example: calwatch alarms ack 17 --by mareuter --why "REB swapped, see OBS-123"
    """
    _do("acknowledge", alarm, severity=severity, **options)


@alarms.command()
@_acting(why=False)
def unack(alarm: str, **options: Any) -> None:
    """Take the acknowledgement of ALARM back.

    Example: calwatch alarms unack 17 --why "it was another REB"
    """
    _do("unacknowledge", alarm, **options)


@alarms.command()
@_acting(why=True)
@click.option("--for", "duration", required=True, help="How long, such as 30m, 4h or 3d.")
@click.option("--severity", "-s", type=click.Choice(GRADES, case_sensitive=False),
              help="Hold back notices of this severity and below [default: CRITICAL].")  # fmt: skip
def mute(alarm: str, duration: str, severity: str | None, **options: Any) -> None:
    """Send no notices of ALARM for some time, even if it ends and comes back meanwhile.

    Example: calwatch alarms mute LATISS.readout --for 4h --why "work on the power supply"
    """
    from calwatch.cli.asking import span

    _do("mute", alarm, severity=severity, duration=span(duration, "--for"), **options)


@alarms.command()
@_acting(why=False)
def unmute(alarm: str, **options: Any) -> None:
    """Send notices of ALARM again.

    Example: calwatch alarms unmute 17
    """
    _do("unmute", alarm, **options)


@alarms.command()
@_acting(why=True)
def reset(alarm: str, **options: Any) -> None:
    """End ALARM by your word, where no evidence can end it: the part was exchanged, for instance.

    Example: calwatch alarms reset 17 --why "CCD replaced"
    """
    _do("reset", alarm, **options)


def _do(
    action: str,
    alarm: str,
    *,
    config: Path | None,
    who: str | None,
    why: str,
    as_json: bool,
    severity: str | None = None,
    duration: timedelta | None = None,
) -> None:
    """Do something with an alarm and say what came of it."""
    from calwatch.alarms.model import Severity
    from calwatch.cli.asking import plain
    from calwatch.service.alarm_desk import Order, act, find_alarm, open_books
    from calwatch.service.alarm_documents import alarm_document
    from calwatch.service.alarm_words import handling_words, severity_words
    from calwatch.service.lifecycle import SystemClock

    grade = Severity[severity.upper()] if severity else None
    order = Order(who or _login(), why, grade, duration)
    with _store(config, writing=True) as (store, settings):
        books = open_books(settings, store, SystemClock())
        one = act(books, find_alarm(store, alarm).alarm_id, action, order)
    if as_json:
        _echo([alarm_document(one)])
        return
    words = f"{severity_words(one.alarm)}; {handling_words(one.alarm)}".rstrip("; ")
    click.echo(f"alarm {one.alarm_id}, {plain(one.alarm.name)}: {words}")


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise StopError("--by: the login name is not known; say who you are") from None


@contextmanager
def _store(config: Path | None, *, writing: bool = False) -> Iterator[tuple[AlarmStore, Settings]]:
    """Give the alarms and the settings.

    A change is published if the daemon of this ledger publishes.
    """
    from calwatch.cli.asking import open_existing
    from calwatch.ledger.alarms import AlarmStore
    from calwatch.service.alarm_desk import heartbeat_publishes
    from calwatch.settings import load_settings

    settings = load_settings(config)
    ledger = open_existing(settings.ledger)
    try:
        if writing and heartbeat_publishes(AlarmStore(ledger)):
            ledger.close()
            ledger = open_existing(settings.ledger, publishing=True)
        yield AlarmStore(ledger), settings
    finally:
        ledger.close()


def _echo(documents: Any) -> None:
    for document in documents:
        click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))
