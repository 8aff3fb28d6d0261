"""The metrics of a daemon in a real Prometheus, with our rules, under our dashboard's queries."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fakes
import httpx
import prometheus_server
import pytest
from fakes import FakeRepository
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_server import PrometheusServer
from running import free_port

from calwatch.arrivals.counters import IntakeCounters
from calwatch.dashboards.families import families
from calwatch.ledger.store import Ledger
from calwatch.publish import counters as publishing
from calwatch.service import alarm_counters
from calwatch.service.daemon import Daemon
from calwatch.service.endpoint import answers, serve_answers
from calwatch.service.judging import JudgeFactory
from calwatch.service.lifecycle import SystemClock
from calwatch.service.measures import (
    BUILD,
    DELAYED,
    DETECTORS,
    EXPOSURES,
    FAILURES,
    LAG,
    LAST_JUDGED,
    LAST_PASSED,
    STEP_SECONDS,
    TESTS_FAILED,
    WORKER_DEATHS,
)
from calwatch.service.observing import Observing
from calwatch.settings import Settings

pytestmark = pytest.mark.services

DASHBOARD = Path(__file__).parents[2] / "deploy/grafana/dashboards/calwatch-service.json"
JUDGING = JudgeFactory(fakes.work, fakes.calib_types, fakes.unknown, fakes.merge)
SECONDS = 60.0


def until(done: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := done():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what} did not come within {SECONDS:g} s")


class All:
    """A registry that shows what two have: the process's own, and the intake's of this test."""

    def __init__(self, *registries: CollectorRegistry) -> None:
        self._registries = registries

    def collect(self) -> Iterator[Any]:
        for registry in self._registries:
            yield from registry.collect()


def stir(intake: IntakeCounters) -> None:
    """Let every metric that this daemon has no cause to change have a value, once more."""
    for counter in (
        publishing.PUBLISHED.labels("lsst.cp.calwatch.bias"),
        publishing.FAILURES.labels("kafka"),
        publishing.SET_ASIDE.labels("RecordError"),
        alarm_counters.TOLD.labels("slack", "sent"),
        FAILURES.labels("RawError"),
        intake.received.labels("t"),
        intake.noted.labels("ingested"),
        intake.ignored.labels("t", "r"),
        intake.undecodable.labels("t", "r"),
        intake.commit_failures,
        intake.rebalances,
        DELAYED,
        WORKER_DEATHS,
    ):
        counter.inc()
    publishing.BATCH_SECONDS.observe(0.2)
    publishing.OUTBOX_ROWS.set(7)
    publishing.OUTBOX_AGE.set(12)
    alarm_counters.HEARTBEAT.set_to_current_time()
    alarm_counters.WAITING.labels("slack").set(2)
    for severity, number in (("WARNING", 3), ("SERIOUS", 2), ("CRITICAL", 1)):
        alarm_counters.OPEN.labels(severity).set(number)
    intake.lag.labels("t", "0").set(4)
    intake.lag.labels("t", "1").set(5)
    intake.waiting.set(0)
    intake.missing_topics.set(0)


class Watched:
    """A daemon that has judged a night and goes on, and the Prometheus that looks at it."""

    def __init__(self, folder: Path, port: int, prometheus: PrometheusServer, intake) -> None:
        self.prometheus, self.intake = prometheus, intake
        self.repository = FakeRepository()
        self.port = port
        self.ledger = Ledger.open(str(folder / "ledger.db"))
        self.settings = Settings(
            repo="/repo", instruments=("LATISS",), workers=1, look_back_days=None,
            ledger=self.ledger.name, retry={"first_seconds": 0.01, "most_seconds": 0.02},
        )  # fmt: skip
        self.observing = Observing(self.settings, "all", self.ledger, SystemClock())

    def judge(self, *numbers: int) -> None:
        for number in numbers:
            for kind, offset in (("bias", 0), ("dark", 100), ("flat", 200)):
                word = "fail" if number % 2 else ""
                self.repository.take(number + offset, kind=kind, observation_reason=word)

        async def go() -> None:
            parts = (self.settings, self.repository, self.ledger, JUDGING)
            daemon = Daemon(*parts, on_event=self.observing.hear)
            async with self.observing.over(lambda: daemon.load):
                await daemon.run(once=True)

        asyncio.run(go())
        stir(self.intake)

    def shown(self) -> dict[str, float]:
        """Return each sample of ``/metrics``, summed over its labels."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics").text
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for name, _labels, value, *_ in family.samples:
                found[name] = found.get(name, 0.0) + value
        return found

    def sum_of(self, promql: str) -> float:
        return sum(one["value"] for one in self.prometheus.query(promql))


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[Watched]:
    # What other tests of this process have counted would be shown beside what is counted here.
    for metric in (LAST_JUDGED, LAST_PASSED, BUILD, EXPOSURES, DETECTORS, STEP_SECONDS, LAG):
        metric.clear()
    for metric in (TESTS_FAILED, FAILURES, publishing.PUBLISHED, alarm_counters.TOLD):
        metric.clear()
    registry = CollectorRegistry()
    intake = IntakeCounters(registry)
    port = free_port()
    folder = tmp_path_factory.mktemp("watched")
    with prometheus_server.server(f"127.0.0.1:{port}") as prometheus:
        made = Watched(folder, port, prometheus, intake)
        app = answers(made.observing.health.report, All(REGISTRY, registry))
        server = serve_answers(app, port, "127.0.0.1")
        made.judge(1)
        until(lambda: prometheus.query("calwatch_publish_batch_seconds_count"), "the first look")
        made.judge(2, 3)
        number = 'calwatch_exposures_judged_total{calib_type="flat"}'
        judged = made.shown()["calwatch_exposures_judged_total"]
        until(lambda: made.sum_of("calwatch_exposures_judged_total") == judged, number)
        # A rate needs some looks before and after the change.
        until(lambda: made.sum_of('count_over_time(up{job="calwatch"}[1m])') >= 4, "four looks")
        yield made
        server.shutdown()
        server.server_close()
        made.ledger.close()


