"""What the brokers let us do with topics and groups, by asking them; nothing is read or written.

aiokafka's own requests are of versions that do not ask for it (and it reads the answer about groups
by the wrong schema), so two requests are described here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

_BITS = {"READ": 3, "WRITE": 4, "CREATE": 5, "DESCRIBE": 8, "IDEMPOTENT_WRITE": 12}
"""Place of each operation in the brokers' answer (``AclOperation``)."""
_UNTOLD = -(2**31)


class Operation(StrEnum):
    """What one may be allowed to do."""

    READ = "READ"
    WRITE = "WRITE"
    CREATE = "CREATE"
    DESCRIBE = "DESCRIBE"
    IDEMPOTENT_WRITE = "IDEMPOTENT_WRITE"


class Seen(StrEnum):
    """What can be seen of a topic or group."""

    THERE = "there"
    MISSING = "missing"
    HIDDEN = "hidden"
    """It may be there, but this user may not even ask."""
    TROUBLED = "troubled"
    """The brokers answer with an error about it."""


@dataclass(frozen=True, slots=True)
class Access:
    """What this user may do with one topic or group, or with the cluster."""

    seen: Seen
    operations: frozenset[Operation] = frozenset()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """What this user may do."""

    brokers: int
    cluster: Access
    topics: Mapping[str, Access]
    groups: Mapping[str, Access]


async def ask_access(
    options: Mapping[str, Any],
    topics: Sequence[str],
    groups: Sequence[str],
    *,
    timeout: float = 10.0,
) -> ClusterAccess:
    """Ask the brokers what this user may do.

    Parameters
    ----------
    options
        As `KafkaConnection.client_options` gives them.
    topics, groups
        With which.
    timeout
        Seconds that one answer may take.

    Raises
    ------
    aiokafka.errors.KafkaError, TimeoutError
        If the brokers are out of reach, or do not let us in.
    """
    async with _asking(options, timeout) as admin:
        answer = await admin._send_request(_Metadata(topics))
        return ClusterAccess(
            len(answer.brokers),
            Access(Seen.THERE, _operations(answer.cluster_authorized_operations)),
            {name: _topic(code, bits) for code, name, *_, bits in answer.topics},
            {group: await _group(admin, group, timeout) for group in groups},
        )


@asynccontextmanager
async def _asking(options: Mapping[str, Any], timeout: float) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**options, request_timeout_ms=round(timeout * 1000))
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _group(admin: AIOKafkaAdminClient, group: str, timeout: float) -> Access:
    try:
        coordinator = await _coordinator(admin, group, timeout)
        answer = await admin._send_request(_Groups([group]), node_id=coordinator)
    except GroupAuthorizationFailedError:
        return Access(Seen.HIDDEN)
    code, *_, bits = answer.groups[0]
    if for_code(code) is GroupAuthorizationFailedError:
        return Access(Seen.HIDDEN)
    # Of a group that does not exist yet the brokers say so, and what one may do with it.
    return Access(Seen.THERE, _operations(bits))


async def _coordinator(admin: AIOKafkaAdminClient, group: str, timeout: float) -> int:
    """Return the broker that looks after a group; a new cluster has none for some seconds."""
    async with asyncio.timeout(timeout):
        while True:
            try:
                return int(await admin.find_coordinator(group))
            except GroupCoordinatorNotAvailableError:
                await asyncio.sleep(0.2)


def _topic(code: int, bits: int) -> Access:
    error = for_code(code)
    if error is TopicAuthorizationFailedError:
        return Access(Seen.HIDDEN)
    if error is UnknownTopicOrPartitionError:
        return Access(Seen.MISSING)
    if code:
        return Access(Seen.TROUBLED, trouble=error.__name__)
    return Access(Seen.THERE, _operations(bits))


def _operations(bits: int) -> frozenset[Operation]:
    if bits == _UNTOLD:
        return frozenset()
    return frozenset(one for one in Operation if bits >> _BITS[one] & 1)


class _MetadataResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Metadata(Request[_MetadataRequest]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        """Return the request; no topic is made by asking for it."""
        return request_struct_class(self._topics, False, True, True)


class _GroupsRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = Schema(("groups", Array(String("utf-8"))), ("include_authorized_operations", Boolean))


class _Groups(Request[_GroupsRequest]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = list(groups)

    def build(self, request_struct_class: type[_GroupsRequest]) -> _GroupsRequest:
        """Return the request."""
        return request_struct_class(self._groups, True)
