"""Every query of the committed Grafana and Chronograf dashboards, run against a real InfluxDB.

The night in it is published by calwatch through Kafka and taken over by Telegraf, as Sasquatch does
it. Grafana and Chronograf themselves are not here: their variables are replaced as they do it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import night
import pytest
from evening import Clock
from fakes import AMPS
from influx_server import InfluxServer
from night import DETECTORS, TAKEN, end, value, verdict_of
from sasquatch import all_there, channel_to, publish
from telegraf_server import telegraf

from calwatch.camera.loader import load_camera
from calwatch.dashboards.sets import WORDS
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.store import Ledger
from calwatch.publish.schemas import build_schemas, metrics_of
from calwatch.service.alarm_books import AlarmBooks
from calwatch.verify.limits import load_limits
from calwatch.verify.metrics import CALIB_TYPES, FRAME_TYPES, SET_TYPES
from calwatch.verify.model import Verdict

sys.path.append(str(Path(__file__).parents[1] / "alarms"))

from scenes import amps, frame, seen

pytestmark = pytest.mark.services

DEPLOY = Path(__file__).parents[2] / "deploy"
GRAFANA = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
CHRONOGRAF = sorted((DEPLOY / "chronograf").glob("*.json"))
PREFIX, DATABASE = "lsst.cp.calwatch", "lsst.cp"
BEGIN, END = "'2026-11-20T00:00:00Z'", "'2026-11-24T00:00:00Z'"
BY_GRAFANA = {
    "$timeFilter": f"time >= {BEGIN} and time <= {END}",
    "$__interval": "30s",
    "$instrument": night.INSTRUMENT,
    "$detector": "94",
}
BY_CHRONOGRAF = {
    ":dashboardTime:": BEGIN,
    ":upperDashboardTime:": END,
    ":interval:": "30000ms",
    ":instrument:": f"'{night.INSTRUMENT}'",
    ":detector:": "'94'",
}
LIMITS = load_limits("dmtn101")


@dataclass(frozen=True)
class Store:
    """The InfluxDB with the night in it, and the alarms as the ledger has them."""

    influxdb: InfluxServer
    alarms: AlarmStore
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Ask once: nothing is written any more."""
        if query not in self.answers:
            self.answers[query] = self.influxdb.query(query, DATABASE)
        return self.answers[query]


@pytest.fixture(scope="module")
def store(tmp_path_factory, kafka_session, registry_session, influx_session) -> Iterator[Store]:
    for server in (kafka_session, registry_session, influx_session):
        server.start()
    path = tmp_path_factory.mktemp("night") / "ledger.db"
    ledger = Ledger.open(f"sqlite:///{path}", publishing=True)
    night.record(ledger)
    alarms, clock = AlarmStore(ledger), Clock()
    books = AlarmBooks(alarms, {night.INSTRUMENT: frame(night.INSTRUMENT)}, [], clock)
    night.raise_alarms(books, clock, seen, amps(night.INSTRUMENT))
    schemas = build_schemas([load_camera(night.INSTRUMENT)], PREFIX)
    channel = channel_to(kafka_session.bootstrap, registry_session.url, schemas)
    asyncio.run(publish(ledger, channel))
    influx_session.create_database(DATABASE)
    counts = {kind: len(TAKEN[kind]) * len(DETECTORS) for kind in CALIB_TYPES}
    sets = sum(len(TAKEN[kind]) for kind in SET_TYPES)
    alarmed = len(alarms.history())
    counts |= {"exposure": 8, "set": sets, "completeness": 1, "alarm": alarmed}
    topics = [PREFIX.replace(".", r"\.")]
    servers = (influx_session, kafka_session, registry_session)
    with telegraf(*servers, topics=topics, database=DATABASE) as connector:
        for record, number in counts.items():
            there = all_there(influx_session, DATABASE, f"{PREFIX}.{record}", number)
            assert there, f"{record}: {connector.log()}"
    yield Store(influx_session, alarms)
    ledger.close()


def fill_in(query: str, values: Mapping[str, str]) -> str:
    for name, text in values.items():
        query = query.replace(name, text)
    assert not re.search(r"\$[a-zA-Z_{]|:[a-zA-Z]+:|@[a-z]", query), query
    return query


@dataclass(frozen=True)
class Asked:
    """One panel or cell with its queries as they are sent."""

    dashboard: str
    row: str
    """Heading above it; empty in Chronograf, which has none."""
    title: str
    queries: tuple[str, ...]
    panel: Mapping[str, Any]


