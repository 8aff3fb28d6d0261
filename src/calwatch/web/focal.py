"""The focal plane: of one exposure, or the worst of a day."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from calwatch.ledger.nights import last_checks
from calwatch.ledger.queries import ExposureLine
from calwatch.ledger.trends import (
    JudgedBrief,
    briefs_of_day,
    briefs_of_exposure,
    metric_values,
)
from calwatch.plots.focal_plane import WAYS, By, focal_plane, legend
from calwatch.plots.readings import Reading, gravity, readings, worst
from calwatch.service.alarm_desk import OrderError
from calwatch.verify.brief import ABSENT, gravest
from calwatch.verify.metrics import FRAME_TYPES, METRICS
from calwatch.verify.model import algorithm_of
from calwatch.web.api import site_of
from calwatch.web.exposure import line_of, name_of
from calwatch.web.of import query
from calwatch.web.plotting import allow_pictures, picture, wanted_scheme
from calwatch.web.render import render
from calwatch.web.site import NoSuchPageError, Site
from calwatch.web.tables import Column, Table, download

_LAST_DAY = 9999_12_31
"""A larger number is no day, and one of more than 64 bits none that a database takes."""
ALL = "all"
"""Shows the worst of all tests."""
WORST = 20
"""Amplifiers in the table on the page; CSV and JSON have all."""
WORDS = {"P": "PASS", "W": "WARNING", "F": "FAIL", "U": "UNKNOWN", "-": ""}
COLUMNS = (
    Column("detector", "Detector"),
    Column("amp", "Amplifier"),
    Column("verdict", "Result", "verdict"),
    Column("test", "Test"),
    Column("value", "Value", "number"),
    Column("lower", "At least", "number"),
    Column("upper", "At most", "number"),
    Column("unit", "Unit"),
    Column("distance", "Distance (1: on the limit)", "number"),
    Column("exposure", "Exposure", "code"),
)


def routes() -> list[Route]:
    """Return the addresses."""
    exposure, day = (
        "/focal/{instrument}/{exposure_id:int}",
        ("/focal/{instrument}/day/{day_obs:int}/{calib_type}"),
    )
    return [
        Route("/focal", newest_view, name="focal-newest"),
        Route(exposure, exposure_view, name="focal"),
        Route(f"{exposure}/picture", exposure_picture, name="focal-picture"),
        Route(day, day_view, name="focal-day"),
        Route(f"{day}/picture", day_picture, name="focal-day-picture"),
    ]


async def newest_view(request: Request) -> Response:
    """Lead to the focal plane of the newest exposure, of ``?instrument=`` or of any."""
    site = site_of(request)
    wanted = request.query_params.get("instrument", "")
    names = [wanted] if wanted else list(site.cameras)

    def ask() -> ExposureLine | None:
        checks = [c for n in names if site.camera(n) for c in last_checks(site.ledger, n)]
        lines = [c.last for c in checks if c.calib_type in FRAME_TYPES]
        return max(lines, key=lambda line: line.end_utc or line.judged_at, default=None)

    line = await asyncio.to_thread(ask)
    if line is None:
        raise NoSuchPageError("nothing has been judged yet")
    where = {"instrument": line.instrument, "exposure_id": line.exposure_id}
    return RedirectResponse(request.url_for("focal", **where).path, status_code=303)


async def exposure_view(request: Request) -> Response:
    """Show the focal plane of one exposure."""
    return await _view(request, "focal-picture", _of_exposure)


async def exposure_picture(request: Request) -> Response:
    """Give the picture of one exposure."""
    return await _picture(request, _of_exposure)


async def day_view(request: Request) -> Response:
    """Show for each amplifier the worst of a day."""
    return await _view(request, "focal-day-picture", _of_day)


async def day_picture(request: Request) -> Response:
    """Give the picture of a day."""
    return await _picture(request, _of_day)


async def _view(request: Request, picture_name: str, ask: Any) -> Response:
    site = site_of(request)

    def gather() -> dict[str, Any]:
        found = ask(site, request)
        address = Addresses(request, found["camera"].instrument, found["calib_type"])
        table = _table(found["readings"], address)
        return {**found, "table": table, "pulse": site.pulse()}

    content = await asyncio.to_thread(gather)
    table: Table = content["table"]
    name = f"calwatch-focal-{content['name']}"
    saved = download(request, name, [table])
    if saved is not None:
        return saved
    address = request.url_for(picture_name, **request.path_params).path
    shown = {
        **content,
        "top": Table(table.name, table.title, COLUMNS, table.rows[:WORST], table.links[:WORST]),
        "all": len(table.rows),
        "legend": legend(content["readings"]),
        "ways": WAYS,
        "picture": f"{address}?show={content['show']}&by={content['by']}{content['of']}",
    }
    return allow_pictures(render(request, "focal.html", shown))


async def _picture(request: Request, ask: Any) -> Response:
    site = site_of(request)

    def draw() -> Any:
        found = ask(site, request)
        camera, scheme = found["camera"], wanted_scheme(request)
        address = Addresses(request, camera.instrument, found["calib_type"]).amplifier
        return focal_plane(camera, found["readings"], found["by"], scheme=scheme, address=address)

    return picture(await asyncio.to_thread(draw))


def _of_exposure(site: Site, request: Request) -> dict[str, Any]:
    line = line_of(site, request)
    algorithm = algorithm_of(line.calib_type)
    briefs = briefs_of_exposure(site.ledger, line.instrument, line.exposure_id, algorithm)
    show, by = _chosen(request, briefs, line.calib_type)
    if show in METRICS and not any(show in one.brief.tests for one in briefs):
        values = metric_values(site.ledger, line.instrument, line.exposure_id, show, algorithm)
        found = _bare(line.exposure_id, show, briefs, values)
    else:
        found = worst(_readings(briefs, show))
    return {
        "camera": site.camera(line.instrument),
        "calib_type": line.calib_type,
        "title": f"{line.calib_type} {line.exposure_id}",
        "name": name_of(line),
        "of": query(line.calib_type, "&"),
        "line": line,
        "day_obs": line.day_obs,
        "readings": found,
        "show": show,
        "by": by,
        "tests": _tests(briefs),
        "metrics": _metrics(line.calib_type, briefs),
    }


def _of_day(site: Site, request: Request) -> dict[str, Any]:
    instrument, calib_type = request.path_params["instrument"], request.path_params["calib_type"]
    day_obs = request.path_params["day_obs"]
    camera = site.camera(instrument)
    possible = day_obs <= _LAST_DAY
    where = (site.ledger, instrument, day_obs, calib_type, algorithm_of(calib_type))
    briefs = briefs_of_day(*where) if possible else []
    if not briefs:
        raise NoSuchPageError(f"{instrument}: no {calib_type[:20]} of {day_obs} has been judged")
    show, by = _chosen(request, briefs, calib_type)
    return {
        "camera": camera,
        "calib_type": calib_type,
        "title": f"worst of each amplifier in the {_plural(calib_type)} of {day_obs}",
        "name": f"{instrument}-{day_obs}-{calib_type}",
        "of": "",
        "line": None,
        "day_obs": day_obs,
        "readings": worst(_readings(briefs, show)),
        "show": show,
        "by": by,
        "tests": _tests(briefs),
        "metrics": [],
    }


def _plural(calib_type: str) -> str:
    return f"{calib_type} exposures" if calib_type in FRAME_TYPES else f"{calib_type} sets"


def _chosen(request: Request, briefs: Sequence[JudgedBrief], calib_type: str) -> tuple[str, By]:
    """Return what is to be shown and by what, from the address."""
    tests = _tests(briefs)
    show = request.query_params.get("show") or ALL
    known = [ALL, *tests, *_metrics(calib_type, briefs)]
    if show not in known:
        raise OrderError(f"show: {show[:40]!r} is none of {', '.join(known)}")
    wanted = request.query_params.get("by") or ("value" if show not in (ALL, *tests) else "verdict")
    if show == ALL and wanted == "value":
        wanted = "distance"  # values of different tests have no scale in common
    for way in WAYS:
        if way == wanted:
            return show, way
    raise OrderError(f"by: must be one of {', '.join(WAYS)}")


def _tests(briefs: Sequence[JudgedBrief]) -> list[str]:
    return list(dict.fromkeys(name for one in briefs for name in one.brief.tests))


def _metrics(calib_type: str, briefs: Sequence[JudgedBrief]) -> list[str]:
    """Return the metrics that no test looks at."""
    tests = set(_tests(briefs))
    return [
        name
        for name, metric in METRICS.items()
        if metric.level == "amp" and calib_type in metric.calib_types and name not in tests
    ]


def _readings(briefs: Sequence[JudgedBrief], show: str) -> list[Reading]:
    test = None if show == ALL else show
    return [
        reading
        for one in briefs
        for reading in readings(one.exposure_id, one.detector_name, one.brief, test)
    ]


def _bare(
    exposure_id: int,
    metric: str,
    briefs: Sequence[JudgedBrief],
    values: Mapping[int, Mapping[str, float | None]],
) -> list[Reading]:
    """Return readings of a number without a limit."""
    unit = METRICS[metric].unit
    return [
        Reading(exposure_id, one.detector_name, amp, metric, value, None, None, unit, ABSENT)
        for one in briefs
        for amp, value in values.get(one.detector, {}).items()
    ]


def _table(found: Sequence[Reading], address: Addresses) -> Table:
    ordered = sorted(found, key=gravity, reverse=True)
    rows = [
        {
            "detector": one.detector,
            "amp": one.amp,
            "verdict": WORDS[gravest(one.outcome)],
            "test": one.test,
            "value": one.value,
            "lower": one.lower,
            "upper": one.upper,
            "unit": one.unit,
            "distance": one.distance,
            "exposure": one.exposure_id,
        }
        for one in ordered
    ]
    links = [{"amp": address.amplifier(one), "detector": address.detector(one)} for one in ordered]
    return Table("amplifiers", "Amplifiers, the worst first", COLUMNS, rows, links)


class Addresses:
    """Addresses of thousands of amplifiers: the router is asked once.

    Parameters
    ----------
    request
        Knows where the pages are.
    instrument, calib_type
        Of all of them.
    """

    def __init__(self, request: Request, instrument: str, calib_type: str) -> None:
        amplifier = request.url_for("amplifier", instrument=instrument, detector="D", amp="A").path
        self._amplifiers = amplifier.removesuffix("D/A")
        exposure = request.url_for("exposure", instrument=instrument, exposure_id=0).path
        self._exposures = exposure.removesuffix("0")
        self._type = calib_type
        self._of = query(calib_type)

    def amplifier(self, one: Reading) -> str:
        """Return where the trend of a reading is."""
        seen = f"type={self._type}&show={one.test}&exposure={one.exposure_id}"
        return f"{self._amplifiers}{one.detector}/{one.amp}?{seen}"

    def detector(self, one: Reading) -> str:
        """Return where all numbers of the detector are."""
        return f"{self._exposures}{one.exposure_id}/{one.detector}{self._of}"
