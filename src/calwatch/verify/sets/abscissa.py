"""What the light of the pairs of a sequence is known by: the photodiode, or the exposure time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray
from calwatch.verify.sets.model import Earlier
from calwatch.verify.sets.photodiode import Charge

LightBy = Literal["auto", "exposure_time", "photodiode"]
"""What is wanted."""
Source = Literal["exposure_time", "photodiode"]
"""What was taken."""

_NAMED = 4
"""So many exposures are named in a sentence."""


@dataclass(frozen=True, slots=True)
class Photodiode:
    """What the photodiode says of the exposures of a sequence."""

    charges: Mapping[int, Charge] = field(default_factory=dict)
    """By exposure id; an exposure without a dataset is absent."""
    halves: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Exposure ids of each pair, by that of its second one."""
    names: Mapping[int, str] = field(default_factory=dict)
    """How exposures are called."""


@dataclass(frozen=True, slots=True, eq=False)
class Abscissa:
    """The light of each pair."""

    by: Source
    light: DoubleArray
    """s, or C; NaN where it is not known. Shape (n,)."""
    error: DoubleArray
    """Of it, relative, as far as the readings tell. Shape (n,)."""
    ratio: DoubleArray
    """Of the second half to the first; NaN where it is not known. Shape (n,)."""
    why_not: str
    """Why the other was not taken."""
    warnings: tuple[str, ...] = ()


def by_time(points: Sequence[Earlier], why_not: str = "") -> Abscissa:
    """Return the exposure times of the pairs."""
    time = np.array([point.exposure_time for point in points], dtype=np.float64)
    nothing = np.full(time.size, np.nan)
    return Abscissa("exposure_time", time, np.zeros(time.size), nothing, why_not)


def choose(points: Sequence[Earlier], photodiode: Photodiode, wanted: LightBy) -> Abscissa:
    """Return the light by which the linearity of a sequence is measured.

    Parameters
    ----------
    points
        The measurements of the pairs.
    photodiode
        The charges of their exposures.
    wanted
        ``auto``: the photodiode if every exposure of the pairs that were measured has one.
    """
    if wanted == "exposure_time":
        return by_time(points, "linearity_by says exposure_time")
    light, error, ratio = (np.full(len(points), np.nan) for _ in range(3))
    faults: dict[str, list[str]] = {}
    usable = _measured(points)
    there = False
    for i, point in enumerate(points):
        ids = photodiode.halves.get(point.exposure_id, (point.exposure_id,))
        found = [photodiode.charges.get(one, Charge(fault="no photodiode")) for one in ids]
        there |= any(one in photodiode.charges for one in ids)
        wrong = [(number, one.fault) for number, one in zip(ids, found, strict=True) if one.fault]
        if len(ids) == 2 and not wrong:
            # cp_pipe takes the mean of those that there are; half a pair says nothing of the other.
            first, second = found
            light[i] = 0.5 * (first.value + second.value)
            error[i] = 0.5 * float(np.hypot(first.error, second.error)) / light[i]
            ratio[i] = second.value / first.value
        elif usable[i]:
            for number, fault in wrong or [(point.exposure_id, "its pair is not known")]:
                faults.setdefault(fault, []).append(photodiode.names.get(number, str(number)))
    if wanted == "photodiode":
        left_out = f"pairs left out of linearity: {_sentence(faults)}" if faults else ""
        warnings = (left_out,) if left_out else ()
        why_not = "linearity_by says photodiode"
        return Abscissa("photodiode", light, np.nan_to_num(error), ratio, why_not, warnings)
    if not there:
        return by_time(points, "no exposure has a photodiode")
    if not faults:
        return Abscissa("photodiode", light, np.nan_to_num(error), ratio, "every exposure has one")
    why_not = f"not every exposure has a photodiode: {_sentence(faults)}"
    taken = by_time(points, why_not)
    warning = f"linearity by the exposure time: {why_not}"
    return Abscissa(taken.by, taken.light, taken.error, taken.ratio, why_not, (warning,))


def light_words(light: Mapping[str, Any]) -> str:
    """Return what the provenance of a judgement says of its light, in words; empty for nothing."""
    if not light:
        return ""
    by = str(light.get("by", "")).replace("_", " ")
    method, count = light.get("method"), len(light.get("datasets") or ())
    how = f" ({method} of {count} exposures)" if method else ""
    why_not = f": {light['why_not']}" if light.get("why_not") else ""
    return f"by the {by}{how}{why_not}"


def _measured(points: Sequence[Earlier]) -> BoolArray:
    """Flag the pairs of which any amplifier has a mean."""

    def known(value: float | None) -> bool:
        return value is not None and isfinite(value)

    return np.array(
        [any(known(amp.get("PAIR_MEAN")) for amp in point.amps.values()) for point in points],
        dtype=bool,
    )


def _sentence(faults: Mapping[str, Sequence[str]]) -> str:
    """Say which exposures have no charge, cause by cause."""
    parts = []
    for fault, names in faults.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        parts.append(f"{', '.join(names[:_NAMED])}{more}: {fault}")
    return "; ".join(parts)
