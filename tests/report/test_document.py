"""The report as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from golden_report import GOLDEN, written
from report_scene import Scene
from web_scene import make_scene

from calwatch.report.document import to_document


def test_it_is_the_golden_one(tmp_path: Path) -> None:
    _, document = written(tmp_path)
    assert json.loads(document) == json.loads(GOLDEN.with_suffix(".json").read_text("utf-8"))


def test_it_says_whether_something_failed(nights: Scene, scene: Scene) -> None:
    scene.take(1)
    assert to_document(nights.report())["failed"] is True
    assert to_document(scene.report())["failed"] is False


def test_alarms_are_as_the_commands_give_them(scene: Scene) -> None:
    number = make_scene(scene.ledger).raise_alarm("R22_S11/C05")
    scene.take(1)
    document = to_document(scene.report())
    (alarm,) = document["alarms"]
    assert (alarm["id"], alarm["open"]) == (number, True)
    assert document["new_alarms"] == [number]


def test_it_can_be_written(nights: Scene) -> None:
    json.dumps(to_document(nights.report()), allow_nan=False)
