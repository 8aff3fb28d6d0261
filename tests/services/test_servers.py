"""Each real server starts, answers, stops, and comes back with its data."""

from __future__ import annotations

import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from kafka_server import KafkaServer

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
