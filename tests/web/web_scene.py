"""Alarms in a real ledger, the application over them, and a client of it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from scenes import at, frame, seen

from calwatch.alarms.deliver.routing import Route
from calwatch.camera.loader import load_camera
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.store import Ledger
from calwatch.service.alarm_books import AlarmBooks, Target
from calwatch.service.alarming import HEARTBEAT
from calwatch.settings import AlarmSettings, WebSettings
from calwatch.verify.limits import load_limits
from calwatch.web.app import make_app

TOKEN = "a-long-token"
INSTRUMENTS = ("LATISS", "LSSTCam")
AMP = "R22_S11/C05"


class HandClock:
    """A clock that is set by hand."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


@dataclass
class Scene:
    """Alarms in a ledger, and the time."""

    books: AlarmBooks
    clock: HandClock
    ledger: Ledger

    @property
    def store(self) -> AlarmStore:
        return self.books.store

    def take(self, number: int, bad: Collection[str] = (), **changes: Any) -> None:
        """Judge one exposure."""
        self.clock.time = at(number) + timedelta(seconds=10)
        self.books.observe(seen(number, bad, **changes), [])

    def raise_alarm(self, *parts: str, first: int = 1, **changes: Any) -> int:
        """Judge two exposures with bad parts; return the number of the newest alarm."""
        for number in (first, first + 1):
            self.take(number, parts or (AMP,), **changes)
        return self.store.open_alarms()[-1].alarm_id

    def beat(self, ago: float = 0.0) -> None:
        """Let the daemon say that it lives."""
        self.store.beat(HEARTBEAT, self.clock.now() - timedelta(seconds=ago), {})

    def app(self, token: str | None = TOKEN, state: Any = None, **alarms: Any):
        web = WebSettings(port=8080, token=token)
        cameras = {name: load_camera(name) for name in INSTRUMENTS}
        seen = (self.books, self.ledger, cameras, load_limits("dmtn101"))
        return make_app(*seen, AlarmSettings(**alarms), web, self.clock, state)


def make_scene(ledger: Ledger, clock: Any = None) -> Scene:
    frames = {"LSSTCam": frame("LSSTCam")}
    clock = clock or HandClock(at(0))
    return Scene(
        AlarmBooks(AlarmStore(ledger), frames, [Target("slack", Route())], clock), clock, ledger
    )


@dataclass
class Client:
    """Asks an application, without a network."""

    app: Any

    def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.request(method, path, **request)

        return asyncio.run(go())

    def get(self, path: str, **request: Any) -> httpx.Response:
        return self("GET", path, **request)

    def post(self, path: str, token: str = TOKEN, **request: Any) -> httpx.Response:
        return self("POST", path, headers={"Authorization": f"Bearer {token}"}, **request)

    def form(self, path: str, **fields: str) -> httpx.Response:
        return self("POST", path, data={"token": TOKEN, "who": "Ada", "why": "seen", **fields})
