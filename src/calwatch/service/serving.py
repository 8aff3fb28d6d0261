"""The worker of a fleet: takes jobs from the topic, judges them and records them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from calwatch.arrivals.codec import JobCodec
from calwatch.arrivals.job import Job
from calwatch.arrivals.kafka import SourceState
from calwatch.errors import RecordError, StopError, WaitError
from calwatch.kafka.causes import cause_of, in_words
from calwatch.kafka.closing import give_up
from calwatch.kafka.connection import KafkaConnection
from calwatch.kafka.silence import Silence
from calwatch.ledger.store import Ledger
from calwatch.service.doing import RECORD, Performer, names, telling
from calwatch.service.judging import JudgeFactory
from calwatch.service.lifecycle import (
    Clock,
    Stop,
    SystemClock,
    reloaded_by_hangup,
    stopped_by_signals,
)
from calwatch.service.numbers import with_numbers
from calwatch.service.offsets import Offsets
from calwatch.service.patience import Desk, Patience, StoppedError
from calwatch.service.pool import PoolError, worker_pool
from calwatch.service.progress import JobDelayed, JobDone, Listener, Load, RunSummary
from calwatch.service.retries import Retries
from calwatch.settings import Settings
from calwatch.verify.model import algorithm_of

JOBS_PER_WORKER = 4
"""Jobs taken from the topic at once, each worker process."""
POLL_SECONDS = 0.2
RETRY_MS = 500
"""Between two tries of aiokafka to reach a broker."""


class JobServer:
    """Serves the topic of jobs until told to stop.

    An offset is committed only after the ledger has the judgement. A job that is delivered twice
    is done twice at worst and recorded once.

    Parameters
    ----------
    settings
        What the deployment sets.
    connection
        How to reach the brokers; certificates and password are read anew at each connection.
    topic, group
        Where jobs come from, and the consumer group that shares them.
    ledger
        Shared by all; in PostgreSQL if there is more than one host.
    judging
        Who judges.
    performer
        Has the jobs done; a pool of worker processes if None.
    clock
        The time.
    on_event
        Called in the event loop for every `calwatch.service.progress.Event`.
    reload
        Called on SIGHUP.
    """

    def __init__(
        self,
        settings: Settings,
        connection: KafkaConnection,
        topic: str,
        group: str,
        ledger: Ledger,
        judging: JudgeFactory,
        *,
        performer: Performer | None = None,
        clock: Clock | None = None,
        on_event: Listener | None = None,
        reload: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._problem = ""
        self._topic = topic
        self._group = group
        self._ledger = ledger
        self._judging = judging
        self._performer = performer or worker_pool(settings, judging)
        self._clock = clock or SystemClock()
        self._log = structlog.get_logger("calwatch")
        self._summary = RunSummary()
        self._stop = Stop()
        self._tell = telling(on_event)
        self._reload = reload
        self._patience = Patience(self._stop, settings.retry, None, self._log, self._tell)
        self._desk = Desk("ledger")
        self._codec = JobCodec()
        self._offsets: Offsets[TopicPartition] = Offsets()
        self._tasks: set[asyncio.Task[None]] = set()
        self._consumer: AIOKafkaConsumer | None = None
        self._positions: dict[TopicPartition, tuple[int, int]] = {}

    @property
    def load(self) -> Load:
        """What lies with this worker just now; may be asked from any thread."""
        return Load(0, len(self._tasks), 0, len(self._performer.pids))

    @property
    def state(self) -> SourceState:
        """How its reading of jobs is just now; may be asked from any thread."""
        consumer = self._consumer
        if consumer is None:
            return SourceState(problem=self._problem)
        return SourceState(
            connected=True,
            assigned=tuple(sorted(f"{p.topic}[{p.partition}]" for p in consumer.assignment())),
            positions={f"{p.topic}[{p.partition}]": at for p, at in self._positions.copy().items()},
        )

    def stop(self) -> None:
        """Ask to stop, as SIGTERM does; a second time: at once."""
        self._stop.ask()

    async def run(self) -> RunSummary:
        """Serve until told to stop.

        Raises
        ------
        StopError
            If the workers cannot be set up (limits, camera).
        """
        began = self._clock.monotonic()
        with stopped_by_signals(self._stop), reloaded_by_hangup(self._reload):
            try:
                starting = asyncio.create_task(self._performer.start())
                await self._patience.unless_stopped(starting)
                while not self._stop.asked:
                    await self._patience.ask(self._serve)
            except StoppedError:
                pass
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await self._performer.close()
                self._desk.close()
        self._summary.stopped = self._stop.asked
        self._summary.seconds = self._clock.monotonic() - began
        return self._summary

    async def _serve(self) -> None:
        """Serve with one connection until it fails or the order to stop comes."""
        options = self._options()
        consumer = AIOKafkaConsumer(
            **options,
            group_id=self._group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            retry_backoff_ms=RETRY_MS,
        )
        self._offsets = Offsets()  # what is still being done is delivered again
        self._positions = {}
        consumer.subscribe([self._topic], listener=_Forgetting(self._offsets, self._positions))
        try:
            await consumer.start()
            self._consumer, silence = consumer, Silence(consumer)
            self._problem = ""
            while not self._stop.asked:
                heard = await self._take_some(consumer)
                await self._commit(consumer)
                await silence.listen(heard=heard)
            self._performer.drop_waiting()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._settings.timeouts.shutdown_seconds)
            await self._commit(consumer)
        except (KafkaError, OSError) as error:
            self._problem = await cause_of(options, error)
            servers = self._connection.bootstrap_servers
            raise WaitError(f"Kafka {servers}: {self._problem}") from error
        finally:
            self._consumer = None
            await give_up(consumer)

    def _options(self) -> dict[str, Any]:
        """Return how to connect; a certificate that is just being replaced may be good soon."""
        try:
            return self._connection.client_options()
        except StopError as error:
            self._problem = str(error)
            raise WaitError(self._problem) from error

    async def _take_some(self, consumer: AIOKafkaConsumer) -> bool:
        """Poll, which tells the broker that we live, and take no more than there is room for.

        Tell whether there was anything.
        """
        room = self._settings.workers * JOBS_PER_WORKER - self._offsets.in_hand
        held = consumer.assignment() if room <= 0 else ()
        consumer.pause(*held)
        records = await consumer.getmany(
            timeout_ms=int(1000 * POLL_SECONDS), max_records=max(room, 1)
        )
        consumer.resume(*held)
        for partition, messages in records.items():
            read = messages[-1].offset + 1
            self._positions[partition] = (read, max((consumer.highwater(partition) or 0) - read, 0))
            for message in messages:
                self._offsets.begin(partition, message.offset)
                work = self._one(partition, message.offset, message.value)
                task = asyncio.create_task(work)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return bool(records)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        offsets = self._offsets.take()
        if not offsets:
            return
        try:
            await consumer.commit(offsets)
        except KafkaError as error:  # they are delivered again, and known by then
            self._log.warning("offsets not committed", reason=in_words(error))

    async def _one(self, partition: TopicPartition, offset: int, content: bytes | None) -> None:
        """Do one message; it is done when the ledger has what came of it."""
        try:
            job = self._codec.load(content or b"")
        except RecordError as error:
            place = {"topic": partition.topic, "partition": partition.partition, "offset": offset}
            self._log.error("job cannot be read", **place, reason=str(error))
            self._offsets.done(partition, offset)
            return
        try:
            if not await self._keep(partial(self._known, job)):
                await self._judge(job)
        except (PoolError, StoppedError):
            self._summary.abandoned += 1
            return
        except Exception as error:
            self._log.exception("job cannot be recorded", **names(job), reason=str(error))
        self._offsets.done(partition, offset)

    def _known(self, job: Job) -> bool:
        """Tell whether this very judgement stands already."""
        keys = self._ledger.judged_keys(
            job.exposure.instrument,
            exposure_ids=[job.exposure.exposure_id],
            algorithm=algorithm_of(job.calib_type),
        )
        last = keys.get((job.exposure.exposure_id, job.detector))
        return last is not None and last.fingerprint == job.chain.fingerprint

    async def _judge(self, job: Job) -> None:
        retries = Retries(self._settings.retry)
        whole = await self._keep(partial(with_numbers, self._ledger, job)) if job.earlier else job
        while True:
            outcome = await self._performer.run(whole)
            self._summary.worker_deaths += outcome.deaths
            error = outcome.error
            if error is None or not retries.again(job, error, self._clock.monotonic()):
                break
            seconds = retries.wait(job)
            self._summary.delayed += 1
            self._log.info("job delayed", **names(job), reason=str(error), again_in_seconds=seconds)
            self._tell(JobDelayed(job, str(error), seconds, outcome.failure, outcome.deaths))
            if await self._stop.sleep(seconds):
                raise StoppedError("stopped while a job waited for its next attempt")
        if outcome.trace:
            self._log.error("job failed", **names(job), trace=outcome.trace)
        failures = Counter(outcome.notes.failures)
        result = outcome.result
        if error is not None:
            failures[outcome.failure] += 1
            result = self._judging.unknown(job, retries.reason(job, error))
        began = time.perf_counter()
        try:
            await self._keep(partial(self._ledger.record, result, job.exposure, self._clock.now()))
        except RecordError as wrong:
            failures[type(wrong).__name__] += 1
            result = self._judging.unknown(job, str(wrong))
            await self._keep(partial(self._ledger.record, result, job.exposure, self._clock.now()))
        self._summary.detectors[result.verdict] += 1
        self._log.info("job done", **names(job), verdict=result.verdict.value)
        steps = {**outcome.notes.seconds, RECORD: time.perf_counter() - began}
        self._tell(JobDone(job, result, outcome.seconds, steps, failures, outcome.deaths))

    async def _keep(self, work: Any) -> Any:
        return await self._patience.ask(lambda: self._desk.ask(work))


class _Forgetting(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Forgets what was in hand of partitions that are taken away."""

    def __init__(
        self, offsets: Offsets[TopicPartition], positions: dict[TopicPartition, tuple[int, int]]
    ) -> None:
        self._offsets = offsets
        self._positions = positions

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Forget them: whoever gets them starts at the last commit."""
        for partition in revoked:
            self._offsets.forget(partition)
            self._positions.pop(partition, None)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Nothing is known of a new partition."""
