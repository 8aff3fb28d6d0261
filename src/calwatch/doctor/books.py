"""The ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rich.filesize import decimal
from sqlalchemy import URL, Connection, text

from calwatch.doctor.model import Case, Finding, fail, ok, warn
from calwatch.ledger.contents import size
from calwatch.ledger.engine import parse_url, reading, shown_url
from calwatch.ledger.files import open_reader, sqlite_file
from calwatch.ledger.upgrade import COPYING, known_versions, newest_version, schema_version

LEDGER = "ledger"


def look_at_ledger(case: Case) -> Iterator[Finding]:
    """Say whether the ledger is there, fits this version and can be written."""
    url = parse_url(case.settings.ledger)
    name = shown_url(url)
    file = sqlite_file(url)
    if file is not None:
        problem = _cannot_write(file)
        if problem:
            yield fail(LEDGER, f"{name}: {problem}", "mend the rights, or set another `ledger`")
            return
        if not file.exists():
            yield ok(LEDGER, f"{name}: is not there yet; the daemon makes it")
            return
    yield from _look(url, name)


def _look(url: URL, name: str) -> Iterator[Finding]:
    engine = open_reader(url)
    try:
        found = schema_version(engine)
        yield _version(name, found)
        with reading(engine) as connection:
            problem = _read_only(connection, found is None)
            bytes_ = decimal(size(connection))
    finally:
        engine.dispose()
    if problem:
        yield fail(LEDGER, f"{name}: {problem}", "use the primary server, and a user who may write")
    else:
        yield ok(LEDGER, f"{name}: answers and may be written; {bytes_}")


def _version(name: str, found: str | None) -> Finding:
    newest = newest_version()
    if found == newest:
        return ok(LEDGER, f"{name}: schema version {found}, as this calwatch has it")
    if found is None:
        return ok(LEDGER, f"{name}: is empty; the daemon makes the tables")
    if found == COPYING:
        says = f"{name}: a copy into it is not finished"
        return fail(LEDGER, says, "go on with the same `calwatch ledger copy`")
    if found not in known_versions():
        says = f"{name}: schema version {found} is of a newer calwatch (this one: {newest})"
        return fail(LEDGER, says, "run that version, or restore the backup of before the upgrade")
    return warn(
        LEDGER,
        f"{name}: schema version {found}; the next start brings it to {newest}",
        "take a backup first: `calwatch ledger backup`, or pg_dump",
    )


def _cannot_write(file: Path) -> str:
    folder = file.absolute().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if not os.access(folder, os.W_OK):
        return f"the folder {folder} may not be written (SQLite keeps its journal there)"
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return "the file may not be read and written"
    return ""


def _read_only(connection: Connection, empty: bool) -> str:
    """Return why PostgreSQL would not let us write; empty if it would."""
    if connection.dialect.name != "postgresql":
        return ""
    if connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
        return "is a standby, which only reads"
    if connection.execute(text("SHOW default_transaction_read_only")).scalar_one() == "on":
        return "is read-only"
    if empty:
        ask = text("SELECT has_schema_privilege(current_schema(), 'CREATE')")
        return "" if connection.execute(ask).scalar_one() else "this user may not make tables"
    ask = text("SELECT has_table_privilege('judgement', 'INSERT, UPDATE, DELETE')")
    return "" if connection.execute(ask).scalar_one() else "this user may not write its tables"
