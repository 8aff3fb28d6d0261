"""Messages to the brokers: sent in order, and known to be there or not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from calwatch.errors import RecordError, WaitError
from calwatch.kafka.causes import Cause, find_cause, in_words, known_cause
from calwatch.kafka.connection import KafkaConnection
from calwatch.kafka.topics import PARTITIONS, ensure_topics

_CLOSE_SECONDS = 5.0
_BATCH_BYTES = 256 * 1024
_MESSAGE_BYTES = 1024 * 1024
_COMPRESSED_BYTES = 8 * _MESSAGE_BYTES
"""Brokers take 1 MiB as they come, and count what they are sent; aiokafka counts it before."""
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class BrokerError(WaitError):
    """The brokers are out of reach or do not take what is sent."""


class RefusalError(BrokerError):
    """The brokers are there, but a certificate, a password or an ACL is in the way."""


class RefusedRecordError(RecordError):
    """The broker does not take this very record, and never will."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one record is on the wire."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Producer:
    """Sends messages with one idempotent producer, which is made anew after each failure.

    Parameters
    ----------
    connection
        How to reach the brokers.
    client_id
        Our name in the brokers' logs and quotas.
    send_seconds
        So long a batch may take to be acknowledged.
    compressed
        Whether batches are compressed: every consumer knows that by itself.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        client_id: str,
        *,
        send_seconds: float = 30.0,
        compressed: bool = False,
    ) -> None:
        self._connection = connection
        self._client_id = client_id
        self._seconds = send_seconds
        self._compressed = compressed
        self._producer: AIOKafkaProducer | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is connected, as far as is known."""
        return self._producer is not None

    async def open(
        self,
        topics: Sequence[str],
        config: Mapping[str, str] | None = None,
        *,
        partitions: int = PARTITIONS,
    ) -> None:
        """Make missing topics and connect; nothing if that is done.

        Parameters
        ----------
        topics
            All that will be sent to.
        config
            Of the topics that are made.
        partitions
            Of each topic that is made.

        Raises
        ------
        StopError
            If topics are missing and cannot be made, or a certificate cannot be used.
        BrokerError
            If the brokers are out of reach.
        """
        if self._producer is not None:
            return
        options = self._connection.client_options()
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._seconds):
                await ensure_topics(
                    options, topics, partitions=partitions, config=config, timeout=self._seconds
                )
                producer = self._make(options)
                await producer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            if producer is not None:
                await _abandon(producer)
            raise self._named(await find_cause(options, error), error) from error
        except BaseException:
            if producer is not None:
                await _abandon(producer)
            raise
        self._producer = producer

    async def send(self, messages: Sequence[Message]) -> list[Exception | None]:
        """Send messages in order and wait for the broker to acknowledge them.

        Returns
        -------
        list
            For each message None if it was acknowledged, else why not: `RefusedRecordError` if it
            never will be, `BrokerError` if it may be later. After a failure it is closed.

        Raises
        ------
        BrokerError
            If it is not open.
        """
        producer = self._producer
        if producer is None:
            raise BrokerError(f"Kafka {self._connection.bootstrap_servers}: not connected")
        sent: list[asyncio.Future[Any] | Exception] = []
        try:
            async with asyncio.timeout(self._seconds):
                for message in messages:
                    sent.append(await _give(producer, message))
                waiting = [item for item in sent if isinstance(item, asyncio.Future)]
                if waiting:
                    await asyncio.wait(waiting)
        except (KafkaError, OSError, TimeoutError) as error:
            sent += [error] * (len(messages) - len(sent))
        except BaseException:
            await self._give_up(producer)
            raise
        results = [self._result(item, alone=len(messages) == 1) for item in sent]
        if any(isinstance(result, BrokerError) for result in results):
            await self._give_up(producer)
        for item in sent:
            if isinstance(item, asyncio.Future) and item.done() and not item.cancelled():
                item.exception()
        return results

    async def close(self) -> None:
        """End the connection; what is not acknowledged by now counts as not sent."""
        if self._producer is not None:
            await self._give_up(self._producer)

    async def _give_up(self, producer: AIOKafkaProducer) -> None:
        """Close what failed, and not what has been opened in its place meanwhile."""
        if self._producer is producer:
            self._producer = None
            await _abandon(producer)

    def _make(self, options: dict[str, Any]) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **options,
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_COMPRESSED_BYTES if self._compressed else _MESSAGE_BYTES,
            compression_type="gzip" if self._compressed else None,
            request_timeout_ms=round(self._seconds * 1000),
        )

    def _result(self, item: asyncio.Future[Any] | Exception, *, alone: bool) -> Exception | None:
        """Say what became of one message."""
        if isinstance(item, asyncio.Future):
            if not item.done():
                return self._failed(TimeoutError())
            if item.cancelled():
                return self._failed(asyncio.CancelledError())
            error = item.exception()
        else:
            error = item
        if error is None:
            return None
        # A broker refuses a batch as a whole, so only a message that was alone in it is to blame.
        mine = alone or not isinstance(item, asyncio.Future)
        if isinstance(error, _TOO_LARGE) and mine:
            return RefusedRecordError(f"it is too large for Kafka: {in_words(error)}")
        return self._failed(error)

    def _failed(self, error: BaseException) -> BrokerError:
        return self._named(known_cause(error, self._connection.sasl_username or ""), error)

    def _named(self, cause: Cause, error: BaseException) -> BrokerError:
        kind = RefusalError if cause.refused else BrokerError
        named = kind(f"Kafka {self._connection.bootstrap_servers}: {cause.words}")
        named.__cause__ = error
        return named


async def _give(producer: AIOKafkaProducer, message: Message) -> asyncio.Future[Any] | Exception:
    """Give one message to the producer; a message it does not even take is no one else's fault."""
    headers = list(message.headers)
    try:
        future = await producer.send(message.topic, message.value, key=message.key, headers=headers)
    except _TOO_LARGE as error:
        return cast(Exception, error)
    return cast("asyncio.Future[Any]", future)


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Close a producer without waiting for what was not acknowledged.

    ``AIOKafkaProducer.stop`` waits until everything is, which an idempotent producer tries for
    ever; it has no other end, so what it waits for is cancelled first.
    """
    with suppress(KafkaError, OSError, TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await producer.client.close()
            await producer._sender.close()
    waiting = producer._message_accumulator
    for batches in waiting._batches.values():
        waiting._pending_batches.update(batches)
    for batch in list(waiting._pending_batches):
        batch.future.cancel()
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await producer.stop()
