"""What was judged on a day, of an exposure and of a detector: lines without their documents.

Every question here is answered through an index; the tables of a year are never read through.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from calwatch.ledger import queries
from calwatch.ledger.queries import ExposureLine, latest
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import exposure_verdict, judgement
from calwatch.verify.codec import from_dict
from calwatch.verify.model import ALGORITHM, DetectorResult, Verdict, algorithm_of

_E, _J = exposure_verdict.c, judgement.c


@dataclass(frozen=True, slots=True)
class LastCheck:
    """When a type of calibration was last judged, and last found good."""

    calib_type: str
    last: ExposureLine
    last_pass: ExposureLine | None
    """None if none was ever good."""


@dataclass(frozen=True, slots=True)
class DetectorLine:
    """The last judgement of one detector of an exposure, without its document."""

    judgement_id: int
    detector: int
    detector_name: str
    verdict: Verdict
    reason: str
    limits: str
    fingerprint: str
    judged_at: datetime


def instruments(ledger: Ledger) -> list[str]:
    """Return the instruments of which exposures were judged, by name."""
    return ledger.read(lambda c: _steps(c, _E.instrument, []))


def days(ledger: Ledger, instrument: str, most: int = 60) -> list[int]:
    """Return the days of observation of which exposures or sets were judged, newest first."""

    def ask(connection: Connection) -> list[int]:
        mine = [_E.instrument == instrument]
        return _steps(connection, _E.day_obs, mine, most, downwards=True)

    return ledger.read(ask)


def days_beside(ledger: Ledger, instrument: str, day_obs: int) -> tuple[int | None, int | None]:
    """Return the judged days before and after a day, None where there is none."""
    mine = _E.instrument == instrument
    before = select(func.max(_E.day_obs)).where(mine, _E.day_obs < day_obs)
    after = select(func.min(_E.day_obs)).where(mine, _E.day_obs > day_obs)
    return ledger.read(lambda c: (c.scalar(before), c.scalar(after)))


def exposures_between(
    ledger: Ledger,
    instrument: str,
    first_day: int,
    last_day: int,
    calib_type: str | None = None,
    algorithm: str = ALGORITHM,
) -> list[ExposureLine]:
    """Return the exposures of some days of observation, both included, oldest first."""
    statement = _lines(instrument, algorithm).where(_E.day_obs.between(first_day, last_day))
    if calib_type is not None:
        statement = statement.where(_E.calib_type == calib_type)
    return read_lines(ledger, statement.order_by(_E.day_obs, _E.seq_num, _E.exposure_id))


def exposure_line(
    ledger: Ledger, instrument: str, exposure_id: int, algorithm: str = ALGORITHM
) -> ExposureLine | None:
    """Return one exposure; None if it has no merged verdict."""
    found = read_lines(ledger, _lines(instrument, algorithm).where(_E.exposure_id == exposure_id))
    return found[0] if found else None


def exposure_lines(
    ledger: Ledger, instrument: str, exposure_ids: Collection[int], algorithm: str = ALGORITHM
) -> list[ExposureLine]:
    """Return some exposures, oldest first, as far as they have a merged verdict."""
    statement = _lines(instrument, algorithm).where(_E.exposure_id.in_(sorted(exposure_ids)))
    return read_lines(ledger, statement.order_by(_E.day_obs, _E.seq_num, _E.exposure_id))


def last_checks(ledger: Ledger, instrument: str) -> list[LastCheck]:
    """Return for each type the last exposure and the last good one, by type; sets among them."""
    types = ledger.read(lambda c: _steps(c, _E.calib_type, [_E.instrument == instrument]))
    found = []
    for calib_type in types:
        newest = (
            _lines(instrument, algorithm_of(calib_type))
            .where(_E.calib_type == calib_type, _E.exposure_end_utc.is_not(None))
            .order_by(_E.exposure_end_utc.desc())
            .limit(1)
        )
        last = read_lines(ledger, newest)
        good = read_lines(ledger, newest.where(_E.verdict == Verdict.PASS.value))
        if last:
            found.append(LastCheck(calib_type, last[0], good[0] if good else None))
    return found


def neighbours(ledger: Ledger, line: ExposureLine) -> tuple[int | None, int | None]:
    """Return those of the same type before and after an exposure or set, None where none is."""
    if line.end_utc is None:
        return None, None
    mine = select(_E.exposure_id).where(
        _E.instrument == line.instrument,
        _E.calib_type == line.calib_type,
        _E.algorithm == algorithm_of(line.calib_type),
        _E.exposure_id != line.exposure_id,
    )
    at = _E.exposure_end_utc
    before = mine.where(at <= line.end_utc).order_by(at.desc()).limit(1)
    after = mine.where(at > line.end_utc).order_by(at).limit(1)
    return ledger.read(lambda c: (c.scalar(before), c.scalar(after)))


def detector_lines(
    ledger: Ledger, instrument: str, exposure_id: int, algorithm: str = ALGORITHM
) -> list[DetectorLine]:
    """Return the last judgement of every detector of an exposure, by number."""
    statement = (
        select(
            _J.id, _J.detector, _J.detector_name, _J.verdict, _J.reason, _J.limits, _J.fingerprint,
            _J.judged_at,
        )
        .where(
            _J.instrument == instrument,
            _J.exposure_id == exposure_id,
            _J.algorithm == algorithm,
            latest(),
        )
        .order_by(_J.detector)
    )  # fmt: skip
    rows = ledger.read(lambda c: c.execute(statement).all())
    return [
        DetectorLine(
            row.id, row.detector, row.detector_name, Verdict(row.verdict), row.reason, row.limits,
            row.fingerprint, row.judged_at,
        )
        for row in rows
    ]  # fmt: skip


def detector_result(
    ledger: Ledger, instrument: str, exposure_id: int, detector: int, algorithm: str = ALGORITHM
) -> DetectorResult | None:
    """Return the last result of one detector of an exposure; None if it was not judged."""
    statement = (
        select(_J.document)
        .where(
            _J.instrument == instrument,
            _J.exposure_id == exposure_id,
            _J.detector == detector,
            _J.algorithm == algorithm,
        )
        .order_by(_J.id.desc())
        .limit(1)
    )
    document = ledger.read(lambda c: c.execute(statement).scalar_one_or_none())
    return None if document is None else from_dict(document)


def newest_judgement(ledger: Ledger) -> int:
    """Return the number of the newest judgement (0 if there is none): it changes with each."""
    return ledger.read(lambda c: c.scalar(select(func.max(_J.id)))) or 0


def _steps(
    connection: Connection,
    column: Any,
    mine: list[ColumnElement[bool]],
    most: int = 1000,
    *,
    downwards: bool = False,
) -> list[Any]:
    """Return the distinct values of a column of an index, one step through the index each."""
    end = func.max if downwards else func.min
    found: list[Any] = []
    while len(found) < most:
        beyond = [] if not found else [column < found[-1] if downwards else column > found[-1]]
        value = connection.scalar(select(end(column)).where(*mine, *beyond))
        if value is None:
            break
        found.append(value)
    return found


def _lines(instrument: str, algorithm: str) -> Select[Any]:
    columns = [column for column in exposure_verdict.columns if column.name != "document"]
    return select(*columns).where(_E.instrument == instrument, _E.algorithm == algorithm)


def read_lines(ledger: Ledger, statement: Select[Any]) -> list[ExposureLine]:
    """Return the rows of ``exposure_verdict`` that a statement selects, less their documents."""
    rows = ledger.read(lambda c: c.execute(statement).all())
    return [queries.exposure_line(row) for row in rows]
