"""Into a Kafka behind TLS, a password and ACLs: let in, or told why not, and let in once mended."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from confluent_kafka import Producer as OtherProducer
from prometheus_client import CollectorRegistry
from secure_kafka_server import SecureKafkaServer

from calwatch.arrivals.counters import IntakeCounters
from calwatch.arrivals.decode import Decoder
from calwatch.arrivals.kafka import KafkaSource, KafkaSourceError
from calwatch.arrivals.topics import Kind, Topic
from calwatch.kafka.connection import KafkaConnection, load_connection
from calwatch.kafka.producer import BrokerError, Message, Producer
from calwatch.service.health import _kafka

pytestmark = pytest.mark.services

SECONDS = 30.0
MOST_CALLS = 3
"""Connections that one attempt may make: to ask for the brokers, to go to one, to ask why not."""


@pytest.fixture
def topic(secure_kafka_server: SecureKafkaServer) -> str:
    name = f"lsst.test_{uuid.uuid4().hex[:8]}"
    secure_kafka_server.create_topics(name)
    return name


@pytest.fixture
def user(secure_kafka_server: SecureKafkaServer) -> str:
    return secure_kafka_server.new_user()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every connection that aiokafka tries to make."""
    made: list[str] = []
    connect = AIOKafkaConnection.connect

    async def counted(self: AIOKafkaConnection) -> Any:
        made.append(f"{self.host}:{self.port}")
        return await connect(self)

    monkeypatch.setattr(AIOKafkaConnection, "connect", counted)
    return made


def connection_to(server: SecureKafkaServer, **changes: Any) -> KafkaConnection:
    fields = {
        "bootstrap_servers": server.bootstrap,
        "security_protocol": "SASL_SSL",
        "sasl_username": server.username,
        "sasl_password": server.password,
        "cluster_ca_path": server.ca_path,
    }
    return KafkaConnection(**{**fields, **changes})


def source_of(connection: KafkaConnection, topic: str, group: str, **options: Any) -> KafkaSource:
    """Return a source of one topic, whose messages are no JSON: they are counted and skipped."""
    counters = IntakeCounters(CollectorRegistry())
    topics = [Topic(topic, Kind.BUCKET, ("LATISS",))]
    return KafkaSource(
        connection, topics, Decoder(None, {}), None, counters, group=group, **options
    )


async def failure_of(source: KafkaSource) -> str:
    """Return why a source ends."""
    try:
        async with asyncio.timeout(SECONDS):
            async for _ in source.arrivals():
                pass
    except KafkaSourceError as error:
        return str(error)
    raise AssertionError("it ended without a word")


async def reads(source: KafkaSource, until: Callable[[], bool]) -> None:
    """Let a source read until something is so; it ends if the brokers refuse."""

    async def pump() -> None:
        async for _ in source.arrivals():
            pass

    reading = asyncio.create_task(pump())
    try:
        async with asyncio.timeout(SECONDS):
            while not until():
                if reading.done():
                    reading.result()
                await asyncio.sleep(0.05)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def mended(attempt: Callable[[], Awaitable[None]]) -> None:
    """Try until an ACL that has just been made holds, as the daemon would."""
    async with asyncio.timeout(SECONDS):
        while True:
            with suppress(KafkaSourceError, BrokerError):
                return await attempt()
            await asyncio.sleep(0.2)


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
    topic: str,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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


WRONG: dict[str, tuple[Callable[[SecureKafkaServer], dict[str, Any]], str]] = {
    "password": (
        lambda server: {"sasl_password": f"not-{server.password}"},
        "user 'calwatch' is not let in: name or password is wrong",
    ),
    "user": (
        lambda _: {"sasl_username": "nobody"},
        "user 'nobody' is not let in: name or password is wrong",
    ),
    "mechanism": (
        lambda _: {"sasl_mechanism": "SCRAM-SHA-256"},
        "does not know this way to log in (KAFKA_SASL_MECHANISM)",
    ),
    "authority": (
        lambda server: {"cluster_ca_path": server.other_ca_path},
        "signed by an authority that is not trusted: give the cluster's CA certificate",
    ),
    "expired": (
        lambda server: {"bootstrap_servers": server.expired},
        "certificate has expired",
    ),
    "other host": (
        lambda server: {"bootstrap_servers": server.elsewhere},
        "certificate is for another host (IP address mismatch",
    ),
    "TLS where there is none": (
        lambda server: {"bootstrap_servers": server.clear},
        "speak TLS on this port?",
    ),
    "no TLS": (
        lambda _: {"security_protocol": "SASL_PLAINTEXT"},
        "does it want TLS or a password (KAFKA_SECURITY_PROTOCOL)?",
    ),
    "no password": (
        lambda _: {"security_protocol": "SSL", "sasl_username": None, "sasl_password": None},
        "does it want TLS or a password (KAFKA_SECURITY_PROTOCOL)?",
    ),
}


