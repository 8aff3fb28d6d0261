"""The alert rules: tested by promtool itself, of metrics that exist, each in the playbook."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

sys.path[:0] = [str(Path(__file__).parents[1] / "services")]

from absence import absent  # noqa: E402  (found only now)

from calwatch.dashboards.families import families  # noqa: E402

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "calwatch.rules.yaml"
ALERTS = [r for g in yaml.safe_load(RULES.read_text())["groups"] for r in g["rules"]]
TESTS = (PROMETHEUS / "calwatch.rules.test.yaml").read_text()


def promtool(*words: str, folder: Path = PROMETHEUS) -> subprocess.CompletedProcess[str]:
    command = shutil.which("promtool")
    if command is None:
        absent("promtool", "not on the path; Debian has it in its package prometheus")
    return subprocess.run([command, *words], cwd=folder, capture_output=True, text=True)


def test_promtool_accepts_rules_and_configuration() -> None:
    for words in (("check", "rules", RULES.name), ("check", "config", "prometheus.yaml")):
        done = promtool(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", RULES.name).stdout


def test_every_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    done = promtool("test", "rules", "calwatch.rules.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    # The same tests fail where rules are wrong: otherwise they would say nothing.
    for path in PROMETHEUS.glob("calwatch.rules*.yaml"):
        text = path.read_text()
        if path == RULES:
            text = text.replace("> 900", "> 90").replace('role!="worker"', 'role!="none"')
        (tmp_path / path.name).write_text(text)
    broken = promtool("test", "rules", "calwatch.rules.test.yaml", folder=tmp_path)
    assert broken.returncode != 0
    assert {"CalwatchOutboxOld", "CalwatchNeverLooked"} <= set(
        re.findall(r"Calwatch\w+", broken.stderr + broken.stdout)
    )


def test_every_alert_is_tested_to_fire() -> None:
    fired = set()
    for group in yaml.safe_load(TESTS)["tests"]:
        for one in group.get("alert_rule_test", []):
            fired |= {one["alertname"]} if one["exp_alerts"] else set()
        for one in group.get("promql_expr_test", []):
            fired |= {
                found
                for sample in one["exp_samples"]
                for found in re.findall(r'alertname="(\w+)"', sample["labels"])
            }
    assert fired == {alert["alert"] for alert in ALERTS}


def test_alerts_speak_of_metrics_that_exist() -> None:
    known = set()
    for family in families():
        endings = ("_bucket", "_count", "_sum") if family.kind == "histogram" else ("",)
        known |= {f"{family.name}{ending}" for ending in endings}
    for alert in ALERTS:
        used = set(re.findall(r"\bcalwatch_\w+", alert["expr"]))
        assert used <= known, alert["alert"]
        assert used or alert["alert"] == "CalwatchDown"
    assert set(re.findall(r"\bcalwatch_\w+", TESTS)) <= known


def test_every_alert_leads_to_its_section_of_the_playbook() -> None:
    text = (ROOT / "docs" / "playbook.md").read_text()
    sections = {
        heading.strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.M)
    }
    for alert in ALERTS:
        page, _, section = alert["annotations"]["playbook"].partition("#")
        assert page == "docs/playbook.md"
        assert section in sections, alert["alert"]
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert not re.search(r"\{\{", alert["annotations"]["summary"])  # constant, to group by
