"""What lets alarms happen beside the daemon: it feeds the books from the ledger's own queue.

What is judged is queued in the transaction that records it, and crossed off in the transaction in
which the alarms take it in. So nothing is missed and nothing counts twice, whatever dies when.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from calwatch.alarms import machine
from calwatch.alarms.evidence import Sighting, ingest_sighting, sighting
from calwatch.alarms.lateness import FAMILIES, Demands, Facts, days_asked, what_is_late
from calwatch.alarms.model import Severity
from calwatch.camera.model import Camera
from calwatch.errors import WaitError
from calwatch.ledger.alarms import AlarmStore, Queued, QueuedExposure
from calwatch.service import alarm_counters as counters
from calwatch.service.alarm_books import AlarmBooks
from calwatch.service.lifecycle import Clock

TAKEN_AT_ONCE = 20
ROUND_SECONDS = 2.0
"""The queue and the timers are looked at so often without being woken."""
LATE_SECONDS = 30.0
"""So often it is asked what is late."""
BEAT_SECONDS = 10.0
HEARTBEAT = "daemon"
"""Name of the daemon's heartbeat in the ledger."""
WAITS = (1.0, 60.0)
"""First and longest wait while the ledger is out of reach."""


class Alarmist:
    """Feeds the books of alarms, lets time pass for them and asks what is late.

    Parameters
    ----------
    books
        The books of all instruments.
    demands
        What is expected of each instrument.
    cameras
        By instrument.
    clock
        The time.
    told
        Called in the event loop when something has happened that somebody may be told of.
    """

    def __init__(
        self,
        books: AlarmBooks,
        demands: Mapping[str, Demands],
        cameras: Mapping[str, Camera],
        clock: Clock,
        told: Callable[[], None],
    ) -> None:
        self._told = told
        self._books = books
        self._store: AlarmStore = books.store
        self._demands = demands
        self._cameras = cameras
        self._clock = clock
        self._log = structlog.get_logger("calwatch")
        self._awake = asyncio.Event()
        self._asked_at = float("-inf")
        self._beaten_at = float("-inf")

    def wake(self) -> None:
        """Say that something is in the queue. To be called in the event loop's thread."""
        self._awake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Feed the books until told to stop; what is queued by then is taken in first."""
        failures = 0
        ending = asyncio.create_task(stop.wait())
        try:
            while True:
                last = stop.is_set()
                self._awake.clear()
                try:
                    if await asyncio.to_thread(self.round):
                        self._told()
                    failures = 0
                except WaitError as error:
                    failures += 1
                    if failures == 1:
                        self._log.warning("alarms are held up", reason=str(error))
                if last:
                    return
                seconds = min(WAITS[1], WAITS[0] * 2.0**failures) if failures else ROUND_SECONDS
                await self._sleep(ending, seconds)
        finally:
            ending.cancel()

    async def _sleep(self, ending: asyncio.Task[bool], seconds: float) -> None:
        awake = asyncio.create_task(self._awake.wait())
        await asyncio.wait([ending, awake], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        awake.cancel()

    def round(self) -> int:
        """Take in what is queued, let fall due what is due; return how much has happened.

        Raises
        ------
        WaitError
            If the ledger is out of reach.
        """
        happened = 0
        while queued := self._store.queued(TAKEN_AT_ONCE):
            happened += sum(map(self._take, _by_exposure(queued)))
        for instrument in self._books.frames:
            happened += self._pass_time(instrument)
        now = self._clock.monotonic()
        if now - self._asked_at >= LATE_SECONDS:
            self._asked_at = now
            happened += sum(map(self._ask_what_is_late, self._books.frames))
        if now - self._beaten_at >= BEAT_SECONDS:
            self._beaten_at = now
            self._beat()
        return happened

    def _beat(self) -> None:
        """Say that the alarms are looked after, to the ledger and to Prometheus."""
        at = self._clock.now()
        self._store.beat(HEARTBEAT, at, {"publishing": self._store.publishing})
        counters.HEARTBEAT.set(at.timestamp())
        counters.QUEUE.set(self._store.queue_size())
        found = Counter(one.alarm.severity for one in self._store.open_alarms())
        for severity in Severity:
            counters.OPEN.labels(severity.name).set(found[severity])

    def _take(self, queued: list[Queued]) -> int:
        """Take in one exposure. One that cannot be is said and left out, not in the way."""
        rows = [one.queue_id for one in queued]
        try:
            seen = self._sighting(queued[-1])
            if seen is not None:
                return self._books.observe(seen, rows)
        except WaitError:
            raise
        except Exception as error:
            self._log.exception("an exposure cannot be taken in by the alarms", reason=str(error))
        self._store.forget(rows)
        return 0

    def _sighting(self, queued: Queued) -> Sighting | None:
        frame = self._books.frames.get(queued.instrument)
        if frame is None:
            return None
        if isinstance(queued, QueuedExposure):
            results = self._store.results(queued)
            end = queued.end_utc or queued.judged_at
            return (
                sighting(results, queued.tests, end, frame.parts, frame.rules) if results else None
            )
        names = {number: frame.parts.detector_name(number) for number in queued.expected}
        missing = {
            names[number]: f"{queued.calib_type} {queued.obs_id}: its file is not in the Butler"
            for number in queued.missing
        }
        return ingest_sighting(
            queued.instrument,
            queued.exposure_id,
            queued.end_of_readout_utc,
            names.values(),
            missing,
        )

    def _pass_time(self, instrument: str) -> int:
        due = [machine.next_due(one.alarm) for one in self._store.open_alarms(instrument)]
        now = self._clock.now()
        if any(at is not None and at <= now for at in due):
            return self._books.tick(instrument)
        return 0

    def _ask_what_is_late(self, instrument: str) -> int:
        demands = self._demands.get(instrument)
        if demands is None:
            return 0
        now, store = self._clock.now(), self._store
        last = {t: end for t in demands.cadence if (end := store.last_end(instrument, t))}
        facts = Facts(
            last={calib_type: end for calib_type, (end, _exposure_id) in last.items()},
            unjudged=store.unjudged(instrument, now),
            taken={day: store.taken(instrument, day) for day in days_asked(demands, now)},
        )
        found = what_is_late(facts, demands, now, self._books.frames[instrument].rules)
        standing = {a.alarm.key.family for a in store.open_alarms(instrument) if a.alarm.active}
        if not found and not standing & set(FAMILIES):
            return 0
        newest = max(last.values(), default=None)
        evidence = None if newest is None else newest[1]
        return self._books.conditions(instrument, found, FAMILIES, evidence)


def _by_exposure(queued: list[Queued]) -> list[list[Queued]]:
    """Gather the rows of one exposure or set: it is looked at once, as it stands now."""
    found: dict[tuple[type, str, int, str], list[Queued]] = {}
    for one in queued:
        key = (type(one), one.instrument, one.exposure_id, one.calib_type)
        found.setdefault(key, []).append(one)
    return list(found.values())
