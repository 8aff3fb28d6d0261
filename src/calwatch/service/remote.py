"""Having jobs done by other hosts: jobs go to a topic, results are seen in the shared ledger."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from calwatch.arrivals.codec import JobCodec
from calwatch.arrivals.job import Job
from calwatch.arrivals.reconcile import UNMEASURED
from calwatch.errors import CalwatchError, LedgerError, RecordError
from calwatch.kafka.connection import KafkaConnection
from calwatch.kafka.producer import BrokerError, Message, Producer
from calwatch.ledger.store import Ledger
from calwatch.service.doing import names
from calwatch.service.patience import Desk
from calwatch.service.pool import Outcome, PoolError
from calwatch.verify.model import Verdict, algorithm_of

UNSENT_SECONDS = 10.0
"""A job that Kafka did not take is sent again after so long, and brokers that did not let us in are
left alone for so long."""


@dataclass(slots=True, eq=False)
class _Sent:
    job: Job
    future: asyncio.Future[Verdict]


class RemoteWorkers:
    """A `calwatch.service.doing.Performer` whose workers are other processes, anywhere.

    A job is done when the ledger has its judgement; one that is not there after a while is sent
    again, which is harmless: a judgement is recorded once only.

    Parameters
    ----------
    connection
        How to reach the brokers. After a failure its certificates and password are read anew.
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
    send_seconds
        So long the brokers may take to acknowledge a job.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        partitions: int,
        ledger: Ledger,
        *,
        resend_seconds: float = 900.0,
        look_seconds: float = 0.5,
        send_seconds: float = 30.0,
    ) -> None:
        self._topic = topic
        self._partitions = partitions
        self._ledger = ledger
        self._resend_seconds = resend_seconds
        self._look_seconds = look_seconds
        self._codec = JobCodec()
        self._log = structlog.get_logger("calwatch")
        self._desk = Desk("remote")
        self._producer = Producer(
            connection, "calwatch-intake", send_seconds=send_seconds, compressed=True
        )
        self._connecting = asyncio.Lock()
        self._connect_at = float("-inf")
        self._problem = ""
        self._told: set[str] = set()
        self._sent: set[_Sent] = set()
        self._looking: asyncio.Task[None] | None = None

    @property
    def pids(self) -> list[int]:
        """No worker is here."""
        return []

    @property
    def wants_numbers(self) -> bool:
        """They have the ledger themselves, and Kafka takes no message of all that."""
        return False

    def held_up_by(self) -> str:
        """Return why jobs cannot be handed out; empty if they can, as far as is known."""
        return self._problem

    async def start(self) -> None:
        """Connect.

        Raises
        ------
        StopError
            If the topic is not there and may not be made.
        WaitError
            If the broker is out of reach.
        """
        await self._producer.open([self._topic], partitions=self._partitions)
        self._looking = asyncio.create_task(self._look_for_ever())

    async def run(self, job: Job) -> Outcome:
        """Have one job done somewhere, however long it takes.

        Raises
        ------
        PoolError
            If it was given up before it was done.
        """
        if self._looking is None:
            raise PoolError("the connection to the workers is closed")
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        sent = _Sent(job, future)
        self._sent.add(sent)
        try:
            while not future.done():
                failure = await self._send(job)
                if isinstance(failure, RecordError):  # it would be the same again
                    return Outcome(None, failure, "", 0.0, 0)
                there = failure is None
                wait = self._resend_seconds if there else min(UNSENT_SECONDS, self._resend_seconds)
                await asyncio.wait({future}, timeout=wait)
                if there and not future.done():
                    self._log.warning("job sent again", **names(job))
            verdict = future.result()
        finally:
            self._sent.discard(sent)
            future.cancel()
        # What it cost is known where it was done.
        return Outcome(None, None, "", 0.0, 0, recorded=verdict)

    async def _send(self, job: Job) -> Exception | None:
        """Send a job; return why the brokers do not have it."""
        key = f"{job.exposure.instrument}/{job.detector}".encode()
        failure: Exception | None
        try:
            await self._connect()
            [failure] = await self._producer.send(
                [Message(self._topic, key, self._codec.dump(job))]
            )
        except CalwatchError as error:
            failure = error
        self._note(job, failure)
        return failure

    async def _connect(self) -> None:
        """Connect if that has to be done, one job for all the others, and not again at once."""
        async with self._connecting:
            if self._producer.is_open:
                return
            now = asyncio.get_running_loop().time()
            if now < self._connect_at:
                raise BrokerError(self._problem)
            self._connect_at = now + UNSENT_SECONDS
            await self._producer.open([self._topic], partitions=self._partitions)
            self._connect_at = float("-inf")

    def _note(self, job: Job, failure: Exception | None) -> None:
        """Keep what is in the way of all jobs, and log each kind of it once in an outage."""
        if isinstance(failure, RecordError):  # of this job alone
            self._log.warning("job not sent", **names(job), reason=str(failure))
        elif failure is not None:
            self._problem = str(failure) or type(failure).__name__
            if type(failure).__name__ not in self._told:
                self._log.warning("job not sent", **names(job), reason=self._problem)
            self._told.add(type(failure).__name__)
        elif self._problem:
            self._problem = ""
            self._told.clear()
            self._log.info("jobs are handed out again")

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

    def _done(self) -> list[tuple[_Sent, Verdict]]:
        """Ask the ledger which of the jobs sent are judged."""
        waiting = list(self._sent)
        wanted: dict[tuple[str, str], set[int]] = {}
        for sent in waiting:
            wanted.setdefault(_kind(sent.job), set()).add(sent.job.exposure.exposure_id)
        judged = {
            (instrument, algorithm): self._ledger.judged_keys(
                instrument, exposure_ids=exposures, algorithm=algorithm
            )
            for (instrument, algorithm), exposures in wanted.items()
        }
        done = []
        for sent in waiting:
            job = sent.job
            last = judged[_kind(job)].get((job.exposure.exposure_id, job.detector))
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
            self._looking = None
        await self._producer.close()
        self._desk.close()


def _kind(job: Job) -> tuple[str, str]:
    return job.exposure.instrument, algorithm_of(job.calib_type)
