"""A copy of an SQLite ledger as a file, taken while the daemon works."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL

from calwatch.errors import LedgerError, StopError
from calwatch.ledger.engine import shown_url

PAGES = 4096
"""Pages copied at once; other writers go on in between."""


def back_up(url: URL, target: Path, tell: Callable[[int, int], None] = lambda _d, _t: None) -> int:
    """Write a whole and checked copy of an SQLite ledger to a new file.

    Parameters
    ----------
    url
        The ledger, as `calwatch.ledger.engine.parse_url` gives it.
    target
        The file; it appears only once it is whole.
    tell
        Told of progress: pages done, and pages in all.

    Returns
    -------
    int
        Bytes of the file.

    Raises
    ------
    StopError
        If the ledger is not in SQLite, is not there, or the file is.
    LedgerError
        If it cannot be read or written.
    """
    if url.get_backend_name() != "sqlite":
        raise StopError(
            f"ledger {shown_url(url)}: this is for SQLite; of PostgreSQL take a backup with "
            f"`pg_dump --format=custom --file={target} DATABASE`"
        )
    source = Path(url.database or "")
    if not source.is_file():
        raise StopError(f"ledger {shown_url(url)}: there is no such file")
    if target.exists():
        raise StopError(f"{target}: exists already")
    partial = target.with_name(f".{target.name}.part")
    try:
        _copy(source, partial, tell)
        partial.replace(target)
    except sqlite3.Error as error:
        raise LedgerError(f"{target}: the ledger {source} cannot be backed up: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: Path, target: Path, tell: Callable[[int, int], None]) -> None:
    reader = sqlite3.connect(f"file:{quote(str(source.absolute()))}?mode=ro", uri=True, timeout=10)
    writer = sqlite3.connect(target)
    try:
        reader.backup(
            writer, pages=PAGES, progress=lambda _, left, total: tell(total - left, total)
        )
        found = writer.execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise LedgerError(f"{source}: is damaged, and so is the copy: {found}")
    finally:
        reader.close()
        writer.close()
