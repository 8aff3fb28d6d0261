"""Each real server starts, answers, stops, and comes back with its data."""

from __future__ import annotations

import io
import json
import time
import uuid
from typing import Any

import fastavro
import httpx
import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from influx_server import InfluxServer
from kafka_server import SILENT, KafkaServer
from registry_server import RegistryServer
from secure_kafka_server import SecureKafkaServer
from telegraf_server import telegraf

pytestmark = pytest.mark.services


def unique(word: str) -> str:
    return f"{word}_{uuid.uuid4().hex[:8]}"


def produce(kafka: KafkaServer, topic: str, value: bytes) -> None:
    failed: list[object] = []
    producer = Producer({**kafka.options, "message.timeout.ms": 20000})
    producer.produce(topic, value, on_delivery=lambda error, _: error and failed.append(error))
    assert producer.flush(30) == 0
    assert failed == []


def consume(kafka: KafkaServer, topic: str, count: int) -> list[bytes | None]:
    start = {"group.id": unique("group"), "auto.offset.reset": "earliest"}
    consumer = Consumer({**kafka.options, **start})
    consumer.subscribe([topic])
    try:
        messages = consumer.consume(count, timeout=30)
        return [message.value() for message in messages]
    finally:
        consumer.close()


def check_kafka(kafka: KafkaServer) -> None:
    topic = unique("lsst.test")
    kafka.create_topics(topic)
    produce(kafka, topic, b"one")
    kafka.kill()
    with pytest.raises(KafkaException):
        kafka.admin().list_topics(timeout=1)
    kafka.start()
    assert topic in kafka.topics()
    produce(kafka, topic, b"two")
    kafka.stop()
    assert kafka.process.pid is None
    kafka.start()
    assert consume(kafka, topic, 2) == [b"one", b"two"]


def test_kafka_keeps_port_and_data(kafka_server: KafkaServer) -> None:
    check_kafka(kafka_server)


def test_kafka_makes_no_topic_by_itself(kafka_server: KafkaServer) -> None:
    topic = unique("lsst.test")
    producer = Producer({**kafka_server.options, "message.timeout.ms": 3000})
    failed: list[object] = []
    producer.produce(topic, b"one", on_delivery=lambda error, _: failed.append(error))
    producer.flush(10)
    assert [bool(error) for error in failed] == [True]
    assert topic not in kafka_server.topics()


