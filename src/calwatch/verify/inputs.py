"""Checks made before a number is believed: the raw pixels and the certified references.

The rule for raw pixels: an amplifier of which half the pixels or more are zero, or stand at a rail
of the converter, or are no numbers, or which is constant throughout, was not read out and is
UNKNOWN. Flats are the exception at the upper rail: too much light also drives the imaging pixels
there, and that is what the test SATURATION judges. So in a flat the upper rail makes an amplifier
UNKNOWN only where it holds half of the serial overscan too, which light does not reach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from calwatch.arrays import AnyArray, DoubleArray, IntArray
from calwatch.calibrations.model import PhotonTransferCurve
from calwatch.camera.model import Amplifier, Detector

RAILS = (65535, 131071, 131070, 196605, 262140, 262143)
"""ADU at which converters stop: 16-bit, 17-bit and 18-bit, and sums of up to four 16-bit ones."""
RAILED_FRACTION = 0.5
MAX_GAIN = 100.0
"""e-/ADU: certified gains above this are absurd."""
MAX_NOISE = 1000.0
"""e-: certified noises above this are absurd."""


@dataclass(frozen=True, slots=True, eq=False)
class RawCheck:
    """What the raw pixels of one detector say, per amplifier in camera order."""

    faults: tuple[str, ...]
    """Why an amplifier cannot be judged, in words that follow its name; empty if it can."""
    saturated: DoubleArray
    """Fraction of imaging pixels at a rail, in flats also those above the certified turnoff."""


@dataclass(frozen=True, slots=True)
class Census:
    """What stands in the raw pixels of one amplifier."""

    low: float
    """ADU, of the pixels that are numbers."""
    high: float
    """ADU, of the pixels that are numbers."""
    n_zero: int
    n_nan: int
    """Pixels that are no numbers."""


def check_raw(
    pixels: AnyArray,
    detector: Detector,
    calib_type: str,
    ptc: PhotonTransferCurve | None = None,
) -> RawCheck:
    """Look at the raw pixels of one detector before the ISR.

    Parameters
    ----------
    pixels
        Shape (n_amp, rows, columns), ADU, readout order, integer or float.
    detector
        Gives the sections of each amplifier.
    calib_type
        ``flat`` measures saturation against the turnoff and applies the exception above.
    ptc
        Gives the turnoff; None or NaN leaves only the rails.
    """
    faults = []
    saturated = np.zeros(len(detector.amplifiers))
    for i, amp in enumerate(detector.amplifiers):
        census = take_census(pixels[i])
        faults.append(_fault(pixels[i], amp, calib_type, census))
        turnoff = float(ptc.turnoff[i]) if ptc is not None and calib_type == "flat" else math.nan
        saturated[i] = _saturated_fraction(pixels[i], amp, turnoff, census)
    return RawCheck(tuple(faults), saturated)


def _fault(pixels: AnyArray, amp: Amplifier, calib_type: str, census: Census) -> str:
    if census.n_nan >= RAILED_FRACTION * pixels.size:
        return f"{_share(census.n_nan / pixels.size)} of raw pixels are not numbers"
    if census.low == census.high:
        return f"all raw pixels are {census.low:.0f}"
    if census.n_zero >= RAILED_FRACTION * pixels.size:
        return f"{_share(census.n_zero / pixels.size)} of raw pixels stand at 0"
    if census.high not in RAILS:
        return ""
    railed = np.count_nonzero(pixels == census.high) / pixels.size
    if railed < RAILED_FRACTION:
        return ""
    if calib_type == "flat" and amp.serial_overscan.area:
        overscan = pixels[amp.serial_overscan.slices]
        if np.count_nonzero(overscan == census.high) < RAILED_FRACTION * overscan.size:
            return ""
    return f"{_share(railed)} of raw pixels stand at {census.high:.0f}"


def take_census(pixels: AnyArray) -> Census:
    """Count what stands in the raw pixels of one amplifier, shape (rows, columns).

    Integers, as the cameras write them, go through a kernel; it is held to `take_census_reference`.
    """
    if pixels.dtype == np.int32:
        low, high, n_zero = _integer_census(pixels)
        return Census(float(low), float(high), int(n_zero), 0)
    return take_census_reference(pixels)


def take_census_reference(pixels: AnyArray) -> Census:
    """Do what `take_census` does, in plain numpy and for any type of pixels."""
    finite = pixels[np.isfinite(pixels)]
    n_nan = pixels.size - finite.size
    if not finite.size:
        return Census(math.inf, -math.inf, 0, n_nan)
    n_zero = int(np.count_nonzero(finite == 0))
    return Census(float(finite.min()), float(finite.max()), n_zero, n_nan)


@njit(cache=True, nogil=True)
def _integer_census(pixels: IntArray) -> tuple[int, int, int]:
    """Return the minimum, the maximum and the number of zeros."""
    low = pixels[0, 0]
    high = pixels[0, 0]
    n_zero = 0
    for y in range(pixels.shape[0]):
        row = pixels[y]
        for x in range(row.size):
            low = min(low, row[x])
            high = max(high, row[x])
            n_zero += row[x] == 0
    return low, high, n_zero


def _saturated_fraction(pixels: AnyArray, amp: Amplifier, turnoff: float, census: Census) -> float:
    turns = math.isfinite(turnoff) and turnoff > 0
    # The level of the overscan is no lower than the lowest pixel: most amplifiers end here.
    lowest_level = census.low if amp.serial_overscan.area else 0.0
    least = turnoff + lowest_level if turns else math.inf
    if census.n_nan == 0 and census.high < min(least, *RAILS):
        return 0.0
    data = pixels[amp.data.slices]
    threshold = math.inf
    if turns:
        overscan = pixels[amp.serial_overscan.slices]
        level = float(np.median(overscan)) if overscan.size else 0.0
        threshold = turnoff + level
    high = float(data.max())
    if high in RAILS:
        threshold = min(threshold, high)
    if not high >= threshold:
        return 0.0
    return float(np.count_nonzero(data >= threshold) / data.size)


def _share(fraction: float) -> str:
    """Write a fraction in percent, never rounding a part up to the whole."""
    percent = fraction * 100
    return "100 %" if fraction == 1 else f"{min(percent, 99.99):.4g} %"


def reference_fault(gain: float, noise: float) -> str:
    """Say why a certified gain (e-/ADU) or noise (e-) cannot be used; empty if both can."""
    for name, value, most in (("gain", gain, MAX_GAIN), ("noise", noise, MAX_NOISE)):
        if not math.isfinite(value):
            return f"the certified PTC has no {name} (NaN)"
        if value <= 0 or value > most:
            return f"the certified {name} of {value:.3g} is absurd"
    return ""
