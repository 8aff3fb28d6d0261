"""Small questions about the ledger as a whole: does it answer, and how fresh is what it has."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select

from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import exposure_verdict
from calwatch.verify.model import Verdict


def ask(ledger: Ledger) -> None:
    """Ask the ledger for nothing.

    Raises
    ------
    LedgerError
        If it does not answer.
    """
    ledger.read(lambda connection: connection.execute(select(1)).one())


def newest_ends(
    ledger: Ledger, instrument: str, verdicts: Collection[Verdict]
) -> dict[str, datetime]:
    """Return the end of the newest exposure that has one of these verdicts, by calibration type.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    """
    end = exposure_verdict.c.exposure_end_utc
    statement = (
        select(exposure_verdict.c.calib_type, func.max(end))
        .where(
            exposure_verdict.c.instrument == instrument,
            exposure_verdict.c.verdict.in_([verdict.value for verdict in verdicts]),
            end.is_not(None),
        )
        .group_by(exposure_verdict.c.calib_type)
    )
    found = ledger.read(lambda connection: connection.execute(statement).all())
    return {row[0]: row[1] for row in found}
