"""What commands that ask the ledger share: opening one that is there, times, safe text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from calwatch.errors import StopError

if TYPE_CHECKING:
    from calwatch.ledger.store import Ledger

_SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def open_existing(url: str, *, publishing: bool = False) -> Ledger:
    """Open a ledger that is there: to ask a question makes no new one.

    Raises
    ------
    StopError
        If it is an SQLite file that does not exist.
    LedgerError
        If it cannot be read.
    """
    from calwatch.ledger.engine import parse_url, shown_url
    from calwatch.ledger.files import sqlite_file
    from calwatch.ledger.store import Ledger

    parsed = parse_url(url)
    file = sqlite_file(parsed)
    if file is not None and not file.is_file():
        raise StopError(
            f"ledger {shown_url(parsed)}: there is no such file; the daemon makes it "
            "(is `ledger` of the configuration right, and the folder you are in?)"
        )
    return Ledger.open(url, publishing=publishing)


def moment(text: str, option: str, *, end: bool = False) -> datetime | None:
    """Read a time in UTC: a date, a date and time, or a day_obs; None if the text is empty.

    Parameters
    ----------
    text
        Such as ``2026-11-22``, ``2026-11-22T18:00`` or ``20261122``.
    option
        Named in the error.
    end
        A day means its end: the first moment after it.
    """
    if not text:
        return None
    day = timedelta(days=1) if end else timedelta(0)
    try:
        if re.fullmatch(r"\d{8}", text):
            found = datetime.strptime(text, "%Y%m%d").date()
            return datetime.combine(found, time(12), UTC) + day
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return datetime.combine(date.fromisoformat(text), time(), UTC) + day
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise StopError(
            f"{option}: {text!r} is no UTC date such as 2026-11-22 or 2026-11-22T18:00, "
            "and no day_obs such as 20261122"
        ) from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def span(text: str, option: str) -> timedelta:
    """Read a length of time, such as ``30m``, ``4h``, ``3d`` or ``1d12h``."""
    parts = re.findall(r"(\d{1,6}(?:\.\d{1,3})?)([smhdw])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise StopError(f"{option}: {text!r} is no length of time such as 30m, 4h or 3d")
    return timedelta(seconds=sum(float(number) * _SPANS[unit] for number, unit in parts))


def plain(text: str) -> str:
    """Return text without what a terminal would take for an order to itself."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
