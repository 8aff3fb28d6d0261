"""Grafana's own model of a dashboard reads every file and loses nothing.

Grafana itself cannot be installed from the package registries, so the check is made with the model
that Grafana Labs publishes for programs (grafana-foundation-sdk): a field that it does not know, or
that has the wrong form, does not come back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
register_default_plugins()


def read_back(document: dict) -> dict:
    return json.loads(JSONEncoder().encode(Dashboard.from_json(document)))


def lost(ours: Any, back: Any, where: str = "") -> list[str]:
    """Return the places where what came back is not ours; what it adds (defaults) is not told."""
    if isinstance(ours, dict) and isinstance(back, dict):
        known = [name for name in ours if name in back]
        gone = [f"{where}.{name}" for name in ours if name not in back]
        return gone + [p for name in known for p in lost(ours[name], back[name], f"{where}.{name}")]
    if isinstance(ours, list) and isinstance(back, list) and len(ours) == len(back):
        pairs = enumerate(zip(ours, back, strict=True))
        return [place for i, (a, b) in pairs for place in lost(a, b, f"{where}[{i}]")]
    return [] if ours == back else [where]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_is_lost_in_grafanas_model(path: Path) -> None:
    document = json.loads(path.read_text())
    assert lost(document, read_back(document)) == []


def test_a_mistake_would_be_seen() -> None:
    document = json.loads(FILES[0].read_text())
    panel = document["panels"][1]
    panel["gridpos"] = panel.pop("gridPos")
    panel["options"]["colourMode"] = "none"
    found = lost(document, read_back(document))
    assert set(found) == {".panels[1].options.colourMode", ".panels[1].gridpos"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_lie_side_by_side_and_have_ids_of_their_own(path: Path) -> None:
    document = json.loads(path.read_text())
    assert document["uid"] == path.stem
    shown = document["panels"]
    opened = [panel for row in shown for panel in row.get("panels", ())]
    assert len({panel["id"] for panel in [*shown, *opened]}) == len(shown) + len(opened)
    lie_side_by_side(shown)
    for row in shown:
        # What is opened pushes the rest down: it lies below its heading.
        lie_side_by_side([row, *row.get("panels", ())])
        assert all(panel["gridPos"]["y"] > row["gridPos"]["y"] for panel in row.get("panels", ()))


def lie_side_by_side(panels: list[dict[str, Any]]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        place = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert place
        assert not place & taken, panel["title"]
        taken |= place


def test_what_is_provided_is_what_the_dashboards_ask_for() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/calwatch.yaml").read_text())
    provided = {source["type"] for source in sources["datasources"]}
    asked = {
        variable["query"]
        for path in FILES
        for variable in json.loads(path.read_text())["templating"]["list"]
        if variable["type"] == "datasource"
    }
    assert provided == asked == {"influxdb", "prometheus"}
    boards = yaml.safe_load((GRAFANA / "provisioning/dashboards/calwatch.yaml").read_text())
    assert [one["type"] for one in boards["providers"]] == ["file"]
