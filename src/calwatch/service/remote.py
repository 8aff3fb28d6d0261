"""Having jobs done by other hosts: jobs go to a topic, results are seen in the shared ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from calwatch.arrivals.codec import JobCodec
from calwatch.arrivals.job import Job
from calwatch.arrivals.reconcile import UNMEASURED
from calwatch.errors import LedgerError, WaitError
from calwatch.kafka.causes import cause_of, in_words
from calwatch.kafka.topics import ensure_topics
from calwatch.ledger.store import Ledger
from calwatch.service.doing import names
from calwatch.service.patience import Desk
from calwatch.service.pool import Outcome, PoolError
from calwatch.verify.model import Verdict

UNSENT_SECONDS = 10.0
"""A job that Kafka did not take is sent again after so long."""


@dataclass(slots=True, eq=False)
class _Sent:
    job: Job
    future: asyncio.Future[Verdict]
    again_at: float = inf


class RemoteWorkers:
    """A `calwatch.service.doing.Performer` whose workers are other processes, anywhere.

    A job is done when the ledger has its judgement; one that is not there after a while is sent
    again, which is harmless: a judgement is recorded once only.

    Parameters
    ----------
    options
        Of the Kafka clients.
    topic
        Where jobs go, keyed by instrument and detector: a detector stays with one worker.
    partitions
        Of that topic, if it has to be made.
    ledger
        Shared with the workers.
    resend_seconds
        After so long a job is sent again.
    look_seconds
        The ledger is asked so often what is done.
    monotonic
        Seconds that never go back.
    """

    def __init__(
        self,
        options: dict[str, Any],
        topic: str,
        partitions: int,
        ledger: Ledger,
        *,
        resend_seconds: float = 900.0,
        look_seconds: float = 0.5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._topic = topic
        self._partitions = partitions
        self._ledger = ledger
        self._resend_seconds = resend_seconds
        self._look_seconds = look_seconds
        self._monotonic = monotonic
        self._codec = JobCodec()
        self._log = structlog.get_logger("calwatch")
        self._desk = Desk("remote")
        self._producer: AIOKafkaProducer | None = None
        self._sent: set[_Sent] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def pids(self) -> list[int]:
        """No worker is here."""
        return []

    async def start(self) -> None:
        """Connect.

        Raises
        ------
        StopError
            If the topic is not there and may not be made.
        WaitError
            If the broker is out of reach.
        """
        producer = AIOKafkaProducer(**self._options, acks="all", enable_idempotence=True)
        try:
            await ensure_topics(self._options, [self._topic], partitions=self._partitions)
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise WaitError(f"Kafka: {await cause_of(self._options, error)}") from error
        self._producer = producer
        self._looking = asyncio.create_task(self._look_for_ever())

    async def run(self, job: Job) -> Outcome:
        """Have one job done somewhere, however long it takes.

        Raises
        ------
        PoolError
            If it was given up before it was done.
        """
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        sent = _Sent(job, future)
        self._sent.add(sent)
        try:
            await self._send(sent)
            verdict = await future
        finally:
            self._sent.discard(sent)
        # What it cost is known where it was done.
        return Outcome(None, None, "", 0.0, 0, recorded=verdict)

    async def _send(self, sent: _Sent) -> None:
        if self._producer is None:
            raise PoolError("the connection to the workers is closed")
        job = sent.job
        key = f"{job.exposure.instrument}/{job.detector}".encode()
        wait = self._resend_seconds
        try:
            await self._producer.send_and_wait(self._topic, self._codec.dump(job), key=key)
        except KafkaError as error:
            wait = min(wait, UNSENT_SECONDS)
            self._log.warning("job not sent", **names(job), reason=in_words(error))
        sent.again_at = self._monotonic() + wait

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            if not self._sent:
                continue
            try:
                done = await self._desk.ask(self._done)
            except LedgerError as error:
                self._log.warning("out of reach", reason=str(error))
                continue
            for sent, verdict in done:
                if not sent.future.done():
                    sent.future.set_result(verdict)
            now = self._monotonic()
            for sent in [s for s in self._sent if s.again_at <= now and not s.future.done()]:
                self._log.warning("job sent again", **names(sent.job))
                await self._send(sent)

    def _done(self) -> list[tuple[_Sent, Verdict]]:
        """Ask the ledger which of the jobs sent are judged."""
        waiting = list(self._sent)
        wanted: dict[str, set[int]] = {}
        for sent in waiting:
            exposure = sent.job.exposure
            wanted.setdefault(exposure.instrument, set()).add(exposure.exposure_id)
        judged = {
            instrument: self._ledger.judged_keys(instrument, exposure_ids=exposures)
            for instrument, exposures in wanted.items()
        }
        done = []
        for sent in waiting:
            job = sent.job
            last = judged[job.exposure.instrument].get((job.exposure.exposure_id, job.detector))
            if last is not None and last.fingerprint.removesuffix(UNMEASURED) == (
                job.chain.fingerprint
            ):
                done.append((sent, last.verdict))
        return done

    def drop_waiting(self) -> int:
        """Wait for no result any more: the workers go on, the next start sees what they did."""
        dropped = 0
        for sent in self._sent:
            if not sent.future.done():
                sent.future.set_exception(PoolError("stopped while other hosts do the job"))
                dropped += 1
        return dropped

    async def close(self) -> None:
        """Disconnect."""
        self.drop_waiting()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None
        self._desk.close()
