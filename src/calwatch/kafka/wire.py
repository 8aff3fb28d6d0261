"""The wire format of Confluent's serializers: a zero byte, the schema's id, the Avro data."""

from __future__ import annotations

import struct

from calwatch.errors import CalwatchError

_MAGIC = 0
_HEAD = struct.Struct(">BI")
_LARGEST_ID = 2**31 - 1


class WireError(CalwatchError):
    """A message is not framed as Confluent's serializers frame it."""


def frame(schema_id: int, payload: bytes) -> bytes:
    """Return Avro data with its head: one zero byte and the schema id (4 bytes, big-endian).

    Raises
    ------
    WireError
        If the id is negative or has more than 31 bits.
    """
    if not 0 <= schema_id <= _LARGEST_ID:
        raise WireError(f"schema id {schema_id} does not fit the head of a message")
    return _HEAD.pack(_MAGIC, schema_id) + payload


def unframe(value: bytes | None) -> tuple[int, bytes]:
    """Return the schema id and the Avro data of a message.

    Raises
    ------
    WireError
        Naming the cause: no value, shorter than a head, or another first byte.
    """
    if not value:
        raise WireError("the message is empty")
    if value[0] != _MAGIC:
        raise WireError(f"the first byte is 0x{value[0]:02x}, not 0x00")
    if len(value) < _HEAD.size:
        raise WireError(f"the message has {len(value)} bytes, its head alone should have 5")
    _, schema_id = _HEAD.unpack_from(value)
    return schema_id, value[_HEAD.size :]
