"""The charge that the photodiode has seen of one exposure, from its readings.

The methods are those by which cp_pipe forms it (``cpPtcExtract.py``; ip_isr ``photodiode.py``),
rebuilt: which one is right depends on what the electrometer was told to write. Only ratios of
charges are used, so that neither the area of the photodiode nor its sensitivity matter; but the
sign does, since the baseline is looked for below the light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray
from calwatch.calibrations.model import PhotodiodeReadings

Method = Literal["TRIMMED_SUM", "CHARGE_SUM", "DIRECT_SUM", "MEAN"]

SCALE = -1.0
"""The electrometer counts the current of the photodiode as negative."""
LEAST_READINGS = 5
LEAST_OF_MEAN = 2
"""So many readings a sum needs, and so many a mean."""
MAX_LOST = 0.1
"""Of a sum at most this part of the readings may be no numbers."""

_LOW = 0.2
"""TRIMMED_SUM: readings in the lowest fifth of their range are the baseline."""
_DARK = 0.05
_BESIDE = 2
"""CHARGE_SUM: the baseline is what lies two readings or more beside all that exceed 5 %."""
_LEAST_LOW = 3
_MAD = 1.4826


@dataclass(frozen=True, slots=True)
class Charge:
    """The charge of one exposure."""

    value: float = math.nan
    """C."""
    error: float = math.nan
    """C: what the scatter of the readings makes of it."""
    fault: str = ""
    """Why there is none; empty if there is."""


@dataclass(frozen=True, slots=True)
class Integration:
    """How the readings become a charge."""

    method: Method = "TRIMMED_SUM"
    scale: float = SCALE
    """What the current is multiplied by."""


def charge_of(readings: PhotodiodeReadings, exposure_time: float, how: Integration) -> Charge:
    """Integrate the readings of one exposure.

    Parameters
    ----------
    readings
        In the order of their time.
    exposure_time
        s; only MEAN needs it.
    how
        ``TRIMMED_SUM``: trapezia above the median of the lowest fifth. ``CHARGE_SUM``: the sum of
        charges, less the current beside the light. ``DIRECT_SUM``: trapezia as they are. ``MEAN``:
        the mean current times the exposure time.
    """
    time, current = readings.time, how.scale * readings.current
    known = np.isfinite(time) & np.isfinite(current)
    if fault := _unreadable(time, known, how.method):
        return Charge(fault=fault)
    time, current = time[known], current[known]
    match how.method:
        case "TRIMMED_SUM":
            value, error = _trapezia(time, current, _low(current), trimmed=True)
        case "DIRECT_SUM":
            value, error = _trapezia(time, current, _low(current), trimmed=False)
        case "CHARGE_SUM":
            value, error = _sum_of_charges(time, current)
        case "MEAN":
            value = exposure_time * float(current.mean())
            error = exposure_time * float(current.std(ddof=1)) / math.sqrt(current.size)
    if not math.isfinite(value):
        return Charge(fault=f"no reading beside the light is dark (the scale is {how.scale:g})")
    if not value > 0:
        return Charge(fault=f"a charge of {value:.3g} C is none (the scale is {how.scale:g})")
    return Charge(value, error)


def _unreadable(time: DoubleArray, known: BoolArray, method: Method) -> str:
    count = int(known.sum())
    if not known.size:
        return "it has no reading"
    least = LEAST_OF_MEAN if method == "MEAN" else LEAST_READINGS
    if count < least:
        return f"{count} of its {known.size} readings are numbers, {least} are needed"
    lost = known.size - count
    # A charge that is not known is missing in the sum; a current can be put between its neighbours.
    if lost > (0 if method == "CHARGE_SUM" else MAX_LOST * known.size):
        return f"{lost} of its {known.size} readings are no numbers"
    if not np.all(np.diff(time[known]) > 0):
        return "the times of its readings do not increase"
    return ""


def _low(current: DoubleArray) -> BoolArray:
    lowest, highest = float(current.min()), float(current.max())
    return np.asarray(current < lowest + _LOW * (highest - lowest))


def _trapezia(
    time: DoubleArray, current: DoubleArray, low: BoolArray, *, trimmed: bool
) -> tuple[float, float]:
    """Return the sum of trapezia and its error; less the baseline if it is to be trimmed."""
    # It is dark before or after the light: if it is not, what is low is the light upside down.
    if trimmed and not (low[0] or low[-1]):
        return math.nan, math.nan
    steps = np.diff(time)
    weight = 0.5 * (np.append(steps, 0.0) + np.insert(steps, 0, 0.0))
    baseline = float(np.median(current[low])) if trimmed else 0.0
    scatter = _scatter(current[low])
    variance = float((weight**2).sum())
    if trimmed:
        # The median of n is known to √(π/2n) of the scatter; what it is made of is in the sum, too.
        whole, inside, n = float(weight.sum()), float(weight[low].sum()), int(low.sum())
        variance += whole / n * (0.5 * math.pi * whole - 2.0 * inside)
    return float(weight @ (current - baseline)), scatter * math.sqrt(max(variance, 0.0))


def _sum_of_charges(time: DoubleArray, charge: DoubleArray) -> tuple[float, float]:
    """Return the sum of the charges above the baseline current, and its error.

    A reading is the charge since the one before; the first has no beginning.
    """
    steps, charge = np.diff(time), charge[1:]
    current = charge / steps
    lowest = float(current.min())
    (light,) = np.nonzero(current > lowest + _DARK * (float(current.max()) - lowest))
    if not light.size:
        return math.nan, math.nan
    place = np.arange(current.size)
    dark = (place < light[0] - _BESIDE) | (place >= light[-1] + _BESIDE)
    if not dark.any():
        return math.nan, math.nan
    covered = float(steps[dark].sum())
    baseline = float(charge[dark].sum()) / covered
    scatter = _scatter(charge[dark] - baseline * steps[dark])
    # What gives the baseline is in the sum, too.
    variance = (~dark).sum() + dark.sum() * (1.0 - float(steps.sum()) / covered) ** 2
    return float((charge - baseline * steps).sum()), scatter * math.sqrt(float(variance))


def _scatter(values: DoubleArray) -> float:
    """Return the deviation of readings without light; 0 where too few tell."""
    if values.size < _LEAST_LOW:
        return 0.0
    return _MAD * float(np.median(np.abs(values - np.median(values))))
