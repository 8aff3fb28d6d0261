"""Tonight: what is wrong, what was judged, and when each type was last found good."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from calwatch.ledger.nights import LastCheck, days, days_beside, exposures_between, last_checks
from calwatch.ledger.queries import ExposureLine
from calwatch.ledger.sets import SetLine, sets_between
from calwatch.service.alarm_words import count_line, gravest_first
from calwatch.verify.metrics import CALIB_TYPES, FRAME_TYPES
from calwatch.web.alarms import MUTES, card_of
from calwatch.web.api import site_of
from calwatch.web.auth import token_of
from calwatch.web.of import address
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
    Column("members", "Exposures in the set", "number"),
    Column("reason", "Why", "words"),
)
CHECKS = (
    Column("instrument", "Instrument"),
    Column("calib_type", "Type"),
    Column("last", "Last judged", "code"),
    Column("last_verdict", "Verdict", "verdict"),
    Column("last_end_utc", "End, UTC", "time"),
    Column("good", "Last good", "code"),
    Column("good_end_utc", "End, UTC", "time"),
    Column("allowed_hours", "Expected within, h", "number"),
    Column("late", "Late"),
)
_LAST_DAY = 9999_12_31


def routes() -> list[Route]:
    """Return the addresses."""
    return [
        Route("/", tonight_page, name="tonight"),
        Route("/nights/{instrument}", newest_page, name="night-newest"),
        Route("/nights/{instrument}/{day_obs:int}", night_page, name="night"),
    ]


async def tonight_page(request: Request) -> Response:
    """Show the newest day of every instrument, open alarms first."""
    site = site_of(request)

    def ask() -> dict[str, Any]:
        sections = [_section(request, site, name, _newest(site, name)) for name in site.cameras]
        return {"title": "Tonight", "sections": sections, **_alarms(site, None)}

    content = await asyncio.to_thread(ask)
    return _answer(request, "tonight", content)


async def newest_page(request: Request) -> Response:
    """Lead to the newest day of an instrument."""
    site, instrument = site_of(request), request.path_params["instrument"]
    site.camera(instrument)
    day_obs = await asyncio.to_thread(_newest, site, instrument)
    if day_obs is None:
        raise NoSuchPageError(f"{instrument}: nothing has been judged yet")
    address = request.url_for("night", instrument=instrument, day_obs=day_obs)
    return RedirectResponse(address.path, status_code=303)


async def night_page(request: Request) -> Response:
    """Show one day of one instrument."""
    site = site_of(request)
    instrument, day_obs = request.path_params["instrument"], request.path_params["day_obs"]
    site.camera(instrument)

    def ask() -> dict[str, Any]:
        section = _section(request, site, instrument, min(day_obs, _LAST_DAY))
        if not section["table"].rows:
            beside = [str(day) for day in (section["before"], section["after"]) if day]
            known = f", but on {' and '.join(beside)}" if beside else ""
            raise NoSuchPageError(f"{instrument}: nothing was judged on {day_obs}{known}")
        title = f"{instrument}, {day_obs}"
        return {"title": title, "sections": [section], **_alarms(site, instrument)}

    content = await asyncio.to_thread(ask)
    return _answer(request, f"{instrument}-{day_obs}", content)


def exposure_rows(
    lines: Sequence[ExposureLine], sets: Sequence[SetLine] = ()
) -> list[dict[str, Any]]:
    """Return exposures, and behind them sets, as rows of a table."""
    counts: list[tuple[ExposureLine, int | None]] = [(line, None) for line in lines]
    counts += [(one.line, len(one.members)) for one in sets]
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
            "members": count,
            "reason": line.reason,
        }
        for line, count in counts
    ]


def _answer(request: Request, name: str, content: Mapping[str, Any]) -> Response:
    sections = content["sections"]
    rows = [row for section in sections for row in exposure_rows(section["lines"], section["sets"])]
    checks = [_check_row(*one) for section in sections for one in section["checks"]]
    tables = [
        Table("exposures", "Exposures and sets", EXPOSURES, rows),
        Table("checks", "Last checks", CHECKS, checks),
    ]
    return download(request, f"calwatch-{name}", tables) or render(
        request, "night.html", {**content, "downloads": tables, "is_late": is_late, "mutes": MUTES}
    )


def _newest(site: Site, instrument: str) -> int | None:
    return next(iter(days(site.ledger, instrument, 1)), None)


def _section(request: Request, site: Site, instrument: str, day_obs: int | None) -> dict[str, Any]:
    """Return what is shown of one instrument; day_obs is None if nothing was ever judged."""
    lines: list[ExposureLine] = []
    sets: list[SetLine] = []
    before = after = None
    if day_obs is not None:
        lines = exposures_between(site.ledger, instrument, day_obs, day_obs)
        sets = sets_between(site.ledger, instrument, day_obs, day_obs)
        before, after = days_beside(site.ledger, instrument, day_obs)
    by_type: dict[str, list[ExposureLine]] = {}
    for line in lines:
        by_type.setdefault(line.calib_type, []).append(line)
    together: dict[str, list[SetLine]] = {}
    for one in sets:
        together.setdefault(one.line.calib_type, []).append(one)
    numbers = {line.exposure_id: line.seq_num for line in lines}
    now = site.now()
    return {
        "instrument": instrument,
        "day_obs": day_obs,
        "lines": lines,
        "sets": sets,
        "runs": [(name, _tally(found), found) for name, found in by_type.items()],
        "together": [
            (
                name,
                _tally([one.line for one in found], "set"),
                [(one, _span(one, numbers)) for one in found],
            )
            for name, found in together.items()
        ],
        # How long ago something was good is asked of now, not of a day that is long over.
        "checks": []
        if after
        else [(one, *_age(site, one, now)) for one in _checks(site, instrument)],
        "before": before,
        "after": after,
        "table": _table(request, lines, sets),
    }


def _checks(site: Site, instrument: str) -> list[LastCheck]:
    """Return the last checks, those of single exposures first."""
    order = {name: place for place, name in enumerate(CALIB_TYPES)}
    found = last_checks(site.ledger, instrument)
    return sorted(found, key=lambda one: order.get(one.calib_type, len(order)))


def _span(one: SetLine, numbers: Mapping[int, int]) -> str:
    """Return from which number of the day to which a set goes, as far as that is known."""
    last = one.line.seq_num
    first = numbers.get(one.members[0]) if one.members else None
    return str(last) if first in (None, last) else f"{first}–{last}"


def _tally(lines: Sequence[ExposureLine], what: str = "exposure") -> str:
    """Say how many exposures or sets there are, and how many of each verdict."""
    found = Counter(line.verdict.value for line in lines)
    count = f"1 {what}" if len(lines) == 1 else f"{len(lines)} {what}s"
    return ", ".join([count, *(f"{found[v]} {v}" for v in ("FAIL", "UNKNOWN", "PASS") if found[v])])


def _table(request: Request, lines: Sequence[ExposureLine], sets: Sequence[SetLine]) -> Table:
    hidden = ("instrument", "day_obs") if sets else ("instrument", "day_obs", "members")
    columns = [column for column in EXPOSURES if column.key not in hidden]
    links = [
        {
            "exposure": address(
                request, line.calib_type, "exposure", instrument=line.instrument,
                exposure_id=line.exposure_id,
            )
        }
        for line in [*lines, *(one.line for one in sets)]
    ]  # fmt: skip
    title = "Exposures and sets" if sets else "Exposures"
    return Table("exposures", title, columns, exposure_rows(lines, sets), links)


def _age(site: Site, check: LastCheck, now: datetime) -> tuple[timedelta | None, float | None]:
    """Return how long ago a type was last good, and within how many hours it should have been."""
    hours = {str(name): value for name, value in site.alarms.cadence_hours.items()}
    good = check.last_pass.end_utc if check.last_pass else None
    return now - good if good else None, hours.get(check.calib_type)


def late(age: timedelta | None, allowed: float | None) -> bool:
    """Tell whether a type was good too long ago, or never."""
    return age is None or (allowed is not None and age > timedelta(hours=allowed))


def is_late(check: LastCheck, age: timedelta | None, allowed: float | None) -> bool:
    """Tell whether a type is late; sets are not waited for unless a time is set for them."""
    return (allowed is not None or check.calib_type in FRAME_TYPES) and late(age, allowed)


def _check_row(check: LastCheck, age: timedelta | None, allowed: float | None) -> dict[str, Any]:
    good = check.last_pass
    return {
        "instrument": check.last.instrument,
        "calib_type": check.calib_type,
        "last": check.last.exposure_id,
        "last_verdict": check.last.verdict.value,
        "last_end_utc": check.last.end_utc,
        "good": good.exposure_id if good else None,
        "good_end_utc": good.end_utc if good else None,
        "allowed_hours": allowed,
        "late": "yes" if is_late(check, age, allowed) else "no",
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
