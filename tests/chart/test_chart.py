"""The chart itself: linted, packed, its values described, and wrong ones refused in clear words."""

from __future__ import annotations

import io
import re
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from charting import CAMERAS, CHART, ROOT, SCALED, SINGLE, SITES, helm, options

pytestmark = pytest.mark.services

VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("camera", CAMERAS)
def test_every_file_of_values_passes_the_strict_lint(camera: str, site: str) -> None:
    for sets in (SINGLE, SCALED):
        if "fleet" in sets[0] and site == "tucson-teststand":
            continue  # its ledger is a file
        done = helm("lint", "--strict", CHART, *options(camera, site, sets=sets))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "[WARNING]" not in done.stdout


def test_the_package_holds_the_alert_rules_themselves(tmp_path: Path) -> None:
    done = helm("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.glob("calwatch-*.tgz")
    with tarfile.open(package) as packed:
        member = packed.getmember("calwatch/files/calwatch.rules.yaml")
        assert member.isfile()
        held = packed.extractfile(member)
        assert isinstance(held, io.BufferedReader)
        assert held.read() == (ROOT / "deploy/prometheus/calwatch.rules.yaml").read_bytes()


def test_the_image_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]


def leaves(values: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        path = f"{before}{name}"
        if isinstance(value, dict) and value and name != "resources":
            yield from leaves(value, f"{path}.")
        else:
            yield path


def test_every_value_is_described_where_it_stands_and_in_the_readme() -> None:
    lines = VALUES.splitlines()
    text = (CHART / "README.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| (\S+) \|", text, re.M))
    paths = list(leaves(yaml.safe_load(VALUES)))
    assert len(paths) > 80
    for path in paths:
        parents = {path.rsplit(".", count)[0] for count in range(path.count(".") + 1)}
        assert parents & described, path
    # A comment of helm-docs stands above each value, or above the group that it belongs to.
    for number, line in enumerate(lines):
        if re.match(r"^[a-z]\w*: \S", line):
            assert lines[number - 1].startswith("# "), line


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        ("mode=many", 'mode must be one of the following: "single", "fleet"'),
        ("mod=fleet", "Additional property mod is not allowed"),
        ("config.workers=3", "config: Additional property workers is not allowed"),
        ("config.ledger=x", "config: Additional property ledger is not allowed"),
        ("config.web.token=x", "config: Additional property web is not allowed"),
        ("config.kafka.group=x", "config.kafka: Additional property group is not allowed"),
        ("config.look_back_days=-1", "config.look_back_days: Must be greater than or equal to 0"),
        ("config.repo=", "config.repo: String length must be greater than or equal to 1"),
        ("ledger.url=postgresql://me:hunter2@h/d", "ledger.url: Does not match pattern"),
        ("metrics.port=0", "metrics.port: Must be greater than or equal to 1"),
        ("terminationGracePeriodSeconds=5", "Must be greater than or equal to 20"),
        ("main.resources.limits=null", "main.resources: limits is required"),
        ("calibrations.volume=nfs", 'must be one of the following: "emptyDir", "ephemeral"'),
        ("secret.env.SLACK=slack://a/b", "secret.env.SLACK: Does not match pattern"),
    ],
)
def test_wrong_values_are_refused_and_named(sets: str, told: str) -> None:
    done = helm("template", "calwatch", CHART, *options("latiss", sets=[sets]))
    assert done.returncode != 0
    assert told in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        (["mode=fleet", "ledger.kind=sqlite"], "ledger.kind: a fleet shares one ledger"),
        (["mode=fleet", "kafka.enabled=false"], "kafka.enabled: a fleet hands out jobs"),
        (["kafka.eventTopics=null"], "kafka.eventTopics: is empty; give the values of a camera"),
        (["ingress.enabled=true"], "ingress.host: is empty"),
        (["ingress.enabled=true", "ingress.host=a.b", "web.enabled=false"], "without web.enabled"),
        (["calibrations.volume=claim"], "calibrations.claim: "),
        (["calibrations.volume=claim", "calibrations.claim=c", "mode=fleet"], "one node only"),
        (["butler.pgCredentials=false", "ledger.url=postgresql://me@h/d"], "butler.pgCredentials"),
        (["worker.autoscaling.maxReplicas=33"], "maxReplicas: is more than kafka.jobsPartitions"),
        (["worker.autoscaling.minReplicas=6"], "minReplicas: is more than maxReplicas"),
        ([*SCALED, "kafka.securityProtocol=SSL"], "client certificates are not passed on"),
        (
            ["config.alarms.channels[0].type=apprise", "config.alarms.channels[0].urls[0]=slack://a"],
            "config.alarms.channels: urls hold passwords",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_told(sets: list[str], told: str) -> None:
    done = helm("template", "calwatch", CHART, *options("latiss", sets=sets))
    assert done.returncode != 0
    assert told in done.stderr


def test_without_a_camera_nothing_is_rendered() -> None:
    done = helm("template", "calwatch", CHART)
    assert done.returncode != 0
    assert "config: repo is required" in done.stderr
    assert "config: instruments is required" in done.stderr