def test_secure_kafka_keeps_port_and_data(secure_kafka_server: SecureKafkaServer) -> None:
    check_kafka(secure_kafka_server)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sasl.password": "other"},
        {"sasl.username": "other"},
        {"security.protocol": "PLAINTEXT"},
        {"ssl.ca.location": "/etc/ssl/certs/ca-certificates.crt"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_secure_kafka_lets_no_other_in(
    secure_kafka_server: SecureKafkaServer, wrong: dict[str, str]
) -> None:
    other = AdminClient({**secure_kafka_server.options, **wrong}, logger=SILENT)
    with pytest.raises(KafkaException):
        other.list_topics(timeout=2)


def record(field: str) -> Schema:
    fields = [{"name": field, "type": "double", "units": "s", "description": "Time."}]
    schema = {"type": "record", "name": "test", "namespace": "lsst.test", "fields": fields}
    return Schema(json.dumps(schema), "AVRO")


def client(registry: RegistryServer) -> SchemaRegistryClient:
    """Return a client that remembers nothing yet."""
    return SchemaRegistryClient({"url": registry.url, "max.retries": 0})


def test_registry_speaks_as_confluents(schema_registry: RegistryServer) -> None:
    one, two, subject = record("one"), record("two"), unique("lsst.test") + "-value"
    registry = client(schema_registry)
    first = registry.register_schema(subject, one)
    second = registry.register_schema(subject, two)
    assert first != second
    assert client(schema_registry).register_schema(subject, one) == first
    assert registry.lookup_schema(subject, two).schema_id == second
    latest = registry.get_latest_version(subject)
    assert (latest.schema_id, latest.version) == (second, 2)
    assert json.loads(latest.schema.schema_str) == json.loads(two.schema_str)
    with pytest.raises(SchemaRegistryError) as unknown:
        registry.get_schema(987654)
    assert unknown.value.http_status_code == 404
    with pytest.raises(SchemaRegistryError) as unknown:
        registry.get_latest_version(unique("nowhere"))
    assert unknown.value.http_status_code == 404


def test_registry_keeps_its_ids(schema_registry: RegistryServer) -> None:
    subject = unique("lsst.test") + "-value"
    first = client(schema_registry).register_schema(subject, record("one"))
    schema_registry.kill()
    with pytest.raises(Exception, match="refused"):
        client(schema_registry).get_schema(first)
    schema_registry.start()
    registry = client(schema_registry)
    assert json.loads(registry.get_schema(first).schema_str)["fields"][0]["name"] == "one"
    assert registry.register_schema(subject, record("two")) not in (first, None)


def test_influxdb_keeps_its_data(influxdb: InfluxServer) -> None:
    name = unique("lsst.test")
    influxdb.create_database(name)
    line = b"lsst.test,detector=94 noise=4.5 1800000000500000000"
    httpx.post(f"{influxdb.url}/write", params={"db": name}, content=line).raise_for_status()
    influxdb.kill()
    with pytest.raises(httpx.ConnectError):
        influxdb.query("SHOW DATABASES")
    influxdb.start()
    select = f'SELECT mean("noise") FROM "{name}"."autogen"."lsst.test" GROUP BY "detector"'
    (row,) = influxdb.query(select)
    assert (row["mean"], row["detector"]) == (4.5, "94")
    (row,) = influxdb.query('SELECT "noise" FROM "lsst.test"', name)
    assert row["time"] == 1800000000_500_000_000
    influxdb.stop()
    influxdb.start()
    assert {"name": name} in influxdb.query("SHOW DATABASES")
    with pytest.raises(ValueError, match="error parsing query"):
        influxdb.query("SELECT")


def wait_for(rows: Any, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if len(found := rows()) >= count:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{rows()} after 60 s")


def test_telegraf_takes_records_to_influxdb(
    influxdb: InfluxServer, kafka_server: KafkaServer, schema_registry: RegistryServer
) -> None:
    topic = unique("lsst.cp.test")
    number = ["null", "double"]
    names = {"timestamp": "double", "instrument": "string", "detector": "string", "band": "string"}
    fields = [{"name": name, "type": type_} for name, type_ in names.items()]
    fields += [{"name": name, "type": number, "default": None} for name in ("noise", "gain")]
    schema = {"type": "record", "name": "test", "namespace": topic, "fields": fields}
    wanted = Schema(json.dumps(schema), "AVRO")
    schema_id = client(schema_registry).register_schema(f"{topic}-value", wanted)
    kafka_server.create_topics(topic)
    influxdb.create_database(topic)

    def put(detector: str, noise: float) -> None:
        out = io.BytesIO()
        values = {"timestamp": 1800000000.25, "instrument": "LATISS", "detector": detector}
        row = {**values, "band": "", "noise": noise, "gain": None}
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
        produce(kafka_server, topic, b"\0" + schema_id.to_bytes(4) + out.getvalue())

    produce(kafka_server, topic, b"garbage")
    put("0", 4.5)
    topics = ("lsst.cp.test",)
    with telegraf(influxdb, kafka_server, schema_registry, topics=topics, database=topic) as one:
        wait_for(lambda: influxdb.query(f'SELECT * FROM "{topic}.test"', topic), 1)
        put("1", 5.5)
        put("0", 4.75)  # the same tags and time: takes the place of the first
        select = f'SELECT * FROM "{topic}.test"'
        wait_for(lambda: [r for r in influxdb.query(select, topic) if r["noise"] != 4.5], 2)
        assert "not Confluent Wire Protocol" in one.log()
    rows = influxdb.query(f'SELECT * FROM "{topic}.test"', topic)
    plain = {"time": 1800000000_250_000_000, "timestamp": 1800000000.25, "instrument": "LATISS"}
    assert sorted(rows, key=lambda row: row["detector"]) == [
        {**plain, "detector": "0", "noise": 4.75},
        {**plain, "detector": "1", "noise": 5.5},
    ]
