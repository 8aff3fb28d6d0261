"""Events from Kafka: read, put down for good, and only then marked as read.

Nothing here stands in the way of Kafka's group protocol: while the ledger or the schema registry
is out of reach, the partitions are paused and the consumer goes on polling, so that it stays in
its group; when they are back it goes on where it was. Whatever fails in between, an event is
either kept already or delivered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from calwatch.arrivals.counters import IntakeCounters
from calwatch.arrivals.decode import Decoder
from calwatch.arrivals.inbox import Inbox
from calwatch.arrivals.source import Arrival
from calwatch.arrivals.taking import Taking, wait_seconds
from calwatch.arrivals.topics import Topic
from calwatch.errors import WaitError
from calwatch.kafka.causes import cause_of, in_words
from calwatch.kafka.closing import end_task, give_up
from calwatch.kafka.connection import KafkaConnection
from calwatch.kafka.silence import SECONDS, Silence

Batch = Mapping[TopicPartition, Sequence[ConsumerRecord]]

_BATCH = 500
"""Messages taken at once: what they say is written in one transaction."""
_FETCH_BYTES = 8 * 1024 * 1024
_PARTITION_BYTES = 1024 * 1024
_POLL_SECONDS = 0.5
_HOLD_SECONDS = 0.25
"""So often the consumer polls while it may not take more."""
_TOPICS_SECONDS = 60.0
"""So often at least it is looked whether missing topics are there."""
_COMMIT_EVERY_SECONDS = 1.0
"""Offsets are committed at most so often; what is delivered again meanwhile does no harm."""
_COMMIT_SECONDS = 15.0
_RETRY_MS = 500
"""Between two tries of aiokafka; its own 100 mean 36 calls a second of a broker that is away."""
_MOST_WAITING = 2000
"""Arrivals not fetched yet; of more only *look now* is kept."""


class KafkaSourceError(WaitError):
    """The brokers are out of reach or refuse; starting again later may work."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """How the intake is, for those who look after the daemon."""

    connected: bool = False
    """The consumer has found the brokers and runs."""
    assigned: tuple[str, ...] = ()
    """Partitions, as ``topic[number]``."""
    missing_topics: tuple[str, ...] = ()
    """Set, but not to be seen by this user."""
    waiting_for: str = ""
    """Why nothing is taken in just now; empty if all is well."""
    rebalances: int = 0
    """How often partitions were assigned since the process began."""
    positions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Where messages have come since: the offset to be read next, and how many were behind it."""
    problem: str = ""
    """Why it is not connected; empty if that is not known."""


