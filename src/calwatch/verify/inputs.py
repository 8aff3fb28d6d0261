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

from calwatch.arrays import AnyArray, DoubleArray
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
        fault = _fault(pixels[i], amp, calib_type)
        faults.append(fault)
        turnoff = float(ptc.turnoff[i]) if ptc is not None and calib_type == "flat" else math.nan
        saturated[i] = _saturated_fraction(pixels[i], amp, turnoff)
    return RawCheck(tuple(faults), saturated)


def _fault(pixels: AnyArray, amp: Amplifier, calib_type: str) -> str:
    low, high, n_zero, n_nan = _census(pixels)
    if n_nan >= RAILED_FRACTION * pixels.size:
        return f"{_share(n_nan / pixels.size)} of raw pixels are not numbers"
    if low == high:
        return f"all raw pixels are {low:.0f}"
    if n_zero >= RAILED_FRACTION * pixels.size:
        return f"{_share(n_zero / pixels.size)} of raw pixels stand at 0"
    if high not in RAILS:
        return ""
    railed = np.count_nonzero(pixels == high) / pixels.size
    if railed < RAILED_FRACTION:
        return ""
    if calib_type == "flat" and amp.serial_overscan.area:
        overscan = pixels[amp.serial_overscan.slices]
        if np.count_nonzero(overscan == high) < RAILED_FRACTION * overscan.size:
            return ""
    return f"{_share(railed)} of raw pixels stand at {high:.0f}"


@njit(cache=True, nogil=True)
def _census(pixels: AnyArray) -> tuple[float, float, int, int]:
    """Return the minimum, the maximum, and the numbers of zeros and of values not finite."""
    low = np.inf
    high = -np.inf
    n_zero = 0
    n_nan = 0
    for value in pixels.flat:
        if not np.isfinite(value):
            n_nan += 1
            continue
        if value == 0:
            n_zero += 1
        if value < low:
            low = np.float64(value)
        if value > high:
            high = np.float64(value)
    return low, high, n_zero, n_nan


def _saturated_fraction(pixels: AnyArray, amp: Amplifier, turnoff: float) -> float:
    data = pixels[amp.data.slices]
    threshold = math.inf
    if math.isfinite(turnoff) and turnoff > 0:
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
