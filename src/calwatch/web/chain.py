"""Which certified calibrations a verdict rests on, why these, and when they last changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calwatch.butler.times import tai_text
from calwatch.ledger.queries import ExposureLine
from calwatch.ledger.trends import ChainChange, chain_changes
from calwatch.verify.model import DetectorResult
from calwatch.verify.sets.needs import AGAINST
from calwatch.web.api import site_of
from calwatch.web.exposure import line_of, name_of, result_of
from calwatch.web.of import address
from calwatch.web.render import render
from calwatch.web.site import Site
from calwatch.web.tables import Column, Table, download

LOOK_BACK = timedelta(days=365)
USED = (
    Column("calib_type", "Type"),
    Column("collection", "Certified in", "code"),
    Column("begin", "Valid from, TAI"),
    Column("end", "until, TAI"),
    Column("since", "Since exposure", "code"),
    Column("run", "Made in RUN", "code"),
    Column("uuid", "Dataset", "code"),
)
MISSING = (Column("calib_type", "Type"), Column("reason", "Why none is used", "words"))
CHANGES = (
    Column("at", "First exposure with it", "time"),
    Column("exposure", "Exposure", "code"),
    Column("calib_type", "Type"),
    Column("before", "Before", "code"),
    Column("after", "After", "code"),
)


def routes() -> list[Route]:
    """Return the addresses."""
    return [
        Route("/chain/{instrument}/{exposure_id:int}/{detector}", chain_page, name="chain"),
    ]


async def chain_page(request: Request) -> Response:
    """Show the chain of one detector of an exposure."""
    site = site_of(request)

    def ask() -> dict[str, Any]:
        line = line_of(site, request)
        result = result_of(site, line, request.path_params["detector"])
        changes = _changes(site, line, result)
        return {
            "line": line,
            "result": result,
            "used": used_table(request, result, changes),
            "missing": missing_table(result),
            "changes": changes_table(request, line, changes),
            "pulse": site.pulse(),
        }

    content = await asyncio.to_thread(ask)
    line, result = content["line"], content["result"]
    name = f"calwatch-chain-{name_of(line)}-{result.detector_name}"
    tables = [content[table] for table in ("used", "missing", "changes")]
    return download(request, name, tables) or render(request, "chain.html", content)


def used_table(request: Request, result: DetectorResult, changes: Sequence[ChainChange]) -> Table:
    """Return the certified calibrations of a result; the type under test first."""
    chain: Mapping[str, Mapping[str, Any]] = result.provenance.get("chain") or {}
    tested = AGAINST.get(result.calib_type, result.calib_type)
    types = sorted(chain, key=lambda name: (name != tested, name))
    since = {name: change.exposure_id for change in changes for name in change.changed}
    rows = [
        {
            "calib_type": name,
            "collection": chain[name].get("collection"),
            "begin": tai_text(chain[name].get("begin_tai")),
            "end": tai_text(chain[name].get("end_tai")),
            "run": chain[name].get("run"),
            "uuid": chain[name].get("uuid"),
            "since": since.get(name),
        }
        for name in types
    ]
    links = [_since_link(request, result, since.get(name)) for name in types]
    return Table("used", "Certified calibrations", USED, rows, links)


def missing_table(result: DetectorResult) -> Table:
    """Return the types of which no certified calibration was used, with the reason."""
    missing: Mapping[str, str] = result.provenance.get("missing") or {}
    rows = [{"calib_type": name, "reason": why} for name, why in missing.items()]
    return Table("missing", "Missing calibrations", MISSING, rows)


def _since_link(
    request: Request, result: DetectorResult, exposure_id: int | None
) -> dict[str, str]:
    if exposure_id is None:
        return {}
    where = {"instrument": result.instrument, "exposure_id": exposure_id}
    return {"since": address(request, result.calib_type, "exposure", **where)}


def changes_table(request: Request, line: ExposureLine, changes: list[ChainChange]) -> Table:
    """Return what changed, newest first, a row a type."""
    rows, links = [], []
    for change in reversed(changes):
        for calib_type in change.changed:
            before, after = change.before.get(calib_type), change.after.get(calib_type)
            rows.append(
                {
                    "at": change.at,
                    "exposure": change.exposure_id,
                    "calib_type": calib_type,
                    "before": before.collection if before else None,
                    "after": after.collection if after else None,
                }
            )
            where = {"instrument": line.instrument, "exposure_id": change.exposure_id}
            links.append({"exposure": address(request, line.calib_type, "exposure", **where)})
    return Table("changes", "Changes", CHANGES, rows, links)


def _changes(site: Site, line: ExposureLine, result: DetectorResult) -> list[ChainChange]:
    until = line.end_utc or site.now()
    return chain_changes(
        site.ledger, line.instrument, result.detector, line.calib_type, until - LOOK_BACK, until,
        result.algorithm,
    )  # fmt: skip
