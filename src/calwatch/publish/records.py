"""What is published of each thing the ledger has: plain functions, no clock and no network."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from calwatch.errors import RecordError
from calwatch.ledger.outbox import (
    AlarmTold,
    Completeness,
    JudgedDetector,
    JudgedExposure,
    Taken,
    Told,
)
from calwatch.publish.schemas import (
    ALARM,
    CHAIN_TYPES,
    COMPLETENESS,
    EXPOSURE,
    PROVENANCE,
    SET,
    amp_field,
    metrics_of,
)
from calwatch.verify.counts import OUTCOMES, count_tests
from calwatch.verify.metrics import CALIB_TYPES, FRAME_TYPES, LEVELS, SET_TYPES

DEFAULT_TAG = "calwatch"
"""``dataset_tag`` of the results of a running daemon."""
_LONGEST_TEXT = 2000
"""Characters; InfluxDB takes 64 KiB in a string, and nobody reads a longer reason in a table."""
_CHAIN_KEYS = {"begin": "begin_tai", "end": "end_tai"}
"""Where the document of a result names them otherwise than the message."""
_OBS_ID_PARTS = 4

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One record, ready to be encoded."""

    name: str
    """Which schema and topic: one of `calwatch.publish.schemas.NAMES`."""
    key: str
    """Records of one key stay in order: instrument, a slash and the detector number."""
    event_id: str
    """SHA-256 (hex) of what makes this record the one it is: the same each time it is sent."""
    fields: Fields


def make_record(told: Told, amps: Collection[str], dataset_tag: str = DEFAULT_TAG) -> Record:
    """Return the record of one thing.

    Parameters
    ----------
    told
        As the outbox gives it.
    amps
        Amplifiers the schemas have fields for.
    dataset_tag
        Tag of every point.

    Raises
    ------
    RecordError
        If it cannot be published: it has no time, is of an unknown type, has an amplifier that no
        schema knows, or a number that is none.
    """
    try:
        match told:
            case JudgedDetector():
                return _detector(told, amps, dataset_tag)
            case JudgedExposure():
                return _exposure(told, dataset_tag)
            case Completeness():
                return _completeness(told, dataset_tag)
            case AlarmTold():
                return _alarm(told, dataset_tag)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordError(
            f"it is not what it should be: {type(error).__name__}: {error}"
        ) from error


