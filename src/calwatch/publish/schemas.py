"""The Avro schemas of everything that is published, made from the definitions of the metrics.

Sasquatch's rules: a number is a double or null, never an integer (InfluxDB refuses a field that
changes its type) and never NaN; ``timestamp`` is a plain double, in UTC seconds; every field has
``units`` and a ``description``. The measurement in InfluxDB is the namespace and the record's name
joined by a dot, which is also the topic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from calwatch.camera.model import Camera
from calwatch.errors import StopError
from calwatch.verify.counts import OUTCOMES, WARNING
from calwatch.verify.metrics import (
    CALIB_TYPES,
    FRAME_TYPES,
    LEVELS,
    METRICS,
    SET_TYPES,
    Level,
    Metric,
)
from calwatch.verify.model import Verdict

Schema = dict[str, Any]

DEFAULT_PREFIX = "lsst.cp.calwatch"
EXPOSURE = "exposure"
SET = "set"
COMPLETENESS = "completeness"
ALARM = "alarm"
NAMES = (*CALIB_TYPES, EXPOSURE, SET, COMPLETENESS, ALARM)
"""Records, in this order; the topic of each is the prefix, a dot and the name."""
RUBIN_AMPS = tuple(f"C{number:02d}" for number in (*range(8), *range(10, 18)))
"""Amplifiers that every schema has, whatever cameras are watched."""
CHAIN_TYPES = ("bias", "dark", "flat", "defects", "ptc", "linearizer", "crosstalk", "cti")
"""Types of certified calibrations whose provenance is told."""
PROVENANCE = {
    "uuid": "Dataset id of the certified {0} that was used",
    "run": "RUN collection of the certified {0}",
    "collection": "CALIBRATION collection that certifies the {0}",
    "begin": "Begin of the validity range of the {0} (TAI MJD), empty if open",
    "end": "End of the validity range of the {0} (TAI MJD), empty if open",
}

_UNITS = {
    "e-": "electron",
    "adu": "adu",
    "e-/adu": "electron / adu",
    "e-/s": "electron / s",
    "1/e-": "1 / electron",
    "adu^2": "adu2",
    "1/adu": "1 / adu",
    "s": "s",
    "pixel": "pixel",
    "count": "count",
    "": "unitless",
}
_MEANING = {v.value.lower(): v.value for v in Verdict} | {WARNING: "crossed only the warning limit"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_PREFIX = 200


@dataclass(frozen=True, slots=True)
class SchemaSet:
    """The schemas under one prefix.

    Parameters
    ----------
    prefix
        Namespace of the records and beginning of the topics.
    amps
        Names of the amplifiers whose numbers have a field.
    schemas
        By record name (`NAMES`).
    """

    prefix: str
    amps: frozenset[str]
    schemas: Mapping[str, Schema]

    def topic(self, name: str) -> str:
        """Return the topic of a record."""
        return f"{self.prefix}.{name}"

    def subject(self, name: str) -> str:
        """Return the subject under which a record's schema is registered."""
        return f"{self.topic(name)}-value"

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics."""
        return tuple(self.topic(name) for name in self.schemas)


def build_schemas(cameras: Iterable[Camera] = (), prefix: str = DEFAULT_PREFIX) -> SchemaSet:
    """Return the schemas for some cameras.

    The order of the fields is always the same: amplifiers of the Rubin cameras come first, those
    that only other cameras have after them, in the order of the cameras.

    Raises
    ------
    StopError
        If the prefix cannot be a namespace, or two amplifiers would have the same fields.
    """
    words = prefix.split(".")
    if len(prefix) > _LONGEST_PREFIX or not all(_NAME.fullmatch(word) for word in words):
        raise StopError(
            f"prefix {prefix!r} cannot be the namespace of Avro records: words of letters, digits "
            f"and _ joined by dots, at most {_LONGEST_PREFIX} characters"
        )
    amps = _amps(cameras)
    schemas: dict[str, Schema] = {
        name: _record(prefix, name, _detector_fields(name, amps)) for name in CALIB_TYPES
    }
    schemas[EXPOSURE] = _record(prefix, EXPOSURE, _merged_fields(FRAME_TYPES))
    schemas[SET] = _record(prefix, SET, _merged_fields(SET_TYPES))
    schemas[COMPLETENESS] = _record(prefix, COMPLETENESS, _completeness_fields())
    schemas[ALARM] = _record(prefix, ALARM, _alarm_fields())
    return SchemaSet(prefix, frozenset(amps), MappingProxyType(schemas))


@cache
def amp_field(amp: str, metric: str) -> str:
    """Return the field of one number of one amplifier, such as ``C05_NOISE``."""
    return f"{_word(amp)}_{metric}"


@cache
def metrics_of(
    level: Level, calib_types: str | tuple[str, ...] = CALIB_TYPES
) -> tuple[Metric, ...]:
    """Return the metrics of a level, of all calibration types or of some, in a fixed order."""
    wanted = {calib_types} if isinstance(calib_types, str) else set(calib_types)
    return tuple(
        metric
        for metric in METRICS.values()
        if metric.level == level and wanted.intersection(metric.calib_types)
    )


def _word(amp: str) -> str:
    """Return an amplifier's name as the beginning of a field."""
    word = re.sub(r"[^A-Za-z0-9_]", "_", amp)
    return word if _NAME.fullmatch(word) else f"A{word}"


