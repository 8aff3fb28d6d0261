"""The committed dashboards are what the definitions give, and a new definition gives a panel."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import Gauge

from calwatch.cli.main import cli
from calwatch.dashboards.camera import camera_dashboards
from calwatch.dashboards.families import families
from calwatch.dashboards.files import dashboard_files, stale, write_files
from calwatch.dashboards.grafana import render, steps
from calwatch.dashboards.influxql import Store, number
from calwatch.dashboards.model import SETS, Dashboard, Line
from calwatch.dashboards.sets import WORDS
from calwatch.publish import schemas
from calwatch.service import measures
from calwatch.verify import metrics
from calwatch.verify.limits import Limits, load_limits
from calwatch.verify.metrics import SET_TYPES

DEPLOY = Path(__file__).parents[2] / "deploy"
LIMITS = load_limits("dmtn101")


def test_the_committed_files_are_up_to_date() -> None:
    found = stale(DEPLOY, dashboard_files(Store(), LIMITS))
    assert found == [], "`calwatch dashboards deploy` writes them anew"


def titles(dashboards: list[Dashboard], uid: str) -> list[str]:
    (found,) = [one for one in dashboards if one.uid == uid]
    return [panel.title for row in found.rows for panel in row.panels]


def test_a_new_metric_has_a_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    glow = metrics.Metric("GLOW", "e-", "amp", ("dark",), "the glow", "Glow of the amplifier.")
    known = MappingProxyType({**metrics.METRICS, "GLOW": glow})
    monkeypatch.setattr(schemas, "METRICS", known)
    schemas.metrics_of.cache_clear()
    try:
        made = camera_dashboards(Store(), LIMITS)
    finally:
        monkeypatch.undo()
        schemas.metrics_of.cache_clear()
    assert "GLOW" in titles(made, "calwatch-detector-dark")
    assert "GLOW" not in titles(made, "calwatch-detector-bias")
    (panel,) = [
        panel for one in made for row in one.rows for panel in row.panels if panel.title == "GLOW"
    ]
    assert (panel.unit, panel.description) == ("e-", "Glow of the amplifier.")
    assert 'mean("C17_GLOW") AS "C17"' in panel.queries[0]


def test_sets_have_pages_of_their_own_and_a_menu_of_their_own() -> None:
    made = {one.uid: one for one in camera_dashboards(Store(), LIMITS)}
    pages = {uid for uid, one in made.items() if one.group == SETS}
    assert pages == {
        "calwatch-sets",
        *(f"calwatch-{what}-{kind}" for what in ("trend", "detector") for kind in SET_TYPES),
    }
    shown = {uid: set(render(one)["tags"]) for uid, one in made.items()}
    assert shown["calwatch-sets"] == {"calwatch", "calwatch-sets"}
    assert shown["calwatch-trend-gain"] == {"calwatch-sets"}
    assert shown["calwatch-trend-bias"] == shown["calwatch-night"] == {"calwatch"}
    # The night speaks of its exposures; what its sets came to is on the page of sets.
    text = repr(made["calwatch-night"])
    assert not any(f".{kind}" in text for kind in SET_TYPES)
    assert all(f'.{kind}"' in repr(made["calwatch-sets"]) for kind in (*SET_TYPES, "set"))


def test_what_a_reader_opens_asks_nothing_before() -> None:
    """In Grafana the panels of a collapsed row lie in its heading."""
    (page,) = [one for one in camera_dashboards(Store(), LIMITS) if one.uid == "calwatch-sets"]
    shown = render(page)["panels"]
    *_, heading = shown
    assert (heading["type"], heading["title"], heading["collapsed"]) == ("row", "Where", True)
    assert len(heading["panels"]) == len(SET_TYPES)
    assert all(panel["panels"] == [] for panel in shown[:-1] if panel["type"] == "row")


def test_every_row_has_panels_and_every_type_a_word() -> None:
    made = camera_dashboards(Store(), LIMITS)
    assert all(row.panels for one in made for row in one.rows)
    assert tuple(WORDS) == metrics.CALIB_TYPES
    assert all(len(one.title) <= 50 for one in made)  # Chronograf's own limit


def changed(name: str, **changes: Any) -> Limits:
    """Return the limits with one amplifier test changed."""
    tests = tuple(
        test.model_copy(update=changes) if (test.name, test.level) == (name, "amp") else test
        for test in LIMITS.tests
    )
    return replace(LIMITS, tests=tests)


def test_changed_limits_make_other_files(tmp_path: Path) -> None:
    files = dashboard_files(Store(), LIMITS)
    write_files(tmp_path, files)
    entry = LIMITS.tests[0].limits[0].model_copy(update={"serious": 2.5})
    other = dashboard_files(Store(), changed("MEAN", limits=(entry,)))
    assert stale(tmp_path, other) == sorted(
        f"{folder}/calwatch-{what}-{kind}.json"
        for folder in ("chronograf", "grafana/dashboards")
        for what in ("detector", "trend")
        for kind in ("bias", "dark")
    )


def test_every_test_and_every_number_has_a_panel() -> None:
    made = camera_dashboards(Store(), LIMITS)
    for kind in metrics.CALIB_TYPES:
        tests = [t.name for t in LIMITS.tests if kind in t.calib_types]
        assert set(tests) <= set(titles(made, f"calwatch-trend-{kind}"))
        numbers = [m.name for m in metrics.METRICS.values() if kind in m.calib_types]
        boards = (f"calwatch-detector-{kind}", f"calwatch-trend-{kind}")
        assert set(numbers) <= {title for uid in boards for title in titles(made, uid)}


@given(value=st.floats(allow_nan=False, allow_infinity=False))
@example(value=1e-6)
@example(value=-0.05)
@example(value=1e22)
def test_a_number_in_a_query_has_no_exponent_and_is_exact(value: float) -> None:
    text = number(value)
    assert re.fullmatch(r"-?\d+\.\d+", text)
    assert float(text) == value


def test_every_metric_of_the_service_has_a_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown() -> str:
        return dashboard_files(Store(), LIMITS)["grafana/dashboards/calwatch-service.json"]

    names = {family.name for family in families()}
    assert {"calwatch_events_lag", "calwatch_outbox_rows", "calwatch_step_seconds"} <= names
    assert all(name in shown() for name in names)
    new = Gauge("calwatch_new_thing", "Something new.", ["instrument"], registry=None)
    monkeypatch.setattr(measures, "NEW_THING", new, raising=False)
    assert 'sum by (instrument) (calwatch_new_thing{job=\\"$job\\"})' in shown()


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (
            [(-1, "serious", "lower"), (-0.1, "warning", "lower"), (0.1, "warning", "upper"),
             (1, "serious", "upper")],
            [(None, "red"), (-1, "orange"), (-0.1, "green"), (0.1, "orange"), (1, "red")],
        ),
        ([(5, "serious", "upper")], [(None, "green"), (5, "red")]),
        ([(1, "serious", "lower")], [(None, "red"), (1, "green")]),
        (
            [(3000, "warning", "lower"), (1000, "serious", "lower")],
            [(None, "red"), (1000, "orange"), (3000, "green")],
        ),
    ],
)  # fmt: skip
def test_the_colour_between_two_lines_is_what_a_value_there_is(lines, wanted) -> None:
    found = steps(tuple(Line(*line) for line in lines))
    assert [(step["value"], step["color"]) for step in found] == wanted


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["dashboards", *words])
    return done.exit_code, done.output


def test_the_command_writes_checks_and_clears(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert run(folder, "--check")[0] == 1
    assert list(tmp_path.iterdir()) == []
    code, said = run(folder)
    assert code == 0
    files = 2 * (4 + 2 * len(metrics.CALIB_TYPES)) - 1  # the service's is Grafana's only
    assert said.count("written") == files
    assert run(folder, "--check") == (0, f"{files} dashboards are up to date\n")
    old = tmp_path / "chronograf" / "calwatch-old.json"
    old.write_text("{}")
    kept = tmp_path / "chronograf" / "README.md"
    kept.write_text("mine")
    assert run(folder, "--check")[0] == 1
    assert run(folder)[0] == 0
    assert not old.exists()
    assert kept.exists()


def test_another_deployment_has_its_own_names(tmp_path: Path) -> None:
    run(str(tmp_path), "--prefix", "lsst.dev.cal", "--database", "lsst.dev")
    text = (tmp_path / "grafana/dashboards/calwatch-night.json").read_text()
    assert '\\"lsst.dev\\".\\"autogen\\".\\"lsst.dev.cal.exposure\\"' in text
    assert "lsst.cp" not in text


@pytest.mark.parametrize("path", sorted((DEPLOY / "chronograf").glob("*.json")), ids=str)
def test_chronograf_can_import_it(path: Path) -> None:
    exported = json.loads(path.read_text())
    assert set(exported) == {"meta", "dashboard"}
    board = exported["dashboard"]
    assert len(board["name"]) <= 50  # its own limit
    assert len({cell["i"] for cell in board["cells"]}) == len(board["cells"])
    taken: set[tuple[int, int]] = set()
    for cell in board["cells"]:
        assert cell["type"] in {"line", "line-stepplot", "single-stat", "table"}
        assert cell["x"] + cell["w"] <= 12
        place = {
            (x, y)
            for x in range(cell["x"], cell["x"] + cell["w"])
            for y in range(cell["y"], cell["y"] + cell["h"])
        }
        assert place
        assert not place & taken, cell["name"]
        taken |= place
    used = {t["tempVar"] for t in board["templates"]}
    assert used <= {":instrument:", ":detector:"}
    for name in used:
        assert any(name in q["query"] for cell in board["cells"] for q in cell["queries"])