def grafana_panels(path: Path) -> Iterator[Asked]:
    document = json.loads(path.read_text())
    row = ""
    shown = document["panels"]
    for panel in [one for heading in shown for one in (heading, *heading.get("panels", ()))]:
        if panel["type"] == "row":
            row = panel["title"]
            continue
        queries = tuple(fill_in(t["query"], BY_GRAFANA) for t in panel["targets"])
        yield Asked(path.stem, row, panel["title"], queries, panel)


def chronograf_cells(path: Path) -> Iterator[Asked]:
    for cell in json.loads(path.read_text())["dashboard"]["cells"]:
        queries = tuple(fill_in(q["query"], BY_CHRONOGRAF) for q in cell["queries"])
        yield Asked(path.stem, "", cell["name"], queries, cell)


INFLUX = [path for path in GRAFANA if path.stem != "calwatch-service"]
ALL = [
    *((f"grafana/{path.stem}", grafana_panels, path) for path in INFLUX),
    *((f"chronograf/{path.stem}", chronograf_cells, path) for path in CHRONOGRAF),
]


def test_there_are_the_same_dashboards_for_both() -> None:
    assert [path.stem for path in INFLUX] == [path.stem for path in CHRONOGRAF]
    assert len(INFLUX) == 3 + 2 * len(CALIB_TYPES)


@pytest.mark.parametrize(("read", "path"), [one[1:] for one in ALL], ids=[one[0] for one in ALL])
def test_every_query_finds_every_column(store: Store, read, path: Path) -> None:
    asked = list(read(path))
    assert asked
    for one in asked:
        for query in one.queries:
            rows = store.ask(query)
            assert rows, f"{one.title}: {query}"
            filled = {name for row in rows for name, found in row.items() if found is not None}
            assert filled == set(rows[0]), f"{one.title}: {set(rows[0]) - filled}: {query}"


def at_exposures(rows: list[dict[str, Any]], column: str) -> dict[int, float]:
    """Return a column by exposure number."""
    numbers = {round(end(n).timestamp() * 1e9): n for kind in CALIB_TYPES for n in TAKEN[kind]}
    return {numbers[row["time"]]: row[column] for row in rows if row[column] is not None}


def compared(spec, number: int, detector: int, place: int) -> float:
    """Return what a test compares, from the numbers of the night."""
    metric = value(number, detector, place, spec.metric)
    if spec.reference is None:
        return metric
    reference = value(number, detector, place, spec.reference)
    return {
        "absolute": metric - reference,
        "relative": metric / reference - 1,
        "multiple": metric / reference,
        "sqrt": metric / reference**0.5 - 1,
    }[spec.form.value]


def specs_of(kind: str, level: str) -> list[Any]:
    return [t for t in LIMITS.tests if kind in t.calib_types and t.level == level]


def panels(read, name: str, row: str = "") -> dict[str, Asked]:
    (path,) = [one[2] for one in ALL if one[1] is read and one[2].stem == name]
    return {one.title: one for one in read(path) if not row or one.row == row}


@pytest.mark.parametrize("kind", CALIB_TYPES)
def test_one_detector_shows_the_numbers_of_its_amplifiers(store: Store, kind: str) -> None:
    name, heading = f"calwatch-detector-{kind}", "All numbers"
    found = panels(grafana_panels, name, heading)
    assert list(found) == [metric.name for metric in metrics_of("amp", kind)]
    for metric, asked in found.items():
        rows = store.ask(asked.queries[0])
        found_here = [at_exposures(rows, amp) for amp in AMPS]
        for number in TAKEN[kind]:
            wanted = [value(number, 94, place, metric) for place in range(len(AMPS))]
            assert [one[number] for one in found_here] == pytest.approx(wanted, abs=1e-12), metric
    cells = [one.queries[0] for one in chronograf_cells(DEPLOY / "chronograf" / f"{name}.json")]
    same = [one.queries[0] for one in grafana_panels(DEPLOY / f"grafana/dashboards/{name}.json")]
    assert len(cells) == len(same)
    for ours, theirs in zip(cells, same, strict=True):
        assert store.ask(ours) == store.ask(theirs), ours


@pytest.mark.parametrize("kind", CALIB_TYPES)
def test_one_detector_shows_its_tests(store: Store, kind: str) -> None:
    found = panels(grafana_panels, f"calwatch-detector-{kind}", "Tests with their limits")
    specs = specs_of(kind, "amp")
    assert list(found) == [spec.name for spec in specs]
    for spec in specs:
        rows = store.ask(found[spec.name].queries[0])
        for place, amp in enumerate(AMPS):
            wanted = {n: compared(spec, n, 94, place) for n in TAKEN[kind]}
            assert at_exposures(rows, amp) == pytest.approx(wanted, abs=1e-12), spec.name


