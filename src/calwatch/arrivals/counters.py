"""What the intake counts, for Prometheus. Every label has a small fixed set of values."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from calwatch.arrivals.model import Ignored


class IntakeCounters:
    """The numbers of one intake.

    Parameters
    ----------
    registry
        Where they are shown; one of its own for each intake within a process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"calwatch_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"calwatch_{name}", text, labels, registry=registry)

        self.received = counter("events_received", "Messages read from Kafka.", "topic")
        self.noted = counter("events_noted", "What messages said and the ledger keeps.", "kind")
        self.ignored = counter(
            "events_ignored", "Messages that gave nothing to do, by reason.", "topic", "reason"
        )
        self.undecodable = counter(
            "events_undecodable", "Messages that could not be read, by reason.", "topic", "reason"
        )
        self.commit_failures = counter("commit_failures", "Kafka offsets that were not taken.")
        self.rebalances = counter("rebalances", "Assignments of Kafka partitions to this intake.")
        self.lag = gauge(
            "events_lag", "Messages of a partition not read yet.", "topic", "partition"
        )
        self.waiting = gauge("intake_waiting", "1 while ledger or schema registry are awaited.")
        self.missing_topics = gauge("missing_topics", "Topics that are set but cannot be seen.")

    def skipped(self, topic: str, what: Ignored) -> None:
        """Count a message that gave nothing to do."""
        which = self.undecodable if what.reason.undecodable else self.ignored
        which.labels(topic, what.reason.value).inc()
