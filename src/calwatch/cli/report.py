"""``calwatch report``: the verification report of a night, a range of nights or a collection."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from calwatch.errors import StopError

if TYPE_CHECKING:
    from calwatch.camera.model import Camera
    from calwatch.ledger.store import Ledger
    from calwatch.report.model import Question, Report

T = TypeVar("T")


@click.command()
@click.option("--night", help="One day_obs, such as 20261122.")
@click.option("--from", "first", help="First day_obs.")
@click.option("--to", "last", help="Last day_obs, included.")
@click.option("--collection", default="", help="All that was judged against what this collection, "
              "or one below it, certifies.")  # fmt: skip
@click.option("--instrument", "-I", help="Butler instrument, if the ledger has several.")
@click.option("--config", "-c", type=click.Path(dir_okay=False, path_type=Path),
              help="Configuration file (YAML); CALWATCH_… variables win over it.")  # fmt: skip
@click.option("--ledger", "url", help="Ledger, without a configuration: a file of SQLite, or a URL "
              "of SQLite or PostgreSQL.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path),
              default=Path(), show_default="here", help="Folder of the HTML file.")  # fmt: skip
@click.option("--text", "as_text", is_flag=True, help="One screen of text instead, failures first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead.")
@click.pass_context
def report(
    ctx: click.Context,
    night: str | None,
    first: str | None,
    last: str | None,
    collection: str,
    instrument: str | None,
    config: Path | None,
    url: str | None,
    output: Path,
    as_text: bool,
    as_json: bool,
) -> None:
    """Write the verification report of DMTN-222 for a night, a range of nights or a collection.

    It becomes one HTML file that needs no other, fit to be attached to a ticket; its name is
    printed. Nothing is measured again: the numbers are those of the ledger.

    Exit codes: 0 nothing failed (what is UNKNOWN is in the report), 1 something FAILed, 2 wrong use
    (such as a night of which nothing was judged), 3 the ledger or the folder is out of reach.

    \b
    Examples:
      calwatch report --night 20261122 -o reports --config config/lsstcam.yaml
      calwatch report --from 20261101 --to 20261130 --ledger ledger.db --text
      calwatch report --collection LATISS/calib/DM-47447 --config config/latiss.yaml
    """
    from calwatch.camera.loader import load_camera
    from calwatch.cli.asking import open_existing
    from calwatch.report.model import Question

    if as_text and as_json:
        raise StopError("--text and --json: choose one")
    days = _days(night, first, last, collection)
    if not (as_text or as_json):
        _writable(output)
    address, camera_file, rules = _where(config, url)
    ledger = open_existing(address)
    try:
        name = _instrument(ledger, instrument)
        camera = load_camera(camera_file or name)
        found = _gather(ledger, Question(name, *days, collection), camera, rules)
    finally:
        ledger.close()
    if as_text:
        from calwatch.report.text import to_text

        click.echo(to_text(found), nl=False)
    elif as_json:
        from calwatch.report.document import to_document

        click.echo(json.dumps(to_document(found), ensure_ascii=False, allow_nan=False))
    else:
        click.echo(str(_write(found, camera, output)))
    ctx.exit(int(found.failed))


def _days(
    night: str | None, first: str | None, last: str | None, collection: str
) -> tuple[int | None, int | None]:
    """Return the first and the last day_obs that are asked for."""
    if night is not None and (first is not None or last is not None):
        raise StopError("--night is one night, --from and --to are a range: choose one")
    if night is not None:
        day = _day(night, "--night")
        return day, day
    if first is None and last is None and not collection:
        raise StopError("say of what: --night, --from and --to, or --collection")
    begin = None if first is None else _day(first, "--from")
    end = None if last is None else _day(last, "--to")
    if begin is not None and end is not None and begin > end:
        raise StopError(f"--from {begin} is after --to {end}")
    return begin, end


def _day(text: str, option: str) -> int:
    with suppress(ValueError):
        if len(text) == 8 and text.isascii():
            return int(datetime.strptime(text, "%Y%m%d").strftime("%Y%m%d"))
    raise StopError(f"{option}: {text!r} is no day_obs such as 20261122")


def _writable(folder: Path) -> None:
    """See that a file can be written, before the work rather than after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StopError(f"-o {folder}: cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StopError(f"-o {folder}: is not writable")


def _where(config: Path | None, url: str | None) -> tuple[str, str, str]:
    """Return the address of the ledger, the camera file and the file of alarm rules."""
    from calwatch.settings import load_settings

    if url is not None:
        if config is not None:
            raise StopError("--config and --ledger: choose one")
        return url, "", ""
    settings = load_settings(config)
    return settings.ledger, settings.camera, settings.alarms.rules


def _instrument(ledger: Ledger, wanted: str | None) -> str:
    from calwatch.ledger.nights import instruments

    known = instruments(ledger)
    if wanted is not None:
        if known and wanted not in known:
            raise StopError(f"{ledger.name}: has {', '.join(known)}, not {wanted}")
        return wanted
    if not known:
        raise StopError(f"{ledger.name}: nothing has been judged yet")
    if len(known) > 1:
        raise StopError(f"{ledger.name}: has {', '.join(known)}: say --instrument")
    return known[0]


def _gather(ledger: Ledger, question: Question, camera: Camera, rules: str) -> Report:
    from calwatch.alarms.rules import load_rules
    from calwatch.report.gather import gather

    known = load_rules(rules) if rules else load_rules()
    return gather(ledger, question, camera, known, datetime.now(UTC), _follow)


def _follow(work: Sequence[T], words: str) -> Iterable[T]:
    """Show a bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    quiet = not console.is_terminal
    return track(work, words, console=console, transient=True, disable=quiet)


def _write(found: Report, camera: Camera, folder: Path) -> Path:
    """Write the HTML file, all of it or nothing; return its path."""
    from calwatch.report.html import to_html
    from calwatch.report.pictures import draw
    from calwatch.report.words import slug

    path = folder / f"{slug(found.question)}.html"
    unfinished = path.with_suffix(".part")
    unfinished.write_text(to_html(found, draw(found, camera, _follow)), encoding="utf-8")
    unfinished.replace(path)
    return path
