"""Projections and correlations of judgements, which are kept for a while only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from calwatch.arrays import FloatArray
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import judgement, measured_array
from calwatch.verify.model import ALGORITHM


def measured_arrays(
    ledger: Ledger, instrument: str, exposure_id: int, detector: int, algorithm: str = ALGORITHM
) -> dict[str, FloatArray]:
    """Return the arrays of the last judgement of one exposure and detector, by name.

    Returns
    -------
    dict
        Such as ``row_projection``, shape (n_amp, rows), with NaN where nothing was measured; empty
        if none were measured, or they have been dropped.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    """
    j = judgement.c
    last = (
        select(j.id)
        .where(
            j.instrument == instrument,
            j.exposure_id == exposure_id,
            j.detector == detector,
            j.algorithm == algorithm,
        )
        .order_by(j.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    a = measured_array.c
    statement = select(a.name, a["values"]).where(a.judgement_id == last)
    found = ledger.read(lambda c: c.execute(statement).all())
    return {name: values for name, values in found}  # noqa: C416 (rows are no pairs to mypy)


def drop_arrays(ledger: Ledger, before: datetime, most: int) -> int:
    """Drop the arrays of the oldest results judged before a time; return how many there were.

    The results themselves, with all their numbers, stay. What is old is looked for before anything
    is locked, and little of it is dropped at once, so that whoever records waits for little.

    Parameters
    ----------
    ledger
        Where they are.
    before
        Arrays of what was judged then or later stay.
    most
        Of at most so many results.

    Raises
    ------
    LedgerError
        If the ledger cannot be read or written.
    """
    a = measured_array.c
    judged_at = select(judgement.c.judged_at).where(judgement.c.id == a.judgement_id)
    statement = (
        select(a.judgement_id)
        .where(judged_at.scalar_subquery() < before)  # no join: so the oldest are found at once
        .distinct()
        .order_by(a.judgement_id)
        .limit(most)
    )
    old = ledger.read(lambda c: c.scalars(statement).all())
    if not old:
        return 0
    drop = delete(measured_array).where(a.judgement_id.in_(old))
    return ledger.write(lambda c: c.execute(drop).rowcount, "arrays")
