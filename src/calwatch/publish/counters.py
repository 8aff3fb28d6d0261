"""What Prometheus is told of publishing."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

PUBLISHED = Counter("calwatch_published", "Records the broker has acknowledged.", ["topic"])
FAILURES = Counter(
    "calwatch_publish_failures",
    "Tries that failed, by what was in the way: kafka, registry, ledger, refused, unexpected.",
    ["cause"],
)
SET_ASIDE = Counter(
    "calwatch_publish_set_aside",
    "Records that cannot be published and were taken out of the outbox, by why.",
    ["cause"],
)
OUTBOX_ROWS = Gauge("calwatch_outbox_rows", "Records that wait to be published.")
OUTBOX_AGE = Gauge("calwatch_outbox_oldest_seconds", "How long the oldest of them has waited.")
OUTAGE = Gauge("calwatch_publish_outage", "1 while publishing is held up, else 0.")
BATCH_SECONDS = Histogram(
    "calwatch_publish_batch_seconds",
    "Wall time of one batch: from the outbox until it is acknowledged and taken out.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
)
