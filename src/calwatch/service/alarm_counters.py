"""What Prometheus is told of alarms."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

HEARTBEAT = Gauge("calwatch_heartbeat_timestamp_seconds", "When the alarms last said they live.")
OPEN = Gauge(
    "calwatch_alarms_open", "Open alarms by present severity; NONE: recovered.", ["severity"]
)
QUEUE = Gauge("calwatch_alarms_queue", "Exposures that the alarms must still look at.")
WAITING = Gauge(
    "calwatch_alarm_notices_waiting", "What is still to be told, by channel.", ["channel"]
)
TOLD = Counter(
    "calwatch_alarm_notices",
    "What came of telling, by channel: sent, failed (never will be), again (is tried later).",
    ["channel", "outcome"],
)
