"""Records as the bytes that go to Kafka."""

from __future__ import annotations

import io
from collections.abc import Mapping

from fastavro import parse_schema, schemaless_writer

from calwatch.errors import RecordError
from calwatch.kafka.producer import Message
from calwatch.kafka.wire import frame
from calwatch.ledger.outbox import Stored
from calwatch.publish.records import DEFAULT_TAG, make_record
from calwatch.publish.schemas import SchemaSet

__all__ = ["EVENT_ID", "Encoder", "Message"]

EVENT_ID = "event_id"
"""Header by which a consumer knows a record that it has seen before."""


class Encoder:
    """Makes messages. The same record always gives the same message.

    Parameters
    ----------
    schemas
        Of all records.
    ids
        By record name: the id the registry gave the schema.
    dataset_tag
        Tag of every point.
    """

    def __init__(
        self, schemas: SchemaSet, ids: Mapping[str, int], dataset_tag: str = DEFAULT_TAG
    ) -> None:
        self._schemas = schemas
        self._ids = ids
        self._dataset_tag = dataset_tag
        self._parsed = {name: parse_schema(schema) for name, schema in schemas.schemas.items()}

    def encode(self, stored: Stored) -> Message:
        """Return the message of one thing.

        Raises
        ------
        RecordError
            Naming the thing and why it cannot be published.
        """
        if stored.told is None:
            raise RecordError(f"{stored.what}: {stored.problem}")
        try:
            record = make_record(stored.told, self._schemas.amps, self._dataset_tag)
        except RecordError as error:
            raise RecordError(f"{stored.what}: {error}") from error
        payload = io.BytesIO()
        try:
            schemaless_writer(payload, self._parsed[record.name], record.fields)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise RecordError(f"{stored.what}: cannot be encoded: {error}") from error
        return Message(
            self._schemas.topic(record.name),
            record.key.encode(),
            frame(self._ids[record.name], payload.getvalue()),
            ((EVENT_ID, record.event_id.encode()),),
        )
