"""What every answer of the page is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calwatch.alarms.rules import Rules
from calwatch.ledger.alarms import AlarmStore
from calwatch.service.alarm_books import AlarmBooks
from calwatch.service.alarm_desk import LATE_SECONDS, heartbeat
from calwatch.service.health import Finding, Need, Report
from calwatch.service.lifecycle import Clock
from calwatch.settings import AlarmSettings, WebSettings


@dataclass(frozen=True, slots=True)
class Site:
    """The alarms, and the settings that matter here.

    Everything that asks the ledger is called in a thread (`asyncio.to_thread`).
    """

    books: AlarmBooks
    rules: Rules
    alarms: AlarmSettings
    web: WebSettings
    clock: Clock
    report: Callable[[], Report] | None = None
    """How the daemon in this process is; None where there is none."""

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
        beat = heartbeat(self.store, now)
        last = self.store.history(limit=1)
        return {
            "alive": beat.age is not None and beat.age <= LATE_SECONDS,
            "at": None if beat.at is None else beat.at.isoformat(),
            "age_seconds": None if beat.age is None else round(beat.age, 1),
            "late_seconds": LATE_SECONDS,
            "now": now.isoformat(),
            "last_transition": last[-1].transition_id if last else 0,
        }