class KafkaSource:
    """Reads the topics that tell of exposures.

    `arrivals` may be called again after an error, but only once at a time.

    Parameters
    ----------
    connection
        How to reach the brokers.
    topics
        What to read, from `calwatch.arrivals.topics.topics_of`.
    decoder
        Knows what messages say.
    inbox
        Where that is kept; called in threads.
    counters
        Where it is counted.
    group
        The consumer group, of this service alone.
    wait
        Seconds to wait after the first, second, … failure in a row.
    clock
        The time (aware).
    client_options
        More options for the consumer, by aiokafka's names.
    silent_seconds
        After so long without a message the brokers are asked whether they still let us in; if not,
        `arrivals` ends with the cause, and the next call uses certificates and password anew.
    """

    name = "kafka"

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Sequence[Topic],
        decoder: Decoder,
        inbox: Inbox,
        counters: IntakeCounters,
        *,
        group: str = "calwatch",
        wait: Callable[[int], float] = wait_seconds,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        client_options: Mapping[str, Any] | None = None,
        silent_seconds: float = SECONDS,
    ) -> None:
        self._connection = connection
        self._silent_seconds = silent_seconds
        self._problem = ""
        self._topics = frozenset(topic.name for topic in topics)
        by_name = {topic.name: topic for topic in topics}
        self._taking = Taking(by_name, decoder, inbox, counters, wait, clock)
        self._counters = counters
        self._group = group
        self._options = dict(client_options or {})
        self._rebalances = 0
        self._reading: _Reading | None = None

    @property
    def state(self) -> SourceState:
        """How it is just now."""
        reading = self._reading
        if reading is None:
            return SourceState(problem=self._problem, rebalances=self._rebalances)
        return SourceState(
            connected=True,
            assigned=tuple(sorted(f"{p.topic}[{p.partition}]" for p in reading.assignment)),
            missing_topics=tuple(sorted(reading.missing or ())),
            waiting_for=self._taking.waiting_for,
            rebalances=self._rebalances,
            positions={
                f"{p.topic}[{p.partition}]": place for p, place in reading.positions.copy().items()
            },
        )

    async def arrivals(self) -> AsyncIterator[Arrival]:
        """Yield an arrival for whatever was put into the inbox, once it is there.

        Raises
        ------
        KafkaSourceError
            If the brokers are out of reach at the start, or refuse.
        StopError
            If a certificate or a password file cannot be used.
        """
        box = _Box()
        reading = asyncio.create_task(self._read(box))
        reading.add_done_callback(lambda _: box.filled.set())
        try:
            while True:
                await box.filled.wait()
                for arrival in box.take():
                    yield arrival
                if reading.done():
                    reading.result()
                    return
        finally:
            await end_task(reading)

    async def _read(self, box: _Box) -> None:
        options = self._connection.client_options()
        consumer = AIOKafkaConsumer(
            group_id=self._group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            retry_backoff_ms=_RETRY_MS,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES,
            **(options | self._options),
        )
        try:
            await consumer.start()
            self._problem = ""
            parts = (self._topics, self._taking, self._counters, box, self._count_rebalance)
            self._reading = _Reading(consumer, *parts, self._silent_seconds)
            await self._reading.run()
        except (KafkaError, OSError) as error:
            self._problem = await cause_of(options, error)
            raise KafkaSourceError(
                f"Kafka {self._connection.bootstrap_servers}: {self._problem}"
            ) from error
        finally:
            self._reading = None
            await give_up(consumer)

    def _count_rebalance(self) -> None:
        self._rebalances += 1
        self._counters.rebalances.inc()


class _Box:
    """Arrivals on their way to whoever fetches them: bounded, each once."""

    def __init__(self) -> None:
        self.filled = asyncio.Event()
        self._arrivals: dict[Arrival, None] = {}

    def put(self, arrivals: Sequence[Arrival]) -> None:
        """Add arrivals; too many become one *look now*, which says the same."""
        self._arrivals.update(dict.fromkeys(arrivals))
        if len(self._arrivals) > _MOST_WAITING:
            self._arrivals = {Arrival(): None}
        if self._arrivals:
            self.filled.set()

    def take(self) -> list[Arrival]:
        """Return all there are."""
        self.filled.clear()
        taken, self._arrivals = list(self._arrivals), {}
        return taken


