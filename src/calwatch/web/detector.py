"""One detector of an exposure or set: every number, what it must be, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calwatch.ledger.queries import ExposureLine
from calwatch.verify.explain import Explanation, explain
from calwatch.verify.limits import Part
from calwatch.verify.metrics import METRICS
from calwatch.verify.model import DetectorResult, TestResult, Verdict
from calwatch.verify.sets.abscissa import light_words
from calwatch.web.api import site_of
from calwatch.web.exposure import line_of, members, name_of, result_of
from calwatch.web.plotting import allow_pictures
from calwatch.web.render import render
from calwatch.web.set_pictures import PICTURES, absent_words, wanted_amp
from calwatch.web.set_points import Looked, points_table
from calwatch.web.site import Site
from calwatch.web.tables import Column, Table, download

SHOWN = 100
"""Rows on the page of what a picture shows; CSV and JSON have all."""
TESTS = (
    Column("part", "Part"),
    Column("verdict", "Result", "verdict"),
    Column("test", "Test"),
    Column("value", "Value", "number"),
    Column("lower", "At least", "number"),
    Column("upper", "At most", "number"),
    Column("unit", "Unit"),
    Column("section", "DMTN-101"),
    Column("counts", "Counts"),
    Column("reason", "Why", "words"),
)


def routes() -> list[Route]:
    """Return the address."""
    address = "/exposures/{instrument}/{exposure_id:int}/{detector}"
    return [Route(address, detector_page, name="detector")]


async def detector_page(request: Request) -> Response:
    """Show one detector of an exposure: tests, numbers and provenance."""
    site = site_of(request)

    def ask() -> dict[str, Any]:
        line = line_of(site, request)
        result = result_of(site, line, request.path_params["detector"])
        detector = site.detector(line.instrument, str(result.detector))
        looked = Looked(site, line, detector, result)
        return {
            "line": line,
            "result": result,
            "members": members(site, line),
            "light": light_words(result.provenance.get("light") or {}),
            "picture": PICTURES.get(line.calib_type),
            "points": points_table(request, looked),
            "absent": absent_words(looked),
            "amps": detector.amp_names,
            "amp": wanted_amp(request, detector),
            "tests": tests_table(request, result),
            "numbers": numbers_table(result),
            "explained": list(_explained(site, line, result)),
            "metrics": {name: METRICS[name] for name in _names(result) if name in METRICS},
            "pulse": site.pulse(),
        }

    content = await asyncio.to_thread(ask)
    result = content["result"]
    name = f"calwatch-{name_of(content['line'])}-{result.detector_name}"
    points: Table | None = content["points"]
    tables = [content["tests"], content["numbers"], *([points] if points else [])]
    saved = download(request, name, tables)
    if saved is not None:
        return saved
    answer = render(request, "detector.html", {**content, "shown_points": _first(content)})
    return allow_pictures(answer) if points and points.rows else answer


def _first(content: Mapping[str, Any]) -> Table | None:
    """Return the first rows of what the picture shows, of the amplifier that is chosen."""
    points: Table | None = content["points"]
    if points is None:
        return None
    amp = content["amp"]
    chosen = [pair for pair in points.linked() if amp in ("", pair[0].get("amp"))][:SHOWN]
    rows, links = [row for row, _ in chosen], [links for _, links in chosen]
    return Table(points.name, points.title, points.columns, rows, links)


def tests_table(request: Request, result: DetectorResult) -> Table:
    """Return every test, what failed first."""
    rows = [_test_row("detector", test) for test in result.detector_tests.values()]
    rows += [
        _test_row(name, test) for name, amp in result.amps.items() for test in amp.tests.values()
    ]
    rows.sort(key=_gravity)
    links = [_test_links(request, result, row) for row in rows]
    return Table("tests", "Tests", TESTS, rows, links)


def numbers_table(result: DetectorResult) -> Table:
    """Return every number: a row a metric, a column an amplifier."""
    columns = [Column("metric", "Metric"), Column("unit", "Unit")]
    columns += [Column(name, name, "number") for name in result.amps]
    if result.detector_metrics:
        columns.append(Column("detector", "Detector", "number"))
    rows = []
    for name in _names(result):
        row: dict[str, Any] = {
            "metric": name,
            "unit": METRICS[name].unit if name in METRICS else "",
        }
        row |= {amp: found.metrics.get(name) for amp, found in result.amps.items()}
        row["detector"] = result.detector_metrics.get(name)
        rows.append(row)
    return Table("numbers", "Numbers", columns, rows)


def _names(result: DetectorResult) -> list[str]:
    names = dict.fromkeys(name for amp in result.amps.values() for name in amp.metrics)
    return list(names | dict.fromkeys(result.detector_metrics))


def _test_row(part: str, test: TestResult) -> dict[str, Any]:
    warned = test.verdict is Verdict.PASS and test.severity == "WARNING"
    return {
        "part": part,
        "test": test.name,
        "verdict": "WARNING" if warned else test.verdict.value,
        "value": test.value,
        "lower": test.limit[0],
        "upper": test.limit[1],
        "unit": test.unit,
        "section": test.section,
        "counts": "yes" if test.counts else "no",
        "reason": test.reason,
    }


def _gravity(row: Mapping[str, Any]) -> tuple[bool, int]:
    order = ("FAIL", "UNKNOWN", "WARNING", "PASS")
    return row["counts"] == "no", order.index(row["verdict"])


def _test_links(request: Request, result: DetectorResult, row: Mapping[str, Any]) -> dict[str, str]:
    if row["part"] == "detector":
        return {}
    where = {"instrument": result.instrument, "detector": result.detector_name, "amp": row["part"]}
    path = request.url_for("amplifier", **where).path
    seen = f"type={result.calib_type}&show={row['test']}&exposure={result.exposure_id}"
    return {"part": f"{path}?{seen}"}


def _explained(
    site: Site, line: ExposureLine, result: DetectorResult
) -> Iterator[tuple[str, Explanation]]:
    """Explain each test once, with the numbers of the first amplifier that has it."""
    done: set[str] = set()
    for name, amp in result.amps.items():
        part = Part(result.instrument, result.detector, result.detector_name, name)
        for test in amp.tests.values():
            if test.name not in done:
                done.add(test.name)
                yield name, explain(
                    test, amp.metrics, line.calib_type, "amp", part, line.end_utc, site.limits,
                    result.limits,
                )  # fmt: skip
    part = Part(result.instrument, result.detector, result.detector_name, "")
    for test in result.detector_tests.values():
        yield "detector", explain(
            test, result.detector_metrics, line.calib_type, "detector", part, line.end_utc,
            site.limits, result.limits,
        )  # fmt: skip
