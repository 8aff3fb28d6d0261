"""Tells LOVE, through Watcher, which alarms are open: as SAL events of a component of our own.

Three topics (see `calwatch.alarms.deliver.sal_topics`), one SAL index for each instrument. The
alarm event says what changed; but compaction keeps only one message of it for each instrument, so
the summary says everything anew each time, and whoever comes later needs no other. What is needed
at the other end stands in ``deploy/sal/README.md``.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from fastavro import parse_schema, schemaless_writer

from calwatch.alarms.deliver.channel import Delivery, Numbered
from calwatch.alarms.deliver.sal_events import Fields, alarm_fields, summary_fields
from calwatch.alarms.deliver.sal_schema import Schema, Topic, rev_code, subject
from calwatch.alarms.deliver.sal_settings import SalSettings
from calwatch.alarms.deliver.sal_topics import ALARM, HEARTBEAT, SUMMARY, TOPICS
from calwatch.alarms.rules import Rules
from calwatch.errors import RecordError, StopError, WaitError
from calwatch.kafka.connection import REGISTRY_VARIABLE, KafkaConnection
from calwatch.kafka.producer import Message, Producer
from calwatch.kafka.registry import SchemaRegistry
from calwatch.kafka.wire import frame
from calwatch.tai import tai_ahead, tai_from_utc

TOPIC_CONFIG = {"cleanup.policy": "compact"}
"""As ts_salobj makes the topics of events."""
_LARGEST_NUMBER = 2**31 - 1
_TICK = 1e-6
_SEND_SECONDS = 30.0


class Envelope:
    """Puts an event's own fields into the message that SAL wants.

    Readers drop a message that was sent before the last one of its topic and index, by
    ``private_sndStamp``. So no stamp is earlier than the one before, whatever the clock does; a
    clock that was ahead when an earlier process sent is all that can still silence us.

    Parameters
    ----------
    settings
        Names of the topics.
    now
        Returns the time (aware).
    """

    def __init__(self, settings: SalSettings, now: Callable[[], datetime]) -> None:
        self._component = settings.component
        self._now = now
        self.schemas: dict[str, Schema] = {
            topic.sal_name: topic.schema(settings.component) for topic in TOPICS
        }
        """By name of the topic within SAL."""
        self.topics = {
            topic.sal_name: topic.kafka_name(settings.subname, settings.component)
            for topic in TOPICS
        }
        """Kafka topics, by the same."""
        self._parsed = {name: parse_schema(schema) for name, schema in self.schemas.items()}
        self._codes = {name: rev_code(schema) for name, schema in self.schemas.items()}
        self._numbers = dict.fromkeys(self.schemas, 0)
        self._sent = 0.0

    def message(self, topic: Topic, index: int, fields: Fields, schema_id: int) -> Message:
        """Return one message, to be sent at once.

        Raises
        ------
        RecordError
            If the fields are not those of the topic's schema.
        """
        name = topic.sal_name
        content: Mapping[str, Any] = {"salIndex": index, **self._private(name, index), **fields}
        payload = io.BytesIO()
        try:
            schemaless_writer(payload, self._parsed[name], content, strict=True)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise RecordError(f"{self.topics[name]}: cannot be encoded: {error}") from error
        return Message(
            self.topics[name],
            topic.key(self._component, index),
            frame(schema_id, payload.getvalue()),
        )

    def _private(self, name: str, index: int) -> Fields:
        now = self._now()
        self._sent = stamp = max(tai_from_utc(now), self._sent + _TICK)
        self._numbers[name] = self._numbers[name] % _LARGEST_NUMBER + 1
        return {
            "private_sndStamp": stamp,
            "private_rcvStamp": 0.0,
            "private_efdStamp": stamp - tai_ahead(now),
            "private_kafkaStamp": stamp,
            "private_seqNum": self._numbers[name],
            "private_revCode": self._codes[name],
            "private_identity": f"{self._component}:{index}",
            "private_origin": os.getpid(),
        }


class SalChannel:
    """Keeps the SAL events of the open alarms.

    What is open is asked for each time, and one thing is sent after the other, so that nothing
    older ever follows something newer.

    Parameters
    ----------
    settings
        Names of the topics, and the SAL index of each instrument.
    connection
        How to reach the brokers and the schema registry.
    rules
        Which section of the playbook a problem has.
    instruments
        Whose alarms this calwatch keeps. Only of those that have an index is anything said, so that
        several may share the component.
    open_alarms
        Returns the open alarms of an instrument.
    now
        Returns the time (aware).
    send_seconds
        So long a message may take to be acknowledged.

    Raises
    ------
    StopError
        If no registry is named, or none of the instruments has an index.
    """

    def __init__(
        self,
        settings: SalSettings,
        connection: KafkaConnection,
        rules: Rules,
        instruments: Collection[str],
        open_alarms: Callable[[str], Awaitable[Sequence[Numbered]]],
        now: Callable[[], datetime],
        *,
        send_seconds: float = _SEND_SECONDS,
    ) -> None:
        self.name = settings.name
        if not connection.registry_url:
            raise StopError(f"{REGISTRY_VARIABLE}: is not set, and channel {self.name} needs it")
        self._registry_url = connection.registry_url
        self._index = {name: settings.index[name] for name in settings.index if name in instruments}
        if not self._index:
            raise StopError(
                f"channel {self.name}: no SAL index is set for {' nor '.join(sorted(instruments))}"
            )
        self.heartbeat_seconds = settings.heartbeat_seconds
        self._rules = rules
        self._open_alarms = open_alarms
        self._envelope = Envelope(settings, now)
        self._producer = Producer(connection, "calwatch-sal", send_seconds=send_seconds)
        self._ids: dict[str, int] = {}
        self._one_at_a_time = asyncio.Lock()

    async def open(self) -> None:
        """Register the schemas, make missing topics and connect; nothing if that is done.

        Raises
        ------
        StopError
            If topics are missing and cannot be made, a schema is refused or a certificate is bad.
        WaitError
            If the brokers or the registry are out of reach.
        """
        if self._producer.is_open:
            return
        topics = self._envelope.topics
        if not self._ids:
            async with SchemaRegistry(self._registry_url) as registry:
                self._ids = {
                    name: await registry.register(subject(topics[name]), schema)
                    for name, schema in self._envelope.schemas.items()
                }
        await self._producer.open(tuple(topics.values()), TOPIC_CONFIG)

    async def send(self, delivery: Delivery) -> None:
        """Tell of an alarm as it is now, then of all open ones of its instrument.

        Raises
        ------
        WaitError
            If the brokers or the ledger are out of reach.
        RecordError
            If its instrument has no index here, or it cannot be put into an event.
        """
        instrument = delivery.newest.key.instrument
        if instrument not in self._index:
            raise RecordError(f"channel {self.name}: {instrument} has no SAL index here")
        async with self._one_at_a_time:
            alarms = await self._open_alarms(instrument)
            newer = {numbered.alarm_id: numbered for numbered in alarms}
            known = Numbered(delivery.alarm_id, delivery.newest)
            await self._tell(instrument, [newer.get(delivery.alarm_id, known)], alarms)

    async def resend(self, alarms: Sequence[Numbered]) -> None:
        """Tell of every open alarm, and of each instrument which are open, even if none is.

        Parameters
        ----------
        alarms
            The open alarms when this was asked for; they are asked for again, as something may have
            been sent since.

        Raises
        ------
        WaitError
            If the brokers or the ledger are out of reach.
        """
        del alarms
        async with self._one_at_a_time:
            for instrument in self._index:
                known = await self._open_alarms(instrument)
                await self._tell(instrument, known, known)

    async def beat(self) -> None:
        """Send one heartbeat for each instrument.

        Raises
        ------
        WaitError
            If the brokers are out of reach.
        """
        async with self._one_at_a_time:
            beats = [self._message(HEARTBEAT, name, {"heartbeat": False}) for name in self._index]
            await self._send(beats)

    async def close(self) -> None:
        """End the connection; what is not acknowledged by now counts as not sent."""
        await self._producer.close()

    async def _tell(
        self, instrument: str, alarms: Sequence[Numbered], all_open: Sequence[Numbered]
    ) -> None:
        events = [
            self._message(ALARM, instrument, alarm_fields(numbered, self._playbook(numbered)))
            for numbered in alarms
        ]
        summary = summary_fields(instrument, all_open)
        await self._send([*events, self._message(SUMMARY, instrument, summary)])

    def _playbook(self, numbered: Numbered) -> str:
        return self._rules.family(numbered.alarm.key.family).playbook

    def _message(self, topic: Topic, instrument: str, fields: Fields) -> Message:
        # Before the schemas are registered nothing can be sent, which the producer says.
        schema_id = self._ids.get(topic.sal_name, 0)
        return self._envelope.message(topic, self._index[instrument], fields, schema_id)

    async def _send(self, messages: Sequence[Message]) -> None:
        problems = [result for result in await self._producer.send(messages) if result is not None]
        if problems:
            later = (problem for problem in problems if isinstance(problem, WaitError))
            raise next(later, problems[0])
