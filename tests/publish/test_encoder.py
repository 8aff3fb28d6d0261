"""Records become the same bytes each time, and Avro reads them back."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from fakes import make_exposure, make_job, make_result
from fastavro import parse_schema, schemaless_reader
from golden_records import GOLDEN, OF_SETS, message_of, writer_of

from calwatch.errors import RecordError
from calwatch.kafka.wire import unframe
from calwatch.ledger.outbox import JudgedDetector, Stored, Taken
from calwatch.publish.encoder import Encoder
from calwatch.publish.schemas import NAMES, SET, build_schemas
from calwatch.verify.model import Verdict

SCHEMAS = build_schemas()
IDS = {name: number for number, name in enumerate(NAMES, start=11)}


def stored(**changes) -> Stored:
    exposure = make_exposure(1)
    result = replace(make_result(make_job(1, 3), Verdict.FAIL, "σ", value=0.1), **changes)
    taken = Taken(
        exposure.obs_id,
        exposure.physical_filter,
        exposure.band,
        exposure.day_obs,
        exposure.seq_num,
        exposure.end_utc,
    )
    return Stored("LATISS exposure 1 detector 3", JudgedDetector(result, taken))


def test_a_message_is_framed_keyed_and_named() -> None:
    message = Encoder(SCHEMAS, IDS).encode(stored())
    assert message.topic == "lsst.cp.calwatch.bias"
    assert message.key == b"LATISS/3"
    assert [name for name, _ in message.headers] == ["event_id"]
    schema_id, payload = unframe(message.value)
    assert schema_id == 11
    source = io.BytesIO(payload)
    record = schemaless_reader(source, parse_schema(SCHEMAS.schemas["bias"]), None)
    assert source.read() == b""
    assert (record["C10_MEAN"], record["C00_NOISE"], record["C10_MEDIAN"]) == (0.1, 15.1, None)
    assert (record["verdict"], record["reason"]) == ("FAIL", "σ")


def test_another_encoder_gives_the_same_bytes() -> None:
    assert Encoder(SCHEMAS, IDS).encode(stored()) == Encoder(build_schemas(), IDS).encode(stored())


def test_a_message_of_the_first_release_is_read_with_the_schema_of_today() -> None:
    """The golden message: its bytes, and the fields it was written with, stand in a file."""
    golden = json.loads(GOLDEN.read_text())
    again = Encoder(SCHEMAS, IDS).encode(stored())
    assert golden["message"]["key"] == again.key.decode()
    assert golden["message"]["event_id"] == dict(again.headers)["event_id"].decode()
    before, now = read_both("bias", golden["schemas"], golden["message"]["value"], again.value)
    assert before == now


@pytest.mark.parametrize("name", OF_SETS)
def test_so_is_the_first_message_of_each_kind_of_set(name: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert list(golden["messages"]) == list(OF_SETS)
    message, again = golden["messages"][name], message_of(name)
    assert message["key"] == again["key"]
    if name != SET:  # what a set came to is another event where it has another field
        assert message["event_id"] == again["event_id"]
    value = bytes.fromhex(again["value"])
    before, now = read_both(name, golden["schemas"], message["value"], value)
    assert before == now


def read_both(name: str, schemas: dict, first: str, ours: bytes) -> tuple[dict, dict]:
    """Return the fields of the first release, of a message of then and of one of today."""
    fields = schemas[name]
    today = parse_schema(SCHEMAS.schemas[name])
    _, payload = unframe(bytes.fromhex(first))
    record = schemaless_reader(io.BytesIO(payload), parse_schema(writer_of(name, fields)), today)
    _, payload = unframe(ours)
    now = schemaless_reader(io.BytesIO(payload), today, None)
    return {field: record[field] for field in fields}, {field: now[field] for field in fields}


def test_what_cannot_be_encoded_is_named() -> None:
    encoder = Encoder(SCHEMAS, IDS)
    with pytest.raises(RecordError, match="judgement 9: it is not in the ledger"):
        encoder.encode(Stored("judgement 9", None, "it is not in the ledger"))
    with pytest.raises(RecordError, match="LATISS exposure 1 detector 3: cannot be encoded"):
        encoder.encode(stored(limits=7))
