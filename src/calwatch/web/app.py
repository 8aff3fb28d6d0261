"""The application: addresses, headers, errors."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from calwatch.alarms.rules import load_rules
from calwatch.errors import CalwatchError
from calwatch.service.alarm_books import AlarmBooks
from calwatch.service.health import Report
from calwatch.service.lifecycle import Clock
from calwatch.settings import AlarmSettings, WebSettings
from calwatch.web import api, errors, health, pages
from calwatch.web.headers import SafeHeaders
from calwatch.web.render import STATIC
from calwatch.web.site import Site


def make_app(
    books: AlarmBooks,
    alarms: AlarmSettings,
    web: WebSettings,
    clock: Clock,
    state: Callable[[], Report] | None = None,
) -> ASGIApp:
    """Return the page and the HTTP interface as an ASGI application.

    Parameters
    ----------
    books
        The alarms.
    alarms, web
        Settings: the rules and the playbook; who may change something.
    clock
        The time.
    state
        How the daemon in this process is; None where there is none: then its heartbeat tells.

    Raises
    ------
    StopError
        If the alarm rules are wrong.
    """
    static = Mount("/static", StaticFiles(directory=STATIC), name="static")
    app = Starlette(
        routes=[*health.routes(), *api.routes(), *pages.routes(), static],
        exception_handlers={
            CalwatchError: errors.on_purpose,
            HTTPException: errors.of_http,
            Exception: errors.by_mistake,
        },
    )
    app.state.site = Site(books, load_rules(alarms.rules), alarms, web, clock, state)
    return SafeHeaders(app)
