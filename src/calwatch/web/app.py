"""The application: addresses, headers, errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from calwatch.alarms.rules import load_rules
from calwatch.camera.model import Camera
from calwatch.errors import CalwatchError
from calwatch.ledger.store import Ledger
from calwatch.service.alarm_books import AlarmBooks
from calwatch.service.health import Report
from calwatch.service.lifecycle import Clock
from calwatch.settings import AlarmSettings, WebSettings
from calwatch.verify.limits import Limits
from calwatch.web import alarms as alarm_pages
from calwatch.web import (
    amplifier,
    api,
    chain,
    detector,
    errors,
    exposure,
    focal,
    health,
    night,
    plotting,
    set_pictures,
)
from calwatch.web.headers import SafeHeaders
from calwatch.web.render import STATIC
from calwatch.web.site import Site


def make_app(
    books: AlarmBooks,
    ledger: Ledger,
    cameras: Mapping[str, Camera],
    limits: Limits | Callable[[], Limits],
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
    ledger
        What has been judged.
    cameras
        Those watched, by instrument.
    limits
        The limits of the configuration, or what gives those in force now: for formulae beside the
        numbers.
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
        routes=[
            *health.routes(),
            *api.routes(),
            *night.routes(),
            *exposure.routes(),
            *detector.routes(),
            *set_pictures.routes(),
            *chain.routes(),
            *focal.routes(),
            *amplifier.routes(),
            *plotting.routes(),
            *alarm_pages.routes(),
            static,
        ],
        exception_handlers={
            CalwatchError: errors.on_purpose,
            HTTPException: errors.of_http,
            Exception: errors.by_mistake,
        },
    )
    rules = load_rules(alarms.rules)
    now = (lambda: limits) if isinstance(limits, Limits) else limits
    app.state.site = Site(books, ledger, cameras, now, rules, alarms, web, clock, state)
    return SafeHeaders(app)
