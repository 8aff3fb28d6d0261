"""The way to the broker: schemas registered, topics there, messages sent in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from calwatch.errors import RecordError, StopError, WaitError
from calwatch.kafka.connection import REGISTRY_VARIABLE, KafkaConnection
from calwatch.kafka.registry import SchemaRegistry
from calwatch.publish.contract import changes
from calwatch.publish.encoder import Encoder, Message
from calwatch.publish.records import DEFAULT_TAG
from calwatch.publish.schemas import SchemaSet
from calwatch.publish.topics import ensure_topics

_CLOSE_SECONDS = 5.0
_BATCH_BYTES = 256 * 1024
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class BrokerError(WaitError):
    """The brokers are out of reach or do not take what is sent."""


class RefusedRecordError(RecordError):
    """The broker does not take this very record, and never will."""


async def register_schemas(registry: SchemaRegistry, schemas: SchemaSet) -> dict[str, int]:
    """Register every schema that is new and return the id of each, by record name.

    Raises
    ------
    StopError
        Naming every field whose change would break what is registered; then nothing is registered.
    RegistryError
        If the registry is out of reach.
    """
    problems = []
    for name, schema in schemas.schemas.items():
        registered = await registry.latest(schemas.subject(name))
        if registered is not None:
            subject = schemas.subject(name)
            problems += [f"  {subject}: {change}" for change in changes(registered, schema)]
    if problems:
        listed = "\n".join(problems)
        raise StopError(
            f"schema registry {registry.name}: the newest registered schemas do not allow ours; "
            "was a newer calwatch, or one for other cameras, here before? Fields may only be "
            f"added; anything else needs another prefix\n{listed}"
        )
    return {
        name: await registry.register(schemas.subject(name), schema)
        for name, schema in schemas.schemas.items()
    }


class Channel:
    """Sends messages with one idempotent producer, which is made anew after each failure.

    Parameters
    ----------
    connection
        How to reach the brokers.
    registry_url
        The schema registry; that of the connection if None.
    schemas
        Of all that is published.
    dataset_tag
        Tag of every point.
    send_seconds
        So long a batch may take to be acknowledged.

    Raises
    ------
    StopError
        If no registry is named.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        registry_url: str | None,
        schemas: SchemaSet,
        *,
        dataset_tag: str = DEFAULT_TAG,
        send_seconds: float = 30.0,
    ) -> None:
        url = registry_url or connection.registry_url
        if not url:
            raise StopError(f"{REGISTRY_VARIABLE}: is not set, and publishing needs it")
        self._connection = connection
        self._registry_url = url
        self._schemas = schemas
        self._dataset_tag = dataset_tag
        self._seconds = send_seconds
        self._producer: AIOKafkaProducer | None = None
        self._encoder: Encoder | None = None

    @property
    def encoder(self) -> Encoder:
        """What makes messages; there once the channel has been open.

        Raises
        ------
        RuntimeError
            If it never was.
        """
        if self._encoder is None:
            raise RuntimeError("the channel has not been opened")
        return self._encoder

    async def open(self) -> None:
        """Register the schemas, make missing topics and connect; nothing if that is done.

        Raises
        ------
        StopError
            If a schema breaks what is registered, topics are missing and cannot be made, or a
            certificate cannot be used.
        RegistryError, BrokerError
            If one of them is out of reach.
        """
        if self._producer is not None:
            return
        if self._encoder is None:
            async with SchemaRegistry(self._registry_url) as registry:
                ids = await register_schemas(registry, self._schemas)
            self._encoder = Encoder(self._schemas, ids, self._dataset_tag)
        options = self._connection.client_options()
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._seconds):
                await ensure_topics(options, self._schemas.topics, timeout=self._seconds)
                producer = self._make_producer(options)
                await producer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            if producer is not None:
                await _abandon(producer)
            raise self._named(error) from error
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
            never will be, `BrokerError` if it may be later. After a failure the channel is closed.

        Raises
        ------
        BrokerError
            If the channel is not open.
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
            await self._drop()
            raise
        results = [self._result(item, alone=len(messages) == 1) for item in sent]
        if any(isinstance(result, BrokerError) for result in results):
            await self._drop()
        for item in sent:
            if isinstance(item, asyncio.Future) and item.done() and not item.cancelled():
                item.exception()
        return results

    async def close(self) -> None:
        """End the connection; what is not acknowledged by now counts as not sent."""
        await self._drop()

    def _make_producer(self, options: dict[str, Any]) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **options,
            client_id="calwatch-publish",
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=_BATCH_BYTES,
            request_timeout_ms=round(self._seconds * 1000),
        )

    def _result(self, item: asyncio.Future[Any] | Exception, *, alone: bool) -> Exception | None:
        """Say what became of one message."""
        if isinstance(item, asyncio.Future):
            if not item.done():
                return self._named(TimeoutError())
            if item.cancelled():
                return self._named(asyncio.CancelledError())
            error = item.exception()
        else:
            error = item
        if error is None:
            return None
        # A broker refuses a batch as a whole, so only a message that was alone in it is to blame.
        mine = alone or not isinstance(item, asyncio.Future)
        if isinstance(error, _TOO_LARGE) and mine:
            return RefusedRecordError(f"it is too large for Kafka: {_words(error)}")
        return self._named(error)

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _abandon(producer)

    def _named(self, error: BaseException) -> BrokerError:
        named = BrokerError(f"Kafka {self._connection.bootstrap_servers}: {_words(error)}")
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


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
