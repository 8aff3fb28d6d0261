"""What a report reads from the ledger: each document by itself, and what did not come."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, func, or_, select, type_coerce

from calwatch.ledger.queries import latest
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import expectation, exposure_verdict, judgement, provenance
from calwatch.verify.codec import from_dict, tests_from_dict
from calwatch.verify.model import ALGORITHM, DetectorResult, TestResult, Verdict

DAMAGE = (zlib.error, ValueError, KeyError, TypeError, AttributeError)
"""What comes of a document that is not what was written."""


@dataclass(frozen=True, slots=True)
class ReportedJudgement:
    """The last judgement of one detector of an exposure."""

    detector: int
    detector_name: str
    verdict: Verdict
    result: DetectorResult | None
    """None if the document cannot be read."""
    damage: str
    """Why it cannot be."""


@dataclass(frozen=True, slots=True)
class Announced:
    """An exposure of which not all was there when it was looked for."""

    exposure_id: int
    calib_type: str
    missing: tuple[int, ...]


def nights_beside(ledger: Ledger, instrument: str, day_obs: int) -> tuple[int | None, int | None]:
    """Return the nearest nights before and after one that have merged exposures."""
    e = exposure_verdict.c
    mine = (e.instrument == instrument, e.algorithm == ALGORITHM)
    before = select(func.max(e.day_obs)).where(*mine, e.day_obs < day_obs)
    after = select(func.min(e.day_obs)).where(*mine, e.day_obs > day_obs)
    return ledger.read(lambda c: (c.execute(before).scalar(), c.execute(after).scalar()))


def judged_with(ledger: Ledger, instrument: str, collection: str) -> set[tuple[int, str]]:
    """Return what was judged with what a collection, or one below it, certifies.

    Exposures and sets, each with its algorithm.
    """
    p = provenance.c
    below = p.collection.startswith(f"{collection.rstrip('/')}/", autoescape=True)
    statement = (
        select(judgement.c.exposure_id, judgement.c.algorithm)
        .join(provenance, p.judgement_id == judgement.c.id)
        .where(
            judgement.c.instrument == instrument,
            or_(p.collection == collection, below),
        )
        .distinct()
    )
    found = ledger.read(lambda c: c.execute(statement).all())
    return {(row.exposure_id, row.algorithm) for row in found}


def collections_of(ledger: Ledger, instrument: str) -> list[str]:
    """Return the names of the collections that certify what was ever used."""
    statement = (
        select(provenance.c.collection)
        .join(judgement, judgement.c.id == provenance.c.judgement_id)
        .where(judgement.c.instrument == instrument, judgement.c.algorithm == ALGORITHM)
        .distinct()
        .order_by(provenance.c.collection)
    )
    return [row.collection for row in ledger.read(lambda c: c.execute(statement).all())]


def judgements_of(
    ledger: Ledger, instrument: str, exposure_id: int, algorithm: str = ALGORITHM
) -> Iterator[ReportedJudgement]:
    """Give the last judgement of each detector; one whose document is damaged says so.

    The documents are read as bytes and opened one by one, so that a damaged one hides no other.
    """
    j = judgement.c
    statement = (
        select(
            j.detector,
            j.detector_name,
            j.verdict,
            type_coerce(j.document, LargeBinary).label("raw"),
        )
        .where(
            j.instrument == instrument,
            j.exposure_id == exposure_id,
            j.algorithm == algorithm,
            latest(),
        )
        .order_by(j.detector)
    )
    for row in ledger.read(lambda c: c.execute(statement).all()):
        result, damage = None, ""
        try:
            result = from_dict(_open(row.raw))
        except DAMAGE as error:
            damage = f"{type(error).__name__}: {error}"
        yield ReportedJudgement(
            row.detector, row.detector_name, Verdict(row.verdict), result, damage
        )


def exposure_tests(
    ledger: Ledger, instrument: str, exposure_id: int, algorithm: str = ALGORITHM
) -> Mapping[str, TestResult]:
    """Return the judged tests of an exposure, or of a set, as a whole.

    Raises
    ------
    Exception
        One of `DAMAGE`, if the document cannot be read.
    """
    e = exposure_verdict.c
    statement = select(type_coerce(e.document, LargeBinary)).where(
        e.instrument == instrument, e.exposure_id == exposure_id, e.algorithm == algorithm
    )
    raw = ledger.read(lambda c: c.execute(statement).scalar_one())
    return tests_from_dict(_open(raw).get("tests") or {})


def announced_missing(
    ledger: Ledger, instrument: str, since: datetime, until: datetime
) -> list[Announced]:
    """Return the exposures read out in a span of time of which something did not come."""
    x = expectation.c
    statement = (
        select(x.exposure_id, x.calib_type, x.missing)
        .where(
            x.instrument == instrument,
            x.due_at >= since,
            x.end_of_readout_utc >= since,
            x.end_of_readout_utc < until,
            x.missing.is_not(None),
        )
        .order_by(x.exposure_id)
    )
    found = ledger.read(lambda c: c.execute(statement).all())
    return [Announced(r.exposure_id, r.calib_type, tuple(r.missing)) for r in found if r.missing]


def _open(raw: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(zlib.decompress(raw))
    return content
