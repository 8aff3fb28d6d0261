"""From bytes to what a message says: every way in which they can be wrong has its own name."""

from __future__ import annotations

import asyncio
import io
import json
import math
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import fastavro
import pytest
import sal as events
from hypothesis import given
from hypothesis import strategies as st

from calwatch.arrivals.decode import Decoder
from calwatch.arrivals.model import Expectation, Ignored, Notice, Reason
from calwatch.arrivals.topics import Kind, Topic
from calwatch.camera.loader import load_camera
from calwatch.kafka.registry import RegistryError, UnknownSchemaError
from calwatch.kafka.wire import frame

CAMERAS = {"LSSTCam": load_camera("LSSTCam")}
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
OODS = Topic("oods", Kind.INGESTED, ("LSSTCam",))
READOUT = Topic("readout", Kind.READOUT, ("LSSTCam",))
BUCKET = Topic("bucket", Kind.BUCKET, ("LSSTCam",))
EXPOSURE = 2026112200010
FIELDS = events.private("MTOODS", 1, {}, NOW.timestamp()) | events.ingested_fields(
    "LSSTCam", "MC_O_20261122_000010", "R22", "S11"
)


class Schemas:
    """Schemas by id."""

    def __init__(self, *schemas: Mapping[str, Any]) -> None:
        self.schemas = schemas
        self.asked = 0
        self.away = False

    async def schema(self, schema_id: int) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise RegistryError("registry: away")
        if schema_id >= len(self.schemas):
            raise UnknownSchemaError(f"there is no schema {schema_id}")
        return dict(self.schemas[schema_id])


def avro(schema: Mapping[str, Any], record: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(deepcopy(dict(schema))), record)
    return out.getvalue()


def read(value: bytes | None, *schemas: Mapping[str, Any], topic: Topic = OODS) -> Any:
    decoder = Decoder(Schemas(*(schemas or (events.image_in_oods(),))), CAMERAS)
    [said] = asyncio.run(decoder.read(topic, value, NOW))
    return said


def read_written(schema: Mapping[str, Any], record: Mapping[str, Any] = FIELDS) -> Any:
    return read(frame(0, avro(schema, record)), schema)


def changed(change: Any) -> dict[str, Any]:
    """Return the schema of imageInOODS with its list of fields changed."""
    schema = events.image_in_oods()
    schema["fields"] = change(schema["fields"])
    return schema


