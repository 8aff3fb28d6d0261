"""Comparing the sequencer that read the raw with the one that read the certified calibrations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

TOLERANCE = 1e-3
"""Relative: voltages among the keywords are read back, not set."""


def mismatches(
    raw: Mapping[str, Any], calibrations: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Return one sentence for each keyword in which raw and calibrations differ.

    A keyword that either side lacks is skipped (ip_isr ``isrFunctions.py``).

    Parameters
    ----------
    raw
        The camera's sequencer keywords and their values in the raw header.
    calibrations
        For each calibration type used, its header.
    """
    found: list[str] = []
    for keyword, value in raw.items():
        if _is_absent(value):
            continue
        others: dict[Any, list[str]] = {}
        for calib_type, header in calibrations.items():
            other = header.get(keyword)
            if not _is_absent(other) and not _same(value, other):
                others.setdefault(other, []).append(calib_type)
        found += [
            f"{keyword} is {value} in the raw and {other} in the certified {', '.join(types)}"
            for other, types in others.items()
        ]
    return tuple(found)


def compared(raw: Mapping[str, Any], calibrations: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many values could be compared."""
    return sum(
        not _is_absent(value) and not _is_absent(header.get(keyword))
        for keyword, value in raw.items()
        for header in calibrations.values()
    )


def _is_absent(value: Any) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and value.strip() in ("", "None")


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        try:
            return math.isclose(float(a), float(b), rel_tol=TOLERANCE)
        except ValueError:
            return False
    return str(a).strip() == str(b).strip()