@pytest.mark.parametrize("kind", CALIB_TYPES)
def test_trends_show_the_extremes_over_the_detectors(store: Store, kind: str) -> None:
    heading = "Tests of amplifiers, extremes over all detectors"
    found = panels(grafana_panels, f"calwatch-trend-{kind}", heading)
    sides = {"lower": (" lowest",), "upper": (" highest",), "both": (" highest", " lowest")}
    for spec in specs_of(kind, "amp"):
        rows = store.ask(found[spec.name].queries[0])
        names = {f"{amp}{side}" for amp in AMPS for side in sides[spec.side]}
        assert set(rows[0]) == {"time", *names}
        for name in names:
            amp, side = name.split()
            extreme = max if side == "highest" else min
            wanted = {
                n: extreme(compared(spec, n, d, AMPS.index(amp)) for d in DETECTORS)
                for n in TAKEN[kind]
            }
            assert at_exposures(rows, name) == pytest.approx(wanted, abs=1e-12), spec.name


def test_trends_of_detectors_and_exposures(store: Store) -> None:
    asked = [
        one
        for one in grafana_panels(DEPLOY / "grafana/dashboards/calwatch-trend-flat.json")
        if one.row == "Tests of detectors and exposures" and one.title == "SCATTER"
    ]
    (detector,), (exposure,) = specs_of("flat", "detector")[:1], specs_of("flat", "exposure")
    by_detector, by_exposure = (store.ask(one.queries[0]) for one in asked)
    assert at_exposures(by_detector, "SCATTER highest") == pytest.approx(
        {n: max(compared(detector, n, d, 20) for d in DETECTORS) for n in TAKEN["flat"]}
    )
    assert at_exposures(by_exposure, "SCATTER highest") == pytest.approx(
        {n: compared(exposure, n, 94, 30) for n in TAKEN["flat"]}
    )


def bounds(spec) -> dict[str, float]:
    """Return the limits of a test as the file has them, by severity and side."""
    found = {}
    entry = spec.limits[-1]
    for severity in ("warning", "serious"):
        limit = getattr(entry, severity)
        if limit is None:
            continue
        plain = isinstance(limit, float)
        lower = limit if plain else limit.lower
        upper = limit if plain else limit.upper
        distance = spec.reference is not None or spec.form.value != "absolute"
        if plain and spec.side == "both" and not distance:
            lower = -limit
        elif lower is not None and distance:
            lower = -lower
        if spec.side != "upper" and lower is not None:
            found[f"{severity} lower"] = lower
        if spec.side != "lower" and upper is not None:
            found[f"{severity} upper"] = upper
    return found


@pytest.mark.parametrize("kind", CALIB_TYPES)
@pytest.mark.parametrize("dashboard", ["trend", "detector"])
def test_limits_are_drawn_where_they_are(store: Store, kind: str, dashboard: str) -> None:
    name = f"calwatch-{dashboard}-{kind}"
    heading = {
        "trend": "Tests of amplifiers, extremes over all detectors",
        "detector": "Tests with their limits",
    }[dashboard]
    in_grafana = panels(grafana_panels, name, heading)
    cells = [c for c in chronograf_cells(DEPLOY / f"chronograf/{name}.json") if len(c.queries) > 1]
    for spec, cell in zip(specs_of(kind, "amp"), cells, strict=False):
        wanted = bounds(spec)
        assert wanted
        steps = in_grafana[spec.name].panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        values = [step["value"] for step in steps]
        assert values[0] is None
        assert values[1:] == sorted(wanted.values())
        rows = store.ask(cell.queries[1])
        for row in rows:
            assert {n: v for n, v in row.items() if n != "time"} == pytest.approx(wanted)
        assert len(rows) == len(TAKEN[kind])


@pytest.mark.parametrize("read", [grafana_panels, chronograf_cells])
def test_the_night_is_counted(store: Store, read) -> None:
    found = panels(read, "calwatch-night")

    def number(title: str) -> float:
        (row,) = store.ask(found[title].queries[0])
        (only,) = [found for name, found in row.items() if name != "time"]
        return only

    assert [number(f"Exposures {v.value}") for v in Verdict] == [4, 3, 1]
    assert number("Detectors FAIL") == 3
    assert number("Detectors UNKNOWN") == 1
    assert number("Detectors missing") == len(night.MISSING)
    (missing,) = store.ask(found["Detectors that have not come"].queries[0])
    assert missing["missing"] == "7, 9"
    exposures = store.ask(found["Exposures"].queries[0])
    assert [row["obs_id"] for row in exposures] == [
        f"AT_O_20261120_{n:06d}" for n in range(8, 0, -1)
    ]
    assert [row["n_amp_fail"] for row in exposures] == [3, 0, 0, 3, 0, 0, 3, 0]
    failed = store.ask(found["Tests that failed, warned or could not be made"].queries[0])
    assert at_exposures(failed, "n_amp_warning") == dict.fromkeys(range(1, 9), 4)
    for kind in FRAME_TYPES:
        rows = store.ask(found[f"{kind.capitalize()}: detectors that did not pass"].queries[0])
        assert not_passed(rows) == wanted_of(kind)


