"""The way to the broker: schemas registered, topics there, messages sent in order."""

from __future__ import annotations

from collections.abc import Sequence

from calwatch.errors import StopError
from calwatch.kafka.connection import REGISTRY_VARIABLE, KafkaConnection
from calwatch.kafka.producer import BrokerError, Message, Producer, RefusedRecordError
from calwatch.kafka.registry import SchemaRegistry
from calwatch.publish.contract import changes
from calwatch.publish.encoder import Encoder
from calwatch.publish.records import DEFAULT_TAG
from calwatch.publish.schemas import SchemaSet

__all__ = ["BrokerError", "Channel", "RefusedRecordError", "register_schemas"]


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
    """Sends messages with one producer, and knows how they are encoded.

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
        self._registry_url = url
        self._schemas = schemas
        self._dataset_tag = dataset_tag
        self._producer = Producer(connection, "calwatch-publish", send_seconds=send_seconds)
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
        if self._producer.is_open:
            return
        if self._encoder is None:
            async with SchemaRegistry(self._registry_url) as registry:
                ids = await register_schemas(registry, self._schemas)
            self._encoder = Encoder(self._schemas, ids, self._dataset_tag)
        await self._producer.open(self._schemas.topics)

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
        return await self._producer.send(messages)

    async def close(self) -> None:
        """End the connection; what is not acknowledged by now counts as not sent."""
        await self._producer.close()
