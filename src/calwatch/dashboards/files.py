"""All generated files, and whether those on disk are what the definitions give today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from calwatch.dashboards import chronograf, grafana
from calwatch.dashboards.camera import camera_dashboards
from calwatch.dashboards.families import families
from calwatch.dashboards.influxql import Store
from calwatch.dashboards.service import service_dashboard
from calwatch.verify.limits import Limits

GRAFANA, CHRONOGRAF = "grafana/dashboards", "chronograf"
"""Folders of the generated files. Nothing else is kept there."""


def dashboard_files(store: Store, limits: Limits) -> dict[str, str]:
    """Return the content of every file by its path.

    Parameters
    ----------
    store
        Where the records are.
    limits
        Whose lines are drawn.
    """
    cameras = camera_dashboards(store, limits)
    found = {
        f"{GRAFANA}/{one.uid}.json": _text(grafana.render(one))
        for one in (*cameras, service_dashboard(families()))
    }
    found |= {
        f"{CHRONOGRAF}/{one.uid}.json": _text(chronograf.render(one, store)) for one in cameras
    }
    return found


def write_files(folder: Path, files: dict[str, str]) -> list[str]:
    """Write the files that differ, and take away those that are not made any more.

    Returns
    -------
    list
        The paths that changed, within the folder.
    """
    changed = stale(folder, files)
    for path in changed:
        place = folder / path
        if path in files:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(files[path], encoding="utf-8")
        else:
            place.unlink()
    return changed


def stale(folder: Path, files: dict[str, str]) -> list[str]:
    """Return the paths that are missing, differ, or are not made any more."""
    there = {
        str(path.relative_to(folder))
        for kind in (GRAFANA, CHRONOGRAF)
        for path in folder.joinpath(kind).glob("*.json")
    }
    differ = [
        path
        for path, text in files.items()
        if path not in there or folder.joinpath(path).read_text(encoding="utf-8") != text
    ]
    return sorted({*differ, *(there - set(files))})


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
