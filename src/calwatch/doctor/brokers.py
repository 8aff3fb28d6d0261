"""Kafka: the brokers, the topics, and what we may do with them; the schema registry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from aiokafka.errors import KafkaError

from calwatch.alarms.deliver.sal_topics import TOPICS
from calwatch.alarms.deliver.settings import SalChannelSettings
from calwatch.arrivals.topics import Kind, default_topics, topics_of
from calwatch.doctor.model import Case, Finding, fail, ok, skipped, some, warn
from calwatch.kafka.access import Access, ClusterAccess, Operation, Seen, ask_access
from calwatch.kafka.causes import cause_of
from calwatch.kafka.registry import SchemaRegistry
from calwatch.publish.contract import changes
from calwatch.publish.schemas import SchemaSet, build_schemas
from calwatch.service.judge_settings import JudgeSettings

BROKER, READ, WRITE, GROUP, REGISTRY = (
    "Kafka",
    "topics read",
    "topics written",
    "consumer group",
    "schema registry",
)
_ACL = "have the ACL (Strimzi: KafkaUser) give this user"
_ASK_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What this process does with Kafka."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    groups: tuple[str, ...]


def look_at_kafka(case: Case) -> Iterator[Finding]:
    """Say whether the brokers let us in, and do what we need."""
    if case.connection is None:
        yield skipped(BROKER, "KAFKA_BOOTSTRAP_SERVERS is not set: nothing is read or published")
        return
    wanted = _wanted(case)
    options = case.connection.client_options()
    servers = case.connection.bootstrap_servers

    async def ask() -> ClusterAccess | str:
        try:
            topics = [*wanted.read, *wanted.write]
            return await ask_access(options, topics, wanted.groups, timeout=_ASK_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            return await cause_of(options, error)

    found = asyncio.run(ask())
    if isinstance(found, str):
        yield fail(BROKER, f"{servers}: {found}", "nothing is lost meanwhile: results wait")
        return
    how = case.connection.security_protocol
    yield ok(BROKER, f"{servers}: {found.brokers} broker(s), {how}")
    yield from _read(wanted, found)
    yield from _write(wanted, found)
    yield from _groups(wanted, found)


def look_at_registry(case: Case) -> Iterator[Finding]:
    """Say whether the schema registry answers, and takes our schemas."""
    connection = case.connection
    if connection is None:
        yield skipped(REGISTRY, "there is no Kafka")
        return
    kafka = case.settings.kafka
    if case.role == "worker" or not (kafka.events or kafka.s3 or kafka.publish):
        yield skipped(REGISTRY, "is not used")
        return
    if connection.registry_url is None:
        yield fail(REGISTRY, "SCHEMA_MANAGER_REGISTRY_URL is not set", "set it")
        return
    schemas = _schemas(case)
    registry = SchemaRegistry(connection.registry_url, timeout=_ASK_SECONDS)

    async def ask() -> tuple[list[str], list[str]]:
        async with registry:
            new, refused = [], []
            for name, schema in schemas.schemas.items():
                subject = schemas.subject(name)
                latest = await registry.latest(subject)
                if latest is None:
                    new.append(subject)
                else:
                    refused += [f"{subject}: {change}" for change in changes(latest, schema)]
            return new, refused

    new, refused = asyncio.run(ask())
    if refused:
        yield fail(
            REGISTRY,
            f"{registry.name}: what is registered does not allow our schemas: {some(refused)}",
            "was a newer calwatch here? Use another `kafka.prefix`, or that version",
        )
    else:
        words = f"{len(new)} to be registered at the first start" if new else "ours are registered"
        yield ok(REGISTRY, f"{registry.name}: answers; {words}")


def _wanted(case: Case) -> _Wanted:
    kafka, settings = case.settings.kafka, case.settings
    if case.role == "worker":
        return _Wanted((kafka.jobs_topic,), (), (f"{kafka.group}-workers",))
    read: list[str] = []
    if kafka.events or kafka.s3:
        own = {i: {Kind(k): n for k, n in kinds.items()} for i, kinds in kafka.topics.items()}
        table = {**default_topics(kafka.sal_subname), **own}
        found = topics_of(settings.instruments, s3=kafka.s3, table=table)
        read += [t.name for t in found if kafka.events or t.kind is Kind.BUCKET]
    write = list(_schemas(case).topics) if kafka.publish else []
    for channel in settings.alarms.channels if settings.alarms.enabled else ():
        if isinstance(channel, SalChannelSettings):
            write += [topic.kafka_name(channel.subname, channel.component) for topic in TOPICS]
    if case.role == "intake":
        write.append(kafka.jobs_topic)
    return _Wanted(tuple(read), tuple(write), (kafka.group,) if read else ())


def _schemas(case: Case) -> SchemaSet:
    judge = JudgeSettings.of(case.settings)
    cameras = [judge.camera_of(name) for name in case.settings.instruments]
    return build_schemas(cameras, case.settings.kafka.prefix)


def _read(wanted: _Wanted, found: ClusterAccess) -> Iterator[Finding]:
    if not wanted.read:
        yield skipped(READ, "none: the daemon looks at its interval")
        return
    problems = _problems(wanted.read, found, Operation.READ)
    for says, advice in problems:
        yield warn(READ, says, f"{advice}; until then the daemon only looks at its interval")
    if not problems:
        yield ok(READ, f"all {len(wanted.read)} are there and may be read")


def _write(wanted: _Wanted, found: ClusterAccess) -> Iterator[Finding]:
    if not wanted.write:
        yield skipped(WRITE, "none")
        return
    maker = Operation.CREATE in found.cluster.operations
    problems = _problems(wanted.write, found, Operation.WRITE, may_make=maker)
    for says, advice in problems:
        yield fail(WRITE, says, advice)
    if not problems:
        missing = [name for name in wanted.write if found.topics[name].seen is Seen.MISSING]
        words = f", {len(missing)} of them will be made at the first start" if missing else ""
        yield ok(WRITE, f"all {len(wanted.write)} may be written{words}")


def _groups(wanted: _Wanted, found: ClusterAccess) -> Iterator[Finding]:
    for group in wanted.groups:
        if Operation.READ in found.groups[group].operations:
            yield ok(GROUP, f"{group} may be used")
        else:
            yield fail(GROUP, f"{group} may not be used", f"{_ACL} Read on the group {group}")


def _problems(
    names: tuple[str, ...], found: ClusterAccess, what: Operation, *, may_make: bool = False
) -> list[tuple[str, str]]:
    """Return what is wrong with some topics, and what to do; each kind of trouble once."""
    verb = "Read" if what is Operation.READ else "Write"
    kinds: dict[tuple[str, str], list[str]] = {}
    for name in names:
        for kind in _troubles(found.topics[name], what, verb, may_make):
            kinds.setdefault(kind, []).append(name)
    return [(f"{says}: {some(who)}", advice) for (says, advice), who in kinds.items()]


def _troubles(
    access: Access, what: Operation, verb: str, may_make: bool
) -> Iterator[tuple[str, str]]:
    if access.seen is Seen.HIDDEN:
        yield "not to be seen by this user", f"{_ACL} Describe and {verb}"
    elif access.seen is Seen.TROUBLED:
        yield f"in trouble ({access.trouble})", "see the brokers' log"
    elif access.seen is Seen.MISSING and not may_make:
        advice = "make them (Strimzi: KafkaTopic)"
        yield "not there", advice if what is Operation.WRITE else f"are the names right? {advice}"
    elif access.seen is Seen.THERE and what not in access.operations:
        yield f"this user may not {verb.lower()}", f"{_ACL} {verb}"
