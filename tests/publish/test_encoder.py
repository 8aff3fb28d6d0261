"""Records become the same bytes each time, and Avro reads them back."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import make_exposure, make_job, make_result
from fastavro import parse_schema, schemaless_reader

from calwatch.errors import RecordError
from calwatch.kafka.wire import unframe
from calwatch.ledger.outbox import JudgedDetector, Stored, Taken
from calwatch.publish.encoder import Encoder
from calwatch.publish.schemas import NAMES, build_schemas
from calwatch.verify.model import Verdict

GOLDEN = Path(__file__).parent / "golden.json"
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
    fields = golden["schemas"]["bias"]
    writer = {
        "type": "record",
        "name": "bias",
        "namespace": "lsst.cp.calwatch",
        "fields": [{"name": name, "type": kind} for name, kind in fields.items()],
    }
    message = golden["message"]
    _, payload = unframe(bytes.fromhex(message["value"]))
    ours = parse_schema(SCHEMAS.schemas["bias"])
    record = schemaless_reader(io.BytesIO(payload), parse_schema(writer), ours)
    again = Encoder(SCHEMAS, IDS).encode(stored())
    assert message["key"] == again.key.decode()
    assert message["event_id"] == dict(again.headers)["event_id"].decode()
    _, payload = unframe(again.value)
    now = schemaless_reader(io.BytesIO(payload), ours, None)
    assert {name: record[name] for name in fields} == {name: now[name] for name in fields}


def test_what_cannot_be_encoded_is_named() -> None:
    encoder = Encoder(SCHEMAS, IDS)
    with pytest.raises(RecordError, match="judgement 9: it is not in the ledger"):
        encoder.encode(Stored("judgement 9", None, "it is not in the ledger"))
    with pytest.raises(RecordError, match="LATISS exposure 1 detector 3: cannot be encoded"):
        encoder.encode(stored(limits=7))
