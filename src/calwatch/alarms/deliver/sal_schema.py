"""The rules of SAL on Kafka: how a topic is named, what its schema and its key look like.

They are those of ts_xml (``topic_info.py``, ``field_info.py``) and ts_salobj (``sal_info.py``): a
schema made here from the fields of a topic is, byte for byte, the one that ts_xml makes from the
XML of the same topic, and so has the same revision code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

AVRO_TYPES = {
    "boolean": "boolean",
    "byte": "int",
    "short": "int",
    "int": "int",
    "long": "int",
    "long long": "long",
    "unsigned short": "int",
    "unsigned int": "long",
    "float": "float",
    "double": "double",
    "string": "string",
}
"""By SAL type, as the XML has it. Nothing is ever a union: what is not there is 0 or empty."""
_DEFAULTS: dict[str, bool | int | float | str] = {
    "boolean": False,
    "int": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "string": "",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a topic, in the terms of the XML."""

    name: str
    sal_type: str
    description: str
    units: str = "unitless"

    def schema(self) -> Schema:
        """Return the field as Avro has it."""
        kind = AVRO_TYPES[self.sal_type]
        return {
            "name": self.name,
            "type": kind,
            "default": _DEFAULTS[kind],
            "description": self.description,
            "units": self.units,
        }


INDEX = Field("salIndex", "long", "SAL index (only present for indexed SAL components)")
"""Comes first in every topic of a component that has an index."""
PRIVATE = (
    Field("private_sndStamp", "double", "Time of instance publication", "second"),
    Field("private_rcvStamp", "double", "Time of instance reception", "second"),
    Field(
        "private_efdStamp",
        "double",
        "UTC time for EFD timestamp. "
        "An integer (the number of leap seconds) different from private_sndStamp.",
        "second",
    ),
    Field(
        "private_kafkaStamp", "double", "TAI time at which the Kafka message was created.", "second"
    ),
    Field("private_seqNum", "long", "Sequence number"),
    Field("private_revCode", "string", "Revision hashcode"),
    Field(
        "private_identity",
        "string",
        "Identity of publisher: SAL component name for a CSC or user@host for a user",
    ),
    Field("private_origin", "long", "Process ID of publisher"),
)
"""What every topic has before its own fields; the words are ts_xml's, since they are hashed."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of an indexed component."""

    sal_name: str
    """Such as ``logevent_alarm``."""
    description: str
    fields: tuple[Field, ...]
    """Its own, without the private ones."""

    def schema(self, component: str, *, indexed: bool = True) -> Schema:
        """Return its Avro schema. The namespace is the same whatever the topic's sub-name."""
        private = (INDEX, *PRIVATE) if indexed else PRIVATE
        return {
            "type": "record",
            "name": self.sal_name,
            "namespace": f"lsst.sal.{component}",
            "fields": [field.schema() for field in (*private, *self.fields)],
            "description": self.description,
        }

    def kafka_name(self, subname: str, component: str) -> str:
        """Return the name of the Kafka topic."""
        return f"lsst.{subname}.{component}.{self.sal_name}"

    def key(self, component: str, index: int) -> bytes:
        """Return the key of its messages: text, blanks and all, one for each index.

        Compaction keeps the last message of each key, so what must not be lost has to be in it.
        """
        return f'{{ "name": "{component}", "index": {index}, "topic": "{self.sal_name}" }}'.encode()


def subject(kafka_name: str) -> str:
    """Return the subject under which the schema of a Kafka topic is registered."""
    return f"{kafka_name}-value"


def rev_code(schema: Schema) -> str:
    """Return the revision code of a schema: the beginning of a hash of its text."""
    text = json.dumps(schema, indent=4)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8]