def _amps(cameras: Iterable[Camera]) -> tuple[str, ...]:
    names = dict.fromkeys(RUBIN_AMPS)
    for camera in cameras:
        for detector in camera.detectors:
            names.update(dict.fromkeys(detector.amp_names))
    taken: dict[str, str] = {}
    for name in names:
        other = taken.setdefault(_word(name), name)
        if other != name:
            raise StopError(
                f"amplifiers {other!r} and {name!r} would both be published as {_word(name)}"
            )
    return tuple(names)


def _record(prefix: str, name: str, fields: list[Schema]) -> Schema:
    description = {
        EXPOSURE: "The merged verdict of one exposure.",
        SET: "The merged verdict of one set of exposures, under its last one.",
        COMPLETENESS: "Detectors of an exposure that were not ingested in time.",
        ALARM: "One thing that happened to an alarm, with the alarm as it was afterwards.",
    }.get(name) or (
        f"One detector of one {name} exposure against its certified calibrations."
        if name in FRAME_TYPES
        else f"What a set of exposures, which ends with this one, says of one detector: {name}."
    )
    return {
        "type": "record",
        "name": name,
        "namespace": prefix,
        "description": description,
        "fields": fields,
    }


def _number(name: str, units: str, description: str) -> Schema:
    return {
        "name": name,
        "type": ["null", "double"],
        "default": None,
        "units": units,
        "description": description,
    }


def _string(name: str, description: str) -> Schema:
    return {
        "name": name,
        "type": "string",
        "default": "",
        "units": "unitless",
        "description": description,
    }


def _time(description: str) -> Schema:
    return {"name": "timestamp", "type": "double", "units": "s", "description": description}


def _exposure_tags() -> list[Schema]:
    return [
        _string("instrument", "Butler instrument"),
        _string("physical_filter", "Filter in the beam"),
        _string("band", "Band of the filter"),
        _string("dataset_tag", "What set of results this belongs to"),
    ]


def _exposure_facts(types: Sequence[str] = FRAME_TYPES) -> list[Schema]:
    return [
        _string("calib_type", f"{', '.join(types[:-1])} or {types[-1]}"),
        _number("exposure_id", "unitless", "Exposure id"),
        _string("obs_id", "Observation id, as the camera names the exposure"),
        _number("day_obs", "unitless", "Day of observation, YYYYMMDD"),
        _number("seq_num", "unitless", "Number of the exposure in its day"),
    ]


def _verdict_fields() -> list[Schema]:
    return [
        _string("verdict", "PASS, FAIL or UNKNOWN"),
        _string("reason", "Why, in plain words; empty for a plain PASS"),
    ]


def _counts(levels: Iterable[Level]) -> list[Schema]:
    return [
        _number(f"n_{level}_{outcome}", "count", f"Tests at {level} level: {_MEANING[outcome]}")
        for level in levels
        for outcome in OUTCOMES
    ]


def _metric_field(name: str, metric: Metric, of: str = "") -> Schema:
    return _number(name, _UNITS[metric.unit], f"{of}{metric.description}")


