"""One exposure, or set: how it is in words, what did not pass, and every detector."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calwatch.alarms.naming import compress, how_many
from calwatch.ledger.nights import (
    DetectorLine,
    detector_lines,
    detector_result,
    exposure_line,
    exposure_lines,
    neighbours,
)
from calwatch.ledger.queries import ExposureLine
from calwatch.ledger.sets import members_of, sets_of
from calwatch.ledger.trends import briefs_of_exposure
from calwatch.ledger.types import LARGEST_ID
from calwatch.verify.metrics import SET_TYPES
from calwatch.verify.model import DetectorResult, Verdict, algorithm_of
from calwatch.web.api import site_of
from calwatch.web.of import address, algorithm_asked, asked
from calwatch.web.problems import COLUMNS, SHOWN, problems_table
from calwatch.web.render import render
from calwatch.web.site import NoSuchPageError, Site
from calwatch.web.tables import Column, Table, download

DETECTORS = (
    Column("detector", "No.", "number"),
    Column("name", "Detector"),
    Column("raft", "Raft"),
    Column("verdict", "Verdict", "verdict"),
    Column("reason", "Why", "words"),
)
_ORDER = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS)


def routes() -> list[Route]:
    """Return the address."""
    return [Route("/exposures/{instrument}/{exposure_id:int}", exposure_page, name="exposure")]


async def exposure_page(request: Request) -> Response:
    """Show one exposure, or a set that ends with it: failures first, then every detector."""
    site = site_of(request)

    def ask() -> dict[str, Any]:
        line = line_of(site, request)
        before, after = neighbours(site.ledger, line)
        which = (line.instrument, line.exposure_id)
        algorithm = algorithm_of(line.calib_type)
        found = detector_lines(site.ledger, *which, algorithm)
        briefs = briefs_of_exposure(site.ledger, *which, algorithm)
        return {
            "line": line,
            "members": members(site, line),
            "sets_here": [
                one
                for one in sets_of(site.ledger, *which)
                if (one.calib_type, one.exposure_id) != (line.calib_type, line.exposure_id)
            ],
            "before": before,
            "after": after,
            "summary": summary(line, found),
            "problems": problems_table(request, line, briefs),
            "detectors": detectors_table(request, site, line, found),
            "rafts": rafts(site, line, found),
            "limits": ", ".join(dict.fromkeys(one.limits for one in found)),
            "pulse": site.pulse(),
        }

    content = await asyncio.to_thread(ask)
    line, problems = content["line"], content["problems"]
    saved = download(request, f"calwatch-{name_of(line)}", [content["detectors"], problems])
    if saved is not None:
        return saved
    top = Table(
        problems.name, problems.title, COLUMNS, problems.rows[:SHOWN], problems.links[:SHOWN]
    )
    return render(request, "exposure.html", {**content, "top": top})


def line_of(site: Site, request: Request) -> ExposureLine:
    """Return the exposure in an address, or with ``?of=`` the set that ends with it.

    Raises
    ------
    NoSuchPageError
        If the ledger has none of that number.
    """
    instrument, number = request.path_params["instrument"], request.path_params["exposure_id"]
    site.camera(instrument)
    possible, algorithm = number <= LARGEST_ID, algorithm_asked(request)
    found = exposure_line(site.ledger, instrument, number, algorithm) if possible else None
    if found is None:
        kind = asked(request)
        what = f"no {kind} that ends with exposure {number}" if kind else f"exposure {number}"
        raise NoSuchPageError(f"{instrument}: {what} has {'' if kind else 'not '}been judged")
    return found


def result_of(site: Site, line: ExposureLine, which: str) -> DetectorResult:
    """Return the result of the detector in an address.

    Raises
    ------
    NoSuchPageError
        If the camera has no such detector, or it was not judged in this exposure.
    """
    detector = site.detector(line.instrument, which)
    found = detector_result(
        site.ledger, line.instrument, line.exposure_id, detector.number,
        algorithm_of(line.calib_type),
    )  # fmt: skip
    if found is None:
        raise NoSuchPageError(
            f"{line.instrument}: {detector.name} of exposure {line.exposure_id} has not been judged"
        )
    return found


def name_of(line: ExposureLine) -> str:
    """Return what the files of an exposure or set are called, such as ``LATISS-7-ptc``."""
    kind = f"-{line.calib_type}" if line.calib_type in SET_TYPES else ""
    return f"{line.instrument}-{line.exposure_id}{kind}"


def members(site: Site, line: ExposureLine) -> list[tuple[int, ExposureLine | None]]:
    """Return the exposures of a set, each with its own verdict; empty for a single exposure."""
    found = members_of(site.ledger, line.instrument, line.exposure_id, line.calib_type)
    lines = exposure_lines(site.ledger, line.instrument, found) if found else []
    by_id = {one.exposure_id: one for one in lines}
    return [(number, by_id.get(number)) for number in found]


def summary(line: ExposureLine, found: Sequence[DetectorLine]) -> str:
    """Say in a sentence or three how an exposure is."""
    total = max(len(line.expected), len(found))
    named = {v: [one.detector_name for one in found if one.verdict is v] for v in _ORDER}
    said = [
        f"{how_many(named[verdict], total)} {words}: {compress(named[verdict])}."
        for verdict, words in ((Verdict.FAIL, "failed"), (Verdict.UNKNOWN, "could not be judged"))
        if named[verdict]
    ]
    if total > len(found):
        said.append(f"{total - len(found)} of {total} not judged yet.")
    return " ".join(said) or f"{how_many(named[Verdict.PASS], total)} passed."


def rafts(
    site: Site, line: ExposureLine, found: Sequence[DetectorLine]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return by raft the name and verdict of each detector; empty where none is yet."""
    verdicts = {one.detector: one.verdict.value for one in found}
    shown = set(line.expected) | set(verdicts)
    by_raft: dict[str, list[tuple[str, str]]] = {}
    for detector in site.camera(line.instrument).detectors:
        if detector.number in shown:
            entry = (detector.name, verdicts.get(detector.number, ""))
            by_raft.setdefault(detector.raft, []).append(entry)
    return list(by_raft.items())


def detectors_table(
    request: Request, site: Site, line: ExposureLine, found: Sequence[DetectorLine]
) -> Table:
    """Return every detector, failures first."""
    camera = site.camera(line.instrument)
    raft_of = {detector.number: detector.raft for detector in camera.detectors}
    ordered = sorted(found, key=lambda one: (_ORDER.index(one.verdict), one.detector))
    rows = [
        {
            "detector": one.detector,
            "name": one.detector_name,
            "raft": raft_of.get(one.detector, ""),
            "verdict": one.verdict.value,
            "reason": one.reason,
        }
        for one in ordered
    ]
    where = {"instrument": line.instrument, "exposure_id": line.exposure_id}
    links = [
        {"name": address(request, line.calib_type, "detector", **where, detector=one.detector_name)}
        for one in ordered
    ]
    return Table("detectors", "Detectors", DETECTORS, rows, links)
