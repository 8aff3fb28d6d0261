"""What events said, until the ledger has the judgement or it is known what is missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Text, and_, cast, delete, or_, select, update
from sqlalchemy.sql import exists

from calwatch.arrivals.model import Expectation, Notice, OpenExpectation
from calwatch.errors import RecordError
from calwatch.ledger.inserts import dialect_insert, insert_once
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import expectation, judgement, notice
from calwatch.verify.model import ALGORITHM

LOOK_AGAIN_DAYS = 3.0
"""For so long after it was due a missing detector is looked for again."""


class LedgerInbox:
    """Notices and expectations in a ledger; safe to use from several threads and processes.

    Parameters
    ----------
    ledger
        Where they are kept. What is found missing goes into its outbox, if it has one.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def note(self, notices: Sequence[Notice], expectations: Sequence[Expectation]) -> None:
        """Keep what events said, in one transaction; the same said twice changes nothing.

        That a file was ingested stands against any failure told before or after; of two failures
        the later one stands. An expectation stands as it was first told.

        Raises
        ------
        LedgerError
            If it cannot be written; then nothing of it is.
        RecordError
            If something in it cannot be kept (then nothing of it is either).
        """
        if not notices and not expectations:
            return

        def write(connection: Connection) -> None:
            if notices:
                # In the order of their keys, so that two writers do not wait for each other.
                ordered = sorted(notices, key=lambda n: (n.instrument, n.exposure_id, n.detector))
                connection.execute(_keep_notice(connection), [_notice_row(n) for n in ordered])
            if expectations:
                ahead = sorted(expectations, key=lambda e: (e.instrument, e.exposure_id))
                keep = insert_once(connection, expectation)
                connection.execute(keep, [_expectation_row(e) for e in ahead])

        self._ledger.write(write, "events")

    def waiting(self, instrument: str) -> list[int]:
        """Return the exposures of an instrument of which notices are kept.

        Raises
        ------
        LedgerError
            If the ledger cannot be read.
        """
        column = notice.c.exposure_id
        statement = select(column).where(notice.c.instrument == instrument).distinct()
        return sorted(self._ledger.read(lambda c: c.execute(statement).scalars().all()))

    def unsettled(
        self, instrument: str, exposure_ids: Collection[int] | None = None
    ) -> list[Notice]:
        """Return the notices of an instrument that are still kept, oldest first.

        Parameters
        ----------
        instrument
            Of which.
        exposure_ids
            Of these exposures only.

        Raises
        ------
        LedgerError
            If the ledger cannot be read.
        """
        kept = [notice.c.instrument == instrument]
        if exposure_ids is not None:
            kept.append(notice.c.exposure_id.in_(sorted(exposure_ids)))
        statement = select(notice).where(*kept).order_by(notice.c.noticed_at, notice.c.id)
        return [_notice(row) for row in self._ledger.read(lambda c: c.execute(statement).all())]

    def settle(self, instrument: str, algorithm: str = ALGORITHM) -> int:
        """Forget the notices whose exposure and detector has a judgement; return how many.

        Raises
        ------
        LedgerError
            If the ledger cannot be written.
        """
        judged = exists().where(
            judgement.c.instrument == notice.c.instrument,
            judgement.c.exposure_id == notice.c.exposure_id,
            judgement.c.detector == notice.c.detector,
            judgement.c.algorithm == algorithm,
        )
        statement = delete(notice).where(notice.c.instrument == instrument, judged)
        return self._ledger.write(lambda c: c.execute(statement).rowcount, "notices")

    def drop(self, instrument: str, exposure_id: int, detectors: Collection[int]) -> None:
        """Forget notices of one exposure: the Butler has the files, and will be asked from now on.

        Raises
        ------
        LedgerError
            If the ledger cannot be written.
        """
        statement = delete(notice).where(
            notice.c.instrument == instrument,
            notice.c.exposure_id == exposure_id,
            notice.c.detector.in_(sorted(detectors)),
        )
        self._ledger.write(lambda c: c.execute(statement).rowcount, "notices")

    def forget_before(self, when: datetime, instrument: str | None = None) -> list[Notice]:
        """Give up the notices of files announced before a time, and return them, oldest first.

        Parameters
        ----------
        when
            Aware.
        instrument
            Only of this one.

        Raises
        ------
        LedgerError
            If the ledger cannot be written.
        """
        old = [notice.c.noticed_at < when]
        if instrument is not None:
            old.append(notice.c.instrument == instrument)
        statement = delete(notice).where(*old).returning(*notice.c)
        gone = self._ledger.write(lambda c: c.execute(statement).all(), "notices")
        return sorted((_notice(row) for row in gone), key=lambda n: n.noticed_at)

    def due(
        self, now: datetime, instrument: str, look_again_days: float = LOOK_AGAIN_DAYS
    ) -> list[OpenExpectation]:
        """Return the expectations whose time has come, oldest first.

        These are all that have not been looked at, and those of the last days of which something
        was missing when they were.

        Parameters
        ----------
        now
            Aware.
        instrument
            Whose.
        look_again_days
            For so long after it was due a missing detector is looked for again.

        Raises
        ------
        LedgerError
            If the ledger cannot be read.
        """
        e = expectation.c
        recent = e.due_at >= now - timedelta(days=look_again_days)
        lacking = and_(e.missing.is_not(None), cast(e.missing, Text) != "[]")
        statement = (
            select(expectation)
            .where(
                e.instrument == instrument,
                e.due_at <= now,
                or_(e.missing.is_(None), and_(recent, lacking)),
            )
            .order_by(e.due_at, e.id)
        )
        return [_open(row) for row in self._ledger.read(lambda c: c.execute(statement).all())]

    def close(self, expectation_id: int, missing: Sequence[int], at: datetime) -> bool:
        """Write down which detectors of an expected exposure are missing.

        If that is news (something is missing, or other detectors than before, or nothing any
        more), it goes into the outbox in the same transaction. The alarms look at news, and at
        every first finding: that an exposure is complete ends an alarm of an earlier one.

        Parameters
        ----------
        expectation_id
            From `due`.
        missing
            Detector numbers.
        at
            When it was looked (aware).

        Returns
        -------
        bool
            True if it is news.

        Raises
        ------
        LedgerError
            If it cannot be written; then nothing of it is.
        RecordError
            If there is no such expectation.
        """
        numbers = sorted(set(missing))

        def write(connection: Connection) -> bool:
            mine = expectation.c.id == expectation_id
            ask = select(expectation.c.missing).where(mine).with_for_update()
            row = connection.execute(ask).one_or_none()
            if row is None:
                raise RecordError(f"expectation {expectation_id}: there is none")
            change = update(expectation).where(mine).values(missing=numbers, checked_at=at)
            connection.execute(change)
            news = sorted(row.missing or ()) != numbers
            if news:
                self._ledger.announce(connection, at, expectation_id=expectation_id)
            if news or row.missing is None:
                self._ledger.show_to_alarms(connection, at, expectation_id=expectation_id)
            return news

        return self._ledger.write(write, f"expectation {expectation_id}")


