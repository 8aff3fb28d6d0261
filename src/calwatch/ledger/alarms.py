"""The alarms in the ledger: what they must still look at, as they stand, and all that happened.

Every change of an instrument's alarms is one transaction that holds the instrument's book, whoever
makes it: the daemon, a command or a page. So no two of them undo each other's work, and what stands
in the ledger is at every moment the state to go on from.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select

from calwatch.alarms.lateness import Unjudged
from calwatch.alarms.model import Numbered
from calwatch.ledger import alarm_queries as queries
from calwatch.ledger.alarm_rows import (
    Beat,
    DeliveryState,
    Queued,
    QueuedExposure,
    QueuedFinding,
    StoredTransition,
    delivery_state,
    numbered,
    queued_exposure,
    queued_finding,
    stored_transition,
)
from calwatch.ledger.alarm_steps import Loaded, Written, lock_book, write_step
from calwatch.ledger.inserts import dialect_insert
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import alarm, alarm_queue, exposure_verdict, heartbeat
from calwatch.verify.model import ALGORITHM, DetectorResult

__all__ = [
    "AlarmCounts",
    "AlarmStore",
    "Beat",
    "DeliveryState",
    "Loaded",
    "Queued",
    "QueuedExposure",
    "QueuedFinding",
    "StoredTransition",
    "Written",
]


@dataclass(frozen=True, slots=True)
class AlarmCounts:
    """How many problems there were in a span of time.

    Neither what nobody was told of nor what a larger alarm took the place of is counted.
    """

    standing: int
    """Open at some time in it."""
    new: int
    """Raised in it."""
    ended: int
    """Cleared in it."""


class AlarmStore:
    """The alarms of all instruments; safe to use from several threads and processes.

    Every method may raise LedgerError if the ledger is out of reach.

    Parameters
    ----------
    ledger
        It must have been opened for alarming for the queue to fill, and for publishing for
        transitions to be published.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def publishing(self) -> bool:
        """Whether what happens to alarms is to be published."""
        return self._ledger.publishing

    def queued(self, most: int) -> list[Queued]:
        """Return what the alarms must look at, that of the oldest exposure first."""
        statement = queries.queue_statement(most)

        def ask(connection: Connection) -> list[Queued]:
            return [_queued(connection, row) for row in connection.execute(statement).all()]

        return self._ledger.read(ask)

    def results(
        self, queued: QueuedExposure, algorithm: str | None = None
    ) -> tuple[DetectorResult, ...]:
        """Return the last result of each detector of a queued exposure."""
        which = algorithm or queued.algorithm
        return self._ledger.results(queued.instrument, queued.exposure_id, which).results

    def forget(self, queue_ids: Collection[int]) -> None:
        """Take rows out of the queue without having looked at them."""
        if queue_ids:
            statement = delete(alarm_queue).where(alarm_queue.c.id.in_(sorted(queue_ids)))
            self._ledger.write(lambda c: c.execute(statement), "queue of the alarms")

    def queue_size(self) -> int:
        """Return how many rows wait."""
        statement = select(func.count()).select_from(alarm_queue)
        return self._ledger.read(lambda c: c.execute(statement).scalar_one())

    def oldest_queued(self) -> datetime | None:
        """Return since when the oldest row waits, None if none does."""
        statement = select(alarm_queue.c.created_at).order_by(alarm_queue.c.id).limit(1)
        return self._ledger.read(lambda c: c.execute(statement).scalar_one_or_none())

    def step(self, instrument: str, work: Callable[[Loaded], Written], what: str) -> Any:
        """Let something happen to the alarms of an instrument, in one transaction.

        Parameters
        ----------
        instrument
            Whose; until the end nobody else changes them.
        work
            Is given what is there, and returns what is to be. It may be called again when another
            writer was in the way, and must not write into the ledger itself.
        what
            Names it in an error.

        Returns
        -------
        Any
            `Written.value`.

        Raises
        ------
        LedgerError
            If it cannot be written; then nothing of it is.
        RecordError
            If something in it cannot be kept; then nothing of it is either.
        """

        def write(connection: Connection) -> Any:
            book = lock_book(connection, instrument, datetime.now(UTC))
            found = connection.execute(queries.open_statement(instrument)).all()
            loaded = Loaded(book, tuple(numbered(row) for row in found))
            written = work(loaded)
            now = datetime.now(UTC)
            for transition_id in write_step(connection, instrument, loaded, written, now):
                self._ledger.announce(connection, now, alarm_transition_id=transition_id)
            return written.value

        return self._ledger.write(write, what)

    def open_alarms(self, instrument: str | None = None) -> list[Numbered]:
        """Return the open alarms of one instrument or of all, in the order of raising."""
        return self._numbered(queries.open_statement(instrument))

    def alarms(
        self,
        instrument: str | None = None,
        *,
        open_only: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[Numbered]:
        """Return episodes that were open at some time of a span, in the order of raising.

        Parameters
        ----------
        instrument
            Only of this one.
        open_only
            Only those that are open now.
        since, until
            The span, its end not included (aware); None is without bound.
        limit
            The newest so many.
        """
        statement = queries.alarms_statement(instrument, open_only, since, until, limit)
        return self._numbered(statement)[::-1]

    def alarm(self, alarm_id: int) -> Numbered | None:
        """Return one episode, None if there is none of that number."""
        found = self._numbered(select(alarm).where(alarm.c.id == alarm_id))
        return found[0] if found else None

    def by_name(self, instrument: str | None, text: str) -> list[Numbered]:
        """Return the episodes of a name, the newest first; an open one is the newest.

        If no alarm was ever called so, the open ones whose name contains the text, whatever its
        case.
        """
        exact = self._numbered(queries.named_statement(instrument, text))
        if exact:
            return exact
        part = text.casefold()
        return [one for one in self.open_alarms(instrument) if part in one.alarm.name.casefold()]

    def history(
        self,
        alarm_id: int | None = None,
        instrument: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[StoredTransition]:
        """Return what happened, oldest first, with what came of telling it.

        Parameters
        ----------
        alarm_id, instrument
            Only of this one.
        since, until
            The span, its end not included (aware); None is without bound.
        limit
            The newest so many.
        """
        statement = queries.history_statement(alarm_id, instrument, since, until, limit)

        def ask(connection: Connection) -> list[StoredTransition]:
            rows = connection.execute(statement).all()[::-1]
            told: dict[int, list[DeliveryState]] = {}
            for one in connection.execute(queries.deliveries_statement(statement)).all():
                told.setdefault(one.transition_id, []).append(delivery_state(one))
            return [stored_transition(row, tuple(told.get(row.id, ()))) for row in rows]

        return self._ledger.read(ask)

    def alarm_counts(self, instrument: str | None, since: datetime, until: datetime) -> AlarmCounts:
        """Count the problems of a span of time, its end not included."""
        found = [
            one.alarm
            for one in self.alarms(instrument, since=since, until=until)
            if one.alarm.announced and not one.alarm.absorbed_by
        ]
        return AlarmCounts(
            standing=len(found),
            new=sum(one.opened_at >= since for one in found),
            ended=sum(one.closed_at is not None and one.closed_at < until for one in found),
        )

    def exposure_counts(
        self, instrument: str, day_obs: int, algorithm: str = ALGORITHM
    ) -> dict[str, int]:
        """Return how many merged exposures of a day of observation have which verdict."""
        e = exposure_verdict.c
        mine = (e.instrument == instrument, e.day_obs == day_obs, e.algorithm == algorithm)
        statement = select(e.verdict, func.count().label("number")).where(*mine).group_by(e.verdict)
        found = self._ledger.read(lambda c: c.execute(statement).all())
        return {row.verdict: row.number for row in found}

    def taken(self, instrument: str, day_obs: int) -> dict[str, int]:
        """Return how many exposures of a day of observation were judged, by type."""
        e = exposure_verdict.c
        number = func.count(e.exposure_id.distinct()).label("number")
        mine = (e.instrument == instrument, e.day_obs == day_obs)
        statement = select(e.calib_type, number).where(*mine).group_by(e.calib_type)
        found = self._ledger.read(lambda c: c.execute(statement).all())
        return {row.calib_type: row.number for row in found}

    def last_end(self, instrument: str, calib_type: str) -> tuple[datetime, int] | None:
        """Return end and id of the newest exposure of a type that was judged."""
        statement = queries.last_end_statement(instrument, calib_type)
        row = self._ledger.read(lambda c: c.execute(statement).one_or_none())
        return None if row is None else (row.exposure_end_utc, row.exposure_id)

    def unjudged(
        self, instrument: str, now: datetime, after_seconds: float = 0.0
    ) -> list[Unjudged]:
        """Return exposures whose files have all come and that have no verdict, oldest first.

        Parameters
        ----------
        instrument
            Whose.
        now
            Aware.
        after_seconds
            Only those that were due so long ago, or longer.
        """
        statement = queries.unjudged_statement(instrument, now, after_seconds)
        found = self._ledger.read(lambda c: c.execute(statement).all())
        return [Unjudged(r.exposure_id, r.obs_id, r.calib_type, r.due_at) for r in found]

    def beat(self, name: str, at: datetime, document: Mapping[str, Any]) -> None:
        """Say that a process lives."""
        row = {"name": name, "at": at, "document": dict(document)}

        def write(connection: Connection) -> None:
            statement = dialect_insert(connection, heartbeat).values(row)
            new = {"at": statement.excluded.at, "document": statement.excluded.document}
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=new))

        self._ledger.write(write, f"heartbeat of {name}")

    def beats(self) -> dict[str, Beat]:
        """Return when each process last said that it lives, by name."""
        found = self._ledger.read(lambda c: c.execute(select(heartbeat)).all())
        return {row.name: Beat(row.at, row.document) for row in found}

    def _numbered(self, statement: Any) -> list[Numbered]:
        found = self._ledger.read(lambda c: c.execute(statement).all())
        return [numbered(row) for row in found]


def _queued(connection: Connection, row: Any) -> Queued:
    """Read what a row of the queue points at; a damaged document does not hide the rest."""
    if row.expectation_id is not None:
        finding = connection.execute(queries.expectation_statement(row.expectation_id)).one()
        return queued_finding(row.id, finding)
    facts = connection.execute(queries.verdict_statement(row.exposure_verdict_id)).one()
    ask = queries.verdict_document_statement(row.exposure_verdict_id)
    try:
        document = connection.execute(ask).scalar_one()
    except (ValueError, zlib.error):
        document = None
    return queued_exposure(row.id, facts, document)
