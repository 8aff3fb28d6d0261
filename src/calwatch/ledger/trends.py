"""Judgements in short, many at once: of an exposure, of a day, of a detector over months."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from calwatch.ledger.queries import latest
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import brief, judgement, measurement, provenance
from calwatch.verify.brief import Brief, from_plain
from calwatch.verify.model import ALGORITHM, Verdict

_J, _B, _P = judgement.c, brief.c, provenance.c


@dataclass(frozen=True, slots=True)
class JudgedBrief:
    """One judgement in short, with what it is of."""

    judgement_id: int
    exposure_id: int
    day_obs: int
    end_utc: datetime | None
    detector: int
    detector_name: str
    calib_type: str
    physical_filter: str
    verdict: Verdict
    fingerprint: str
    brief: Brief


@dataclass(frozen=True, slots=True)
class UsedCalibration:
    """A certified calibration as a judgement names it."""

    calib_type: str
    uuid: str
    run: str
    collection: str
    begin: str | None
    """Validity range, TAI; None where it is open."""
    end: str | None


@dataclass(frozen=True, slots=True)
class ChainChange:
    """Two exposures in a row that were judged against different chains."""

    at: datetime
    """End of the first exposure with the new chain."""
    exposure_id: int
    before: Mapping[str, UsedCalibration]
    after: Mapping[str, UsedCalibration]

    @property
    def changed(self) -> tuple[str, ...]:
        """Calibration types whose dataset is another, was not there or is no more."""
        types = dict.fromkeys([*self.before, *self.after])
        return tuple(t for t in types if self.before.get(t) != self.after.get(t))


def briefs_of_exposure(
    ledger: Ledger, instrument: str, exposure_id: int, algorithm: str = ALGORITHM
) -> list[JudgedBrief]:
    """Return every detector of an exposure, by number."""
    return _read(ledger, instrument, algorithm, [_J.exposure_id == exposure_id], _J.detector)


def briefs_of_day(
    ledger: Ledger, instrument: str, day_obs: int, calib_type: str, algorithm: str = ALGORITHM
) -> list[JudgedBrief]:
    """Return every exposure of a type and every detector of a day, in the order of the ledger."""
    mine = [_J.day_obs == day_obs, _J.calib_type == calib_type]
    return _read(ledger, instrument, algorithm, mine, _J.id)


def trend(
    ledger: Ledger,
    instrument: str,
    detector: int,
    calib_type: str,
    since: datetime,
    until: datetime,
    physical_filter: str | None = None,
    only: str | None = None,
    algorithm: str = ALGORITHM,
) -> list[JudgedBrief]:
    """Return one detector over time, oldest first, through ``ix_judgement_trend``.

    Parameters
    ----------
    ledger, instrument, detector, calib_type, algorithm
        What is asked for.
    since, until
        Ends of exposures (aware), both included.
    physical_filter
        Only exposures through this filter.
    only
        Only this test.
    """
    mine = _of_detector(detector, calib_type, since, until)
    if physical_filter is not None:
        mine.append(_J.physical_filter == physical_filter)
    return _read(ledger, instrument, algorithm, mine, _J.exposure_end_utc, only)


def newest(
    ledger: Ledger, instrument: str, detector: int, calib_type: str, algorithm: str = ALGORITHM
) -> JudgedBrief | None:
    """Return the newest judgement of a detector and type; None if there is none."""
    mine = [
        _J.detector == detector,
        _J.calib_type == calib_type,
        _J.exposure_end_utc.is_not(None),
    ]
    order = _J.exposure_end_utc.desc()
    found = _read(ledger, instrument, algorithm, mine, order, most=1)
    return found[0] if found else None


def briefs_of(
    ledger: Ledger,
    instrument: str,
    detectors: Collection[int],
    exposure_ids: Collection[int],
    only: str | None = None,
    algorithm: str = ALGORITHM,
) -> list[JudgedBrief]:
    """Return some detectors of some exposures; of one test only, if it is named."""
    mine = [_J.exposure_id.in_(sorted(exposure_ids)), _J.detector.in_(sorted(detectors))]
    return _read(ledger, instrument, algorithm, mine, _J.exposure_id, only)


def metric_values(
    ledger: Ledger, instrument: str, exposure_id: int, metric: str, algorithm: str = ALGORITHM
) -> dict[int, dict[str, float | None]]:
    """Return a metric of every amplifier of an exposure, by detector and amplifier."""
    m = measurement.c
    statement = (
        select(_J.detector, _J.amps, m["values"])
        .join(measurement, m.judgement_id == _J.id)
        .where(
            _J.instrument == instrument,
            _J.exposure_id == exposure_id,
            _J.algorithm == algorithm,
            m.level == "amp",
            m.metric == metric,
            latest(),
        )
    )
    rows = ledger.read(lambda c: c.execute(statement).all())
    return {detector: dict(zip(amps, values, strict=True)) for detector, amps, values in rows}


def chain_changes(
    ledger: Ledger,
    instrument: str,
    detector: int,
    calib_type: str,
    since: datetime,
    until: datetime,
    algorithm: str = ALGORITHM,
) -> list[ChainChange]:
    """Return when the certified chain of a detector changed, oldest first."""
    statement = (
        select(_J.id, _J.exposure_id, _J.exposure_end_utc, _J.fingerprint)
        .where(
            _J.instrument == instrument,
            _J.algorithm == algorithm,
            *_of_detector(detector, calib_type, since, until),
            latest(),
        )
        .order_by(_J.exposure_end_utc)
    )
    rows = ledger.read(lambda c: c.execute(statement).all())
    pairs = [(a, b) for a, b in pairwise(rows) if a.fingerprint != b.fingerprint]
    used = calibrations_of(ledger, [row.id for pair in pairs for row in pair])
    return [
        ChainChange(b.exposure_end_utc, b.exposure_id, used.get(a.id, {}), used.get(b.id, {}))
        for a, b in pairs
    ]


def calibrations_of(
    ledger: Ledger, judgement_ids: Sequence[int]
) -> dict[int, dict[str, UsedCalibration]]:
    """Return the certified calibrations behind some judgements, by judgement and type."""
    found: dict[int, dict[str, UsedCalibration]] = {}
    if not judgement_ids:
        return found
    statement = select(provenance).where(_P.judgement_id.in_(sorted(set(judgement_ids))))
    for row in ledger.read(lambda c: c.execute(statement).all()):
        used = UsedCalibration(
            row.calib_type, row.uuid, row.run, row.collection, row.begin, row.end
        )
        found.setdefault(row.judgement_id, {})[row.calib_type] = used
    return found


def _of_detector(
    detector: int, calib_type: str, since: datetime, until: datetime
) -> list[ColumnElement[bool]]:
    return [
        _J.detector == detector,
        _J.calib_type == calib_type,
        _J.exposure_end_utc.between(since, until),
    ]


def _read(
    ledger: Ledger,
    instrument: str,
    algorithm: str,
    mine: Sequence[ColumnElement[bool]],
    order: Any,
    only: str | None = None,
    most: int | None = None,
) -> list[JudgedBrief]:
    statement = _statement().where(
        _J.instrument == instrument, _J.algorithm == algorithm, *mine, latest()
    )
    rows = ledger.read(lambda c: c.execute(statement.order_by(order).limit(most)).all())
    return [
        JudgedBrief(
            row.id, row.exposure_id, row.day_obs, row.exposure_end_utc, row.detector,
            row.detector_name, row.calib_type, row.physical_filter, Verdict(row.verdict),
            row.fingerprint, from_plain(row.content, row.sequencer, only),
        )
        for row in rows
    ]  # fmt: skip


def _statement() -> Select[Any]:
    return select(
        _J.id, _J.exposure_id, _J.day_obs, _J.exposure_end_utc, _J.detector, _J.detector_name,
        _J.calib_type, _J.physical_filter, _J.verdict, _J.fingerprint, _B.sequencer, _B.content,
    ).join(brief, _B.judgement_id == _J.id)  # fmt: skip