def _detector_fields(calib_type: str, amps: tuple[str, ...]) -> list[Schema]:
    is_set = calib_type in SET_TYPES
    return [
        _time(f"End of {_last(is_set)}, UTC, seconds since 1970"),
        *_exposure_tags(),
        _string("detector", "Detector number"),
        _string("detector_name", "Detector name, such as R22_S11"),
        *_exposure_facts(SET_TYPES if is_set else FRAME_TYPES),
        *(_members() if is_set else ()),
        *_verdict_fields(),
        *_counts(("amp", "detector")),
        _string("fingerprint", "Which chain of certified calibrations was used"),
        _string("algorithm", "Version of everything that can change a number"),
        _string("limits", "Profile of limits and its version"),
        _string("raw_uuid", f"Dataset id of the raw{' of the last exposure' if is_set else ''}"),
        *(
            _string(f"{kind}_{word}", text.format(kind))
            for kind in CHAIN_TYPES
            for word, text in PROVENANCE.items()
        ),
        *(_metric_field(m.name, m) for m in metrics_of("detector", calib_type)),
        *(
            _metric_field(amp_field(amp, m.name), m, f"{amp}: ")
            for amp in amps
            for m in metrics_of("amp", calib_type)
        ),
    ]


def _members() -> list[Schema]:
    return [
        _string("members", "Ids of the set's exposures, the oldest first"),
        _number("n_members", "count", "Number of the set's exposures"),
    ]


def _merged_fields(types: tuple[str, ...]) -> list[Schema]:
    """Return the fields of a verdict over all detectors, of an exposure or of a set."""
    is_set = types == SET_TYPES
    # The tag `pipeline` keeps the points of all that is judged under one exposure apart.
    kind = _string("pipeline", "What was judged of the set, such as gain, ptc or defects")
    return [
        _time(f"End of {_last(is_set)}, UTC, seconds since 1970"),
        *_exposure_tags(),
        *([kind] if is_set else ()),
        *_exposure_facts(types),
        *_verdict_fields(),
        _number("n_expected", "count", "Detectors that have a raw"),
        *(
            _number(f"n_{v.value.lower()}", "count", f"Detectors that are {v.value}")
            for v in Verdict
        ),
        *_counts(LEVELS),
        _string("failures", "The failed tests: detector, amplifier, test"),
        _string("algorithm", "Version of everything that can change a number"),
        *(_metric_field(m.name, m) for m in metrics_of("exposure", types)),
    ]


def _last(is_set: bool) -> str:
    return "the set's last exposure" if is_set else "the exposure"


def _completeness_fields() -> list[Schema]:
    return [
        _time("End of the readout, UTC, seconds since 1970"),
        _string("instrument", "Butler instrument"),
        _string("dataset_tag", "What set of results this belongs to"),
        *_exposure_facts(),
        _number("n_expected", "count", "Detectors that should have come"),
        _number("n_missing", "count", "Detectors that had not come when they were due"),
        _string("missing", "Their numbers"),
        _string("reason", "What is wrong, in plain words; empty if all have come"),
    ]


def _alarm_fields() -> list[Schema]:
    # `detector` and `pipeline` are tags in Sasquatch: they keep the points of two alarms apart.
    return [
        _time("When it happened, UTC, seconds since 1970"),
        _string("instrument", "Butler instrument"),
        _string("dataset_tag", "What set of results this belongs to"),
        _string("detector", "Part of the camera, such as R22_S11/C05, R22_Reb1, R22 or LSSTCam"),
        _string("pipeline", "Family of tests that the problem belongs to, such as readout"),
        _string("name", "Name of the alarm"),
        _number("alarm_id", "unitless", "Number of this episode of the problem"),
        _string("what", "What happened, such as raised, worse, acknowledged or cleared"),
        _string("kind", "failure, unknown, dead-man or chain"),
        _string("family", "Family of tests that the problem belongs to"),
        _string("aspect", "above, below or a calibration type; empty if there is none"),
        _string("part", "Part of the camera"),
        _string("level", "amplifier, CCD, REB, raft or focal plane"),
        _number("severity", "unitless", "1 none, 2 warning, 3 serious, 4 critical"),
        _number("severity_before", "unitless", "Severity before it happened"),
        _number("max_severity", "unitless", "Gravest severity of the episode so far"),
        _string("reason", "What is wrong, in one line"),
        _string("members", "The parts that are bad now"),
        _number("n_members", "count", "Number of parts that are bad now"),
        _number("acknowledged", "unitless", "1 if somebody has acknowledged it, else 0"),
        _string("acknowledged_by", "Who has"),
        _string("muted_by", "Who holds back its notices; empty if nobody does"),
        _string("who", "Who did what happened; calwatch if no person did"),
        _string("why", "Why, in that person's words"),
        _number("exposure_id", "unitless", "The newest exposure behind its state"),
        _number("quiet", "unitless", "1 if nobody was to be told, else 0"),
    ]
