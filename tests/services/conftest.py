"""Real servers, and the fakes that the tests of the daemon use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "service")]

import alertmanager_server as alertmanager  # noqa: E402  (these are found only now)
import influx_server as influx  # noqa: E402
import kafka_server as kafka  # noqa: E402
import registry_server as registry  # noqa: E402
import secure_kafka_server as secure_kafka  # noqa: E402
import smtp_sink  # noqa: E402
import webhook_sink  # noqa: E402


@pytest.fixture(scope="session")
def kafka_session() -> Iterator[kafka.KafkaServer]:
    with kafka.server() as server:
        yield server


@pytest.fixture
def kafka_server(kafka_session: kafka.KafkaServer) -> kafka.KafkaServer:
    """A running Kafka, also after a test that stopped it; give each test topics of its own."""
    kafka_session.start()
    return kafka_session


@pytest.fixture(scope="session")
def secure_kafka_session() -> Iterator[secure_kafka.SecureKafkaServer]:
    with secure_kafka.server() as server:
        yield server


@pytest.fixture
def secure_kafka_server(
    secure_kafka_session: secure_kafka.SecureKafkaServer,
) -> secure_kafka.SecureKafkaServer:
    """A running Kafka that asks for TLS and a password."""
    secure_kafka_session.start()
    return secure_kafka_session


@pytest.fixture(scope="session")
def registry_session() -> Iterator[registry.RegistryServer]:
    with registry.server() as server:
        yield server


@pytest.fixture
def schema_registry(registry_session: registry.RegistryServer) -> registry.RegistryServer:
    """A running schema registry, also after a test that stopped it."""
    registry_session.start()
    return registry_session


@pytest.fixture(scope="session")
def influx_session() -> Iterator[influx.InfluxServer]:
    with influx.server() as server:
        yield server


@pytest.fixture
def influxdb(influx_session: influx.InfluxServer) -> influx.InfluxServer:
    """A running InfluxDB, also after a test that stopped it; give each test its own database."""
    influx_session.start()
    return influx_session


@pytest.fixture
def webhook() -> Iterator[webhook_sink.WebhookSink]:
    """A web server that keeps what is posted to it."""
    with webhook_sink.sink() as found:
        yield found


@pytest.fixture
def smtp(monkeypatch: pytest.MonkeyPatch) -> Iterator[smtp_sink.SmtpSink]:
    """A mail server that keeps every letter, and takes the next one at once."""
    monkeypatch.setattr("apprise.plugins.base.NotifyBase.request_rate_per_sec", 0.0)
    with smtp_sink.sink() as found:
        yield found


@pytest.fixture
def alertmanager_server(
    webhook: webhook_sink.WebhookSink,
) -> Iterator[alertmanager.AlertmanagerServer]:
    """A running Alertmanager that tells `webhook`; each test has one of its own."""
    with alertmanager.server(webhook.url) as found:
        yield found
