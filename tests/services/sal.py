"""SAL events as the observatory's own publishers send them, for tests.

Schemas have the private fields first, no unions, a default, a description and units on every
field; values are written by Confluent's own Avro serializer and keys are plain text.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

_SILENT = logging.getLogger("calwatch.tests.sal")
_SILENT.propagate = False

TAI_AHEAD = 37.0
"""TAI − UTC in seconds since 2017."""

_DEFAULTS = {"string": "", "int": 0, "long": 0, "double": 0.0, "float": 0.0, "boolean": False}
_PRIVATE = (
    ("private_sndStamp", "double", "second"),
    ("private_rcvStamp", "double", "second"),
    ("private_efdStamp", "double", "second"),
    ("private_kafkaStamp", "double", "second"),
    ("private_seqNum", "int", "unitless"),
    ("private_revCode", "string", "unitless"),
    ("private_identity", "string", "unitless"),
    ("private_origin", "int", "unitless"),
)
_IMAGE_IN_OODS = (
    ("camera", "string", "unitless"),
    ("obsid", "string", "unitless"),
    ("raft", "string", "unitless"),
    ("sensor", "string", "unitless"),
    ("statusCode", "int", "unitless"),
    ("description", "string", "unitless"),
)
_END_READOUT = (
    ("additionalKeys", "string", "unitless"),
    ("additionalValues", "string", "unitless"),
    ("imagesInSequence", "int", "unitless"),
    ("imageName", "string", "unitless"),
    ("imageIndex", "int", "unitless"),
    ("imageSource", "string", "unitless"),
    ("imageController", "string", "unitless"),
    ("imageDate", "string", "unitless"),
    ("imageNumber", "int", "unitless"),
    ("timestampAcquisitionStart", "double", "second"),
    ("requestedExposureTime", "double", "second"),
    ("timestampEndOfReadout", "double", "second"),
)


def schema(component: str, sal_name: str, fields: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """Return the schema of a topic: private fields, then its own (name, type, units)."""
    return {
        "type": "record",
        "name": sal_name,
        "namespace": f"lsst.sal.{component}",
        "fields": [
            {
                "name": name,
                "type": kind,
                "default": _DEFAULTS[kind],
                "description": name,
                "units": units,
            }
            for name, kind, units in (*_PRIVATE, *fields)
        ],
        "description": sal_name,
    }


def image_in_oods(component: str = "MTOODS") -> dict[str, Any]:
    return schema(component, "logevent_imageInOODS", _IMAGE_IN_OODS)


def end_readout(component: str = "MTCamera") -> dict[str, Any]:
    return schema(component, "logevent_endReadout", _END_READOUT)


def key(component: str, sal_name: str) -> bytes:
    """Return the key of an event of a component without an index: text, blanks and all."""
    return f'{{ "name": "{component}", "topic": "{sal_name}" }}'.encode()


def private(identity: str, number: int, text: Mapping[str, Any], sent_at: float) -> dict[str, Any]:
    """Return the private fields; ``sent_at`` in UTC seconds."""
    tai = sent_at + TAI_AHEAD
    digest = hashlib.md5(json.dumps(text, indent=4).encode(), usedforsecurity=False).hexdigest()
    return {
        "private_sndStamp": tai,
        "private_rcvStamp": 0.0,
        "private_efdStamp": sent_at,
        "private_kafkaStamp": tai,
        "private_seqNum": number,
        "private_revCode": digest[:8],
        "private_identity": identity,
        "private_origin": 4711,
    }


def ingested_fields(
    camera: str,
    obs_id: str,
    raft: str,
    sensor: str,
    status: int = 0,
    description: str = "file ingested",
) -> dict[str, Any]:
    return {
        "camera": camera,
        "obsid": obs_id,
        "raft": raft,
        "sensor": sensor,
        "statusCode": status,
        "description": description,
    }


def readout_fields(obs_id: str, image_type: str, ended_at: float) -> dict[str, Any]:
    """Return the fields of endReadout; ``ended_at`` in UTC seconds."""
    source, controller, day, number = obs_id.split("_")
    return {
        "additionalKeys": "imageType:groupId:testType:reason:program",
        "additionalValues": (
            f"{image_type}:2026-11-22T14\\:58\\:02.500:{image_type}:BLOCK-T1:BLOCK-T1"
        ),
        "imagesInSequence": 1,
        "imageName": obs_id,
        "imageIndex": 1,
        "imageSource": source,
        "imageController": controller,
        "imageDate": day,
        "imageNumber": int(number),
        "timestampAcquisitionStart": ended_at + TAI_AHEAD - 20.0,
        "requestedExposureTime": 0.0,
        "timestampEndOfReadout": ended_at + TAI_AHEAD,
    }


class Sal:
    """Publishes events, and anything else, to a broker.

    Parameters
    ----------
    options
        How confluent_kafka reaches the broker.
    registry_url
        Of the schema registry.
    subname
        Of the topics: ``lsst.<subname>.<component>.<event>``.
    """

    def __init__(self, options: Mapping[str, Any], registry_url: str, subname: str = "sal") -> None:
        settings = {"acks": "all", "linger.ms": 5, "message.max.bytes": 4_000_000}
        self._producer = Producer({**settings, **options}, logger=_SILENT)
        self._refused: list[str] = []
        self._registry = SchemaRegistryClient({"url": registry_url})
        self._subname = subname
        self._serializers: dict[str, AvroSerializer] = {}
        self._number = 0

    def topic(self, component: str, sal_name: str) -> str:
        return f"lsst.{self._subname}.{component}.{sal_name}"

    def register(self, topic: str, text: Mapping[str, Any]) -> int:
        """Register a schema under the topic's subject, as every SAL process does at its start."""
        return self._registry.register_schema(f"{topic}-value", Schema(json.dumps(text), "AVRO"))

    def ingested(
        self,
        camera: str,
        obs_id: str,
        raft: str,
        sensor: str,
        status: int = 0,
        description: str = "file ingested",
        *,
        component: str = "MTOODS",
        sent_at: float | None = None,
    ) -> None:
        """Tell that a file was ingested, or failed to be."""
        fields = ingested_fields(camera, obs_id, raft, sensor, status, description)
        self.event(component, image_in_oods(component), fields, sent_at)

    def readout(
        self,
        obs_id: str,
        image_type: str = "BIAS",
        *,
        component: str = "MTCamera",
        ended_at: float | None = None,
    ) -> None:
        """Tell that an exposure was read out."""
        ended_at = time.time() if ended_at is None else ended_at
        fields = readout_fields(obs_id, image_type, ended_at)
        self.event(component, end_readout(component), fields, ended_at)

    def event(
        self,
        component: str,
        text: Mapping[str, Any],
        fields: Mapping[str, Any],
        sent_at: float | None = None,
    ) -> None:
        """Send one event, written with a schema."""
        sal_name = str(text["name"])
        topic = self.topic(component, sal_name)
        self._number += 1
        now = time.time() if sent_at is None else sent_at
        record = private(component, self._number, text, now) | dict(fields)
        self.raw(topic, self.encode(topic, text, record), key(component, sal_name))

    def encode(self, topic: str, text: Mapping[str, Any], record: Mapping[str, Any]) -> bytes:
        """Return a record in Confluent's wire format."""
        mark = topic + json.dumps(text)
        if mark not in self._serializers:
            self.register(topic, text)
            options = {"auto.register.schemas": False, "use.latest.version": False}
            written = json.dumps(text)
            self._serializers[mark] = AvroSerializer(self._registry, written, conf=options)
        serializer = self._serializers[mark]
        value: bytes = serializer(dict(record), SerializationContext(topic, MessageField.VALUE))
        return value

    def raw(self, topic: str, value: bytes | None, with_key: bytes | None = None) -> None:
        """Send any bytes."""
        while True:
            try:
                self._producer.produce(topic, value, with_key, on_delivery=self._delivered)
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def flush(self, seconds: float = 60.0) -> None:
        """Wait until the broker has everything."""
        left = self._producer.flush(seconds)
        if left or self._refused:
            raise RuntimeError(f"{left} messages left, refused by the broker: {self._refused[:3]}")

    def _delivered(self, error: object, _message: object) -> None:
        if error is not None:
            self._refused.append(str(error))
