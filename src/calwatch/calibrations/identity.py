"""Checks that a calibration file is of the detector it is used for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calwatch.camera.model import Detector
from calwatch.errors import CalibrationError

_NUMBER_KEYS = ("DETECTOR",)
_NAME_KEYS = ("DET_NAME", "DETNAME")
_SERIAL_KEYS = ("DET_SER", "DETSER")
_UNSET = frozenset({"", "none", "null", "nan", "unknown", "_unknown_"})


def text(value: Any) -> str:
    """Return a header value as stripped text; empty for None and for the words that mean unset."""
    words = "" if value is None else str(value).strip()
    return "" if words.lower() in _UNSET else words


def number(value: Any) -> float:
    """Return a header value as a float; NaN if it is absent or not a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def check_detector(metadata: Mapping[str, Any], detector: Detector, path: Path) -> None:
    """Refuse a calibration whose keywords name another detector.

    The number (``DETECTOR``), the full name (``DET_NAME``, ``DETNAME``), the raft and slot
    (``RAFTNAME``, ``SLOTNAME``) and the serial number (``DET_SER``, ``DETSER``) are compared where
    both sides give one; the serial numbers of CCDs that held this place before are fine too
    (ip_isr ``calibType.py``; afw ``ExposureInfo``).

    Raises
    ------
    CalibrationError
        If a keyword contradicts the detector.
    """
    wanted: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
        (_NAME_KEYS, (detector.name,)),
        (("RAFTNAME",), (detector.raft,)),
        (("SLOTNAME",), (detector.slot,)),
        (_SERIAL_KEYS, (detector.serial, *detector.former_serials) if detector.serial else ()),
    ]
    for keys, expected in wanted:
        for key in keys:
            found = text(metadata.get(key))
            if found and any(expected) and found.lower() not in map(str.lower, expected):
                raise _wrong_detector(path, key, found, detector)
    for key in _NUMBER_KEYS:
        found_number = number(text(metadata.get(key)))
        if not math.isnan(found_number) and found_number != detector.number:
            raise _wrong_detector(path, key, f"{found_number:g}", detector)


def _wrong_detector(path: Path, key: str, found: str, detector: Detector) -> CalibrationError:
    return CalibrationError(
        f"{path}: made for another detector: {key} is {found!r}, wanted detector "
        f"{detector.number} ({detector.name}{f', {detector.serial}' if detector.serial else ''})"
    )


def camera_order(names: list[str], detector: Detector, path: Path) -> list[int]:
    """Return the row of each amplifier of the detector, in camera order.

    Raises
    ------
    CalibrationError
        If an amplifier is missing, doubled, or not of this detector.
    """
    rows = {name: row for row, name in enumerate(names)}
    if len(rows) != len(names):
        raise CalibrationError(f"{path}: an amplifier is listed twice in {', '.join(names)}")
    missing = [name for name in detector.amp_names if name not in rows]
    foreign = [name for name in names if name not in detector.amp_names]
    if missing or foreign:
        parts = []
        if missing:
            parts.append(f"no row for amplifier {', '.join(missing)}")
        if foreign:
            parts.append(f"amplifier {', '.join(foreign)} is not of detector {detector.name}")
        raise CalibrationError(f"{path}: {'; '.join(parts)}")
    return [rows[name] for name in detector.amp_names]
