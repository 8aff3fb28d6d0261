"""The metrics that ``/metrics`` shows, as the code defines them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from calwatch.arrivals.counters import IntakeCounters
from calwatch.publish import counters as publishing
from calwatch.service import alarm_counters, measures


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its labels."""

    name: str
    """As queries have it, less the endings of the single series (``_bucket``, ``_count``)."""
    kind: str
    """``counter``, ``gauge`` or ``histogram``."""
    text: str
    labels: tuple[str, ...]


def families() -> tuple[Family, ...]:
    """Return every metric of calwatch, in the order of the code."""
    return tuple(_family(collector) for collector in _collectors())


def _collectors() -> Iterator[MetricWrapperBase]:
    intake = IntakeCounters(CollectorRegistry())
    for place in (measures, alarm_counters, publishing, intake):
        yield from (one for one in vars(place).values() if isinstance(one, MetricWrapperBase))


def _family(collector: Any) -> Family:
    (described,) = collector.describe()
    ending = "_total" if described.type == "counter" else ""
    # The library tells the names of the labels by no public way before there is a sample.
    labels = tuple(collector._labelnames)
    return Family(f"{described.name}{ending}", described.type, described.documentation, labels)