def not_passed(rows: list[dict[str, Any]]) -> dict[tuple[int, int], str]:
    """Return verdicts by exposure number and detector."""
    return {(int(r["obs_id"][-6:]), int(r["detector_name"][-2:])): r["verdict"] for r in rows}


def wanted_of(kind: str) -> dict[tuple[int, int], str]:
    return {
        (n, d): verdict_of(n, d, kind).value
        for n in TAKEN[kind]
        for d in DETECTORS
        if verdict_of(n, d, kind) is not Verdict.PASS
    }


@pytest.mark.parametrize("read", [grafana_panels, chronograf_cells])
def test_sets_are_counted_apart_from_their_last_exposures(store: Store, read) -> None:
    found = panels(read, "calwatch-sets")
    kinds = len(SET_TYPES)
    for verdict in Verdict:
        ((row,),) = [store.ask(query) for query in found[f"Sets {verdict.value}"].queries]
        assert row[verdict.value] == kinds
    ((row,),) = [store.ask(query) for query in found["Detectors FAIL"].queries]
    assert row["Detectors FAIL"] == kinds
    table = store.ask(found["Sets"].queries[0])
    assert {(row["obs_id"][-1:], row["calib_type"], row["verdict"]) for row in table} == {
        (number, kind, verdict)
        for kind in SET_TYPES
        for number, verdict in (("6", "PASS"), ("7", "UNKNOWN"), ("8", "FAIL"))
    }
    for kind in SET_TYPES:
        words = WORDS[kind]
        title = f"{words[0].upper()}{words[1:]}: detectors that did not pass"
        rows = store.ask(found[title].queries[0])
        assert not_passed(rows) == wanted_of(kind)
        assert rows[0]["members"] == "2026112000007, 2026112000008"


@pytest.mark.parametrize("read", [grafana_panels, chronograf_cells])
def test_alarms_are_those_of_the_ledger(store: Store, read) -> None:
    found = panels(read, "calwatch-alarms")
    wanted = night.severities(store.alarms)
    assert min(wanted.values()) > 0, wanted  # one of each, and one that has recovered
    for severity in ("WARNING", "SERIOUS", "CRITICAL"):
        (row,) = store.ask(found[f"{severity} now"].queries[0])
        assert row[severity] == wanted[severity]
    standing = [a.alarm for a in store.alarms.open_alarms() if a.alarm.active]
    rows = store.ask(found["Alarms that stand"].queries[0])
    assert {(r["name"], r["severity"], r["reason"]) for r in rows} == {
        (a.name, float(a.severity), a.reason) for a in standing
    }
    history = store.alarms.history()
    rows = store.ask(found["What happened"].queries[0])
    assert sorted((r["name"], r["what"]) for r in rows) == sorted(
        (one.transition.alarm.name, one.transition.what.value) for one in history
    )
    raised = store.ask(found["Raised, by family of tests"].queries[0])
    assert sum(row["raised"] for row in raised) == sum(
        one.transition.what.value == "raised" for one in history
    )


@pytest.mark.parametrize("path", INFLUX, ids=lambda path: path.stem)
def test_what_may_be_chosen_is_found(store: Store, path: Path) -> None:
    document = json.loads(path.read_text())
    chosen = {}
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            rows = store.ask(fill_in(variable["query"], BY_GRAFANA))
            chosen[variable["name"]] = {row["value"] for row in rows}
    detectors = {"detector": {"94", "95"}} if "detector" in path.stem else {}
    assert chosen == {"instrument": {night.INSTRUMENT}} | detectors
    exported = json.loads((DEPLOY / "chronograf" / path.name).read_text())["dashboard"]
    for template in exported["templates"]:
        query = template["query"]
        text = query["influxql"]
        for name, key in (("database", "db"), ("measurement",) * 2, ("tagKey",) * 2):
            text = text.replace(f":{name}:", f'"{query[key]}"')
        rows = store.ask(text)
        assert {row["value"] for row in rows} == chosen[template["id"]]


def test_the_times_are_those_of_the_exposures() -> None:
    assert end(1) == datetime(2026, 11, 20, 18, 0, 30, tzinfo=UTC)
