"""Whether the daemon gets on with its work: what ``/healthz`` and ``/readyz`` answer.

A process that runs may have stopped working long ago, so neither asks whether it runs. *Healthy* is
false only for what a restart cures: an event loop that stands still, a look that never ends, jobs
that do not move. *Ready* is false as well while something is out of reach, or nothing has been
looked at yet. What calwatch can do without (Kafka, which only wakes it) is told and changes
neither, except in a fleet, whose jobs go through it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from calwatch.arrivals.kafka import SourceState
from calwatch.service.lifecycle import Clock
from calwatch.service.progress import Event, JobDelayed, JobDone, Load, Looked, Waiting
from calwatch.settings import Settings

TICK_SECONDS = 1.0
LOOP_SECONDS = 30.0
"""An event loop that has not turned for so long stands still."""
LOOK_SECONDS = 300.0
"""A comparison of Butler and ledger may take so long, beyond the interval between two."""
PROBE_SECONDS = 3.0
"""So long the ledger may take to answer before it counts as out of reach."""


class Need(IntEnum):
    """What is lost when something is wrong."""

    NOTHING = 0
    READY = 1
    HEALTHY = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    says: str
    """In words, with the numbers."""
    need: Need = Need.NOTHING
    """What is lost if it is not ok."""


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of a moment."""

    at: datetime
    role: str
    findings: Sequence[Finding]

    @property
    def healthy(self) -> bool:
        """False if only a restart will help."""
        return not any(f.need is Need.HEALTHY for f in self.findings if not f.ok)

    @property
    def ready(self) -> bool:
        """True if new exposures would be judged now."""
        return not any(f.need >= Need.READY for f in self.findings if not f.ok)

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "healthy": self.healthy,
            "ready": self.ready,
            "role": self.role,
            "at": self.at.isoformat(),
            "checks": [{"name": f.name, "ok": f.ok, "says": f.says} for f in self.findings],
        }


class Probe:
    """Asks a question that may hang, and never waits long for the answer.

    Parameters
    ----------
    ask
        Raises if something is wrong.
    seconds
        How long to wait for it. A question that hangs is not put a second time meanwhile.
    """

    def __init__(self, ask: Callable[[], object], seconds: float = PROBE_SECONDS) -> None:
        self._ask = ask
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running: threading.Thread | None = None
        self._problem = ""

    def problem(self) -> str:
        """Return what is wrong; empty if nothing is."""
        with self._lock:
            running = self._running
            if running is None or not running.is_alive():
                running = threading.Thread(target=self._try, name="calwatch-probe", daemon=True)
                self._running = running
                running.start()
        running.join(self._seconds)
        return f"no answer for {self._seconds:g} s" if running.is_alive() else self._problem

    def _try(self) -> None:
        try:
            self._ask()
        except Exception as error:
            self._problem = str(error) or type(error).__name__
        else:
            self._problem = ""