def _keep_notice(connection: Connection) -> Any:
    statement = dialect_insert(connection, notice)
    new = statement.excluded
    stronger = or_(new.status == 0, new.noticed_at >= notice.c.noticed_at)
    return statement.on_conflict_do_update(
        index_elements=["instrument", "exposure_id", "detector"],
        set_={"status": new.status, "text": new.text, "noticed_at": new.noticed_at},
        where=and_(notice.c.status != 0, stronger),
    )


def _notice_row(what: Notice) -> dict[str, Any]:
    return {
        "instrument": what.instrument,
        "exposure_id": what.exposure_id,
        "detector": what.detector,
        "status": what.status,
        "text": what.text,
        "noticed_at": what.noticed_at,
    }


def _expectation_row(what: Expectation) -> dict[str, Any]:
    return {
        "instrument": what.instrument,
        "exposure_id": what.exposure_id,
        "obs_id": what.obs_id,
        "calib_type": what.calib_type,
        "end_of_readout_utc": what.end_of_readout_utc,
        "due_at": what.due_at,
        "expected": list(what.expected),
    }


def _notice(row: Row[Any]) -> Notice:
    return Notice(
        row.instrument, row.exposure_id, row.detector, row.noticed_at, row.status, row.text
    )


def _open(row: Row[Any]) -> OpenExpectation:
    what = Expectation(
        row.instrument,
        row.exposure_id,
        row.obs_id,
        row.calib_type,
        row.end_of_readout_utc,
        row.due_at,
        tuple(row.expected),
    )
    return OpenExpectation(row.id, what, None if row.missing is None else tuple(row.missing))
