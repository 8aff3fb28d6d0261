"""Errors as answers: JSON under ``/api``, a page elsewhere, with the right status."""

from __future__ import annotations

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from calwatch.alarms.machine import AlarmActionError
from calwatch.errors import CalwatchError, WaitError
from calwatch.service.alarm_desk import NoSuchAlarmError, OrderError
from calwatch.web.auth import RefusedError
from calwatch.web.bodies import TooLargeError
from calwatch.web.render import render
from calwatch.web.site import NoSuchPageError

_WORDS = {404: "there is no such page", 405: "this cannot be done here"}


def status_of(error: CalwatchError) -> int:
    """Return the HTTP status that says what an error says."""
    match error:
        case RefusedError() | TooLargeError():
            return error.status
        case OrderError():
            return 400
        case NoSuchAlarmError() | NoSuchPageError():
            return 404
        case AlarmActionError():
            return 409
        case WaitError():
            return 503
        case _:
            return 422


async def on_purpose(request: Request, error: Exception) -> Response:
    """Answer an error that calwatch raised on purpose: its message is fit to be shown."""
    status = status_of(error) if isinstance(error, CalwatchError) else 500
    return _answer(request, status, str(error), _headers(status))


async def of_http(request: Request, error: Exception) -> Response:
    """Answer an address or a method that does not exist."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    headers = dict(getattr(error, "headers", None) or {})
    return _answer(request, status, _WORDS.get(status, detail), headers)


async def by_mistake(request: Request, error: Exception) -> Response:
    """Answer a mistake of calwatch itself: the log has the rest."""
    structlog.get_logger("calwatch").error(
        "a request failed", path=request.url.path, reason=str(error), exc_info=error
    )
    return _answer(request, 500, "calwatch made a mistake; its log says more", {})


def _headers(status: int) -> dict[str, str]:
    return {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}.get(status, {})


def _answer(request: Request, status: int, text: str, headers: dict[str, str]) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": text}, status, headers)
    answer = render(request, "error.html", {"status": status, "text": text}, status)
    answer.headers.update(headers)
    return answer
