"""Templates, and how they write times, numbers and severities. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from calwatch.alarms.model import Alarm
from calwatch.alarms.naming import compress
from calwatch.service import alarm_words
from calwatch.verify.metrics import SET_TYPES
from calwatch.web import of

HERE = Path(__file__).parent
STATIC = HERE / "static"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["set_types"] = SET_TYPES
    made.filters |= {
        "utc": alarm_words.utc,
        "iso": _iso,
        "ago": ago,
        "number": alarm_words.number_text,
        "short": short,
        "range": alarm_words.range_words,
        "grade": alarm_words.grade_words,
        "severity": alarm_words.severity_words,
        "tone": tone,
        "where": alarm_words.where_words,
        "handling": alarm_words.handling_words,
        "compress": compress,
        "change": alarm_words.change_words,
        "who": alarm_words.who_words,
        "delivery": alarm_words.delivery_words,
    }
    return made


def render(request: Request, name: str, content: Mapping[str, Any], status: int = 200) -> Response:
    """Return a page.

    Parameters
    ----------
    request
        What it answers; it knows the addresses of the other pages.
    name
        Of the template.
    content
        What the template shows.
    status
        HTTP status.
    """
    usual = {"pulse": None, "problem": "", "fields": {"who": "", "why": ""}}
    here = request.url.include_query_params

    def url(route: str, **where: Any) -> str:
        return request.url_for(route, **where).path

    def url_of(calib_type: str, route: str, **where: Any) -> str:
        """Return the address of a page of a judgement: of a set, it says so."""
        return of.address(request, calib_type, route, **where)

    def with_query(**changes: Any) -> str:
        """Return this page's own address with other parameters."""
        address = here(**changes)
        return f"{address.path}?{address.query}"

    instruments = list(request.app.state.site.cameras)
    named = request.path_params.get("instrument")
    known = {
        "current": request.url.path,
        "instruments": instruments,
        "instrument": named if named in instruments else "",
        "url": url,
        "url_of": url_of,
        "with_query": with_query,
        "path": with_query() if request.url.query else (request.url.path),
    }
    return HTMLResponse(_PAGES.get_template(name).render({**usual, **known, **content}), status)


def tone(alarm: Alarm) -> str:
    """Return the class that gives an alarm its colour and mark."""
    if not alarm.open:
        return "over"
    return "recovered" if alarm.stale else alarm.severity.name.lower()


def short(value: float) -> str:
    """Write a number to five digits; whole numbers whole."""
    return str(value) if isinstance(value, int) else f"{value:.5g}".replace("-", "−")


def ago(age: timedelta) -> str:
    """Write a length of time as a person says it, such as ``3 h 5 min``."""
    minutes = max(0, int(age.total_seconds() // 60))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


_PAGES = _environment()
