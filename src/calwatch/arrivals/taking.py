"""A batch of messages: have each understood, keep what they say, and tell of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

import structlog

from calwatch.arrivals.counters import IntakeCounters
from calwatch.arrivals.decode import Decoder
from calwatch.arrivals.inbox import Inbox
from calwatch.arrivals.model import Expectation, Ignored, Notice, Reason
from calwatch.arrivals.source import Arrival
from calwatch.arrivals.topics import Kind, Topic
from calwatch.errors import RecordError, WaitError

T = TypeVar("T")

_AT_A_STRETCH = 50
"""Messages decoded before others in the event loop have a turn."""
_MOST_OTHERS = 4096
"""Exposures remembered that are no calibrations."""


class Message(Protocol):
    """One message, as aiokafka's ``ConsumerRecord``."""

    @property
    def topic(self) -> str:
        """Name of its topic."""
        ...

    @property
    def partition(self) -> int:
        """Number of its partition."""
        ...

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its bytes."""
        ...


Kept = tuple[Notice | Expectation, Message]


def wait_seconds(failures: int) -> float:
    """Return the seconds to wait after so many failures (1, 2, …): 0.5, 1, 2 … up to 30."""
    return float(min(0.5 * 2.0 ** min(failures - 1, 16), 30.0))


class Taking:
    """Takes in messages, one batch at a time, however long the ledger or the registry is away.

    Parameters
    ----------
    topics
        By name.
    decoder
        Knows what messages say.
    inbox
        Where that is kept; called in threads.
    counters
        Where it is counted.
    wait
        Seconds to wait after the first, second, … failure in a row.
    clock
        The time (aware).
    """

    def __init__(
        self,
        topics: Mapping[str, Topic],
        decoder: Decoder,
        inbox: Inbox,
        counters: IntakeCounters,
        wait: Callable[[int], float],
        clock: Callable[[], datetime],
    ) -> None:
        self._topics = topics
        self._decoder = decoder
        self._inbox = inbox
        self._counters = counters
        self._wait = wait
        self._clock = clock
        self._others: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._log = structlog.get_logger("calwatch")
        self.waiting_for = ""
        """Why nothing is taken in just now; empty if all is well."""

    async def take_in(self, batch: Mapping[str, Sequence[Message]]) -> list[Arrival]:
        """Return what a batch of messages tells of, once it is kept.

        Whatever cannot be understood is counted and told of once, and left out.

        Parameters
        ----------
        batch
            Messages by topic.
        """
        kept: list[Kept] = []
        async for said, message in self._understood(batch):
            told = self._unless_other(said)
            if isinstance(told, Ignored):
                self._skip(told, message)
            else:
                kept.append((told, message))
        if not kept:
            return []
        try:
            await self._note(kept)
        except RecordError:  # something of it can never be kept: find out what
            kept = [one for one in kept if await self._can_be_noted(one)]
        for what, _ in kept:
            kind = "notice" if isinstance(what, Notice) else "expectation"
            self._counters.noted.labels(kind).inc()
        return list(dict.fromkeys(_arrival(what) for what, _ in kept))

    async def _understood(
        self, batch: Mapping[str, Sequence[Message]]
    ) -> AsyncIterator[tuple[Notice | Expectation | Ignored, Message]]:
        """Yield all that a batch says; of an exposure's readout before its files."""
        count = 0
        for name in sorted(batch, key=lambda name: self._topics[name].kind is not Kind.READOUT):
            self._counters.received.labels(name).inc(len(batch[name]))
            for message in batch[name]:
                read = partial(self._decoder.read, self._topics[name], message.value, self._clock())
                for said in await self._patiently(read):
                    yield said, message
                count += 1
                if count % _AT_A_STRETCH == 0:
                    await asyncio.sleep(0)

    def _unless_other(self, said: Notice | Expectation | Ignored) -> Notice | Expectation | Ignored:
        """Ignore the files of an exposure that was told to be no calibration.

        Only the readout tells the type. What is not remembered does no harm: the Butler is asked.
        """
        if isinstance(said, Ignored) and said.exposure is not None:
            self._others[said.exposure] = None
            while len(self._others) > _MOST_OTHERS:
                self._others.popitem(last=False)
        if isinstance(said, Notice) and (said.instrument, said.exposure_id) in self._others:
            return Ignored(Reason.NOT_A_CALIBRATION, f"{said.instrument} {said.exposure_id}")
        return said

    def _skip(self, said: Ignored, message: Message) -> None:
        """Count a message that gives nothing to do, and say so once."""
        self._counters.skipped(message.topic, said)
        tell = self._log.debug if said.reason.ordinary else self._log.warning
        tell(
            "event skipped",
            reason=said.reason.value,
            text=said.text,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
        )

    async def _note(self, kept: Sequence[Kept]) -> None:
        notices = [what for what, _ in kept if isinstance(what, Notice)]
        expectations = [what for what, _ in kept if isinstance(what, Expectation)]
        await self._patiently(partial(asyncio.to_thread, self._inbox.note, notices, expectations))

    async def _can_be_noted(self, one: Kept) -> bool:
        try:
            await self._note([one])
        except RecordError as error:
            self._skip(Ignored(Reason.REFUSED, str(error)), one[1])
            return False
        return True

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer; an outage is told of once."""
        failures = 0
        while True:
            try:
                answer = await ask()
            except WaitError as error:
                failures += 1
                if failures == 1:
                    self._log.warning("events wait", reason=str(error))
                    self._counters.waiting.set(1)
                self.waiting_for = str(error)
                await asyncio.sleep(self._wait(failures))
            else:
                if failures:
                    self._log.info("events go on", failures=failures)
                    self._counters.waiting.set(0)
                    self.waiting_for = ""
                return answer


def _arrival(what: Notice | Expectation) -> Arrival:
    detector = what.detector if isinstance(what, Notice) else None
    return Arrival(what.instrument, what.exposure_id, detector)
