"""Alarms as tables: those of the list, and the last values behind one."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from calwatch.alarms.model import Alarm, Numbered
from calwatch.service.alarm_words import grade_words, handling_words, severity_words
from calwatch.web.of import address
from calwatch.web.tables import Column, Table

ALARMS = (
    Column("id", "Alarm", "number"),
    Column("name", "Name", "code"),
    Column("instrument", "Instrument"),
    Column("part", "Part"),
    Column("severity", "Now"),
    Column("max_severity", "Gravest"),
    Column("reason", "Why"),
    Column("since", "Since, UTC", "time"),
    Column("closed_at", "Closed, UTC", "time"),
    Column("handling", "Handling"),
)
VALUES = (
    Column("part", "Part"),
    Column("calib_type", "Type"),
    Column("test", "Test"),
    Column("section", "DMTN-101"),
    Column("exposure", "Exposure", "code"),
    Column("value", "Value", "number"),
    Column("lower", "At least", "number"),
    Column("upper", "At most", "number"),
    Column("unit", "Unit"),
    Column("result", "Result"),
    Column("collection", "Against", "code"),
)


def alarms_table(alarms: Sequence[Numbered]) -> Table:
    """Return alarms, a row each."""
    rows = [
        {
            "id": one.alarm_id,
            "name": one.alarm.name,
            "instrument": one.alarm.key.instrument,
            "part": one.alarm.key.part,
            "severity": severity_words(one.alarm),
            "max_severity": one.alarm.max_severity.name,
            "reason": one.alarm.reason,
            "since": one.alarm.since,
            "closed_at": one.alarm.closed_at,
            "handling": handling_words(one.alarm),
        }
        for one in alarms
    ]
    return Table("alarms", "Alarms", ALARMS, rows)


def values_table(request: Request, alarm: Alarm) -> Table:
    """Return the last values behind an alarm, the newest of each test first."""
    rows, links = [], []
    instrument = alarm.key.instrument
    for symptom in alarm.symptoms:
        for sample in reversed(symptom.samples):
            rows.append(
                {
                    "part": symptom.part,
                    "calib_type": symptom.calib_type,
                    "test": symptom.test,
                    "section": symptom.section,
                    "exposure": sample.exposure_id,
                    "value": sample.value,
                    "lower": sample.limit[0],
                    "upper": sample.limit[1],
                    "unit": symptom.unit,
                    "result": grade_words(sample),
                    "collection": sample.collection,
                }
            )
            found = {}
            if sample.exposure_id:
                where = {"instrument": instrument, "exposure_id": sample.exposure_id}
                found["exposure"] = address(request, symptom.calib_type, "exposure", **where)
            detector, _, amp = symptom.part.partition("/")
            if amp:
                place = {"instrument": instrument, "detector": detector, "amp": amp}
                path = request.url_for("amplifier", **place).path
                seen = f"type={symptom.calib_type}&show={symptom.test}"
                found["part"] = f"{path}?{seen}&exposure={sample.exposure_id}"
            links.append(found)
    return Table("values", "Last values", VALUES, rows, links)
