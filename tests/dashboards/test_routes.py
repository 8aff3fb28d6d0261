"""The example for Alertmanager: taken by amtool itself, and each alert gets to whom it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

sys.path[:0] = [str(Path(__file__).parents[1] / "services")]

from absence import absent  # noqa: E402  (found only now)

from calwatch.alarms.model import Severity  # noqa: E402

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFIG = DEPLOY / "alertmanager" / "alertmanager.yaml"
RULES = DEPLOY / "prometheus" / "calwatch.rules.yaml"
RECEIVERS = {"critical": "on-call", "serious": "team", "warning": "log"}


def amtool(*words: str) -> subprocess.CompletedProcess[str]:
    command = shutil.which("amtool")
    if command is None:
        absent("amtool", "not on the path; Debian has it in its package prometheus-alertmanager")
    return subprocess.run([command, *words], capture_output=True, text=True)


def receiver(**labels: str) -> str:
    given = [f"{name}={value}" for name, value in labels.items()]
    done = amtool("config", "routes", "test", f"--config.file={CONFIG}", *given)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def test_amtool_accepts_the_configuration() -> None:
    done = amtool("check-config", str(CONFIG))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 inhibit rules" in done.stdout


@pytest.mark.parametrize("severity", [s for s in Severity if s is not Severity.NONE])
def test_every_severity_of_an_alarm_has_its_receiver(severity: Severity) -> None:
    name = severity.name.lower()
    assert receiver(alertname="CalwatchReadout", alarm="a", severity=name) == RECEIVERS[name]


def test_every_alert_of_prometheus_has_its_receiver() -> None:
    rules = [r for g in yaml.safe_load(RULES.read_text())["groups"] for r in g["rules"]]
    severities = {rule["labels"]["severity"] for rule in rules}
    assert severities <= RECEIVERS.keys()
    for severity in severities:
        assert receiver(alertname="CalwatchDown", severity=severity) == RECEIVERS[severity]
