"""The book of a season: a person who acknowledges, and a bad day for whoever keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from season_model import Layout
from season_run import FIRST, LATENCY, Judged, Slot

from calwatch.alarms.book import Book, Frame
from calwatch.alarms.codec import alarm_from_dict, alarm_to_dict
from calwatch.alarms.evidence import Sighting
from calwatch.alarms.model import Alarm, Transition
from calwatch.alarms.rules import load_rules
from calwatch.alarms.state import BookState
from calwatch.verify.limits import load_limits

MORNING = timedelta(hours=15)
"""From the first exposure of a day until somebody acknowledges all that is open."""
SWAPPED, DOUBLED, REPLAYED, RESTARTED = 0.03, 0.03, 0.03, 0.05
"""How often, of all exposures."""
KEPT = 60


@dataclass(frozen=True)
class Told:
    """One transition, and the exposure (its place in the order of arrival) that it came of."""

    place: int
    transition: Transition


@dataclass
class Trouble:
    """What must change nothing, how often it happened, and what it changed."""

    swapped: int = 0
    doubled: int = 0
    replayed: int = 0
    restarted: int = 0
    told_by_repeats: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)
    """Where the troubled book differs from the one that was left in peace."""


@dataclass
class Keeper:
    """Keeps two books of the same season: one in peace, one with restarts and repeats."""

    layout: Layout
    seed: int
    order: list[Slot] = field(default_factory=list)
    """Exposures as they arrived."""
    told: list[Told] = field(default_factory=list)
    trouble: Trouble = field(default_factory=Trouble)
    amp_tests: int = 0
    detector_tests: int = 0
    failed: int = 0
    warned: int = 0
    unknown: int = 0

    def __post_init__(self) -> None:
        self.frame = Frame(self.layout.parts, load_rules(), load_limits("dmtn101"))
        self.calm = Book(self.frame, BookState(), {})
        self.rough = Book(self.frame, BookState(), {})
        self._rng = np.random.default_rng([self.seed, 2])
        self._kept: list[Sighting] = []
        self._day = 0

    def keep(self, season: Iterable[Judged]) -> None:
        """Take in the whole season, some exposures after the one that followed them."""
        held: Judged | None = None
        for judged in season:
            if held is None and self._rng.random() < SWAPPED:
                held = judged
                self.trouble.swapped += 1
                continue
            self._take(judged)
            if held is not None:
                self._take(held, at=judged.slot.end)
                held = None
        if held is not None:
            self._take(held)
        self._morning(self._day)

    @property
    def open(self) -> list[Alarm]:
        """Alarms that are open at the end."""
        return list(self.calm.alarms.values())

    def _take(self, judged: Judged, at: datetime | None = None) -> None:
        slot = judged.slot
        while slot.day > self._day:
            self._morning(self._day)
            self._day += 1
        self._count(judged)
        self.order.append(slot)
        now = max(slot.end, at or slot.end) + LATENCY
        sightings = [judged.ingest, *([judged.seen] if judged.seen else [])]
        for seen in sightings:
            if self._rng.random() < RESTARTED:
                self._restart()
            self.calm.observe(_copy(seen), now)
            self.rough.observe(_copy(seen), now)
        self._settle()
        self._repeat(sightings, now)

    def _repeat(self, sightings: list[Sighting], now: datetime) -> None:
        """Let the troubled book see exposures again that it has seen."""
        again: list[Sighting] = []
        if self._rng.random() < DOUBLED:
            self.trouble.doubled += 1
            again += sightings
        if self._kept and self._rng.random() < REPLAYED:
            self.trouble.replayed += 1
            again.append(self._kept[self._rng.integers(len(self._kept))])
        for seen in again:
            self.rough.observe(_copy(seen), now)
            for told in self.rough.transitions:
                self.trouble.told_by_repeats.append(
                    f"{seen.calib_type} {seen.exposure_id}: {told.what} {told.alarm.name}"
                )
            self.rough.transitions.clear()
        if len(self._kept) < KEPT:
            self._kept += sightings
        elif sightings[-1].bad and self._rng.random() < 0.3:
            self._kept[self._rng.integers(KEPT)] = sightings[-1]

    def _restart(self) -> None:
        """Write the troubled book down as the ledger does, and read it back."""
        self.trouble.restarted += 1
        state = BookState.from_dict(json.loads(json.dumps(self.rough.state.to_dict())))
        written = [json.dumps(alarm_to_dict(alarm)) for alarm in self.rough.alarms.values()]
        alarms = [alarm_from_dict(json.loads(text)) for text in written]
        self.rough = Book(self.frame, state, {alarm.key: alarm for alarm in alarms})

    def _morning(self, day: int) -> None:
        """Let somebody acknowledge everything that is open."""
        now = FIRST + timedelta(days=day) + MORNING
        for book in (self.calm, self.rough):
            for key, alarm in list(book.alarms.items()):
                if not alarm.acknowledged:
                    book.acknowledge(key, "Ada", "seen in the morning", now)
        self._settle()

    def _settle(self) -> None:
        """Note what happened, and whether it happened to both books."""
        calm, rough = self.calm.transitions, self.rough.transitions
        if list(map(_gist, calm)) != list(map(_gist, rough)):
            place = self.order[-1] if self.order else None
            self.trouble.unequal.append(f"{place}: {calm} is not {rough}"[:2000])
        self.told += [Told(len(self.order) - 1, told) for told in calm]
        self.calm = Book(self.frame, self.calm.state, self.calm.alarms)
        self.rough = Book(self.frame, self.rough.state, self.rough.alarms)

    def _count(self, judged: Judged) -> None:
        for name in ("amp_tests", "detector_tests", "failed", "warned", "unknown"):
            setattr(self, name, getattr(self, name) + getattr(judged, name))


def _copy(seen: Sighting) -> Sighting:
    """Return the exposure as it is read again from the ledger: the book adds to what it gets."""
    bad = {spot: list(findings) for spot, findings in seen.bad.items()}
    return replace(seen, bad=bad, good=dict(seen.good))


def _gist(told: Transition) -> tuple[object, ...]:
    alarm = told.alarm
    return (told.what, alarm.name, alarm.severity, told.before, alarm.members, told.quiet)
