"""Each real server starts, answers, stops, and comes back with its data."""

from __future__ import annotations

import json
import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from kafka_server import KafkaServer
from registry_server import RegistryServer

pytestmark = pytest.mark.services


def unique(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


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
