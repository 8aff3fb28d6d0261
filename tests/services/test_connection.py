"""The settings of the environment open a Kafka behind TLS and SCRAM-SHA-512."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from secure_kafka_server import SecureKafkaServer

from calwatch.kafka.connection import KafkaConnection, load_connection

pytestmark = pytest.mark.services


async def there_and_back(connection: KafkaConnection, topic: str) -> bytes:
    options = connection.client_options()
    async with AIOKafkaProducer(**options, enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, b"value")
    consumer = AIOKafkaConsumer(topic, **options, group_id=topic, auto_offset_reset="earliest")
    async with consumer:
        return (await consumer.getone()).value


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_secure_kafka_is_reached(
    secure_kafka_server: SecureKafkaServer,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topic = f"lsst.test_{uuid.uuid4().hex[:8]}"
    secure_kafka_server.create_topics(topic)
    word = tmp_path / "password"
    word.write_text(secure_kafka_server.password + "\n")
    for name, value in {
        "BOOTSTRAP_SERVERS": secure_kafka_server.bootstrap,
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_USERNAME": secure_kafka_server.username,
        "CLUSTER_CA_PATH": str(secure_kafka_server.ca_path),
    }.items():
        monkeypatch.setenv(f"KAFKA_{name}", value)
    if place == "file":
        monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(word))
    else:
        monkeypatch.setenv("KAFKA_SASL_PASSWORD", secure_kafka_server.password)
    connection = load_connection()
    assert connection is not None
    assert asyncio.run(asyncio.wait_for(there_and_back(connection, topic), 60)) == b"value"
    assert secure_kafka_server.password not in repr(connection)
