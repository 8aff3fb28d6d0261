"""Putting the daemon on line: what of Kafka goes to which of its parts, by role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from prometheus_client import REGISTRY

from calwatch.arrivals.counters import IntakeCounters
from calwatch.arrivals.decode import Decoder
from calwatch.arrivals.kafka import KafkaSource, SourceState
from calwatch.arrivals.source import ArrivalSource
from calwatch.arrivals.topics import Kind, TopicTable, default_topics, topics_of
from calwatch.camera.model import Camera
from calwatch.errors import StopError
from calwatch.kafka.connection import KafkaConnection
from calwatch.kafka.registry import SchemaRegistry
from calwatch.ledger.inbox import LedgerInbox
from calwatch.ledger.outbox import Outbox
from calwatch.ledger.store import Ledger
from calwatch.publish.channel import Channel
from calwatch.publish.publisher import Publisher
from calwatch.publish.schemas import build_schemas
from calwatch.service.lifecycle import Clock
from calwatch.service.progress import Event, ExposureJudged, JobDone
from calwatch.service.watch import Watch
from calwatch.settings import KafkaSettings, Settings


class Role(StrEnum):
    """Which part of the work a process does."""

    ALL = "all"
    INTAKE = "intake"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Online:
    """What the daemon is given to be woken and to tell."""

    sources: Sequence[ArrivalSource] = ()
    watch: Watch | None = None
    publisher: Publisher | None = None
    registry: SchemaRegistry | None = None
    state: Callable[[], SourceState] | None = None
    """How the intake of events is; None where there is none."""

    def hear(self, event: Event) -> None:
        """Publish at once what has just been recorded."""
        if self.publisher is not None and isinstance(event, JobDone | ExposureJudged):
            self.publisher.wake()


def go_online(
    settings: Settings,
    connection: KafkaConnection | None,
    ledger: Ledger,
    cameras: Mapping[str, Camera],
    clock: Clock,
    *,
    grace_seconds: float = 5.0,
) -> Online:
    """Return the parts that Kafka needs; none where there is no Kafka.

    Parameters
    ----------
    settings
        What the deployment sets.
    connection
        How to reach Kafka; None where it is not set.
    ledger
        Holds inbox and outbox.
    cameras
        By instrument.
    clock
        The time.
    grace_seconds
        At the end the outbox may be emptied for so long.

    Raises
    ------
    StopError
        If there is no schema registry.
    """
    if connection is None:
        return Online()
    kafka = settings.kafka
    registry = None
    sources: list[ArrivalSource] = []
    watch = None
    how: Callable[[], SourceState] | None = None
    if kafka.events or kafka.s3:
        if connection.registry_url is None:
            raise StopError("SCHEMA_MANAGER_REGISTRY_URL: is not set, and reading events needs it")
        registry = SchemaRegistry(connection.registry_url)
        inbox = LedgerInbox(ledger)
        table = {**default_topics(kafka.sal_subname), **_own_topics(kafka)}
        topics = [
            topic
            for topic in topics_of(settings.instruments, s3=kafka.s3, table=table)
            if kafka.events or topic.kind is Kind.BUCKET
        ]
        decoder = Decoder(registry, cameras, limit_seconds=kafka.due_seconds)
        counters = IntakeCounters(REGISTRY)
        source = KafkaSource(connection, topics, decoder, inbox, counters, group=kafka.group)
        sources.append(source)
        how = partial(_state_of, source)
        watch = Watch(inbox, cameras, settings.retry, clock)
    publisher = None
    if kafka.publish:
        schemas = build_schemas(cameras.values(), kafka.prefix)
        channel = Channel(connection, None, schemas, dataset_tag=kafka.dataset_tag)
        publisher = Publisher(Outbox(ledger), channel, grace_seconds=grace_seconds)
    return Online(sources, watch, publisher, registry, how)


def _state_of(source: KafkaSource) -> SourceState:
    return source.state


def _own_topics(kafka: KafkaSettings) -> TopicTable:
    return {
        instrument: {Kind(kind): names for kind, names in kinds.items()}
        for instrument, kinds in kafka.topics.items()
    }
