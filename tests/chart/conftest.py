"""Renders the chart with the real helm, as the tests ask for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "services")]

import install  # noqa: E402  (found only now)

ROOT = HERE.parents[1]
CHART = ROOT / "deploy" / "helm" / "calwatch"
CAMERAS = {"latiss": "LATISS", "lsstcomcam": "LSSTComCam", "lsstcam": "LSSTCam"}
MODES = ("single", "fleet")
SCALED = ("mode=fleet", "worker.autoscaling.enabled=true")
EVERYTHING = (
    "ingress.enabled=true",
    "ingress.host=calwatch.example.org",
    "kafka.caSecret=brokers",
    "kafka.securityProtocol=SASL_SSL",
    "config.kafka.s3=true",
    "secret.env.CALWATCH_SLACK_URL=slack-url",
)
"""What no camera sets, so that it is rendered, too."""

Resource = Mapping[str, Any]


def helm(*words: object) -> subprocess.CompletedProcess[str]:
    """Run helm."""
    command = [install.need("helm") / "helm", *words]
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=60
    )


def options(*files: str, sets: Sequence[str] = ()) -> list[str]:
    """Return the options for some of the chart's files of values, and values beside."""
    found = [f"--values={CHART / f'values-{name}.yaml'}" for name in files]
    return [*found, *(f"--set={one}" for one in sets)]


@cache
def rendered(camera: str, *files: str, sets: tuple[str, ...] = ()) -> str:
    """Return all resources of a release, as YAML."""
    done = helm("template", f"calwatch-{camera}", CHART, *options(camera, *files, sets=sets))
    assert done.returncode == 0, done.stderr
    return done.stdout


def resources(text: str) -> list[Resource]:
    """Read what `rendered` returned."""
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(found: Sequence[Resource], kind: str) -> list[Resource]:
    """Return those of one kind."""
    return [one for one in found if one["kind"] == kind]