def retyped(name: str, kind: Any) -> dict[str, Any]:
    def change(fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
        plain = [{k: v for k, v in field.items() if k != "default"} for field in fields]
        return [f | {"type": kind} if f["name"] == name else f for f in plain]

    return changed(change)


def assert_ignored(said: Any, reason: Reason) -> None:
    assert isinstance(said, Ignored), said
    assert said.reason is reason
    assert 0 < len(said.text) <= 500


def test_an_event_as_it_is_sent() -> None:
    assert read_written(events.image_in_oods()) == Notice("LSSTCam", EXPOSURE, 94, NOW)


def test_a_readout_with_all_that_cameras_add() -> None:
    told = events.readout_fields("MC_O_20261121_000123", "DARK", 1795267812.25)
    keys = "imageType:groupId:testType:stutterRows:stutterNShifts:stutterDelay:reason:program"
    values = "DARK:2026-11-21T21\\:30\\:01.250:DARK:0:0:0.0:calibrations:BLOCK-T1"
    private = events.private("ocs-bridge", 12, {}, 1795267812.5)
    record = private | told | {"additionalKeys": keys, "additionalValues": values}
    value = frame(0, avro(events.end_readout(), record))
    said = read(value, events.end_readout(), topic=READOUT)
    assert isinstance(said, Expectation)
    assert (said.exposure_id, said.calib_type) == (2026112100123, "dark")
    assert said.end_of_readout_utc.timestamp() == pytest.approx(1795267812.25, abs=1e-5)


@pytest.mark.parametrize(
    "schema",
    [
        changed(lambda fields: fields[::-1]),
        changed(lambda fields: [{"name": "new", "type": "double", "default": 1.0}, *fields]),
        changed(
            lambda fields: [
                {
                    "name": "new",
                    "type": {
                        "type": "record",
                        "name": "Inner",
                        "fields": [{"name": "x", "type": {"type": "array", "items": "double"}}],
                    },
                    "default": {"x": [1.0, 2.0]},
                },
                *fields,
                {"name": "again", "type": ["null", "Inner"], "default": None},
            ]
        ),
        changed(lambda fields: [f for f in fields if f["name"] != "private_origin"]),
        changed(lambda fields: [f | {"default": "wrong"} for f in fields]),
        events.image_in_oods() | {"name": "renamed", "namespace": "lsst.other"},
        retyped("statusCode", "long"),
        retyped("private_sndStamp", "float"),
        retyped("camera", ["null", "string"]),
    ],
)
def test_changes_elsewhere_do_no_harm(schema: Mapping[str, Any]) -> None:
    fields = {f["name"]: f.get("default") for f in schema["fields"]} | FIELDS
    # Written as the schema says, whatever its defaults.
    plain = {**schema, "fields": [{k: f[k] for k in ("name", "type")} for f in schema["fields"]]}
    said = read(frame(0, avro(plain, fields)), schema)
    assert isinstance(said, Notice), said
    assert (said.exposure_id, said.detector, said.status) == (EXPOSURE, 94, 0)


def test_a_description_is_not_needed() -> None:
    schema = changed(lambda fields: [f for f in fields if f["name"] != "description"])
    assert isinstance(read_written(schema), Notice)


@pytest.mark.parametrize("name", ["camera", "obsid", "raft", "sensor", "statusCode"])
def test_a_missing_field(name: str) -> None:
    said = read_written(changed(lambda fields: [f for f in fields if f["name"] != name]))
    assert_ignored(said, Reason.MISSING_FIELD)
    assert name in said.text


def test_a_field_of_another_type() -> None:
    assert_ignored(
        read_written(retyped("camera", "int"), FIELDS | {"camera": 3}), Reason.WRONG_TYPE
    )
    nothing = read_written(retyped("camera", ["null", "string"]), FIELDS | {"camera": None})
    assert_ignored(nothing, Reason.WRONG_TYPE)


GOOD = avro(events.image_in_oods(), FIELDS)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b"\x01" + frame(0, GOOD)[1:], Reason.WRONG_MAGIC),
        (b'{"camera": "LSSTCam"}', Reason.WRONG_MAGIC),
        (b"\x00\x00", Reason.TRUNCATED),
        (frame(0, b""), Reason.TRUNCATED),
        (frame(0, GOOD[:-1]), Reason.TRUNCATED),
        (frame(0, GOOD[: len(GOOD) // 2]), Reason.TRUNCATED),
        (frame(0, GOOD + b"\x00"), Reason.TRAILING_BYTES),
        (frame(7, GOOD), Reason.UNKNOWN_SCHEMA),
        (b"\x00\xff\xff\xff\xff" + GOOD, Reason.UNKNOWN_SCHEMA),
        (b"\x00" * (256 * 1024 + 1), Reason.TOO_LARGE),
        (frame(0, avro(events.image_in_oods(), FIELDS | {"raft": "R" * 10**6})), Reason.TOO_LARGE),
    ],
)
def test_bad_bytes(value: bytes | None, reason: Reason) -> None:
    assert_ignored(read(value), reason)


def test_a_long_text_is_fine() -> None:
    said = read_written(events.image_in_oods(), FIELDS | {"description": "x" * 260_000})
    assert isinstance(said, Notice)
    failed = FIELDS | {"description": "é" * 130_000, "statusCode": 1}
    said = read_written(events.image_in_oods(), failed)
    assert isinstance(said, Notice)
    assert len(said.text) <= 500


def test_a_stamp_that_is_no_time() -> None:
    for stamp in (math.nan, -2208988800.0):
        said = read_written(events.image_in_oods(), FIELDS | {"private_sndStamp": stamp})
        assert_ignored(said, Reason.BAD_TIMESTAMP)


ARRAY = {"type": "array", "items": "double"}
HUGE = b"\x80\x80\x80\x80\x80\x80\x80\x80\x40"  # 2^61 as a varint


@pytest.mark.parametrize("kind", ["string", "bytes", ARRAY, {"type": "map", "values": "int"}])
def test_a_length_beyond_the_message_takes_no_memory(kind: Any) -> None:
    schema = changed(lambda fields: [{"name": "new", "type": kind}, *fields])
    assert_ignored(read(frame(0, HUGE + GOOD), schema), Reason.TRUNCATED)


def test_a_length_below_zero() -> None:
    schema = changed(lambda fields: [{"name": "new", "type": "string"}, *fields])
    assert isinstance(read(frame(0, b"\x01" + GOOD), schema), Ignored)


NODE = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "next", "type": ["null", "Node"]}],
}


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "array", "items": "null"},
        {"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}},
        {"type": "array", "items": {"type": "fixed", "name": "Nothing", "size": 0}},
        NODE,
        "nosuchtype",
        {"type": "enum"},
        7,
        None,
    ],
)
def test_schemas_that_cannot_be_read_safely(kind: Any) -> None:
    """Each would take for ever, or all of the stack, or is no schema at all."""
    schema = changed(lambda fields: [{"name": "new", "type": kind}, *fields])
    assert_ignored(read(frame(0, HUGE + b"\x02" * 100_000), schema), Reason.UNKNOWN_SCHEMA)


