"""What is still to be published, in order, and what has been, to be published again.

The outbox holds references: an id, the id of the one thing it tells of, and a time, 37 bytes in
SQLite. It grows by one row per judgement, per merge of an exposure, per finding of missing
detectors and per change of an alarm, and by nothing else: a day of 60 LSSTCam calibrations that
cannot be published is 12 400 rows, half a megabyte; a year of them 170 MB. What is told stands in
the ledger in any case.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, Table, Text, cast, delete, false, func, select

from calwatch.alarms.codec import transition_from_dict
from calwatch.alarms.model import Transition
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import (
    alarm_transition,
    expectation,
    exposure_verdict,
    judgement,
    outbox,
)
from calwatch.ledger.turn import PUBLISH, Turn, take_turn
from calwatch.verify.codec import from_dict
from calwatch.verify.model import DetectorResult, Verdict

_PAGE = 50
_BROKEN = (AttributeError, KeyError, TypeError, ValueError, zlib.error)
"""What comes of reading a document that is damaged."""


@dataclass(frozen=True, slots=True)
class Taken:
    """When and how an exposure was taken."""

    obs_id: str
    physical_filter: str
    band: str
    day_obs: int
    seq_num: int
    end_utc: datetime | None


@dataclass(frozen=True, slots=True)
class JudgedDetector:
    """One exposure and detector, as the ledger has it."""

    result: DetectorResult
    taken: Taken


@dataclass(frozen=True, slots=True)
class JudgedExposure:
    """One merged exposure, as the ledger has it."""

    instrument: str
    exposure_id: int
    algorithm: str
    calib_type: str
    verdict: Verdict
    reason: str
    n_pass: int
    n_fail: int
    n_unknown: int
    """Number of detectors by verdict."""
    expected: tuple[int, ...]
    """Detectors the Butler had raw files of."""
    document: dict[str, Any]
    """``metrics``, ``tests``, ``failures`` and ``test_counts``."""
    taken: Taken


@dataclass(frozen=True, slots=True)
class Completeness:
    """Which detectors of an announced exposure did not come in time."""

    instrument: str
    exposure_id: int
    obs_id: str
    calib_type: str
    end_of_readout_utc: datetime
    due_at: datetime
    expected: tuple[int, ...]
    missing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AlarmTold:
    """What happened to an alarm, as the ledger has it."""

    alarm_id: int
    transition_id: int
    transition: Transition


Told = JudgedDetector | JudgedExposure | Completeness | AlarmTold


@dataclass(frozen=True, slots=True)
class Stored:
    """One thing that is told, read from the ledger."""

    what: str
    """Names it in the log."""
    told: Told | None
    """None if it cannot be read."""
    problem: str = ""
    """Why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Pending:
    """One row of the outbox."""

    outbox_id: int
    created_at: datetime
    stored: Stored


