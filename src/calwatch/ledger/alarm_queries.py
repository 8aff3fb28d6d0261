"""Questions about alarms, as statements."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, func, select, union_all
from sqlalchemy.sql import exists

from calwatch.ledger.tables import (
    alarm,
    alarm_delivery,
    alarm_queue,
    alarm_transition,
    expectation,
    exposure_verdict,
)

_JUDGED_WITHIN = timedelta(days=30)
"""What has no verdict for so long is no news to anybody."""


def queue_statement(most: int) -> Select[Any]:
    """Select rows of the queue, that of the oldest exposure first.

    An exposure without a time stands where it was judged.
    """
    when = func.coalesce(
        exposure_verdict.c.exposure_end_utc,
        exposure_verdict.c.judged_at,
        expectation.c.end_of_readout_utc,
    )
    q = alarm_queue.c
    return (
        select(q.id, q.exposure_verdict_id, q.expectation_id)
        .join_from(
            alarm_queue,
            exposure_verdict,
            exposure_verdict.c.id == q.exposure_verdict_id,
            isouter=True,
        )
        .join(expectation, expectation.c.id == q.expectation_id, isouter=True)
        .order_by(when, q.id)
        .limit(most)
    )


def verdict_statement(verdict_id: int) -> Select[Any]:
    """Select one merged exposure without its document."""
    columns = [column for column in exposure_verdict.c if column.name != "document"]
    return select(*columns).where(exposure_verdict.c.id == verdict_id)


def verdict_document_statement(verdict_id: int) -> Select[Any]:
    """Select the document of one merged exposure."""
    return select(exposure_verdict.c.document).where(exposure_verdict.c.id == verdict_id)


def expectation_statement(expectation_id: int) -> Select[Any]:
    """Select one expectation."""
    return select(expectation).where(expectation.c.id == expectation_id)


def open_statement(instrument: str | None) -> Select[Any]:
    """Select open alarms through an index, in the order of raising."""
    statement = select(alarm).where(alarm.c.closed_at.is_(None), *_of(alarm, instrument))
    return statement.order_by(alarm.c.id)


def alarms_statement(
    instrument: str | None,
    open_only: bool,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
) -> Select[Any]:
    """Select episodes that were open at some time of a span, the newest first."""
    a = alarm.c
    chosen = _of(alarm, instrument)
    still_open = select(a.id).where(a.closed_at.is_(None))
    if open_only:
        chosen.append(a.id.in_(still_open))
    elif since is not None:
        # One select each, so that each goes through its index.
        later = select(a.id).where(a.closed_at >= since)
        chosen.append(a.id.in_(union_all(still_open, later)))
    if until is not None:
        chosen.append(a.opened_at < until)
    return select(alarm).where(*chosen).order_by(a.id.desc()).limit(limit)


def named_statement(instrument: str | None, name: str) -> Select[Any]:
    """Select the episodes of a name through ``ix_alarm_name``, the newest first."""
    statement = select(alarm).where(alarm.c.name == name, *_of(alarm, instrument))
    return statement.order_by(alarm.c.id.desc())


def history_statement(
    alarm_id: int | None,
    instrument: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
) -> Select[Any]:
    """Select transitions, the newest first: of an alarm by number, else by time."""
    t = alarm_transition.c
    chosen = _of(alarm_transition, instrument)
    if alarm_id is not None:
        chosen.append(t.alarm_id == alarm_id)
    if since is not None:
        chosen.append(t.at >= since)
    if until is not None:
        chosen.append(t.at < until)
    order = [t.id.desc()] if alarm_id is not None else [t.at.desc(), t.id.desc()]
    return select(alarm_transition).where(*chosen).order_by(*order).limit(limit)


def deliveries_statement(history: Select[Any]) -> Select[Any]:
    """Select the deliveries of the transitions that `history_statement` selects."""
    chosen = history.with_only_columns(alarm_transition.c.id).subquery()
    d = alarm_delivery.c
    return select(alarm_delivery).where(d.transition_id.in_(select(chosen.c.id))).order_by(d.id)


def last_end_statement(instrument: str, calib_type: str) -> Select[Any]:
    """Select the newest exposure of a type through ``ix_exposure_verdict_type``."""
    e = exposure_verdict.c
    return (
        select(e.exposure_end_utc, e.exposure_id)
        .where(
            e.instrument == instrument,
            e.calib_type == calib_type,
            e.exposure_end_utc.is_not(None),
        )
        .order_by(e.exposure_end_utc.desc())
        .limit(1)
    )


def unjudged_statement(instrument: str, now: datetime, after_seconds: float) -> Select[Any]:
    """Select complete exposures without a verdict, oldest first, through an index."""
    e, v = expectation.c, exposure_verdict.c
    judged = exists().where(v.instrument == e.instrument, v.exposure_id == e.exposure_id)
    return (
        select(e.exposure_id, e.obs_id, e.calib_type, e.due_at)
        .where(
            e.due_at >= now - _JUDGED_WITHIN,
            e.due_at <= now - timedelta(seconds=after_seconds),
            e.instrument == instrument,
            cast(e.missing, Text) == "[]",
            ~judged,
        )
        .order_by(e.due_at, e.id)
    )


def _of(table: Any, instrument: str | None) -> list[ColumnElement[bool]]:
    return [] if instrument is None else [table.c.instrument == instrument]
