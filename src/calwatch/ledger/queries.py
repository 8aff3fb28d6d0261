"""Questions to the ledger, as statements and small results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.sql import exists

from calwatch.ledger.tables import exposure_verdict, judgement, measurement
from calwatch.verify.model import Verdict, worst


@dataclass(frozen=True, slots=True)
class PastValue:
    """One number of one part, as an earlier exposure gave it."""

    exposure_id: int
    end_utc: datetime
    value: float | None
    """None where that judgement has no such number."""
    verdict: Verdict
    """Verdict of the detector in that exposure."""
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Judged:
    """The last judgement of one exposure and detector."""

    fingerprint: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ExposureLine:
    """The merged verdict of one exposure, without its document."""

    instrument: str
    exposure_id: int
    calib_type: str
    verdict: Verdict
    reason: str
    physical_filter: str
    day_obs: int
    seq_num: int
    end_utc: datetime | None
    judged_at: datetime
    counts: Mapping[str, int]
    """Number of detectors by verdict."""
    expected: tuple[int, ...]
    """Detectors the Butler had raw files of."""


@dataclass(frozen=True, slots=True)
class ExposureSummary(ExposureLine):
    """The merged verdict of one exposure."""

    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """The verdict of all exposures of one type on one day of observation."""

    day_obs: int
    calib_type: str
    verdict: Verdict
    counts: Mapping[str, int]
    """Number of exposures by verdict."""


def latest() -> ColumnElement[bool]:
    """Keep the last judgement of each exposure and detector under its algorithm."""
    later = judgement.alias("later")
    return ~exists().where(
        later.c.instrument == judgement.c.instrument,
        later.c.exposure_id == judgement.c.exposure_id,
        later.c.detector == judgement.c.detector,
        later.c.algorithm == judgement.c.algorithm,
        later.c.id > judgement.c.id,
    )


def _days(column: Any, first: int | None, last: int | None) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = []
    if first is not None:
        bounds.append(column >= first)
    if last is not None:
        bounds.append(column <= last)
    return bounds


def _among(column: Any, wanted: Collection[int] | None) -> list[ColumnElement[bool]]:
    return [] if wanted is None else [column.in_(sorted(wanted))]


def last_values_statement(
    instrument: str,
    detector: int,
    calib_type: str,
    metric: str,
    n: int,
    *,
    level: str,
    algorithm: str,
    before: datetime | None,
    physical_filter: str | None,
    since: datetime | None = None,
) -> Select[Any]:
    """Select the last ``n`` values of a metric, newest first, through ``ix_judgement_trend``."""
    j = judgement.c
    statement = (
        select(
            j.exposure_id,
            j.exposure_end_utc,
            j.verdict,
            j.fingerprint,
            j.amps,
            measurement.c["values"].label("numbers"),
        )
        .join_from(
            judgement,
            measurement,
            and_(
                measurement.c.judgement_id == j.id,
                measurement.c.level == level,
                measurement.c.metric == metric,
            ),
        )
        .where(
            j.instrument == instrument,
            j.detector == detector,
            j.calib_type == calib_type,
            j.exposure_end_utc.is_not(None),
            j.algorithm == algorithm,
            latest(),
        )
        .order_by(j.exposure_end_utc.desc())
        .limit(n)
    )
    if before is not None:
        statement = statement.where(j.exposure_end_utc < before)
    if since is not None:
        statement = statement.where(j.exposure_end_utc >= since)
    if physical_filter is not None:
        statement = statement.where(j.physical_filter == physical_filter)
    return statement


def past_value(row: Any, amp: str | None) -> PastValue:
    """Read one row of `last_values_statement` for one amplifier, or for the detector."""
    place = 0 if amp is None else _place(row.amps, amp)
    value = row.numbers[place] if place is not None and place < len(row.numbers) else None
    return PastValue(
        row.exposure_id, row.exposure_end_utc, value, Verdict(row.verdict), row.fingerprint
    )


def _place(names: list[str], amp: str) -> int | None:
    return names.index(amp) if amp in names else None


def judged_statement(
    instrument: str,
    algorithm: str,
    first: int | None,
    last: int | None,
    exposure_ids: Collection[int] | None = None,
) -> Select[Any]:
    """Select every judgement of a range of days, oldest judgement first."""
    j = judgement.c
    return (
        select(j.exposure_id, j.detector, j.fingerprint, j.verdict)
        .where(
            j.instrument == instrument,
            j.algorithm == algorithm,
            *_days(j.day_obs, first, last),
            *_among(j.exposure_id, exposure_ids),
        )
        .order_by(j.id)
    )


def documents_statement(instrument: str, exposure_id: int, algorithm: str) -> Select[Any]:
    """Select id and document of the last judgement of every detector of one exposure."""
    j = judgement.c
    return (
        select(j.id, j.document)
        .where(
            j.instrument == instrument,
            j.exposure_id == exposure_id,
            j.algorithm == algorithm,
            latest(),
        )
        .order_by(j.detector)
    )


def unmerged_statement(
    instrument: str,
    algorithm: str,
    first: int | None,
    last: int | None,
    exposure_ids: Collection[int] | None = None,
) -> Select[Any]:
    """Select exposures with judgements newer than their merged verdict, or with none."""
    j, e = judgement.c, exposure_verdict.c
    newest = func.max(j.id)
    return (
        select(j.exposure_id)
        .join_from(
            judgement,
            exposure_verdict,
            and_(
                e.instrument == j.instrument,
                e.exposure_id == j.exposure_id,
                e.algorithm == j.algorithm,
            ),
            isouter=True,
        )
        .where(
            j.instrument == instrument,
            j.algorithm == algorithm,
            *_days(j.day_obs, first, last),
            *_among(j.exposure_id, exposure_ids),
        )
        .group_by(j.exposure_id, e.last_judgement_id)
        .having(or_(e.last_judgement_id.is_(None), newest != e.last_judgement_id))
        .order_by(j.exposure_id)
    )


def exposures_statement(
    instrument: str, algorithm: str, first: int | None, last: int | None
) -> Select[Any]:
    """Select merged exposures of a range of days, oldest first."""
    e = exposure_verdict.c
    return (
        select(exposure_verdict)
        .where(e.instrument == instrument, e.algorithm == algorithm, *_days(e.day_obs, first, last))
        .order_by(e.day_obs, e.seq_num, e.exposure_id)
    )


def exposure_summary(row: Any) -> ExposureSummary:
    """Read one row of `exposures_statement`."""
    return ExposureSummary(**_merged(row), document=row.document)


def exposure_line(row: Any) -> ExposureLine:
    """Read one row of ``exposure_verdict``; its document need not be there."""
    return ExposureLine(**_merged(row))


def _merged(row: Any) -> dict[str, Any]:
    return {
        "instrument": row.instrument,
        "exposure_id": row.exposure_id,
        "calib_type": row.calib_type,
        "verdict": Verdict(row.verdict),
        "reason": row.reason,
        "physical_filter": row.physical_filter,
        "day_obs": row.day_obs,
        "seq_num": row.seq_num,
        "end_utc": row.exposure_end_utc,
        "judged_at": row.judged_at,
        "counts": {"PASS": row.n_pass, "FAIL": row.n_fail, "UNKNOWN": row.n_unknown},
        "expected": tuple(row.expected),
    }


def runs_statement(
    instrument: str, algorithm: str, first: int | None, last: int | None
) -> Select[Any]:
    """Count merged exposures by day, type and verdict."""
    e = exposure_verdict.c
    return (
        select(e.day_obs, e.calib_type, e.verdict, func.count().label("number"))
        .where(e.instrument == instrument, e.algorithm == algorithm, *_days(e.day_obs, first, last))
        .group_by(e.day_obs, e.calib_type, e.verdict)
        .order_by(e.day_obs, e.calib_type, e.verdict)
    )


def run_summaries(rows: list[Any]) -> list[RunVerdict]:
    """Merge the rows of `runs_statement`: a day and type is as bad as its worst exposure."""
    grouped: dict[tuple[int, str], dict[str, int]] = {}
    for row in rows:
        counts = grouped.setdefault((row.day_obs, row.calib_type), {})
        counts[row.verdict] = row.number
    return [
        RunVerdict(day, calib_type, worst([Verdict(v) for v in counts]), counts)
        for (day, calib_type), counts in grouped.items()
    ]
