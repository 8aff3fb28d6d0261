"""Takes the schema of the daemon's configuration into the chart's ``values.schema.json``.

Run it as a program after a change of the settings; a test tells when that was forgotten. What the
chart itself sets is left out, so that helm refuses it in ``config``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from calwatch.settings import settings_schema

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "calwatch"
FILE = CHART / "values.schema.json"
OWN = (
    "calibration_folder",
    "calibration_folder_bytes",
    "ledger",
    "metrics_port",
    "web",
    "workers",
)
"""Settings that have to agree with the pods: the chart fills them."""

OWN_OF_KAFKA = ("group", "jobs_topic", "jobs_partitions")


def definitions() -> dict[str, Any]:
    """Return what `values.schema.json` says of ``config``, as its ``$defs``."""
    settings = settings_schema()
    found: dict[str, Any] = settings.pop("$defs")
    del settings["$schema"]
    for name in OWN:
        del settings["properties"][name]
    for name in OWN_OF_KAFKA:
        del found["KafkaSettings"]["properties"][name]
    found["Settings"] = settings
    return {name: found[name] for name in _used(found, "Settings")}


def _used(found: dict[str, Any], name: str) -> list[str]:
    """Return the names of all definitions that one needs, itself included."""
    names, ahead = [], [name]
    while ahead:
        name = ahead.pop()
        if name not in names:
            names.append(name)
            text = json.dumps(found[name])
            ahead += [other for other in found if f'"#/$defs/{other}"' in text]
    return sorted(names)


def text() -> str:
    """Return the file as it should be."""
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    return json.dumps({**schema, "$defs": definitions()}, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
