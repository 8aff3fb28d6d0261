"""``calwatch ledger``: look at a ledger, back it up, bring it up to date, move it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from calwatch.ledger.contents import Contents

_LEDGER = click.argument("ledger", metavar="LEDGER")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.group()
def ledger() -> None:
    """Look at a ledger, back it up, bring it up to date, or move it to another database.

    A LEDGER is a URL (sqlite:///PATH or postgresql://USER@HOST/DATABASE), the path of an SQLite
    file, or a configuration file (.yaml), whose `ledger` is meant. Keep PostgreSQL's password out
    of the command line: PGPASSWORD and ~/.pgpass are read.

    Example: calwatch ledger info config/latiss.yaml
    """


@ledger.command()
@_LEDGER
@_JSON
def info(ledger: str, as_json: bool) -> None:
    """Tell what LEDGER holds: version, size, rows, days, what waits. Nothing is changed.

    Example: calwatch ledger info calwatch.db
    """
    from calwatch.ledger.contents import contents

    with _reader(ledger) as engine:
        found = contents(engine)
    if as_json:
        click.echo(json.dumps(asdict(found), default=str))
    else:
        _show(found)


@ledger.command()
@_LEDGER
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_JSON
def backup(ledger: str, file: Path, as_json: bool) -> None:
    """Write a whole copy of LEDGER, which is in SQLite, to a new FILE.

    The daemon may go on writing meanwhile. Of PostgreSQL, pg_dump takes backups.

    Example: calwatch ledger backup config/latiss.yaml /backup/calwatch-20261128.db
    """
    from calwatch.ledger.backup import back_up
    from calwatch.ledger.engine import parse_url

    with _bar() as show:
        size = back_up(parse_url(_url(ledger)), file, lambda d, t: show("backing up pages", d, t))
    if as_json:
        click.echo(json.dumps({"file": str(file), "bytes": size}))
    else:
        click.echo(f"{file}: {size:,} bytes, checked")


@ledger.command()
@_LEDGER
@_JSON
def upgrade(ledger: str, as_json: bool) -> None:
    """Bring the schema of LEDGER up to date, as the daemon would do when it starts.

    Example: calwatch ledger upgrade config/latiss.yaml
    """
    from calwatch.cli.asking import open_existing
    from calwatch.ledger.upgrade import newest_version, schema_version

    with _reader(ledger) as engine:
        before = schema_version(engine)
    open_existing(_url(ledger)).close()
    after = newest_version()
    if as_json:
        click.echo(json.dumps({"before": before, "after": after}))
    else:
        words = "was already" if before == after else f"was {before} and is now"
        click.echo(f"schema version: {words} {after}")


@ledger.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--running", is_flag=True,
              help="Copy what a daemon writes to, as it is now.")  # fmt: skip
@_JSON
def copy(source: str, target: str, running: bool, as_json: bool) -> None:
    """Copy the whole ledger FROM into TO, from SQLite to PostgreSQL or back, and compare them.

    FROM is only read, and no daemon may work with it. TO must be an empty database. If the copy is
    interrupted, the same command goes on with it; until it is whole no daemon starts on it.

    \b
    Example:
      calwatch ledger copy calwatch.db postgresql://calwatch@db.example.org/calwatch
    """
    from calwatch.ledger.copying import copy_ledger

    with _bar() as show:
        copied = copy_ledger(
            _url(source),
            _url(target),
            listener=lambda what, table, done, total: show(f"{what} {table}", done, total),
            running=running,
        )
    if as_json:
        click.echo(json.dumps(asdict(copied)))
        return
    rows = sum(held.rows for held in copied.tables.values())
    click.echo(f"{copied.source} -> {copied.target}")
    click.echo(
        f"{rows:,} rows of {len(copied.tables)} tables, the same on both sides, in "
        f"{copied.seconds:.1f} s{' (went on where it stood)' if copied.resumed else ''}"
    )


def _url(word: str) -> str:
    """Return the URL of a ledger that may be named by a configuration file."""
    if word.endswith((".yaml", ".yml")):
        from calwatch.settings import load_settings

        return load_settings(word).ledger
    return word


@contextmanager
def _reader(word: str) -> Iterator[Engine]:
    from calwatch.ledger.engine import parse_url
    from calwatch.ledger.files import open_reader

    engine = open_reader(parse_url(_url(word)))
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Give what shows how far one step is."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1)

        def show(words: str, done: int, total: int) -> None:
            progress.update(task, description=words, completed=done, total=max(total, 1))

        yield show


def _show(found: Contents) -> None:
    from rich.filesize import decimal

    lines: list[tuple[str, Any]] = [("ledger", found.name)]
    newest = "" if found.schema == found.newest_schema else f" (newest: {found.newest_schema})"
    lines += [("schema version", f"{found.schema or 'none'}{newest}")]
    if found.unfinished_copy_of:
        lines += [("unfinished copy of", found.unfinished_copy_of)]
    lines += [("size", decimal(found.size))]
    for judged in found.judged:
        days = f"{judged.days} days, {judged.first_day} to {judged.last_day}"
        lines += [(judged.instrument, f"{judged.exposures:,} exposures, {days}")]
    since = f", since {found.waiting_since:%Y-%m-%d %H:%M} UTC" if found.waiting_since else ""
    lines += [("to be published", f"{found.waiting:,}{since}")]
    beat = "never" if found.heartbeat is None else f"{found.heartbeat:%Y-%m-%d %H:%M:%S} UTC"
    lines += [("daemon's last word", beat)]
    lines += [(f"  {table}", f"{rows:,} rows") for table, rows in found.rows.items()]
    width = max(len(name) for name, _ in lines) + 2
    for name, value in lines:
        click.echo(f"{name:<{width}}{value}")