class Health:
    """Keeps what is needed to say whether the work goes on.

    Parameters
    ----------
    settings
        How often to look, how long a job may take.
    role
        ``all``, ``intake`` or ``worker``.
    clock
        The time.
    ledger
        Asks the ledger something; raises if it is out of reach.
    """

    def __init__(
        self, settings: Settings, role: str, clock: Clock, ledger: Callable[[], object]
    ) -> None:
        self._role = role
        self._clock = clock
        self._ledger = Probe(ledger)
        self._look_seconds = settings.interval_seconds + LOOK_SECONDS
        times = settings.timeouts
        self._job_seconds = times.job_seconds + times.start_seconds
        self._wanted = 0 if role == "intake" else settings.workers
        self._load: Callable[[], Load] | None = None
        self._kafka: Callable[[], SourceState] | None = None
        self._outage: Callable[[], str] | None = None
        self._unsent: Callable[[], str] | None = None
        now = clock.monotonic()
        self._turned = self._moved = self._tried = now
        self._looked: float | None = None
        self._out_of_reach = ""

    def watch(
        self,
        load: Callable[[], Load],
        kafka: Callable[[], SourceState] | None = None,
        outage: Callable[[], str] | None = None,
        unsent: Callable[[], str] | None = None,
    ) -> None:
        """Give what is to be asked.

        Parameters
        ----------
        load
            What lies with the daemon.
        kafka
            How the intake of events is; None where there is none.
        outage
            What holds up publishing, empty if nothing does; None where nothing is published.
        unsent
            Why jobs cannot be handed out, empty if they can; None where they are not.
        """
        self._load, self._kafka = load, kafka
        self._outage, self._unsent = outage, unsent

    def hear(self, event: Event) -> None:
        """Take in what the daemon tells."""
        now = self._clock.monotonic()
        match event:
            case Looked():
                self._looked = self._tried = now
                self._out_of_reach = ""
            case Waiting():
                # Something else is away: waiting for it is all that can be done.
                self._tried = self._moved = now
                self._out_of_reach = event.reason
            case JobDone() | JobDelayed():
                self._moved = now

    def turn(self) -> None:
        """Say that the event loop turns."""
        now = self._clock.monotonic()
        self._turned = now
        load = self._load() if self._load is not None else None
        if load is None or not load.waiting + load.running:
            self._moved = now

    async def keep_turning(self) -> None:
        """Say so for ever."""
        while True:
            with suppress(Exception):  # what is asked here may be closing
                self.turn()
            await asyncio.sleep(TICK_SECONDS)

    def report(self) -> Report:
        """Look at everything; may be called from any thread, and takes seconds at worst."""
        now = self._clock.monotonic()
        load = self._load() if self._load is not None else Load(0, 0, 0, 0)
        findings = [
            self._event_loop(now),
            *([] if self._role == "worker" else self._looks(now)),
            self._jobs(now, load),
            *([] if self._role == "intake" else [self._workers(load)]),
            self._reach(),
            *([] if self._kafka is None else [_kafka(self._kafka(), self._role)]),
            *([] if self._outage is None else [_publishing(self._outage())]),
            *([] if self._unsent is None else [_handing_out(self._unsent())]),
        ]
        return Report(self._clock.now(), self._role, findings)

    def _event_loop(self, now: float) -> Finding:
        age = now - self._turned
        return Finding("event loop", age <= LOOP_SECONDS, f"turned {age:.0f} s ago", Need.HEALTHY)

    def _looks(self, now: float) -> list[Finding]:
        tried, most = now - self._tried, self._look_seconds
        alive = Finding(
            "looking", tried <= most,
            f"last tried {tried:.0f} s ago, at most {most:.0f} s are allowed", Need.HEALTHY,
        )  # fmt: skip
        if self._looked is None:
            says = self._out_of_reach or "Butler and ledger have not been compared yet"
            return [alive, Finding("last look", False, says, Need.READY)]
        age = now - self._looked
        says = f"Butler and ledger were compared {age:.0f} s ago"
        if self._out_of_reach:
            says += f"; out of reach since: {self._out_of_reach}"
        return [alive, Finding("last look", age <= most, says, Need.READY)]

    def _jobs(self, now: float, load: Load) -> Finding:
        idle = now - self._moved
        # Jobs that other hosts do are not moved by a restart of this one.
        need = Need.READY if self._role == "intake" else Need.HEALTHY
        says = f"{load.waiting} waiting, {load.running} running"
        if load.waiting + load.running:
            says += f", the last one moved {idle:.0f} s ago"
        return Finding("jobs", idle <= self._job_seconds, says, need)

    def _workers(self, load: Load) -> Finding:
        says = f"{load.workers} of {self._wanted} live"
        return Finding("workers", load.workers > 0, says, Need.READY)

    def _reach(self) -> Finding:
        problem = self._ledger.problem()
        return Finding("ledger", not problem, problem or "answers", Need.READY)


def _kafka(state: SourceState, role: str) -> Finding:
    need = Need.READY if role == "worker" else Need.NOTHING
    if not state.connected:
        says = f"not connected: {state.problem}" if state.problem else "not connected"
        return Finding("kafka", False, says, need)
    places = [
        f"{name} at {offset}, {behind} behind"
        for name, (offset, behind) in sorted(state.positions.items())
    ]
    silent = len(state.assigned) - len(places)
    if silent > 0:
        places.append(f"{silent} partitions without a message since they were assigned")
    says = "; ".join(places) or "no partition is assigned"
    if state.missing_topics:
        says += f"; missing topics: {', '.join(state.missing_topics)}"
    if state.waiting_for:
        says += f"; waiting for: {state.waiting_for}"
    return Finding("kafka", bool(state.assigned) and not state.waiting_for, says, need)


def _publishing(outage: str) -> Finding:
    says = f"held up; what is judged waits in the outbox: {outage}" if outage else "goes on"
    return Finding("publishing", not outage, says)


def _handing_out(problem: str) -> Finding:
    return Finding("handing out", not problem, problem or "goes on", Need.READY)