@given(st.binary(max_size=300), st.sampled_from([OODS, READOUT, BUCKET]))
def test_any_bytes_are_understood_or_ignored(payload: bytes, topic: Topic) -> None:
    schema = events.image_in_oods() if topic is OODS else events.end_readout()
    for value in (payload, frame(0, payload), frame(0, GOOD[:60] + payload)):
        assert isinstance(read(value, schema, topic=topic), Notice | Expectation | Ignored)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_changed_byte_is_understood_or_ignored(place: int, byte: int) -> None:
    value = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    assert isinstance(read(frame(0, value)), Notice | Ignored)


def test_a_schema_is_asked_for_once() -> None:
    schemas = Schemas(events.image_in_oods())
    decoder = Decoder(schemas, CAMERAS)

    async def several() -> None:
        for _ in range(5):
            await decoder.read(OODS, frame(0, GOOD), NOW)

    asyncio.run(several())
    assert schemas.asked == 1


def test_a_registry_that_is_away_is_told() -> None:
    schemas = Schemas(events.image_in_oods())
    decoder = Decoder(schemas, CAMERAS)
    schemas.away = True
    with pytest.raises(RegistryError):
        asyncio.run(decoder.read(OODS, frame(0, GOOD), NOW))
    schemas.away = False
    assert isinstance(asyncio.run(decoder.read(OODS, frame(0, GOOD), NOW))[0], Notice)