class Outbox:
    """The rows that wait to be published.

    Parameters
    ----------
    ledger
        It must have been opened for publishing for rows to appear.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def turn(self) -> Turn | None:
        """Take the turn to publish; None if another process has it.

        Several processes may share a PostgreSQL ledger; were two to publish at once, the order
        would be lost.

        Raises
        ------
        LedgerError
            If the ledger is out of reach.
        """
        return take_turn(self._ledger._engine, PUBLISH)

    def pending(self, most: int) -> list[Pending]:
        """Return the oldest rows, oldest first, with all that there is to tell.

        Raises
        ------
        LedgerError
            If the ledger cannot be read.
        """
        statement = select(outbox).order_by(outbox.c.id).limit(most)

        def ask(connection: Connection) -> list[Pending]:
            return [
                Pending(row.id, row.created_at, _stored(connection, row))
                for row in connection.execute(statement).all()
            ]

        return self._ledger.read(ask)

    def done(self, outbox_ids: Collection[int]) -> None:
        """Take rows out: what they tell has been acknowledged, or is set aside.

        Raises
        ------
        LedgerError
            If it cannot be written; then they stay.
        """
        if outbox_ids:
            statement = delete(outbox).where(outbox.c.id.in_(outbox_ids))
            self._ledger.write(lambda c: c.execute(statement), "outbox")

    def size(self) -> int:
        """Return how many rows wait."""
        statement = select(func.count()).select_from(outbox)
        return self._ledger.read(lambda c: c.execute(statement).scalar_one())

    def oldest(self) -> datetime | None:
        """Return since when the oldest row waits, None if none does."""
        statement = select(outbox.c.created_at).order_by(outbox.c.id).limit(1)
        return self._ledger.read(lambda c: c.execute(statement).scalar_one_or_none())

    def stored(
        self,
        instrument: str,
        first_day: int | None = None,
        last_day: int | None = None,
        exposure_ids: Sequence[int] = (),
    ) -> Iterator[Stored]:
        """Yield what the ledger has, to be published again; the outbox is not touched.

        Detectors come in the order in which they were judged, then merged exposures, then what was
        found missing and still is, then what happened to alarms in these days. Of chosen exposures
        there are no alarms: an alarm is of no single exposure.

        Parameters
        ----------
        instrument
            Of which instrument.
        first_day, last_day
            Range of ``day_obs`` (YYYYMMDD), both included.
        exposure_ids
            Only these, if there are any.

        Yields
        ------
        Stored
            One thing after another.

        Raises
        ------
        LedgerError
            If the ledger cannot be read.
        """
        for table in _READERS:
            chosen = _chosen(table, instrument, first_day, last_day, exposure_ids)
            last = 0
            while found := self._page(table, chosen, last):
                yield from (stored for _, stored in found)
                last = found[-1][0]

    def count_stored(
        self,
        instrument: str,
        first_day: int | None = None,
        last_day: int | None = None,
        exposure_ids: Sequence[int] = (),
    ) -> int:
        """Return how much `stored` yields."""
        statements = [
            select(func.count()).select_from(
                _chosen(table, instrument, first_day, last_day, exposure_ids).subquery()
            )
            for table in _READERS
        ]
        return self._ledger.read(lambda c: sum(c.execute(s).scalar_one() for s in statements))

    def _page(self, table: Table, chosen: Select[Any], after: int) -> list[tuple[int, Stored]]:
        """Return the next few of what is chosen, with their ids."""
        page = chosen.where(table.c.id > after).order_by(table.c.id).limit(_PAGE)

        def ask(connection: Connection) -> list[tuple[int, Stored]]:
            ids = connection.execute(page).scalars().all()
            return [(row_id, _read(connection, table, row_id)) for row_id in ids]

        return self._ledger.read(ask)


def _chosen(
    table: Table,
    instrument: str,
    first_day: int | None,
    last_day: int | None,
    exposure_ids: Sequence[int],
) -> Select[Any]:
    """Select the ids of what is to be told again."""
    statement = select(table.c.id).where(table.c.instrument == instrument)
    if table is alarm_transition:
        statement = _between(statement, table.c.at, first_day, last_day)
        return statement.where(false()) if exposure_ids else statement
    if exposure_ids:
        statement = statement.where(table.c.exposure_id.in_(exposure_ids))
    if table is expectation:
        statement = _between(statement, table.c.end_of_readout_utc, first_day, last_day)
        # NULL: not looked at yet; an empty list: all are there.
        return statement.where(cast(table.c.missing, Text) != "[]")
    if first_day is not None:
        statement = statement.where(table.c.day_obs >= first_day)
    if last_day is not None:
        statement = statement.where(table.c.day_obs <= last_day)
    return statement


def _between(
    statement: Select[Any], time: Any, first_day: int | None, last_day: int | None
) -> Select[Any]:
    """Keep what has its time in a range of days of observation."""
    if first_day is not None:
        statement = statement.where(time >= _noon(first_day))
    if last_day is not None:
        statement = statement.where(time < _noon(last_day) + timedelta(days=1))
    return statement


def _noon(day_obs: int) -> datetime:
    """Return when a day of observation begins: at 12:00."""
    return datetime.strptime(f"{day_obs} 12", "%Y%m%d %H").replace(tzinfo=UTC)


def _stored(connection: Connection, row: Any) -> Stored:
    """Read what a row of the outbox points at."""
    for table in _READERS:
        number = getattr(row, f"{table.name}_id")
        if number is not None:
            return _read(connection, table, number)
    return Stored(f"outbox row {row.id}", None, "it points at nothing")


def _read(connection: Connection, table: Table, row_id: int) -> Stored:
    """Read one thing. One that is damaged must not keep its neighbours from being read."""
    what = f"{table.name} {row_id}"
    try:
        row = connection.execute(select(table).where(table.c.id == row_id)).one_or_none()
        if row is None:
            return Stored(what, None, "it is not in the ledger")
        what = _name(table, row)
        return Stored(what, _READERS[table](row))
    except _BROKEN as error:
        return Stored(what, None, f"it cannot be read: {type(error).__name__}: {error}")


def _name(table: Table, row: Any) -> str:
    if table is alarm_transition:
        return f"{row.instrument} alarm {row.alarm_id} {row.what}"
    what = f"{row.instrument} exposure {row.exposure_id}"
    return f"{what} detector {row.detector}" if table is judgement else what


def _taken(row: Any) -> Taken:
    return Taken(
        row.obs_id,
        row.physical_filter,
        row.band,
        row.day_obs,
        row.seq_num,
        row.exposure_end_utc,
    )


def _detector(row: Any) -> Told:
    return JudgedDetector(from_dict(row.document), _taken(row))


def _exposure(row: Any) -> Told:
    return JudgedExposure(
        instrument=row.instrument,
        exposure_id=row.exposure_id,
        algorithm=row.algorithm,
        calib_type=row.calib_type,
        verdict=Verdict(row.verdict),
        reason=row.reason,
        n_pass=row.n_pass,
        n_fail=row.n_fail,
        n_unknown=row.n_unknown,
        expected=tuple(row.expected),
        document=row.document,
        taken=_taken(row),
    )


def _completeness(row: Any) -> Told:
    return Completeness(
        instrument=row.instrument,
        exposure_id=row.exposure_id,
        obs_id=row.obs_id,
        calib_type=row.calib_type,
        end_of_readout_utc=row.end_of_readout_utc,
        due_at=row.due_at,
        expected=tuple(row.expected),
        missing=tuple(row.missing),
    )


def _alarm(row: Any) -> Told:
    return AlarmTold(row.alarm_id, row.id, transition_from_dict(row.document))


_READERS: dict[Table, Callable[[Any], Told]] = {
    judgement: _detector,
    exposure_verdict: _exposure,
    expectation: _completeness,
    alarm_transition: _alarm,
}
