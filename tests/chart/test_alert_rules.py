"""The alert rules of a release are those of deploy/prometheus, told apart from other releases'."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from absence import absent
from charting import ROOT, of_kind, rendered, resources

pytestmark = pytest.mark.services

RULES = yaml.safe_load((ROOT / "deploy/prometheus/calwatch.rules.yaml").read_text())["groups"]


def groups(*sets: str) -> list[dict[str, Any]]:
    (rule,) = of_kind(resources(rendered("latiss", "base", sets=sets)), "PrometheusRule")
    assert rule["metadata"]["labels"]["lsst.io/rule"] == "true"
    return rule["spec"]["groups"]


def test_rules_are_the_same_but_for_the_job() -> None:
    for ours, theirs in zip(groups(), RULES, strict=True):
        text = yaml.safe_dump(theirs["rules"], width=10**6)
        mended = text.replace('job="calwatch"', 'job="calwatch-latiss"')
        assert mended != text
        assert ours["rules"] == yaml.safe_load(mended)


def test_sites_add_labels_and_the_address_of_the_playbook() -> None:
    sets = ("metrics.rules.alertLabels.receiver=slack", "metrics.rules.playbook=https://a.b/play")
    for group in groups(*sets):
        for rule in group["rules"]:
            assert rule["labels"]["receiver"] == "slack"
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert rule["annotations"]["playbook"].startswith("https://a.b/play#")


def test_promtool_accepts_them(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        absent("promtool", "not on the path; Debian has it in its package prometheus")
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups()}))
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(len(group['rules']) for group in RULES)} rules found" in done.stdout