def test_a_message_of_several_notifications() -> None:
    stem = "LSSTCam/20261122/MC_O_20261122_000010/MC_O_20261122_000010"
    records = [
        {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": f"{stem}_{name}.fits"}}}
        for name in ("R22_S11", "R22_S12", "R00_SG0_guider")
    ]
    decoder = Decoder(Schemas(), CAMERAS)
    value = json.dumps({"Records": records}).encode()
    said = asyncio.run(decoder.read(BUCKET, value, NOW))
    assert [type(one) for one in said] == [Notice, Notice, Ignored]
    assert_ignored(read(b"\x00\x00\x00\x00\x01", topic=BUCKET), Reason.BAD_JSON)


def doubling(levels: int, leaf: Any) -> dict[str, Any]:
    """Return a schema of which each level has the one below twice."""
    inner: Any = leaf
    for level in range(levels):
        fields = [
            {"name": "a", "type": inner},
            {"name": "b", "type": f"L{level - 1}" if level else leaf},
        ]
        inner = {"type": "record", "name": f"L{level}", "fields": fields}
    known = [{"name": name, "type": type_} for name, type_ in READOUT_TYPES.items()]
    return {"type": "record", "name": "e", "fields": [*known, {"name": "more", "type": inner}]}


READOUT_TYPES = {
    "imageName": "string", "additionalKeys": "string", "additionalValues": "string",
    "timestampEndOfReadout": "double",
}  # fmt: skip


@pytest.mark.parametrize(
    "within",
    [
        lambda s: s,
        lambda s: {"type": "array", "items": s},
        lambda s: {"type": "array", "items": {"type": "array", "items": s}},
        lambda s: {"type": "map", "values": ["null", {"type": "array", "items": ["null", s]}]},
    ],
)
@pytest.mark.parametrize("leaf", ["null", "int", {"type": "fixed", "name": "z", "size": 0}])
def test_a_schema_that_doubles_with_every_line_is_refused_at_once(leaf: Any, within: Any) -> None:
    schema = doubling(60, leaf)
    schema["fields"][-1]["type"] = within(schema["fields"][-1]["type"])
    said = asyncio.run(Decoder(Schemas(schema), CAMERAS).read(READOUT, bytes(50), NOW))
    assert [one.reason for one in said] == [Reason.UNKNOWN_SCHEMA]


def test_items_with_many_values_of_no_bytes_are_refused() -> None:
    nothing = [{"name": f"n{n}", "type": "null"} for n in range(17)]
    item = {"type": "record", "name": "i", "fields": [{"name": "x", "type": "int"}, *nothing]}
    schema = doubling(0, {"type": "array", "items": item})
    said = asyncio.run(Decoder(Schemas(schema), CAMERAS).read(READOUT, bytes(50), NOW))
    assert "take no bytes" in said[0].text


def test_unions_and_arrays_within_each_other_are_counted_once() -> None:
    nested: Any = "int"
    for _ in range(60):
        nested = ["null", {"type": "array", "items": nested}]
    said = asyncio.run(Decoder(Schemas(doubling(0, nested)), CAMERAS).read(READOUT, bytes(50), NOW))
    assert said[0].reason is Reason.TRAILING_BYTES


def test_a_name_that_stands_for_two_types_is_refused() -> None:
    narrow = {"type": "record", "name": "a.X", "fields": [{"name": "x", "type": "int"}]}
    other = {"type": "record", "name": "b.X", "fields": [{"name": "x", "type": "null"}]}
    both = {"type": "record", "name": "both", "fields": [
        {"name": "a", "type": narrow}, {"name": "b", "type": other},
    ]}  # fmt: skip
    said = asyncio.run(Decoder(Schemas(doubling(0, both)), CAMERAS).read(READOUT, bytes(50), NOW))
    assert "two types are named X" in said[0].text


def test_an_event_as_wide_as_any_is_read() -> None:
    fields = [{"name": name, "type": type_} for name, type_ in READOUT_TYPES.items()]
    fields += [{"name": f"f{n}", "type": ["null", "double"]} for n in range(800)]
    schema = {"type": "record", "name": "wide", "fields": fields}
    end = NOW.timestamp() + 37
    record = {"imageName": "MC_O_20261122_000010", "timestampEndOfReadout": end}
    record |= {"additionalKeys": "imageType", "additionalValues": "BIAS"}
    record |= {f"f{n}": None for n in range(800)}
    said = asyncio.run(
        Decoder(Schemas(schema), CAMERAS).read(READOUT, frame(0, avro(schema, record)), NOW)
    )
    assert isinstance(said[0], Expectation)
