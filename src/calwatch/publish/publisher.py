"""The drain of the outbox: everything in it reaches Kafka, in order, however long that takes.

What is told is durable before it comes here, so nothing here may disturb the daemon: an outage of
the broker, the registry or the ledger is waited out, a record that cannot be published is set
aside. Setting aside means: its row leaves the outbox, the log says which it was and why, and a
counter goes up; the result itself stays in the ledger, from where ``calwatch replay`` publishes it
once the cause is mended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from calwatch.errors import LedgerError, RecordError, StopError, WaitError
from calwatch.kafka.registry import RegistryError
from calwatch.ledger.outbox import Outbox, Pending
from calwatch.ledger.turn import Turn
from calwatch.publish import counters
from calwatch.publish.channel import BrokerError, Channel
from calwatch.publish.encoder import Message

T = TypeVar("T")

_GAUGE_SECONDS = 5.0


class Publisher:
    """Publishes what is in the outbox for as long as the daemon runs.

    Delivery is at least once: a record whose acknowledgement was lost is sent again, with the same
    bytes and the same ``event_id``.

    Parameters
    ----------
    outbox
        Where the rows are.
    channel
        The way to the broker.
    batch
        Rows sent at a time.
    idle_seconds
        The outbox is looked at so often without being woken.
    first_wait_seconds, most_wait_seconds
        Wait after a failure; doubled each time up to the second.
    grace_seconds
        When told to stop, what is in the outbox may still be sent for so long.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self,
        outbox: Outbox,
        channel: Channel,
        *,
        batch: int = 100,
        idle_seconds: float = 5.0,
        first_wait_seconds: float = 1.0,
        most_wait_seconds: float = 60.0,
        grace_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._channel = channel
        self._most_rows = batch
        self._rows_now = batch
        self._idle_seconds = idle_seconds
        self._waits = (first_wait_seconds, most_wait_seconds)
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._log = structlog.get_logger("calwatch")
        self._awake = asyncio.Event()
        self._ending = asyncio.Event()
        self._turn: Turn | None = None
        self._failures = 0
        self._told: set[str] = set()
        self._in_the_way = ""
        self._since = 0.0
        self._gauges_at = float("-inf")
        self._rows_shown = 0

    def held_up_by(self) -> str:
        """Return what is in the way just now; empty if nothing is."""
        return self._in_the_way

    def wake(self) -> None:
        """Say that there is something in the outbox. To be called in the event loop's thread."""
        self._awake.set()

    async def prepare(self) -> None:
        """Register the schemas and see to the topics before anything is judged.

        A broker or registry that is out of reach does not matter here: `run` goes on trying.

        Raises
        ------
        StopError
            If a schema breaks what is registered, or topics are missing and cannot be made.
        """
        try:
            await self._channel.open()
        except WaitError as error:
            self._held_up(error)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until told to stop; then what remains waits for the next start.

        Parameters
        ----------
        stop
            Set when the daemon ends.
        """
        draining = asyncio.create_task(self._drain())
        try:
            await stop.wait()
            self._ending.set()
            self.wake()
            await asyncio.wait([draining], timeout=self._grace_seconds)
        finally:
            draining.cancel()
            await asyncio.wait([draining])
            await self._end_turn()
            await self._channel.close()

    async def _drain(self) -> None:
        while True:
            self._awake.clear()
            try:
                sent = await self._round()
                await self._show(idle=sent == 0)
            except Exception as error:
                self._held_up(error)
                with suppress(LedgerError):
                    await self._show()
                if await self._ends_within(self._wait_seconds()):
                    return
                continue
            if sent == 0 and self._ending.is_set():
                return
            if sent == 0:
                await self._sleep()

    async def _round(self) -> int:
        """Send one batch; return how many rows left the outbox."""
        began = self._clock()
        await self._channel.open()
        if not await self._take_turn():
            return 0
        try:
            rows = await _in_thread(lambda: self._outbox.pending(self._rows_now))
            done = await self._publish(rows) if rows else 0
        finally:
            await self._end_turn()
        self._recovered()
        if done:
            counters.BATCH_SECONDS.observe(self._clock() - began)
        return done

    async def _publish(self, rows: Sequence[Pending]) -> int:
        """Send rows, and take out those that are done with: up to the first that is not."""
        messages, problems = await _in_thread(lambda: self._encode(rows))
        results = iter(await self._channel.send(messages) if messages else ())
        topics = iter(message.topic for message in messages)
        finished: list[int] = []
        failure: Exception | None = None
        published: list[str] = []
        aside: list[tuple[Pending, Exception]] = []
        for row in rows:
            problem = problems.get(row.outbox_id)
            if problem is None:
                problem, topic = next(results), next(topics)
                if problem is None:
                    published.append(topic)
            if problem is not None and not isinstance(problem, RecordError):
                failure = problem
                break
            if problem is not None:
                aside.append((row, problem))
            finished.append(row.outbox_id)
        await _in_thread(lambda: self._outbox.done(finished))
        for topic in published:
            counters.PUBLISHED.labels(topic).inc()
        for row, problem in aside:
            self._set_aside(row, problem)
        # A batch that fails as a whole is tried row by row, so that one bad row shows itself.
        self._rows_now = 1 if failure is not None else self._most_rows
        if failure is not None:
            raise failure
        return len(finished)

    def _encode(self, rows: Sequence[Pending]) -> tuple[list[Message], dict[int, Exception]]:
        """Return the messages of the rows that have one, and what is wrong with the others."""
        messages: list[Message] = []
        problems: dict[int, Exception] = {}
        for row in rows:
            try:
                messages.append(self._channel.encoder.encode(row.stored))
            except RecordError as error:
                problems[row.outbox_id] = error
        return messages, problems

    def _set_aside(self, row: Pending, problem: Exception) -> None:
        counters.SET_ASIDE.labels(type(problem).__name__).inc()
        self._log.error(
            "a record cannot be published and is set aside; `calwatch replay` can publish it later",
            what=row.stored.what,
            cause=str(problem),
        )

    def _held_up(self, error: Exception) -> None:
        """Log what is in the way, each kind once in an outage."""
        cause = _cause(error)
        self._in_the_way = str(error) or type(error).__name__
        kind = f"{cause}: {type(error).__name__}"
        counters.FAILURES.labels(cause).inc()
        counters.OUTAGE.set(1)
        if not self._told:
            self._since = self._clock()
        if kind not in self._told:
            unexpected = error if cause == "unexpected" else None
            self._log.warning(
                "publishing is held up; what is judged waits in the outbox",
                cause=cause,
                error=str(error),
                exc_info=unexpected,
            )
        self._told.add(kind)
        self._failures += 1

    def _recovered(self) -> None:
        self._failures = 0
        self._in_the_way = ""
        if self._told:
            self._told.clear()
            counters.OUTAGE.set(0)
            seconds = round(self._clock() - self._since, 1)
            self._log.info("publishing again", held_up_seconds=seconds)

    def _wait_seconds(self) -> float:
        first, most = self._waits
        return min(most, first * 2.0 ** min(self._failures - 1, 60))

    async def _ends_within(self, seconds: float) -> bool:
        """Wait, and tell whether we were told to stop meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return False
        return True

    async def _sleep(self) -> None:
        """Wait for something to do."""
        try:
            async with asyncio.timeout(self._idle_seconds):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _show(self, *, idle: bool = False) -> None:
        """Set the gauges, not too often: counting rows is not free."""
        fresh = self._clock() - self._gauges_at < _GAUGE_SECONDS
        if fresh and not (idle and self._rows_shown):
            return
        self._gauges_at = self._clock()
        size, oldest = await _in_thread(lambda: (self._outbox.size(), self._outbox.oldest()))
        age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
        counters.OUTBOX_ROWS.set(size)
        counters.OUTBOX_AGE.set(max(age, 0.0))
        self._rows_shown = size

    async def _take_turn(self) -> bool:
        def take() -> bool:
            self._turn = self._outbox.turn()
            return self._turn is not None

        return await _in_thread(take)

    async def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            await _in_thread(turn.end)


async def _in_thread(call: Callable[[], T]) -> T:
    """Call in a thread; a cancellation waits for it, so that nothing is left half done."""
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _cause(error: Exception) -> str:
    """Return a word for what is in the way."""
    kinds = {
        BrokerError: "kafka",
        RegistryError: "registry",
        LedgerError: "ledger",
        StopError: "refused",
    }
    return next((word for kind, word in kinds.items() if isinstance(error, kind)), "unexpected")
