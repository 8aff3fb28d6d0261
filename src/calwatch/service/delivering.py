"""What has happened to alarms reaches people and machines: a task a channel, none in another's way.

What is to be told stands in the ledger, one row a transition and channel, and leaves it by being
sent. A row is marked before it is sent; one that is found marked at the start was being sent when
the daemon was cut off, is sent again, and says so: nobody can know whether it arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

import structlog

from calwatch.alarms.deliver.channel import Channel, Delivery
from calwatch.alarms.deliver.rate import Bucket
from calwatch.alarms.deliver.routing import Route, holds, next_digest
from calwatch.alarms.digest import digest
from calwatch.alarms.model import Transition
from calwatch.alarms.words import Message
from calwatch.errors import CalwatchError, LedgerError, RecordError, WaitError
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.deliveries import Deliveries, DueDelivery
from calwatch.service import alarm_counters as counters
from calwatch.service.digests import gather
from calwatch.service.lifecycle import Clock

T = TypeVar("T")

AT_ONCE = 20
LOOK_SECONDS = 2.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
COUNT_SECONDS = 10.0
GRACE_SECONDS = 5.0
"""At the end each channel may go on for so long; what is left is told after the next start."""


class Teller(Protocol):
    """A channel that takes words of no transition, such as the daily summary."""

    async def tell(self, message: Message) -> None:
        """Tell it."""
        ...


class Beater(Protocol):
    """A channel on which a heartbeat goes out."""

    async def beat(self) -> None:
        """Say that the daemon lives."""
        ...


@dataclass(frozen=True, slots=True)
class Outlet:
    """A channel, and what it is told when."""

    channel: Channel
    route: Route
    per_minute: int = 0
    """Notices; 0: no limit."""
    resend_seconds: float | None = None
    """So often a channel that holds the state of alarms is told all that are open."""
    teller: Teller | None = None
    beater: Beater | None = None
    beat_seconds: float = 10.0
    longest_wait: float = LONGEST_WAIT
    """Seconds between two tries to reach the channel, at most."""


class Deliverer:
    """Tells of alarms for as long as the daemon runs.

    Parameters
    ----------
    store, deliveries
        The alarms, and what is to be told of them.
    outlets
        Who is told.
    words
        Puts a transition into words.
    instruments
        Of which a daily summary tells.
    clock
        The time.
    grace_seconds
        At the end each channel may go on for so long.
    """

    def __init__(
        self,
        store: AlarmStore,
        deliveries: Deliveries,
        outlets: Sequence[Outlet],
        words: Callable[[Transition], Message],
        instruments: Sequence[str],
        clock: Clock,
        *,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._deliveries = deliveries
        self._grace_seconds = grace_seconds
        self._serving = [
            _Serving(store, deliveries, outlet, words, instruments, clock) for outlet in outlets
        ]

    def wake(self) -> None:
        """Say that there may be something to tell. To be called in the event loop's thread."""
        for serving in self._serving:
            serving.awake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until told to stop; only one of several processes does at a time.

        Parameters
        ----------
        stop
            Set when the daemon ends.
        """
        turn = None
        while turn is None:
            with suppress(LedgerError):
                turn = await asyncio.to_thread(self._deliveries.turn)
            if turn is None and await _ends_within(stop, LOOK_SECONDS):
                return
        try:
            names = [serving.name for serving in self._serving]
            await _patiently(lambda: self._deliveries.drop_channels_not_in(names), stop)
            tasks = [asyncio.create_task(serving.run(stop)) for serving in self._serving]
            await stop.wait()
            self.wake()
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=self._grace_seconds)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)
        finally:
            await asyncio.to_thread(turn.end)


class _Serving:
    """One channel being served."""

    def __init__(
        self,
        store: AlarmStore,
        deliveries: Deliveries,
        outlet: Outlet,
        words: Callable[[Transition], Message],
        instruments: Sequence[str],
        clock: Clock,
    ) -> None:
        self.name = outlet.channel.name
        self.awake = asyncio.Event()
        self._store = store
        self._deliveries = deliveries
        self._outlet = outlet
        self._words = words
        self._instruments = instruments
        self._clock = clock
        self._bucket = Bucket(outlet.per_minute)
        self._log = structlog.get_logger("calwatch")
        self._failures = 0
        self._resent_at: float | None = None
        self._beaten_at: float | None = None
        self._counted_at: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        channel = self._outlet.channel
        try:
            await _patiently(lambda: self._deliveries.interrupted(self.name), stop)
            while True:
                last = stop.is_set()
                self.awake.clear()
                try:
                    await channel.open()
                    await self._round()
                    self._recovered()
                except CalwatchError as error:
                    self._held_up(error)
                except Exception as error:
                    self._log.exception("a channel failed", channel=self.name)
                    self._held_up(error)
                await self._count()
                if last:
                    return
                await self._sleep(stop)
        finally:
            with suppress(Exception):
                await channel.close()

    async def _count(self) -> None:
        """Tell Prometheus what waits, not too often."""
        now = self._clock.monotonic()
        if self._counted_at is not None and now - self._counted_at < COUNT_SECONDS:
            return
        self._counted_at = now
        with suppress(LedgerError):
            waiting = await asyncio.to_thread(self._deliveries.waiting, self.name)
            counters.WAITING.labels(self.name).set(waiting)

    async def _round(self) -> None:
        """Do all that is due for this channel."""
        await self._beat()
        await self._resend()
        while due := await self._due():
            for one in due:
                await self._send(one)
                await self._beat()
        await self._sum_up()

    async def _due(self) -> list[DueDelivery]:
        now = self._clock.now()
        return await asyncio.to_thread(self._deliveries.due_deliveries, self.name, now, AT_ONCE)

    async def _send(self, due: DueDelivery) -> None:
        """Tell of one transition, and write down what came of it.

        Raises
        ------
        WaitError
            If the channel is out of reach; the same is tried again later.
        """
        wait = self._bucket.wait(self._clock.monotonic())
        if wait:
            await asyncio.sleep(wait)
        if not await asyncio.to_thread(self._deliveries.begin, due.delivery_id, self._clock.now()):
            return
        message = self._words(due.transition)
        what = Delivery(
            due.delivery_id, due.alarm_id, due.transition, message, due.newest, due.repeat
        )
        try:
            await self._outlet.channel.send(what)
        except RecordError as error:
            self._log.error(
                "a notice of an alarm cannot be sent",
                channel=self.name,
                alarm=due.transition.alarm.name,
                what=due.transition.what.value,
                reason=str(error),
            )
            await self._write(self._deliveries.failed, due, str(error))
            counters.TOLD.labels(self.name, "failed").inc()
        except CalwatchError as error:
            again = self._clock.now() + timedelta(seconds=self._wait_seconds(self._failures + 1))
            await self._write(self._deliveries.try_again, due, str(error), again)
            counters.TOLD.labels(self.name, "again").inc()
            raise
        else:
            self._bucket.take(self._clock.monotonic())
            await self._write(self._deliveries.sent, due)
            counters.TOLD.labels(self.name, "sent").inc()

    async def _write(self, write: Callable[..., None], due: DueDelivery, *more: object) -> None:
        """Write down what came of a delivery, however long the ledger is away.

        Were it given up, the notice would be sent a second time.
        """
        at = self._clock.now()
        await _patiently(lambda: write(due.delivery_id, at, *more))

    async def _resend(self) -> None:
        every = self._outlet.resend_seconds
        now = self._clock.monotonic()
        if every is None or (self._resent_at is not None and now - self._resent_at < every):
            return
        alarms = await asyncio.to_thread(self._store.open_alarms)
        await self._outlet.channel.resend(
            [one for one in alarms if holds(self._outlet.route, one.alarm)]
        )
        self._resent_at = now

    async def _beat(self) -> None:
        beater, now = self._outlet.beater, self._clock.monotonic()
        if beater is None:
            return
        if self._beaten_at is None or now - self._beaten_at >= self._outlet.beat_seconds:
            self._beaten_at = now
            await beater.beat()

    async def _sum_up(self) -> None:
        """Tell the daily summary if it is due; the ledger remembers when it was told last."""
        teller, route = self._outlet.teller, self._outlet.route
        if teller is None or route.digest is None:
            return
        now, name = self._clock.now(), f"digest {self.name}"
        beats = await asyncio.to_thread(self._store.beats)
        if name not in beats:  # The first time there is no day to sum up yet.
            await asyncio.to_thread(self._store.beat, name, now, {})
            return
        due = next_digest(route, beats[name].at)
        if due is None or now < due:
            return
        await asyncio.to_thread(self._store.beat, name, now, {})
        for instrument in self._instruments:
            if not route.instruments or instrument in route.instruments:
                facts = await asyncio.to_thread(gather, self._store, instrument, now)
                await teller.tell(digest(facts))

    async def _sleep(self, stop: asyncio.Event) -> None:
        if self._failures:
            await _ends_within(stop, self._wait_seconds(self._failures))
            return
        waits = [asyncio.create_task(event.wait()) for event in (stop, self.awake)]
        await asyncio.wait(waits, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _held_up(self, error: Exception) -> None:
        """Log once in an outage what is in the way of this channel."""
        self._failures += 1
        self._resent_at = None
        if self._failures == 1:
            self._log.warning(
                "a channel of the alarms is held up; what it is to tell waits",
                channel=self.name,
                reason=str(error),
            )

    def _recovered(self) -> None:
        if self._failures:
            self._log.info("a channel of the alarms is back", channel=self.name)
        self._failures = 0

    def _wait_seconds(self, failures: int) -> float:
        return min(self._outlet.longest_wait, FIRST_WAIT * 2.0 ** min(failures - 1, 30))


async def _patiently(ask: Callable[[], T], stop: asyncio.Event | None = None) -> T | None:
    """Ask the ledger in a thread until it answers, or until told to stop; then None."""
    wait = FIRST_WAIT
    while True:
        try:
            return await asyncio.to_thread(ask)
        except WaitError:
            if stop is None:
                await asyncio.sleep(wait)
            elif await _ends_within(stop, wait):
                return None
            wait = min(LONGEST_WAIT, 2 * wait)


async def _ends_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait, and tell whether we were told to stop meanwhile."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()
