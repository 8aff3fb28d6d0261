"""The ledger: what has been judged, written once and only once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, Table, insert, select
from sqlalchemy.exc import StatementError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from calwatch.butler.model import ExposureRecord
from calwatch.errors import LedgerError, RecordError
from calwatch.ledger import queries, rows
from calwatch.ledger.at_once import insert_at_once
from calwatch.ledger.engine import (
    LockedLedgerError,
    open_engine,
    parse_url,
    reading,
    shown_url,
    writing,
    writing_once,
)
from calwatch.ledger.inserts import dialect_insert, insert_all, insert_once
from calwatch.ledger.tables import (
    alarm_queue,
    brief,
    exposure_verdict,
    judgement,
    measured_array,
    measurement,
    outbox,
    provenance,
    set_member,
)
from calwatch.ledger.upgrade import upgrade
from calwatch.verify.codec import from_dict, to_dict
from calwatch.verify.model import ALGORITHM, DetectorResult, ExposureResult, Verdict

T = TypeVar("T")
Key = tuple[int, int]
"""(exposure id, detector)."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """All that is judged of one exposure, as `Ledger.results` gives it."""

    results: tuple[DetectorResult, ...]
    """The last result of each detector, by detector number."""
    last_judgement_id: int
    """The newest judgement among them (0 if there is none)."""


class Ledger:
    """One database of judgements; safe to use from several threads and processes.

    Parameters
    ----------
    engine
        An engine of `calwatch.ledger.engine.open_engine` whose schema is up to date.
    lock_attempts
        How often a transaction is tried when another writer is in the way.
    publishing
        Put a row into the outbox with everything that is to be published.
    alarming
        Put a row into the alarms' queue with everything that they must look at.
    """

    def __init__(
        self,
        engine: Engine,
        lock_attempts: int = 3,
        *,
        publishing: bool = False,
        alarming: bool = False,
    ) -> None:
        self._engine = engine
        self._lock_attempts = lock_attempts
        self._publishing = publishing
        self._alarming = alarming

    @classmethod
    def open(
        cls,
        url: str,
        *,
        busy_seconds: float = 2.5,
        lock_attempts: int = 3,
        publishing: bool = False,
        alarming: bool = False,
    ) -> Ledger:
        """Open a ledger and bring its schema up to date.

        Parameters
        ----------
        url
            ``sqlite:///path``, ``postgresql://user:password@host/database`` or the path of an
            SQLite file, which is made if it does not exist.
        busy_seconds
            How long one statement waits for another writer.
        lock_attempts
            How often a transaction is tried when another writer is in the way.
        publishing
            Put a row into the outbox with everything that is to be published.
        alarming
            Put a row into the alarms' queue with everything that they must look at.

        Raises
        ------
        LedgerError
            If it cannot be opened, read or written, or is of a newer schema.
        """
        engine = open_engine(parse_url(url), busy_seconds)
        ledger = cls(engine, lock_attempts, publishing=publishing, alarming=alarming)
        try:
            ledger._insist(lambda: upgrade(engine))
        except BaseException:
            engine.dispose()
            raise
        return ledger

    @property
    def name(self) -> str:
        """The address as it may be shown: without a password."""
        return shown_url(self._engine.url)

    @property
    def publishing(self) -> bool:
        """Whether what is written is to be published."""
        return self._publishing

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def record(self, result: DetectorResult, exposure: ExposureRecord, judged_at: datetime) -> bool:
        """Record one judgement with its numbers and provenance, in one transaction.

        Its arrays are kept apart, in single precision; `calwatch.ledger.arrays` gives them back.

        Parameters
        ----------
        result
            Keyed by instrument, exposure, detector, chain fingerprint and algorithm.
        exposure
            The record it was taken from.
        judged_at
            When (aware).

        Returns
        -------
        bool
            True if it is new; False if that key was recorded before, and then nothing changes.

        Raises
        ------
        LedgerError
            If it cannot be written; then nothing of it is.
        RecordError
            If something in it is no plain data (then nothing of it is written either).
        """
        document = to_dict(replace(result, arrays={}))
        row = rows.judgement_row(result, exposure, judged_at, document)
        what = f"{result.instrument} exposure {result.exposure_id} detector {result.detector}"
        if self._engine.dialect.name == "postgresql":
            belonging = _belonging(0, result)
            if self._publishing:
                belonging[outbox] = [{"created_at": judged_at}]
            return self.write(
                lambda c: insert_at_once(c, row, belonging) is not None, what, once=True
            )

        def write(connection: Connection) -> bool:
            statement = insert_once(connection, judgement).returning(judgement.c.id)
            judgement_id = connection.execute(statement, row).scalar_one_or_none()
            if judgement_id is None:
                return False
            for table, belonging in _belonging(judgement_id, result).items():
                insert_all(connection, table, belonging)
            self.announce(connection, judged_at, judgement_id=judgement_id)
            return True

        return self.write(write, what)

    def record_exposure(
        self,
        merged: ExposureResult,
        exposure: ExposureRecord,
        judged_at: datetime,
        *,
        expected: Sequence[int],
        last_judgement_id: int,
        algorithm: str = ALGORITHM,
    ) -> bool:
        """Record the merged verdict of an exposure, replacing an older one.

        Parameters
        ----------
        merged, exposure, judged_at
            As for `record`.
        expected
            Detectors the Butler had raw files of.
        last_judgement_id
            The newest judgement merged, from `results`: tells whether a verdict is up to date.
        algorithm
            Part of the key.

        Returns
        -------
        bool
            False if that very merge (or a newer one) stands there already.

        Raises
        ------
        LedgerError, RecordError
            As for `record`.
        """
        row = rows.exposure_row(
            merged,
            exposure,
            judged_at,
            algorithm=algorithm,
            expected=expected,
            last_judgement_id=last_judgement_id,
        )

        def write(connection: Connection) -> bool:
            table = exposure_verdict.c
            statement = dialect_insert(connection, exposure_verdict).values(row)
            statement = statement.on_conflict_do_update(
                index_elements=["instrument", "exposure_id", "algorithm"],
                set_={name: statement.excluded[name] for name in row},
                where=table.last_judgement_id < statement.excluded.last_judgement_id,
            ).returning(table.id)
            verdict_id = connection.execute(statement).scalar_one_or_none()
            if verdict_id is None:
                return False
            self.announce(connection, judged_at, exposure_verdict_id=verdict_id)
            self.show_to_alarms(connection, judged_at, exposure_verdict_id=verdict_id)
            return True

        return self.write(write, f"{merged.instrument} exposure {merged.exposure_id}")

    def results(self, instrument: str, exposure_id: int, algorithm: str = ALGORITHM) -> Recorded:
        """Return the last result of each detector of one exposure, without arrays."""
        statement = queries.documents_statement(instrument, exposure_id, algorithm)
        found = self.read(lambda c: c.execute(statement).all())
        return Recorded(
            tuple(from_dict(row.document) for row in found),
            max((row.id for row in found), default=0),
        )

    def last_values(
        self,
        instrument: str,
        detector: int,
        amp: str | None,
        calib_type: str,
        metric: str,
        n: int,
        *,
        before: datetime | None = None,
        since: datetime | None = None,
        physical_filter: str | None = None,
        algorithm: str = ALGORITHM,
    ) -> list[queries.PastValue]:
        """Return the last ``n`` values of one number, newest first, by the exposures' own times.

        Parameters
        ----------
        instrument, detector, calib_type, metric, algorithm
            What is asked for.
        amp
            Name of the amplifier; None for a number of the whole detector.
        n
            At most so many.
        before
            Only exposures that ended before this (aware) time.
        since
            Only exposures that ended at this (aware) time or later.
        physical_filter
            Only exposures through this filter.
        """
        statement = queries.last_values_statement(
            instrument,
            detector,
            calib_type,
            metric,
            n,
            level="detector" if amp is None else "amp",
            algorithm=algorithm,
            before=before,
            since=since,
            physical_filter=physical_filter,
        )
        found = self.read(lambda c: c.execute(statement).all())
        return [queries.past_value(row, amp) for row in found]

    def judged_keys(
        self,
        instrument: str,
        first_day: int | None = None,
        last_day: int | None = None,
        algorithm: str = ALGORITHM,
        exposure_ids: Collection[int] | None = None,
    ) -> dict[Key, queries.Judged]:
        """Return the last judgement of each exposure and detector, of days or chosen exposures."""
        statement = queries.judged_statement(
            instrument, algorithm, first_day, last_day, exposure_ids
        )
        found = self.read(lambda c: c.execute(statement).all())
        return {
            (row.exposure_id, row.detector): queries.Judged(row.fingerprint, Verdict(row.verdict))
            for row in found
        }

    def unmerged(
        self,
        instrument: str,
        first_day: int | None = None,
        last_day: int | None = None,
        algorithm: str = ALGORITHM,
        exposure_ids: Collection[int] | None = None,
    ) -> list[int]:
        """Return the exposures whose merged verdict is missing or older than a judgement."""
        statement = queries.unmerged_statement(
            instrument, algorithm, first_day, last_day, exposure_ids
        )
        return [row.exposure_id for row in self.read(lambda c: c.execute(statement).all())]

    def exposures(
        self,
        instrument: str,
        first_day: int | None = None,
        last_day: int | None = None,
        algorithm: str = ALGORITHM,
    ) -> list[queries.ExposureSummary]:
        """Return the merged verdicts of a range of ``day_obs``, oldest first."""
        statement = queries.exposures_statement(instrument, algorithm, first_day, last_day)
        found = self.read(lambda c: c.execute(statement).all())
        return [queries.exposure_summary(row) for row in found]

    def runs(
        self,
        instrument: str,
        first_day: int | None = None,
        last_day: int | None = None,
        algorithm: str = ALGORITHM,
    ) -> list[queries.RunVerdict]:
        """Return the verdict of each ``day_obs`` and type over all its exposures."""
        statement = queries.runs_statement(instrument, algorithm, first_day, last_day)
        return queries.run_summaries(list(self.read(lambda c: c.execute(statement).all())))

    def exposures_judged_with(self, uuid: str) -> list[tuple[str, int, int]]:
        """Return (instrument, exposure, detector) of all that was judged against a calibration."""
        j = judgement.c
        statement = (
            select(j.instrument, j.exposure_id, j.detector)
            .join(provenance, provenance.c.judgement_id == j.id)
            .where(provenance.c.uuid == uuid)
            .distinct()
            .order_by(j.instrument, j.exposure_id, j.detector)
        )
        found = self.read(lambda c: c.execute(statement).all())
        return [(row.instrument, row.exposure_id, row.detector) for row in found]

    def announce(self, connection: Connection, at: datetime, **what: int) -> None:
        """Put into the outbox, within the transaction that writes it, what is to be published.

        Parameters
        ----------
        connection
            Of that transaction.
        at
            When (aware).
        **what
            ``judgement_id``, ``exposure_verdict_id``, ``expectation_id`` or
            ``alarm_transition_id``.
        """
        if self._publishing:
            connection.execute(insert(outbox), {"created_at": at, **what})

    def show_to_alarms(self, connection: Connection, at: datetime, **what: int) -> None:
        """Queue for the alarms, within the transaction that writes it, what they must look at.

        Parameters
        ----------
        connection, at
            As for `announce`.
        **what
            ``exposure_verdict_id`` or ``expectation_id``.
        """
        if self._alarming:
            connection.execute(insert(alarm_queue), {"created_at": at, **what})

    def read(self, ask: Callable[[Connection], T]) -> T:
        """Ask something in a transaction that only reads.

        Raises
        ------
        LedgerError
            If the ledger cannot be read.
        """

        def attempt() -> T:
            with reading(self._engine) as connection:
                return ask(connection)

        return self._insist(attempt)

    def write(self, write: Callable[[Connection], T], what: str, *, once: bool = False) -> T:
        """Write in one transaction: all of it or nothing.

        Parameters
        ----------
        write
            Does it; it may be called again when another writer was in the way.
        what
            Names it in an error.
        once
            It is a single statement.

        Raises
        ------
        LedgerError, RecordError
            As for `record`.
        """

        def attempt() -> T:
            with (writing_once if once else writing)(self._engine) as connection:
                return write(connection)

        try:
            return self._insist(attempt)
        except (LedgerError, TypeError, ValueError) as error:
            cause = error.__cause__ if isinstance(error, LedgerError) else error
            inner = cause.orig if isinstance(cause, StatementError) else cause
            if isinstance(inner, TypeError | ValueError):
                raise RecordError(f"{what}: cannot be kept: {inner}") from error
            raise

    def _insist(self, attempt: Callable[[], T]) -> T:
        """Try again when only another writer was in the way."""
        retrying = Retrying(
            retry=retry_if_exception_type(LockedLedgerError),
            stop=stop_after_attempt(self._lock_attempts),
            wait=wait_random_exponential(multiplier=0.05, max=1.0),
            reraise=True,
        )
        return retrying(attempt)


def _belonging(judgement_id: int, result: DetectorResult) -> dict[Table, list[rows.Row]]:
    """Return the rows of all tables that belong to a judgement."""
    return {
        measurement: rows.measurement_rows(judgement_id, result),
        brief: [rows.brief_row(judgement_id, result)],
        measured_array: rows.array_rows(judgement_id, result),
        set_member: rows.member_rows(judgement_id, result),
        provenance: rows.provenance_rows(judgement_id, result),
    }
