"""One exposure: how it is in words, what did not pass, and every detector."""

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
    ExposureLine,
    detector_lines,
    exposure_line,
    neighbours,
)
from calwatch.ledger.trends import briefs_of_exposure
from calwatch.ledger.types import LARGEST_ID
from calwatch.verify.model import Verdict
from calwatch.web.api import site_of
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
    """Show one exposure: failures first, then every detector."""
    site = site_of(request)

    def ask() -> dict[str, Any]:
        line = line_of(site, request)
        before, after = neighbours(site.ledger, line)
        found = detector_lines(site.ledger, line.instrument, line.exposure_id)
        briefs = briefs_of_exposure(site.ledger, line.instrument, line.exposure_id)
        return {
            "line": line,
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
    name = f"calwatch-{line.instrument}-{line.exposure_id}"
    saved = download(request, name, [content["detectors"], problems])
    if saved is not None:
        return saved
    top = Table(
        problems.name, problems.title, COLUMNS, problems.rows[:SHOWN], problems.links[:SHOWN]
    )
    return render(request, "exposure.html", {**content, "top": top})


def line_of(site: Site, request: Request) -> ExposureLine:
    """Return the exposure in an address.

    Raises
    ------
    NoSuchPageError
        If the ledger has none of that number.
    """
    instrument, number = request.path_params["instrument"], request.path_params["exposure_id"]
    site.camera(instrument)
    found = exposure_line(site.ledger, instrument, number) if number <= LARGEST_ID else None
    if found is None:
        raise NoSuchPageError(f"{instrument}: exposure {number} has not been judged")
    return found


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
        {"name": request.url_for("detector", **where, detector=one.detector_name).path}
        for one in ordered
    ]
    return Table("detectors", "Detectors", DETECTORS, rows, links)
