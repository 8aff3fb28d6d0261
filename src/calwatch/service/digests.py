"""The daily summary: what the ledger has of a day of observation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from calwatch.alarms.digest import DigestFacts
from calwatch.alarms.model import Alarm
from calwatch.ledger.alarms import AlarmStore

DAY = timedelta(days=1)
_NOON = timedelta(hours=12)


def gather(store: AlarmStore, instrument: str, now: datetime) -> DigestFacts:
    """Return what there is to say of the day of observation that goes on now.

    Parameters
    ----------
    store
        The alarms in the ledger.
    instrument
        Of which.
    now
        The time (aware); a day of observation begins at 12:00 UTC.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    """
    day = (now.astimezone(UTC) - _NOON).date()
    begin = datetime.combine(day, datetime.min.time(), UTC) + _NOON
    episodes = [one.alarm for one in store.alarms(instrument, since=begin, until=begin + DAY)]
    told = [alarm for alarm in episodes if alarm.announced and not alarm.absorbed_by]
    day_obs = day.year * 10000 + day.month * 100 + day.day
    return DigestFacts(
        instrument=instrument,
        day=day,
        exposures=store.exposure_counts(instrument, day_obs),
        open=[one.alarm for one in store.open_alarms(instrument) if one.alarm.announced],
        new=[alarm for alarm in told if alarm.opened_at >= begin],
        over=[alarm for alarm in told if _ended(alarm)],
    )


def _ended(alarm: Alarm) -> bool:
    return alarm.closed_at is not None
