"""The pages of alarms: all of them, and everything of one. They work without JavaScript, too."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from calwatch.alarms.model import Numbered
from calwatch.alarms.words import message
from calwatch.errors import CalwatchError
from calwatch.ledger.alarms import StoredTransition
from calwatch.service.alarm_desk import ACTIONS, Order, OrderError, act, numbered
from calwatch.service.alarm_words import body_of, count_line, gravest_first
from calwatch.web.alarm_tables import alarms_table, values_table
from calwatch.web.api import id_of, site_of
from calwatch.web.audit import note_change, note_refusal
from calwatch.web.auth import RefusedError, require, token_of
from calwatch.web.bodies import read_form, severity_of
from calwatch.web.errors import status_of
from calwatch.web.render import render
from calwatch.web.site import Site
from calwatch.web.tables import download

CLOSED = 25
"""Alarms that are over and still shown."""
MUTES: Mapping[str, tuple[str, timedelta]] = {
    "1h": ("1 hour", timedelta(hours=1)),
    "4h": ("4 hours", timedelta(hours=4)),
    "12h": ("12 hours", timedelta(hours=12)),
    "1d": ("1 day", timedelta(days=1)),
    "3d": ("3 days", timedelta(days=3)),
    "7d": ("1 week", timedelta(days=7)),
}
"""Lengths of time for which an alarm may be muted on the page."""
_PAGES = ("list", "alarm", "tonight")
"""Names of those that a form may lead back to."""


def routes() -> list[Route]:
    """Return the addresses of the pages."""
    return [
        Route("/alarms", list_page, name="list"),
        Route("/alarms/{alarm_id:int}", alarm_page, name="alarm"),
        *(
            Route(f"/alarms/{{alarm_id:int}}/{action}", post_form, methods=["POST"])
            for action in ACTIONS
        ),
    ]


async def list_page(request: Request) -> Response:
    """Show what is wrong now, what waits for an acknowledgement, and what is over."""
    site = site_of(request)
    content = await asyncio.to_thread(_list, site)
    saved = download(request, "calwatch-alarms", [content["table"]])
    return saved or render(request, "list.html", {**content, "mutes": MUTES})


async def alarm_page(request: Request) -> Response:
    """Show everything of one alarm."""
    content = await asyncio.to_thread(_one, site_of(request), request)
    saved = download(request, f"calwatch-alarm-{id_of(request)}", [content["values"]])
    return saved or render(request, "alarm.html", {**content, "mutes": MUTES})


async def post_form(request: Request) -> Response:
    """Do what a form says; if that cannot be, show the alarm and say why."""
    site, alarm_id = site_of(request), id_of(request)
    action = request.url.path.rpartition("/")[2]
    fields: Mapping[str, str] = {}
    try:
        fields = await read_form(request)
        require(site.web, fields.get("token", "").strip())
        order = _order(action, fields)
        await asyncio.to_thread(act, site.books, alarm_id, action, order)
        note_change(request, alarm_id, action, order.who)
    except CalwatchError as error:
        if isinstance(error, RefusedError):
            note_refusal(request, alarm_id, action, error)
        content = await asyncio.to_thread(_one, site, request)
        refused = {"problem": str(error), "fields": {k: fields.get(k, "") for k in ("who", "why")}}
        return render(
            request, "alarm.html", {**content, "mutes": MUTES, **refused}, status_of(error)
        )
    asked = fields.get("back", "")
    back = asked if asked in _PAGES else "list"
    where = {"alarm_id": alarm_id} if back == "alarm" else {}
    return RedirectResponse(
        f"{request.url_for(back, **where).path}#alarm-{alarm_id}", status_code=303
    )


def _order(action: str, fields: Mapping[str, str]) -> Order:
    duration = None
    if action == "mute":
        chosen = MUTES.get(fields.get("for", ""))
        if chosen is None:
            raise OrderError("mute: say for how long")
        duration = chosen[1]
    severity = (
        severity_of(fields.get("severity", "")) if action in ("acknowledge", "mute") else None
    )
    return Order(fields.get("who", ""), fields.get("why", ""), severity, duration)


def _list(site: Site) -> dict[str, Any]:
    now = site.now()
    open_ones = gravest_first(site.store.open_alarms())
    recent = site.store.alarms(limit=CLOSED + len(open_ones))
    closed = gravest_first(one for one in recent if not one.alarm.open)[:CLOSED]
    return {
        "active": [card_of(site, one, now) for one in open_ones if one.alarm.active],
        "stale": [card_of(site, one, now) for one in open_ones if one.alarm.stale],
        "closed": [card_of(site, one, now) for one in closed],
        "counts": count_line(open_ones),
        "table": alarms_table([*open_ones, *closed]),
        "pulse": site.pulse(),
        "writable": bool(token_of(site.web)),
    }


def card_of(site: Site, one: Numbered, now: datetime) -> dict[str, Any]:
    """Return what a template shows of an alarm."""
    return {
        "id": one.alarm_id,
        "alarm": one.alarm,
        "age": now - one.alarm.since,
        "playbook": _playbook(site, one),
    }


def _one(site: Site, request: Request) -> dict[str, Any]:
    alarm_id = id_of(request)
    one = numbered(site.store, alarm_id)
    history: list[StoredTransition] = site.store.history(alarm_id)
    return {
        "card": card_of(site, one, site.now()),
        "values": values_table(request, one.alarm),
        "body": body_of(one, history, site.rules, site.alarms),
        "history": [
            {"stored": stored, "subject": message(stored.transition, site.rules).subject}
            for stored in reversed(history)
        ],
        "pulse": site.pulse(),
        "writable": bool(token_of(site.web)),
    }


def _playbook(site: Site, one: Numbered) -> str:
    """Return the address of what to do; empty if it is no web address."""
    address = site.alarms.playbook
    if not address.startswith(("https://", "http://", "/")):
        return ""
    return f"{address}#{site.rules.family(one.alarm.key.family).playbook}"
