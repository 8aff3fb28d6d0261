"""What a real broker with ACLs says of what a user may do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import secure_kafka_server as secure

from calwatch.kafka.access import Operation, Seen, ask_access
from calwatch.kafka.connection import KafkaConnection

pytestmark = pytest.mark.services


NAMES = ("events", "results", "secret")


@pytest.fixture(scope="module")
def broker(
    secure_kafka_session: secure.SecureKafkaServer,
) -> Iterator[secure.SecureKafkaServer]:
    secure_kafka_session.start()
    secure_kafka_session.create_topics(*NAMES)
    yield secure_kafka_session
    admin = secure_kafka_session.admin()  # kept until all is done: its end would break off the call
    for done in admin.delete_topics(list(NAMES)).values():
        done.result(30)


def options(broker: secure.SecureKafkaServer, user: str) -> dict[str, Any]:
    return KafkaConnection(
        bootstrap_servers=broker.bootstrap,
        security_protocol="SASL_SSL",
        sasl_mechanism=secure.MECHANISM,
        sasl_username=user,
        sasl_password=broker.password,
        cluster_ca_path=broker.ca_path,
    ).client_options()


def ask(broker: secure.SecureKafkaServer, user: str, *groups: str) -> Any:
    topics = ["events", "results", "secret", "nowhere"]
    return asyncio.run(ask_access(options(broker, user), topics, groups))


def test_exactly_what_the_rules_allow(broker: secure.SecureKafkaServer) -> None:
    user = broker.new_user()
    broker.allow(user, "topic", "events", "read")
    broker.allow(user, "topic", "results", "write", "create")
    broker.allow(user, "topic", "nowhere", "describe")
    broker.allow(user, "group", "calwatch", "read")
    found = ask(broker, user, "calwatch", "others")
    assert found.brokers == 1
    assert found.cluster.operations == frozenset()
    assert found.topics["events"].operations == {Operation.READ, Operation.DESCRIBE}
    writes = {Operation.WRITE, Operation.CREATE, Operation.DESCRIBE}
    assert found.topics["results"].operations == writes
    assert found.topics["secret"].seen is Seen.HIDDEN
    assert found.topics["nowhere"].seen is Seen.MISSING
    assert found.groups["calwatch"].operations >= {Operation.READ, Operation.DESCRIBE}
    assert found.groups["others"].seen is Seen.HIDDEN


def test_who_may_do_everything_may_do_everything(broker: secure.SecureKafkaServer) -> None:
    found = ask(broker, broker.username, "calwatch")
    assert found.topics["secret"].operations >= {Operation.READ, Operation.WRITE}
    assert found.topics["nowhere"].seen is Seen.MISSING
    assert Operation.CREATE in found.cluster.operations
    assert "nowhere" not in broker.topics()
