"""Times as the Butler keeps them, without building a time object for each row.

The registry counts TAI nanoseconds from 1970-01-01T00:00:00 TAI; calwatch uses TAI as Modified
Julian Date. The two differ by a constant, so no leap second enters until UTC is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from calwatch.errors import StopError

_MJD_1970 = 40587
_NS_PER_DAY = 86_400_000_000_000


def mjd_from_nsec(nsec: int) -> float:
    """Return TAI nanoseconds since 1970 (TAI) as TAI MJD."""
    days, rest = divmod(nsec, _NS_PER_DAY)
    return _MJD_1970 + days + rest / _NS_PER_DAY


def mjd_from_seconds(seconds: float) -> float:
    """Return TAI seconds since 1970 (TAI) as TAI MJD."""
    return _MJD_1970 + seconds / 86400.0


def utc_from_tai(mjd: Sequence[float]) -> list[datetime | None]:
    """Return TAI MJDs as aware UTC datetimes; None where the MJD is not finite.

    UTC has no leap-second field in Python: during one, the second before it is given.
    """
    from astropy.time import Time

    finite = [value for value in mjd if math.isfinite(value)]
    if not finite:
        return [None] * len(mjd)
    converted = iter(
        Time(finite, format="mjd", scale="tai").utc.to_datetime(
            timezone=UTC, leap_second_strict="silent"
        )
    )
    return [next(converted) if math.isfinite(value) else None for value in mjd]


def parse_tai(text: str, what: str) -> float:
    """Return an ISO-8601 date or date and time, in TAI, as MJD.

    Parameters
    ----------
    text
        Such as ``2026-11-20`` or ``2026-11-20T21:03:00``.
    what
        The option or field it came from, for the message.

    Raises
    ------
    StopError
        If it is not a date.
    """
    from astropy.time import Time

    try:
        return float(Time(text.strip(), scale="tai").mjd)
    except ValueError as exc:
        raise StopError(
            f"{what}: {text!r} is not an ISO-8601 date in TAI, such as 2026-11-20T21:03:00"
        ) from exc


def tai_text(mjd: float | None, when_open: str = "open") -> str:
    """Return a TAI MJD as ``YYYY-MM-DDThh:mm:ss``, or ``when_open`` for None."""
    if mjd is None:
        return when_open
    seconds = round((mjd - _MJD_1970) * 86400.0)
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"MJD {mjd}"
