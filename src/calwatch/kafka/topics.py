"""The topics we write to: made if the broker lets us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from calwatch.errors import StopError

_REPLICAS = 3
"""Copies of a topic where there are so many brokers."""
PARTITIONS = 1
"""One, so that a topic is in order as a whole, and as InfluxDB's connector expects."""


async def ensure_topics(
    options: dict[str, Any],
    topics: Sequence[str],
    *,
    partitions: int = PARTITIONS,
    config: Mapping[str, str] | None = None,
    timeout: float = 20.0,
) -> list[str]:
    """Make the topics that are missing and return their names.

    Parameters
    ----------
    options
        As `KafkaConnection.client_options` gives them.
    topics
        All that are needed.
    partitions
        Of each topic that is made.
    config
        Of each topic that is made, such as ``cleanup.policy``; the broker's own if None.
    timeout
        Seconds that one answer of a broker may take.

    Raises
    ------
    StopError
        Naming every topic that is missing and could not be made, and why.
    aiokafka.errors.KafkaError
        If the brokers are out of reach.
    """
    admin = AIOKafkaAdminClient(**options, request_timeout_ms=round(timeout * 1000))
    try:
        await admin.start()
        there = set(await admin.list_topics())
        missing = [topic for topic in topics if topic not in there]
        if missing:
            brokers = (await admin.describe_cluster())["brokers"]
            copies = min(_REPLICAS, len(brokers))
            own = dict(config or {})
            new = [NewTopic(name, partitions, copies, topic_configs=own) for name in missing]
            await _make(admin, new)
    finally:
        await admin.close()
    return missing


async def _make(admin: AIOKafkaAdminClient, missing: list[NewTopic]) -> None:
    answer = await admin.create_topics(missing)
    refused = {}
    for name, code, *message in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            refused[name] = (message[0] if message else "") or error.__name__
    if refused:
        listed = "\n".join(f"  {name}: {cause}" for name, cause in sorted(refused.items()))
        noun = "topic is" if len(refused) == 1 else "topics are"
        raise StopError(
            f"Kafka: {len(refused)} {noun} missing (or not to be seen) and cannot be made by this "
            f"user: make them, or let the user Describe them (ACL)\n{listed}"
        )