class _Reading(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka gives it no type
    """One consumer at work, from when it has started until it fails or is cancelled."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        wanted: frozenset[str],
        taking: Taking,
        counters: IntakeCounters,
        box: _Box,
        on_rebalance: Callable[[], None],
        silent_seconds: float,
    ) -> None:
        self._consumer = consumer
        self._silence = Silence(consumer, silent_seconds)
        self._wanted = wanted
        self._taking = taking
        self._counters = counters
        self._box = box
        self._on_rebalance = on_rebalance
        self._subscribed: frozenset[str] = frozenset()
        self._look_at = float("-inf")
        self._look_again = 1.0
        self._commit_at = float("-inf")
        self._uncommitted: dict[TopicPartition, int] = {}
        self._commit_failed = False
        self._log = structlog.get_logger("calwatch")
        self.missing: frozenset[str] | None = None
        self.positions: dict[TopicPartition, tuple[int, int]] = {}

    @property
    def assignment(self) -> Collection[TopicPartition]:
        """The partitions that are this consumer's."""
        found: frozenset[TopicPartition] = self._consumer.assignment()
        return found

    async def run(self) -> None:
        """Read for ever.

        Raises
        ------
        KafkaError
            If the brokers refuse, or none has been to be reached for a while.
        """
        while True:
            await self._subscribe()
            if not self._subscribed:
                await asyncio.sleep(_POLL_SECONDS)
                continue
            batch: Batch = await self._consumer.getmany(
                timeout_ms=round(_POLL_SECONDS * 1000), max_records=_BATCH
            )
            if batch:
                await self._take(batch)
            await self._commit()
            await self._silence.listen(heard=bool(batch))

    async def _subscribe(self) -> None:
        """Subscribe to the topics that are there; name the others, and look again later."""
        now = asyncio.get_running_loop().time()
        if self.missing == frozenset() or now < self._look_at:
            return
        self._look_at = now + self._look_again
        self._look_again = min(2 * self._look_again, _TOPICS_SECONDS)
        try:
            seen = self._wanted & await self._consumer.topics()
        except KafkaError:
            if self.missing is None:
                raise
            return
        missing = self._wanted - seen
        self._counters.missing_topics.set(len(missing))
        if missing and missing != self.missing:
            self._log.warning(
                "topics missing, or this user may not see them", topics=sorted(missing)
            )
        self.missing = missing
        if seen != self._subscribed:
            self._subscribed = frozenset(seen)
            self._consumer.subscribe(topics=sorted(seen), listener=self)

    async def _take(self, batch: Batch) -> None:
        """Have a batch taken in, and poll meanwhile without taking more."""
        by_topic: dict[str, list[ConsumerRecord]] = {}
        for partition, records in batch.items():
            by_topic.setdefault(partition.topic, []).extend(records)
        taking = asyncio.create_task(self._take_in(by_topic))
        try:
            await asyncio.wait({taking}, timeout=_HOLD_SECONDS)
            if not taking.done():
                await self._hold(taking)
            taking.result()
        finally:
            taking.cancel()
        for partition, records in batch.items():
            self._uncommitted[partition] = records[-1].offset + 1
            self._show_lag(partition, records[-1].offset + 1)

    async def _take_in(self, batch: Mapping[str, Sequence[ConsumerRecord]]) -> None:
        """Tell of a batch as soon as it is kept, whatever the brokers do meanwhile."""
        self._box.put(await self._taking.take_in(batch))

    async def _hold(self, taking: asyncio.Task[None]) -> None:
        """Stay in the group, with every partition paused, until a batch is taken in."""
        held: set[TopicPartition] = set()
        while not taking.done():
            held.update(self.assignment)
            self._consumer.pause(*self.assignment)
            strays: Batch = await self._consumer.getmany(timeout_ms=0)
            for partition, records in strays.items():  # of a partition that has just been assigned
                with suppress(IllegalStateError):
                    self._consumer.seek(partition, records[0].offset)
            await asyncio.wait({taking}, timeout=_HOLD_SECONDS)
        self._consumer.resume(*(held & set(self.assignment)))

    def _show_lag(self, partition: TopicPartition, position: int) -> None:
        with suppress(IllegalStateError):
            end = self._consumer.highwater(partition)
            behind = max((end or 0) - position, 0)
            self.positions[partition] = (position, behind)
            self._counters.lag.labels(partition.topic, partition.partition).set(behind)

    async def _commit(self) -> None:
        """Mark as read what is kept. If that fails, it is tried again, or delivered again."""
        now = asyncio.get_running_loop().time()
        if now < self._commit_at:
            return
        assigned = set(self.assignment)
        offsets = {p: offset for p, offset in self._uncommitted.items() if p in assigned}
        if not offsets:
            return
        self._commit_at = now + _COMMIT_EVERY_SECONDS
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                await self._consumer.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            self._counters.commit_failures.inc()
            if not self._commit_failed:
                self._log.warning("offsets not committed", reason=in_words(error))
            self._commit_failed = True
            return
        self._commit_failed = False
        for partition, offset in offsets.items():
            if self._uncommitted.get(partition) == offset:
                del self._uncommitted[partition]

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Forget what was not committed of these partitions: it is delivered again."""
        for partition in revoked:
            self._uncommitted.pop(partition, None)
            self.positions.pop(partition, None)
            with suppress(KeyError):
                self._counters.lag.remove(partition.topic, partition.partition)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Count."""
        self._on_rebalance()
        self._log.info("partitions assigned", partitions=len(assigned))
