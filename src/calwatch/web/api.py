"""The HTTP interface: alarms as JSON. Reading is free; changing needs the token."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from calwatch.alarms.model import Numbered
from calwatch.ledger.types import LARGEST_ID
from calwatch.service.alarm_desk import ACTIONS, NoSuchAlarmError, OrderError, act, numbered
from calwatch.service.alarm_documents import alarm_document, transition_document
from calwatch.service.alarm_words import gravest_first
from calwatch.web.audit import note_change, note_refusal
from calwatch.web.auth import RefusedError, bearer, require
from calwatch.web.bodies import order_of, read_json
from calwatch.web.site import Site

MOST = 1000
"""Alarms or entries of the history in one answer."""
USUAL = 200
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")


def routes() -> list[Route]:
    """Return the addresses of the interface."""
    return [
        Route("/api/heartbeat", get_heartbeat, name="heartbeat"),
        Route("/api/alarms", get_alarms),
        Route("/api/alarms/{alarm_id:int}", get_alarm),
        Route("/api/alarms/{alarm_id:int}/history", get_alarm_history),
        Route("/api/history", get_history),
        *(
            Route(f"/api/alarms/{{alarm_id:int}}/{action}", post_action, methods=["POST"])
            for action in ACTIONS
        ),
    ]


async def get_heartbeat(request: Request) -> Response:
    """Tell the age of the daemon's last word."""
    return JSONResponse(await asyncio.to_thread(site_of(request).pulse))


async def get_alarms(request: Request) -> Response:
    """Give the open alarms, the gravest first; with ``open=false`` those that are over too."""
    site, query = site_of(request), request.query_params
    instrument = query.get("instrument") or None
    open_only = _switch(query.get("open", ""), "open", usual=True)
    since, until = _time(query.get("since"), "since"), _time(query.get("until"), "until")
    limit = _limit(query.get("limit"))

    def ask() -> list[Numbered]:
        return site.store.alarms(
            instrument, open_only=open_only, since=since, until=until, limit=limit
        )

    found = gravest_first(await asyncio.to_thread(ask))
    return JSONResponse({"alarms": [alarm_document(one) for one in found]})


async def get_alarm(request: Request) -> Response:
    """Give one alarm."""
    site, alarm_id = site_of(request), id_of(request)
    found = await asyncio.to_thread(numbered, site.store, alarm_id)
    return JSONResponse(alarm_document(found))


async def get_alarm_history(request: Request) -> Response:
    """Give what happened to one alarm, oldest first."""
    site, alarm_id = site_of(request), id_of(request)
    await asyncio.to_thread(numbered, site.store, alarm_id)
    return await _history(request, alarm_id)


async def get_history(request: Request) -> Response:
    """Give what happened to all alarms, oldest first; the newest ``limit`` entries."""
    return await _history(request, None)


async def post_action(request: Request) -> Response:
    """Acknowledge, mute or end an alarm; answer with the alarm as it is afterwards."""
    site, alarm_id = site_of(request), id_of(request)
    action = request.url.path.rpartition("/")[2]
    try:
        require(site.web, bearer(request))
    except RefusedError as error:
        note_refusal(request, alarm_id, action, error)
        raise
    order = order_of(await read_json(request))
    found = await asyncio.to_thread(act, site.books, alarm_id, action, order)
    note_change(request, alarm_id, action, order.who)
    return JSONResponse(alarm_document(found))


def site_of(request: Request) -> Site:
    """Return what the application was made with."""
    site: Site = request.app.state.site
    return site


def id_of(request: Request) -> int:
    """Return the alarm's number in the address.

    Raises
    ------
    NoSuchAlarmError
        If no alarm can have it.
    """
    alarm_id: int = request.path_params["alarm_id"]
    if alarm_id > LARGEST_ID:
        raise NoSuchAlarmError("there is no such alarm")
    return alarm_id


async def _history(request: Request, alarm_id: int | None) -> Response:
    site, query = site_of(request), request.query_params
    instrument = query.get("instrument") or None
    since, until = _time(query.get("since"), "since"), _time(query.get("until"), "until")
    limit = _limit(query.get("limit"))
    found = await asyncio.to_thread(site.store.history, alarm_id, instrument, since, until, limit)
    entries: list[dict[str, Any]] = [transition_document(stored) for stored in found]
    return JSONResponse({"history": entries})


def _switch(text: str, name: str, *, usual: bool) -> bool:
    if not text:
        return usual
    if text.lower() not in (*_YES, *_NO):
        raise OrderError(f"{name}: must be true or false")
    return text.lower() in _YES


def _time(text: str | None, name: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise OrderError(f"{name}: is no time such as 2026-11-22T18:00:00Z") from None


def _limit(text: str | None) -> int:
    if not text:
        return USUAL
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MOST):
        raise OrderError(f"limit: must be a number from 1 to {MOST}")
    return int(text)
