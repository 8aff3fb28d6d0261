"""Time stamps of SAL events: seconds of TAI since 1970-01-01T00:00:00 TAI."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_DAY = 86400
EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)
"""No camera of the observatory is older."""
LATEST_AHEAD = timedelta(days=1)
"""No clock of the observatory is so far ahead."""


def utc_from_tai(seconds: float, now: datetime) -> datetime:
    """Return a SAL time stamp as an aware UTC time.

    Parameters
    ----------
    seconds
        TAI seconds since 1970-01-01 TAI, as in ``private_sndStamp``.
    now
        Aware; a time stamp far ahead of it is absurd.

    Raises
    ------
    ValueError
        If it is no number, or no time at which a camera of the observatory can have been read.
    """
    if not math.isfinite(seconds):
        raise ValueError(f"{seconds} is no time")
    latest = now + LATEST_AHEAD
    if not EARLIEST.timestamp() <= seconds <= latest.timestamp() + 60:
        raise ValueError(f"{seconds:.6g} s since 1970 (TAI) is before 2015 or after today")
    offset = _offset_of_day(math.floor(seconds / _DAY))
    if offset is None:
        offset = _offset(seconds)
    return datetime.fromtimestamp(seconds - offset, UTC)


def tai_from_utc(when: datetime) -> float:
    """Return an aware time as a SAL time stamp: seconds of TAI since 1970-01-01 TAI."""
    return when.timestamp() + tai_ahead(when)


def tai_ahead(when: datetime) -> int:
    """Return TAI − UTC in seconds at an aware time."""
    return _ahead_on_day(math.floor(when.timestamp() / _DAY))


def _offset(tai: float) -> int:
    """Return TAI − UTC in seconds at a time, by astropy's table of leap seconds."""
    from astropy.time import Time

    day, rest = divmod(tai, _DAY)
    utc = Time(40587.0 + day, rest / _DAY, format="mjd", scale="tai").utc
    text = utc.to_value("isot", subfmt="date_hms")
    # During a leap second Python has no time for it: the second before it is given.
    second = datetime.fromisoformat(text.replace(":60", ":59")).replace(tzinfo=UTC)
    return round(tai - second.timestamp())


@lru_cache(maxsize=32)
def _offset_of_day(day: int) -> int | None:
    """Return TAI − UTC on a day of TAI, None if a leap second falls into it."""
    first, last = _offset(day * _DAY), _offset((day + 1) * _DAY)
    return first if first == last else None


@lru_cache(maxsize=32)
def _ahead_on_day(day: int) -> int:
    """Return TAI − UTC on a day of UTC, which a leap second may only end."""
    from astropy.time import Time

    utc = Time(40587.0 + day, format="mjd", scale="utc")
    tai = utc.tai
    ahead: float = (tai.jd1 - utc.jd1) + (tai.jd2 - utc.jd2)
    return round(ahead * _DAY)
