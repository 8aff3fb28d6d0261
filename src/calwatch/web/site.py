"""What every answer of the page is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calwatch.alarms.rules import Rules
from calwatch.camera.model import Camera, Detector
from calwatch.errors import CameraError, StopError
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.nights import newest_judgement
from calwatch.ledger.store import Ledger
from calwatch.service.alarm_books import AlarmBooks
from calwatch.service.alarm_desk import LATE_SECONDS, Heartbeat, heartbeat
from calwatch.service.health import Finding, Need, Report
from calwatch.service.lifecycle import Clock
from calwatch.settings import AlarmSettings, WebSettings
from calwatch.verify.limits import Limits


class NoSuchPageError(StopError):
    """What an address names does not exist here."""


@dataclass(frozen=True, slots=True)
class Site:
    """The ledger, the alarms, and the settings that matter here.

    Everything that asks the ledger is called in a thread (`asyncio.to_thread`).
    """

    books: AlarmBooks
    ledger: Ledger
    cameras: Mapping[str, Camera]
    """By instrument, those of the configuration."""
    limits_in_force: Callable[[], Limits]
    rules: Rules
    alarms: AlarmSettings
    web: WebSettings
    clock: Clock
    report: Callable[[], Report] | None = None
    """How the daemon in this process is; None where there is none."""

    @property
    def limits(self) -> Limits:
        """The limits that are judged by now."""
        return self.limits_in_force()

    @property
    def store(self) -> AlarmStore:
        """Where the alarms are."""
        return self.books.store

    def now(self) -> datetime:
        """Return the time of day (aware)."""
        return self.clock.now()

    def state(self) -> Report:
        """Return how the daemon is: by its own word, or by its heartbeat if it is elsewhere."""
        if self.report is not None:
            return self.report()
        now = self.now()
        age = heartbeat(self.store, now).age
        says = "never" if age is None else f"{age:.0f} s ago"
        alive = age is not None and age <= LATE_SECONDS
        found = Finding("heartbeat", alive, f"the daemon last spoke {says}", Need.READY)
        return Report(now, "page", [found])

    def pulse(self) -> dict[str, Any]:
        """Return whether the daemon lives, and what has happened last.

        The browser asks for it again and again. An age alone would not do: only the browser can
        tell that nobody answers any more.
        """
        now = self.now()
        beat = self._beat(now)
        last = self.store.history(limit=1)
        return {
            "alive": beat.age is not None and beat.age <= LATE_SECONDS,
            "at": None if beat.at is None else beat.at.isoformat(),
            "age_seconds": None if beat.age is None else round(beat.age, 1),
            "late_seconds": LATE_SECONDS,
            "now": now.isoformat(),
            "last_transition": last[-1].transition_id if last else 0,
            "last_judgement": newest_judgement(self.ledger),
        }

    def _beat(self, now: datetime) -> Heartbeat:
        """Return the daemon's last word. Alarms leave it in the ledger; without, it is asked."""
        if self.report is not None and not self.alarms.enabled and self.report().healthy:
            return Heartbeat(now, 0.0)
        return heartbeat(self.store, now)

    def camera(self, instrument: str) -> Camera:
        """Return a camera of the configuration.

        Raises
        ------
        NoSuchPageError
            If there is none of that name.
        """
        if instrument not in self.cameras:
            known = ", ".join(self.cameras)
            raise NoSuchPageError(f"no instrument {instrument!r} is watched here, but {known}")
        return self.cameras[instrument]

    def detector(self, instrument: str, which: str) -> Detector:
        """Return a detector by the number or the name in an address.

        Raises
        ------
        NoSuchPageError
            If the camera has none.
        """
        try:
            return self.camera(instrument).detector(int(which) if which.isdecimal() else which)
        except CameraError as error:
            raise NoSuchPageError(str(error)) from error
