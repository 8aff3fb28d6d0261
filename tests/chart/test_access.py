"""The rules of the chart's Kafka user, in a real broker: enough for what calwatch does, no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
import secure_kafka_server as secure_kafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from charting import SCALED, of_kind, rendered, resources
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from calwatch.errors import CalwatchError
from calwatch.kafka.connection import KafkaConnection
from calwatch.kafka.producer import Message, Producer

pytestmark = pytest.mark.services

ELSEWHERE = "lsst.sal.MTMount.logevent_state"
PATTERNS = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}
SECONDS = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[secure_kafka.SecureKafkaServer]:
    with secure_kafka.server() as found:
        found.start()
        yield found


class Release:
    """LSSTCam as a fleet: its topics in the broker, and its user with the chart's rules."""

    def __init__(self, server: secure_kafka.SecureKafkaServer) -> None:
        found = resources(rendered("lsstcam", "summit", sets=SCALED))
        (user,) = of_kind(found, "KafkaUser")
        rules = user["spec"]["authorization"]["acls"]
        topics = [one["spec"]["topicName"] for one in of_kind(found, "KafkaTopic")]
        literal = [
            rule["resource"] for rule in rules if rule["resource"]["patternType"] == "literal"
        ]
        self.name = user["metadata"]["name"]
        self.groups = [one["name"] for one in literal if one["type"] == "group"]
        (self.jobs,) = (topic for topic in topics if topic.endswith(".jobs"))
        self.written = [topic for topic in topics if topic != self.jobs]
        self.read = [
            one["name"] for one in literal if one["type"] == "topic" and one["name"] != self.jobs
        ]
        server.create_topics(*topics, *self.read, ELSEWHERE)
        server.set_password(self.name, server.password)
        admin = server.admin()
        bindings = [binding for rule in rules for binding in bindings_of(rule, self.name)]
        for future in admin.create_acls(bindings).values():
            future.result(30)
        self.connection = KafkaConnection(
            bootstrap_servers=server.bootstrap,
            security_protocol="SASL_SSL",
            sasl_username=self.name,
            sasl_password=server.password,
            cluster_ca_path=server.ca_path,
        )

    async def sends(self, *topics: str) -> list[Exception | None]:
        """Send a message to each topic, as the daemon does; return why not."""
        producer = Producer(self.connection, "test", send_seconds=SECONDS)
        await producer.open(topics)
        try:
            return await producer.send([Message(topic, b"key", b"value") for topic in topics])
        finally:
            await producer.close()

    async def reads(self, group: str, *topics: str) -> set[str]:
        """Read the first message of each topic in a group, and commit; return the topics."""
        consumer = AIOKafkaConsumer(
            *topics,
            **self.connection.client_options(),
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        found: set[str] = set()
        async with consumer:
            while found < set(topics):
                found.add((await consumer.getone()).topic)
            await consumer.commit()
        return found


def bindings_of(rule: dict, user: str) -> Iterator[AclBinding]:
    """Return a rule of a KafkaUser as Strimzi's operator makes it in the broker."""
    where = rule["resource"]
    for operation in rule["operations"]:
        yield AclBinding(
            ResourceType[where["type"].upper()], where["name"], PATTERNS[where["patternType"]],
            f"User:{user}", rule.get("host", "*"), AclOperation[operation.upper()],
            AclPermissionType.ALLOW,
        )  # fmt: skip


@pytest.fixture(scope="module")
def release(server: secure_kafka.SecureKafkaServer) -> Release:
    made = Release(server)
    deadline = time.monotonic() + SECONDS
    while True:  # rules and users hold a moment after they were made
        try:
            asyncio.run(made.sends(*made.written))
        except CalwatchError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return made


def test_it_publishes_and_tells_love(release: Release) -> None:
    assert {topic.rpartition(".")[0] for topic in release.written} == {
        "lsst.cp.calwatch",
        "lsst.sal.CalWatch",
    }
    assert asyncio.run(release.sends(*release.written)) == [None] * len(release.written)


def test_it_hands_out_jobs_and_takes_them(release: Release) -> None:
    async def there_and_back() -> set[str]:
        async with asyncio.timeout(SECONDS):
            assert await release.sends(release.jobs) == [None]
            return await release.reads(release.groups[1], release.jobs)

    assert release.groups[1].endswith("-workers")
    assert asyncio.run(there_and_back()) == {release.jobs}


def test_it_reads_every_event(release: Release, server: secure_kafka.SecureKafkaServer) -> None:
    async def events() -> set[str]:
        options = {
            **release.connection.client_options(),
            "sasl_plain_username": server.username,
        }
        async with asyncio.timeout(SECONDS):
            async with AIOKafkaProducer(**options) as producer:
                for topic in release.read:
                    await producer.send_and_wait(topic, b"event")
            return await release.reads(release.groups[0], *release.read)

    assert len(release.read) == 4
    assert asyncio.run(events()) == set(release.read)


def test_it_may_do_no_more(release: Release) -> None:
    async def refused() -> None:
        async with asyncio.timeout(SECONDS):
            async with AIOKafkaProducer(**release.connection.client_options()) as producer:
                with pytest.raises(TopicAuthorizationFailedError):
                    await producer.send_and_wait(release.read[0], b"forged")
            with pytest.raises(TopicAuthorizationFailedError):
                await release.reads(release.groups[0], ELSEWHERE)
            with pytest.raises(TopicAuthorizationFailedError):
                await release.reads(release.groups[0], release.written[0])
            with pytest.raises(KafkaError):
                await release.reads("telegraf-kafka-consumer-cp", release.read[0])

    asyncio.run(refused())