@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_whoever_is_not_let_in_is_told_why(
    secure_kafka_server: SecureKafkaServer, topic: str, calls: list[str], wrong: str
) -> None:
    changes, words = WRONG[wrong]
    connection = connection_to(secure_kafka_server, **changes(secure_kafka_server))
    source = source_of(connection, topic, "calwatch")
    told = asyncio.run(failure_of(source))
    assert words in told
    assert connection.bootstrap_servers in told
    # The same in health; and an attempt is one attempt: how soon the next comes, the daemon says.
    assert words in _kafka(source.state, "all").says
    assert 0 < len(calls) <= MOST_CALLS
    calls.clear()
    with pytest.raises(BrokerError) as refused:
        asyncio.run(Producer(connection, "calwatch-test").open([topic]))
    assert words in str(refused.value)
    assert 0 < len(calls) <= MOST_CALLS
    assert secure_kafka_server.password not in f"{told} {refused.value}"


def test_reading_needs_acls_and_goes_on_once_they_are_there(
    secure_kafka_server: SecureKafkaServer, topic: str, user: str
) -> None:
    """No group, then no topic, then all that is needed: without a new client by hand."""
    server, group = secure_kafka_server, f"group-{topic}"
    server.allow(user, "topic", topic, "describe")
    source = source_of(connection_to(server, sasl_username=user), topic, group)

    async def scene() -> None:
        told = await failure_of(source)
        assert f"user {user!r} may not read as {group!r}: an ACL has to allow Read" in told
        assert repr(group) in _kafka(source.state, "all").says
        server.allow(user, "group", group, "read")
        while group in (told := await failure_of(source)):
            pass  # the ACL does not hold yet
        assert f"user {user!r} may not use {topic!r}: an ACL has to allow Describe and Read" in told
        assert repr(topic) in _kafka(source.state, "all").says
        server.allow(user, "topic", topic, "read")
        other = OtherProducer(server.options)
        other.produce(topic, b"no JSON")
        assert other.flush(SECONDS) == 0
        await mended(lambda: reads(source, lambda: bool(source.state.positions)))

    asyncio.run(scene())
    assert source.state.problem == ""


def test_a_topic_that_may_not_be_seen_is_missing_until_it_may(
    secure_kafka_server: SecureKafkaServer, topic: str, user: str
) -> None:
    server, group = secure_kafka_server, f"group-{topic}"
    server.allow(user, "group", group, "read")
    source = source_of(connection_to(server, sasl_username=user), topic, group)

    async def scene() -> None:
        await reads(source, lambda: f"missing topics: {topic}" in _kafka(source.state, "all").says)
        server.allow(user, "topic", topic, "describe", "read")
        await reads(source, lambda: bool(source.state.assigned))

    asyncio.run(scene())


def test_writing_needs_an_acl_and_goes_on_once_it_is_there(
    secure_kafka_server: SecureKafkaServer, topic: str, user: str, calls: list[str]
) -> None:
    server = secure_kafka_server
    server.allow(user, "topic", topic, "describe")
    producer = Producer(connection_to(server, sasl_username=user), "calwatch-test")
    message = Message(topic, b"key", b"value")

    async def send() -> None:
        await producer.open([topic])
        for result in await producer.send([message]):
            if result is not None:
                raise result

    async def scene() -> None:
        with pytest.raises(BrokerError, match="may not publish: an ACL has to allow Write") as told:
            await send()
        assert repr(user) in str(told.value)
        assert len(calls) <= 2 * MOST_CALLS
        with server.topic_of_its_own() as other:
            server.allow(user, "topic", other, "write")  # now it may be a producer, but not here
            async with asyncio.timeout(SECONDS):
                while True:
                    with pytest.raises(BrokerError) as told:
                        await send()
                    if repr(topic) in str(told.value):
                        break
        assert "Write (what is published) on the topic" in str(told.value)
        server.allow(user, "topic", topic, "write")
        await mended(send)
        await producer.close()

    asyncio.run(scene())


def test_a_new_password_is_taken_up_while_running(
    secure_kafka_server: SecureKafkaServer, topic: str, user: str, tmp_path: Path, calls: list[str]
) -> None:
    """A vault gives a new password: the old client is shut out, a new one reads the file again."""
    server, group = secure_kafka_server, f"group-{topic}"
    server.allow(user, "topic", topic, "describe", "read")
    server.allow(user, "group", group, "read")
    word = tmp_path / "password"
    word.write_text(server.password)
    changes = {"sasl_username": user, "sasl_password": None, "sasl_password_file": word}
    source = source_of(connection_to(server, **changes), topic, group, silent_seconds=0.5)

    async def scene() -> None:
        reading = asyncio.create_task(failure_of(source))
        async with asyncio.timeout(SECONDS):
            while not source.state.assigned:
                await asyncio.sleep(0.05)
        server.set_password(user, "the-new-word")
        server.stop()  # which ends the connections that were let in with the old one
        calls.clear()
        await asyncio.to_thread(server.start)
        told = await reading
        while "nobody listens" in told:  # the broker was still away
            told = await failure_of(source)
        assert f"user {user!r} is not let in" in told
        word.write_text("the-new-word\n")
        await reads(source, lambda: source.state.connected)

    asyncio.run(scene())