def event_id(*parts: object) -> str:
    """Return the SHA-256 (hex) of the parts, the same for the same parts for ever."""
    words = json.dumps(parts, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return hashlib.sha256(words.encode()).hexdigest()


def _detector(told: JudgedDetector, amps: Collection[str], dataset_tag: str) -> Record:
    result = told.result
    name = result.calib_type
    if name not in CALIB_TYPES:
        raise RecordError(f"there is no topic for exposures of type {name!r}")
    unknown = [amp for amp in result.amps if amp not in amps]
    if unknown:
        raise RecordError(
            f"the schemas have no amplifier {', '.join(unknown)}: they are made for the cameras "
            "of the configured instruments"
        )
    provenance = result.provenance
    fingerprint = str(provenance.get("fingerprint", ""))
    all_amp_tests = (test for amp in result.amps.values() for test in amp.tests.values())
    fields = {
        **_exposure_facts(told.taken, result.instrument, result.exposure_id, name, dataset_tag),
        "detector": str(result.detector),
        "detector_name": result.detector_name,
        "verdict": result.verdict.value,
        "reason": _short(result.reason),
        **_counts("amp", count_tests(all_amp_tests)),
        **_counts("detector", count_tests(result.detector_tests.values())),
        "fingerprint": fingerprint,
        "algorithm": result.algorithm,
        "limits": result.limits,
        "raw_uuid": _text((provenance.get("raw") or {}).get("uuid")),
        **_provenance(provenance.get("chain") or {}),
    }
    if name in SET_TYPES:
        members = provenance.get("members") or ()
        fields["members"] = _short(", ".join(map(str, members)))
        fields["n_members"] = float(len(members))
    for metric in metrics_of("detector", name):
        fields[metric.name] = _double(result.detector_metrics.get(metric.name))
    amp_metrics = metrics_of("amp", name)
    for amp, judged in result.amps.items():
        for metric in amp_metrics:
            fields[amp_field(amp, metric.name)] = _double(judged.metrics.get(metric.name))
    key = f"{result.instrument}/{result.detector}"
    identity = event_id(
        "detector", result.instrument, result.exposure_id, result.detector, fingerprint,
        result.algorithm,
    )  # fmt: skip
    return Record(name, key, identity, fields)


def _exposure(told: JudgedExposure, dataset_tag: str) -> Record:
    document = told.document
    test_counts: Mapping[str, Mapping[str, int]] = document.get("test_counts") or {}
    metrics: Mapping[str, float | None] = document.get("metrics") or {}
    fields = {
        **_exposure_facts(
            told.taken, told.instrument, told.exposure_id, told.calib_type, dataset_tag
        ),
        "verdict": told.verdict.value,
        "reason": _short(told.reason),
        "n_expected": float(len(told.expected)),
        "n_pass": float(told.n_pass),
        "n_fail": float(told.n_fail),
        "n_unknown": float(told.n_unknown),
        "failures": _short("; ".join(document.get("failures") or ())),
        "algorithm": told.algorithm,
    }
    for level in LEVELS:
        fields |= _counts(level, test_counts.get(level) or {})
    name = EXPOSURE if told.calib_type in FRAME_TYPES else SET
    if name == SET:
        fields["pipeline"] = told.calib_type
    types = FRAME_TYPES if name == EXPOSURE else SET_TYPES
    for metric in metrics_of("exposure", types):
        fields[metric.name] = _double(metrics.get(metric.name))
    identity = event_id(name, told.instrument, told.exposure_id, told.algorithm, fields)
    return Record(name, told.instrument, identity, fields)


def _completeness(told: Completeness, dataset_tag: str) -> Record:
    day_obs, seq_num = _day_and_number(told.obs_id)
    missing = ", ".join(str(number) for number in told.missing)
    expected = len(told.expected)
    text = f"{len(told.missing)} of {expected} detectors have not come: {missing}"
    fields = {
        "timestamp": told.end_of_readout_utc.timestamp(),
        "instrument": told.instrument,
        "dataset_tag": dataset_tag,
        "calib_type": told.calib_type,
        "exposure_id": float(told.exposure_id),
        "obs_id": told.obs_id,
        "day_obs": day_obs,
        "seq_num": seq_num,
        "n_expected": float(expected),
        "n_missing": float(len(told.missing)),
        "missing": _short(missing),
        "reason": _short(text) if told.missing else "",
    }
    identity = event_id(COMPLETENESS, told.instrument, told.exposure_id, fields)
    return Record(COMPLETENESS, told.instrument, identity, fields)


def _alarm(told: AlarmTold, dataset_tag: str) -> Record:
    happened, alarm = told.transition, told.transition.alarm
    key = alarm.key
    fields = {
        "timestamp": happened.at.timestamp(),
        "instrument": key.instrument,
        "dataset_tag": dataset_tag,
        "detector": key.part,
        "pipeline": key.family,
        "name": alarm.name,
        "alarm_id": float(told.alarm_id),
        "what": happened.what.value,
        "kind": alarm.kind.value,
        "family": key.family,
        "aspect": key.aspect,
        "part": key.part,
        "level": alarm.level,
        "severity": float(alarm.severity),
        "severity_before": float(happened.before),
        "max_severity": float(alarm.max_severity),
        "reason": _short(alarm.reason),
        "members": _short(", ".join(alarm.members)),
        "n_members": float(len(alarm.members)),
        "acknowledged": float(alarm.acknowledged),
        "acknowledged_by": alarm.acknowledged_by,
        "muted_by": alarm.muted_by,
        "who": happened.who,
        "why": _short(happened.why),
        "exposure_id": _double(alarm.exposure_id),
        "quiet": float(happened.quiet),
    }
    identity = event_id(ALARM, key.instrument, told.transition_id, fields)
    return Record(ALARM, key.instrument, identity, fields)


def _exposure_facts(
    taken: Taken, instrument: str, exposure_id: int, calib_type: str, dataset_tag: str
) -> Fields:
    if taken.end_utc is None:
        raise RecordError("the exposure has no time, and a point cannot be without")
    return {
        "timestamp": taken.end_utc.timestamp(),
        "instrument": instrument,
        "physical_filter": taken.physical_filter,
        "band": taken.band,
        "dataset_tag": dataset_tag,
        "calib_type": calib_type,
        "exposure_id": float(exposure_id),
        "obs_id": taken.obs_id,
        "day_obs": float(taken.day_obs),
        "seq_num": float(taken.seq_num),
    }


def _counts(level: str, counts: Mapping[str, int]) -> Fields:
    return {f"n_{level}_{outcome}": _double(counts.get(outcome)) for outcome in OUTCOMES}


def _provenance(chain: Mapping[str, Mapping[str, Any]]) -> Fields:
    """Return where each certified calibration comes from; empty strings where there was none."""
    fields = {}
    for kind in CHAIN_TYPES:
        entry = chain.get(kind) or {}
        for word in PROVENANCE:
            fields[f"{kind}_{word}"] = _text(entry.get(_CHAIN_KEYS.get(word, word)))
    return fields


def _day_and_number(obs_id: str) -> tuple[float | None, float | None]:
    """Return day of observation and number, as in ``MC_O_20261120_000010``."""
    parts = obs_id.split("_")
    if len(parts) != _OBS_ID_PARTS or not (parts[2].isdecimal() and parts[3].isdecimal()):
        return None, None
    return float(parts[2]), float(parts[3])


def _double(value: float | None) -> float | None:
    """Return a finite double, or None."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"
