"""Tonight: what is wrong, what was judged, and when each type was last found good."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calwatch.ledger.nights import (
    ExposureLine,
    LastCheck,
    days,
    exposures_between,
    last_checks,
)
from calwatch.service.alarm_words import count_line, gravest_first
from calwatch.web.alarms import MUTES, card_of
from calwatch.web.api import site_of
from calwatch.web.auth import token_of
from calwatch.web.render import render
from calwatch.web.site import NoSuchPageError, Site
from calwatch.web.tables import Column, Table, download

EXPOSURES = (
    Column("instrument", "Instrument"),
    Column("day_obs", "Day"),
    Column("exposure", "Exposure", "code"),
    Column("calib_type", "Type"),
    Column("physical_filter", "Filter"),
    Column("end_utc", "End, UTC", "time"),
    Column("verdict", "Verdict", "verdict"),
    Column("n_pass", "PASS", "number"),
    Column("n_fail", "FAIL", "number"),
    Column("n_unknown", "UNKNOWN", "number"),
    Column("reason", "Why"),
)


def routes() -> list[Route]:
    """Return the addresses."""
    return [
        Route("/", tonight_page, name="tonight"),
        Route("/nights/{instrument}/{day_obs:int}", night_page, name="night"),
    ]


async def tonight_page(request: Request) -> Response:
    """Show the newest day of every instrument, open alarms first."""
    site = site_of(request)

    def ask() -> dict[str, Any]:
        sections = [_section(site, name, None) for name in site.cameras]
        return {"title": "Tonight", "sections": sections, **_alarms(site, None)}

    content = await asyncio.to_thread(ask)
    return _answer(request, "tonight", content)


async def night_page(request: Request) -> Response:
    """Show one day of one instrument."""
    site = site_of(request)
    instrument, day_obs = request.path_params["instrument"], request.path_params["day_obs"]
    site.camera(instrument)

    def ask() -> dict[str, Any]:
        section = _section(site, instrument, day_obs)
        title = f"{instrument}, {day_obs}"
        return {"title": title, "sections": [section], **_alarms(site, instrument)}

    content = await asyncio.to_thread(ask)
    return _answer(request, f"{instrument}-{day_obs}", content)


def exposure_rows(lines: Sequence[ExposureLine]) -> list[dict[str, Any]]:
    """Return exposures as rows of a table."""
    return [
        {
            "instrument": line.instrument,
            "day_obs": line.day_obs,
            "exposure": line.exposure_id,
            "calib_type": line.calib_type,
            "physical_filter": line.physical_filter,
            "end_utc": line.end_utc,
            "verdict": line.verdict.value,
            "n_pass": line.counts["PASS"],
            "n_fail": line.counts["FAIL"],
            "n_unknown": line.counts["UNKNOWN"],
            "reason": line.reason,
        }
        for line in lines
    ]


def _answer(request: Request, name: str, content: Mapping[str, Any]) -> Response:
    lines = [line for section in content["sections"] for line in section["lines"]]
    table = Table("exposures", "Exposures", EXPOSURES, exposure_rows(lines))
    return download(request, f"calwatch-{name}", [table]) or render(
        request, "night.html", {**content, "mutes": MUTES}
    )


def _section(site: Site, instrument: str, day_obs: int | None) -> dict[str, Any]:
    """Return what is shown of one instrument; the newest day if none is given."""
    known = days(site.ledger, instrument)
    if day_obs is None:
        day_obs = known[0] if known else None
    lines = [] if day_obs is None else exposures_between(site.ledger, instrument, day_obs, day_obs)
    if day_obs is not None and known and not lines and day_obs not in known:
        near = ", ".join(map(str, sorted(known, key=lambda day: abs(day - day_obs))[:5]))
        raise NoSuchPageError(f"{instrument}: nothing was judged on {day_obs}, but on {near}")
    by_type: dict[str, list[ExposureLine]] = {}
    for line in lines:
        by_type.setdefault(line.calib_type, []).append(line)
    now = site.now()
    return {
        "instrument": instrument,
        "day_obs": day_obs,
        "lines": lines,
        "by_type": by_type,
        "checks": [_check(site, check, now) for check in last_checks(site.ledger, instrument)],
        "before": next((day for day in known if day_obs is not None and day < day_obs), None),
        "after": next(
            (day for day in reversed(known) if day_obs is not None and day > day_obs), None
        ),
        "table": _table(instrument, by_type),
    }


def _table(instrument: str, by_type: Mapping[str, Sequence[ExposureLine]]) -> Table:
    lines = [line for found in by_type.values() for line in found]
    columns = [column for column in EXPOSURES if column.key not in ("instrument", "day_obs")]
    return Table(f"exposures-{instrument}", "Exposures", columns, exposure_rows(lines))


def _check(site: Site, check: LastCheck, now: datetime) -> dict[str, Any]:
    """Return how long ago a type was last judged, and last good; late if longer than expected."""
    hours = {str(name): value for name, value in site.alarms.cadence_hours.items()}
    allowed = hours.get(check.calib_type)
    good = check.last_pass.end_utc if check.last_pass else None
    late = allowed is not None and (good is None or now - good > timedelta(hours=allowed))
    return {
        "calib_type": check.calib_type,
        "last": check.last,
        "good": check.last_pass,
        "age": None if good is None else now - good,
        "late": late,
        "allowed": allowed,
    }


def _alarms(site: Site, instrument: str | None) -> dict[str, Any]:
    """Return the open alarms as every page of a night shows them."""
    now = site.now()
    found = gravest_first(site.store.open_alarms(instrument))
    return {
        "alarms": [card_of(site, one, now) for one in found],
        "counts": count_line(found) if found else "No open alarm",
        "pulse": site.pulse(),
        "writable": bool(token_of(site.web)),
    }
