"""One exposure of the ledger by its number alone, and those around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import exposure_verdict, judgement
from calwatch.verify.model import ALGORITHM


@dataclass(frozen=True, slots=True)
class JudgedExposure:
    """What the ledger knows of an exposure, besides its results."""

    instrument: str
    exposure_id: int
    obs_id: str
    calib_type: str
    physical_filter: str
    day_obs: int
    end_utc: datetime | None


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged verdict of an exposure, with its own metrics and tests."""

    exposure_id: int
    end_utc: datetime | None
    verdict: str
    document: Mapping[str, Any]


def judged_exposure(
    ledger: Ledger, instrument: str, exposure_id: int, algorithm: str = ALGORITHM
) -> JudgedExposure | None:
    """Return one exposure, or set; None if no detector of it has been judged."""
    j = judgement.c
    statement = (
        select(
            j.instrument, j.exposure_id, j.obs_id, j.calib_type, j.physical_filter, j.day_obs,
            j.exposure_end_utc,
        )
        .where(
            j.instrument == instrument,
            j.exposure_id == exposure_id,
            j.algorithm == algorithm,
        )
        .order_by(j.id.desc())
        .limit(1)
    )  # fmt: skip
    row = ledger.read(lambda c: c.execute(statement).one_or_none())
    return None if row is None else JudgedExposure(*row)


def newest_exposures(ledger: Ledger, instrument: str, most: int) -> list[int]:
    """Return the numbers of the newest exposures that were judged, newest first."""
    e = exposure_verdict.c
    statement = (
        select(e.exposure_id)
        .where(e.instrument == instrument, e.algorithm == ALGORITHM)
        .group_by(e.exposure_id)
        .order_by(func.max(e.day_obs).desc(), func.max(e.seq_num).desc())
        .limit(most)
    )
    return [row.exposure_id for row in ledger.read(lambda c: c.execute(statement).all())]


def merged_verdicts(
    ledger: Ledger,
    exposure: JudgedExposure,
    most: int,
    algorithm: str = ALGORITHM,
) -> list[Merged]:
    """Return merged verdicts of a kind of exposure, newest first: this one's and earlier ones.

    Parameters
    ----------
    ledger
        Where they are.
    exposure
        Of its type and filter, and not later than it.
    most
        At most so many.
    algorithm
        Which.
    """
    e = exposure_verdict.c
    mine = [
        e.instrument == exposure.instrument,
        e.calib_type == exposure.calib_type,
        e.physical_filter == exposure.physical_filter,
        e.algorithm == algorithm,
    ]
    if exposure.end_utc is None:
        mine.append(e.exposure_id == exposure.exposure_id)
    else:
        mine.append(e.exposure_end_utc <= exposure.end_utc)
    statement = (
        select(e.exposure_id, e.exposure_end_utc, e.verdict, e.document)
        .where(*mine)
        .order_by(e.exposure_end_utc.desc())
        .limit(most)
    )
    found = ledger.read(lambda c: c.execute(statement).all())
    return [Merged(*row) for row in found]
