"""Tests of an exposure that are no plain pass, by amplifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from calwatch.ledger.queries import ExposureLine
from calwatch.ledger.trends import JudgedBrief
from calwatch.verify.brief import FAIL, UNKNOWN, WARNING, BriefTest
from calwatch.verify.distance import distance
from calwatch.web.of import address
from calwatch.web.tables import Column, Table

SHOWN = 20
"""Rows on the page; CSV and JSON have all."""
COLUMNS = (
    Column("detector", "Detector"),
    Column("amp", "Amplifier"),
    Column("test", "Test"),
    Column("verdict", "Result", "verdict"),
    Column("value", "Value", "number"),
    Column("lower", "At least", "number"),
    Column("upper", "At most", "number"),
    Column("unit", "Unit"),
    Column("section", "DMTN-101"),
    Column("distance", "Distance (1: on the limit)", "number"),
)
_WORDS = {FAIL: "FAIL", UNKNOWN: "UNKNOWN", WARNING: "WARNING"}
"""Small letters, of tests that do not count, are not among them."""
_ORDER = tuple(_WORDS.values())


def problems_table(request: Request, line: ExposureLine, briefs: Sequence[JudgedBrief]) -> Table:
    """Return what did not plainly pass, the gravest first.

    Parameters
    ----------
    request
        Knows where the pages are.
    line
        The exposure.
    briefs
        Every detector of it.
    """
    rows = sorted((row for one in briefs for row in _rows(one)), key=_gravity)
    links = [_links(request, line, row) for row in rows]
    return Table("problems", "What did not plainly pass", COLUMNS, rows, links)


def _rows(one: JudgedBrief) -> list[dict[str, Any]]:
    brief = one.brief
    return [
        _row(one.detector_name, amp, name, test, i)
        for amps, tests in ((brief.amps, brief.tests), (("",), brief.detector_tests))
        for name, test in tests.items()
        for i, amp in enumerate(amps)
        if test.outcomes[i] in _WORDS
    ]


def _row(detector: str, amp: str, name: str, test: BriefTest, i: int) -> dict[str, Any]:
    value, lower, upper = test.values[i], test.lower[i], test.upper[i]
    return {
        "detector": detector,
        "amp": amp,
        "test": name,
        "verdict": _WORDS[test.outcomes[i]],
        "value": value,
        "lower": lower,
        "upper": upper,
        "unit": test.unit,
        "section": test.section,
        "distance": distance(value, lower, upper),
    }


def _gravity(row: Mapping[str, Any]) -> tuple[int, float]:
    return _ORDER.index(row["verdict"]), -(row["distance"] or 0.0)


def _links(request: Request, line: ExposureLine, row: Mapping[str, Any]) -> dict[str, str]:
    name = line.instrument
    where = {"instrument": name, "exposure_id": line.exposure_id, "detector": row["detector"]}
    detector = address(request, line.calib_type, "detector", **where)
    if not row["amp"]:
        return {"detector": detector}
    amp = request.url_for(
        "amplifier", instrument=name, detector=row["detector"], amp=row["amp"]
    ).path
    seen = f"type={line.calib_type}&show={row['test']}&exposure={line.exposure_id}"
    return {"detector": detector, "amp": f"{amp}?{seen}"}
