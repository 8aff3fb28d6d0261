"""The books of alarms in the ledger: every step reads one, lets something happen and writes it.

Nothing is held in memory between two steps, so the daemon, a command and a page may act on the same
alarms, and a restart at any moment loses and repeats nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from calwatch.alarms.book import Book, Condition, Frame
from calwatch.alarms.deliver.routing import Route, due, wants
from calwatch.alarms.deliver.settings import routes
from calwatch.alarms.evidence import Sighting
from calwatch.alarms.machine import AlarmActionError, Delays, Escalation
from calwatch.alarms.model import Key, Severity
from calwatch.alarms.parts import Parts
from calwatch.alarms.rules import load_rules
from calwatch.alarms.state import BookState
from calwatch.camera.model import Camera
from calwatch.errors import StopError
from calwatch.ledger.alarms import AlarmStore, Loaded, Written
from calwatch.service.lifecycle import Clock
from calwatch.settings import AlarmSettings
from calwatch.verify.limits import Limits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """Who is told, and of what."""

    name: str
    route: Route


class AlarmBooks:
    """Alarms of all instruments.

    Parameters
    ----------
    store
        Where they are kept.
    frames
        By instrument.
    targets
        Who is told.
    clock
        The time.
    """

    def __init__(
        self,
        store: AlarmStore,
        frames: Mapping[str, Frame],
        targets: Sequence[Target],
        clock: Clock,
    ) -> None:
        self.store = store
        self.frames = frames
        self._targets = targets
        self._clock = clock

    def renew(self, limits: Limits) -> None:
        """Read the books by other limits from now on: they may say how often a test must fail."""
        frames = self.frames.items()
        self.frames = {name: replace(frame, limits=limits) for name, frame in frames}

    def observe(self, seen: Sighting, done: Collection[int], *, quiet: bool | None = None) -> int:
        """Take in one exposure and cross it off the queue; return how much has happened."""
        return self._step(
            seen.instrument,
            lambda book: book.observe(seen, self._clock.now(), quiet=quiet),
            f"alarms of exposure {seen.exposure_id}",
            done,
        )

    def tick(self, instrument: str) -> int:
        """Let what has fallen due happen; return how much that was."""
        act = lambda book: book.tick(self._clock.now())  # noqa: E731
        return self._step(instrument, act, "alarms")

    def conditions(
        self,
        instrument: str,
        found: Sequence[Condition],
        families: Collection[str],
        evidence: int | None,
    ) -> int:
        """Take in what is late (`Book.conditions`); return how much has happened."""
        return self._step(
            instrument,
            lambda book: book.conditions(found, families, self._clock.now(), evidence),
            "alarms of what is late",
        )

    def acknowledge(
        self, alarm_id: int, who: str, why: str, severity: Severity | None = None
    ) -> None:
        """Acknowledge an alarm (`Book.acknowledge`)."""
        self._act(alarm_id, lambda b, k, now: b.acknowledge(k, who, why, now, severity))

    def unacknowledge(self, alarm_id: int, who: str, why: str) -> None:
        """Take an acknowledgement back."""
        self._act(alarm_id, lambda b, k, now: b.unacknowledge(k, who, why, now))

    def mute(
        self, alarm_id: int, who: str, why: str, duration: timedelta, severity: Severity
    ) -> None:
        """Hold back notices of an alarm."""
        self._act(alarm_id, lambda b, k, now: b.mute(k, who, why, now, duration, severity))

    def unmute(self, alarm_id: int, who: str, why: str) -> None:
        """Tell of an alarm again."""
        self._act(alarm_id, lambda b, k, now: b.unmute(k, who, why, now))

    def reset(self, alarm_id: int, who: str, why: str) -> None:
        """End an alarm by a person's word."""
        self._act(alarm_id, lambda b, k, now: b.reset(k, who, why, now))

    def _act(self, alarm_id: int, act: Callable[[Book, Key, datetime], None]) -> None:
        """Do something with one alarm, which must be open."""
        found = self.store.alarm(alarm_id)
        if found is None:
            raise AlarmActionError(f"there is no alarm {alarm_id}")
        key = found.alarm.key
        if not found.alarm.open:
            raise AlarmActionError(f"alarm {alarm_id}, {key.name}: is over")
        self._step(
            key.instrument, lambda book: act(book, key, self._clock.now()), f"alarm {alarm_id}"
        )

    def _step(
        self,
        instrument: str,
        act: Callable[[Book], None],
        what: str,
        done: Collection[int] = (),
    ) -> int:
        frame = self.frames.get(instrument)
        if frame is None:
            raise StopError(f"{instrument}: is not among the instruments of this configuration")

        def work(loaded: Loaded) -> Written:
            alarms = {numbered.alarm.key: numbered.alarm for numbered in loaded.alarms}
            book = Book(frame, BookState.from_dict(loaded.book), alarms)
            act(book)
            return Written(
                book=book.state.to_dict(),
                alarms=book.changed,
                transitions=book.transitions,
                deliveries=list(self._deliveries(book)),
                done=tuple(done),
                value=len(book.transitions),
            )

        return int(self.store.step(instrument, work, f"{instrument} {what}"))

    def _deliveries(self, book: Book) -> Iterable[tuple[int, str, datetime]]:
        """Yield who is to be told of what, and when."""
        now = self._clock.now()
        for index, transition in enumerate(book.transitions):
            for target in self._targets:
                if wants(target.route, transition):
                    yield index, target.name, due(target.route, transition, now)


def make_frames(
    settings: AlarmSettings, cameras: Mapping[str, Camera], limits: Limits
) -> dict[str, Frame]:
    """Return what each instrument's book is read with.

    Raises
    ------
    StopError
        If the alarm rules are wrong.
    """
    rules = load_rules(settings.rules)
    delays = Delays(
        timedelta(seconds=settings.auto_acknowledge_seconds),
        timedelta(seconds=settings.auto_unacknowledge_seconds),
        tuple(
            Escalation(
                e.alarms, e.responder, timedelta(seconds=e.delay_seconds), Severity[e.severity]
            )
            for e in settings.escalations
        ),
    )
    late = timedelta(hours=settings.late_hours)
    return {
        name: Frame(Parts(camera), rules, limits, delays, late) for name, camera in cameras.items()
    }


def make_books(
    store: AlarmStore,
    settings: AlarmSettings,
    cameras: Mapping[str, Camera],
    limits: Limits,
    clock: Clock,
) -> AlarmBooks:
    """Return the books of alarms: all that anybody needs to act on them.

    Parameters
    ----------
    store
        Where they are kept.
    settings
        Rules, delays and channels.
    cameras
        By instrument.
    limits
        They may say how many exposures make an alarm.
    clock
        The time.

    Raises
    ------
    StopError
        If the alarm rules are wrong.
    """
    targets = [Target(name, route) for name, route in routes(settings.channels).items()]
    return AlarmBooks(store, make_frames(settings, cameras, limits), targets, clock)
