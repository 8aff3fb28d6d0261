"""Renders the chart with the real helm, as the tests ask for it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import install
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "calwatch"
CAMERAS = {"latiss": "LATISS", "lsstcomcam": "LSSTComCam", "lsstcam": "LSSTCam"}
SITES = ("summit", "base", "tucson-teststand")
"""Each with its file of values, as the cameras have."""
SINGLE = ("mode=single",)
SCALED = ("mode=fleet", "worker.autoscaling.enabled=true")
EVERYTHING = (
    *SCALED,
    "ingress.enabled=true",
    "ingress.host=calwatch.example.org",
    "kafka.caSecret=brokers",
    "kafka.securityProtocol=SASL_SSL",
    "config.kafka.s3=true",
    "secret.env.CALWATCH_SLACK_URL=slack-url",
    "calibrations.volume=ephemeral",
    "calibrations.storageClass=local",
    "state.volume=claim",
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
    # PyYAML's own loader takes most of the time of these tests.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(text, loader) if document]


def texts() -> dict[str, str]:
    """Return every camera at every site it may be at, in every mode."""
    found = {}
    for camera in CAMERAS:
        for name, sets in (("single", SINGLE), ("fleet", SCALED), ("everything", EVERYTHING)):
            found[f"{camera} {name}"] = rendered(camera, "summit", sets=sets)
        for site in SITES[1:]:
            found[f"{camera} {site}"] = rendered(camera, site)
    return found


@cache
def releases() -> dict[str, list[Resource]]:
    """Return the same, read."""
    return {name: resources(text) for name, text in texts().items()}


def of_kind(found: Sequence[Resource], kind: str) -> list[Resource]:
    """Return those of one kind."""
    return [one for one in found if one["kind"] == kind]