def panels() -> list[dict[str, Any]]:
    document = json.loads(DASHBOARD.read_text())
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def filled_in(query: str) -> str:
    return query.replace("$job", "calwatch").replace("$__rate_interval", "1m")


def test_every_panel_has_its_numbers(watched: Watched) -> None:
    asked = 0
    for panel in panels():
        for target in panel["targets"]:
            query = filled_in(target["expr"])
            assert "$" not in query
            found = watched.prometheus.query(query)
            assert found, query
            assert all(one["value"] == one["value"] for one in found), f"{query} is no number"
            asked += 1
    assert asked == sum(2 if family.kind == "histogram" else 1 for family in families())


def test_gauges_are_shown_as_they_are(watched: Watched) -> None:
    shown = watched.shown()
    checked = 0
    for panel in panels():
        (query,) = [t["expr"] for t in panel["targets"]][:1]
        name = query.split("(")[-1].split("{")[0]
        if "increase" in query or "rate" in query or "time()" in query:
            continue
        assert watched.sum_of(filled_in(query)) == shown[name], query
        checked += 1
    assert checked >= 15
    assert watched.sum_of(filled_in('sum by (topic) (calwatch_events_lag{job="$job"})')) == 9


def test_what_was_judged_is_counted(watched: Watched) -> None:
    judged = watched.prometheus.query(
        'sum by (calib_type, verdict) (calwatch_exposures_judged_total{instrument="LATISS"})'
    )
    shown = watched.shown()["calwatch_exposures_judged_total"]
    assert sum(one["value"] for one in judged) == shown >= 9
    (query,) = [
        target["expr"]
        for panel in panels()
        if panel["title"] == "exposures judged"
        for target in panel["targets"]
    ]
    added = watched.prometheus.query(filled_in(query))
    by_type = {(a["metric"]["calib_type"], a["metric"]["verdict"]): a["value"] for a in added}
    assert {("bias", "PASS"), ("bias", "FAIL"), ("flat", "FAIL")} <= set(by_type)
    assert by_type["bias", "FAIL"] > 0  # numbers 1 and then 3: seen as an increase


def test_the_age_of_the_newest_is_counted_from_its_end(watched: Watched) -> None:
    (query,) = [
        target["expr"]
        for panel in panels()
        if panel["title"] == "last judged"
        for target in panel["targets"]
    ]
    found = watched.prometheus.query(filled_in(query) + ' + on (calib_type, instrument) '
        'calwatch_last_judged_timestamp_seconds - time()')  # fmt: skip
    assert {one["metric"]["calib_type"] for one in found} >= {"bias", "dark", "flat"}
    assert all(abs(one["value"]) < 1e-3 for one in found)
    (newest,) = watched.prometheus.query(
        'calwatch_last_judged_timestamp_seconds{calib_type="flat"}'
    )
    end = max(e.end_utc for e in watched.repository.records if e.observation_type == "flat")
    assert newest["value"] == end.timestamp()


def test_the_rules_are_evaluated(watched: Watched) -> None:
    rules = until(
        lambda: [r for r in watched.prometheus.rules() if r["health"] == "ok"], "the first round"
    )
    assert len(rules) == len(watched.prometheus.rules()) >= 15
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    assert "CalwatchDown" not in firing
    assert "CalwatchRecordsSetAside" in firing  # one was set aside, for the first time ever
