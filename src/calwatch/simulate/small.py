"""A camera in small: the same readout, corrections and headers, and few pixels.

What kernels are needed depends on what a camera is, not on how many pixels it has.
"""

from __future__ import annotations

import copy
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera
from calwatch.yaml_file import parse_yaml

COLUMNS, ROWS = 128, 100
"""Imaging pixels of an amplifier in small."""

_FILES = {"LATISS": "latiss.yaml", "LSSTComCam": "comcam.yaml", "LSSTCam": "lsstcam.yaml"}


def write_small_camera(instrument: str, folder: Path) -> Path:
    """Write the camera file of a built-in instrument in small, and return its path."""
    source = resources.files("calwatch.camera").joinpath("data", _FILES[instrument])
    content = parse_yaml(source.read_text(encoding="utf-8")).content
    content["layouts"] = {name: _shrink(layout) for name, layout in content["layouts"].items()}
    widest = max(layout["raw"][0] for layout in content["layouts"].values())
    content["raw"]["tile"] = [widest, 1]
    path = folder / f"{instrument.lower()}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def one_of_each_kind(camera: Camera) -> tuple[int, ...]:
    """Return the number of the first detector of each geometry."""
    first: dict[str, int] = {}
    for detector in camera.detectors:
        first.setdefault(detector.kind, detector.number)
    return tuple(first.values())


def small_camera(instrument: str, folder: Path) -> tuple[Path, tuple[int, ...]]:
    """Write a camera in small; return its file and a detector of each kind it has."""
    path = write_small_camera(instrument, folder)
    return path, one_of_each_kind(load_camera(path))


def _shrink(layout: dict[str, Any]) -> dict[str, Any]:
    """Return a layout with fewer imaging pixels, its overscans as they are."""
    small = copy.deepcopy(layout)
    x0, _, width, height = layout["data"]
    wide, high = (layout["detector"][0] // width, layout["detector"][1] // height)
    serial, parallel = layout["serial_overscan"][2], layout["parallel_overscan"][3]
    raw = [x0 + COLUMNS + serial, ROWS + parallel]
    small |= {
        "detector": [wide * COLUMNS, high * ROWS],
        "raw": raw,
        "data": [x0, 0, COLUMNS, ROWS],
        "serial_overscan": [x0 + COLUMNS, 0, serial, raw[1]],
        "parallel_overscan": [x0, ROWS, COLUMNS, parallel],
    }
    for amplifier in small["amplifiers"]:
        x, y = amplifier["at"]
        amplifier["at"] = [x // width * COLUMNS, y // height * ROWS]
    return small
