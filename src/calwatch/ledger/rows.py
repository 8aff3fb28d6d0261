"""What a result becomes as rows of the ledger. Plain functions: no database here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any

from calwatch.butler.model import ExposureRecord
from calwatch.verify.brief import brief_of, to_plain
from calwatch.verify.codec import tests_to_dict
from calwatch.verify.model import DetectorResult, ExposureResult, Verdict

Row = dict[str, Any]


def judgement_row(
    result: DetectorResult,
    exposure: ExposureRecord,
    judged_at: datetime,
    document: Mapping[str, Any],
) -> Row:
    """Return the row of ``judgement`` for one result; ``document`` is the whole of it."""
    return {
        "instrument": result.instrument,
        "exposure_id": result.exposure_id,
        "detector": result.detector,
        "fingerprint": str(result.provenance.get("fingerprint", "")),
        "algorithm": result.algorithm,
        "detector_name": result.detector_name,
        "calib_type": result.calib_type,
        "verdict": result.verdict.value,
        "reason": result.reason,
        "limits": result.limits,
        **_taken(exposure, judged_at),
        "amps": list(result.amps),
        "document": document,
    }


def measurement_rows(judgement_id: int, result: DetectorResult) -> list[Row]:
    """Return one row per metric: all amplifiers in camera order, None where one has no value."""
    names: dict[str, None] = {}
    for amp in result.amps.values():
        names.update(dict.fromkeys(amp.metrics))
    rows = [
        _measurement(judgement_id, "amp", n, [amp.metrics.get(n) for amp in result.amps.values()])
        for n in names
    ]
    rows += [
        _measurement(judgement_id, "detector", name, [value])
        for name, value in result.detector_metrics.items()
    ]
    return rows


def _measurement(judgement_id: int, level: str, metric: str, values: list[float | None]) -> Row:
    return {
        "judgement_id": judgement_id,
        "level": level,
        "metric": metric,
        "values": [_finite(value) for value in values],
    }


def brief_row(judgement_id: int, result: DetectorResult) -> Row:
    """Return the row of a result in short."""
    brief = brief_of(result)
    return {
        "judgement_id": judgement_id,
        "sequencer": brief.sequencer,
        "content": to_plain(brief),
    }


def array_rows(judgement_id: int, result: DetectorResult) -> list[Row]:
    """Return one row per projection or correlation."""
    return [
        {"judgement_id": judgement_id, "name": name, "values": values}
        for name, values in result.arrays.items()
    ]


def member_rows(judgement_id: int, result: DetectorResult) -> list[Row]:
    """Return one row per exposure of a set; none of a single exposure."""
    members: Sequence[int] = result.provenance.get("members") or ()
    return [{"judgement_id": judgement_id, "exposure_id": member} for member in members]


def provenance_rows(judgement_id: int, result: DetectorResult) -> list[Row]:
    """Return one row per certified calibration that was found."""
    chain: Mapping[str, Mapping[str, Any]] = result.provenance.get("chain") or {}
    return [
        {
            "judgement_id": judgement_id,
            "calib_type": calib_type,
            "uuid": str(entry.get("uuid", "")),
            "run": str(entry.get("run", "")),
            "collection": str(entry.get("collection", "")),
            "begin": _text(entry.get("begin_tai")),
            "end": _text(entry.get("end_tai")),
        }
        for calib_type, entry in chain.items()
        if entry
    ]


def exposure_row(
    merged: ExposureResult,
    exposure: ExposureRecord,
    judged_at: datetime,
    *,
    algorithm: str,
    expected: Sequence[int],
    last_judgement_id: int,
) -> Row:
    """Return the row of ``exposure_verdict`` for one merged exposure."""
    return {
        "instrument": merged.instrument,
        "exposure_id": merged.exposure_id,
        "algorithm": algorithm,
        "calib_type": merged.calib_type,
        "verdict": merged.verdict.value,
        "reason": merged.reason,
        **_taken(exposure, judged_at),
        "n_pass": merged.counts.get(Verdict.PASS.value, 0),
        "n_fail": merged.counts.get(Verdict.FAIL.value, 0),
        "n_unknown": merged.counts.get(Verdict.UNKNOWN.value, 0),
        "expected": sorted(expected),
        "last_judgement_id": last_judgement_id,
        "document": {
            "metrics": {name: _finite(value) for name, value in merged.metrics.items()},
            "tests": tests_to_dict(merged.tests),
            "failures": list(merged.failures),
            "test_counts": {level: dict(counts) for level, counts in merged.test_counts.items()},
        },
    }


def _taken(exposure: ExposureRecord, judged_at: datetime) -> Row:
    return {
        "obs_id": exposure.obs_id,
        "physical_filter": exposure.physical_filter,
        "band": exposure.band,
        "day_obs": exposure.day_obs,
        "seq_num": exposure.seq_num,
        "exposure_end_utc": exposure.end_utc,
        "judged_at": judged_at,
    }


def _finite(value: float | None) -> float | None:
    """Return None for a number that is not finite, as every document does."""
    return value if value is not None and isfinite(value) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
