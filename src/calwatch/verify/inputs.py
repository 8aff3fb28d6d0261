"""Checks made before a number is believed: the raw pixels and the certified references.

The rule for raw pixels: an amplifier of which half the pixels or more are zero, or stand at a rail
of the converter, or are no numbers, or which is constant throughout, was not read out and is
UNKNOWN. Flats are the exception at the upper rail: too much light also drives the imaging pixels
there, and that is what the test SATURATION judges. So in a flat the upper rail makes an amplifier
UNKNOWN only where it holds half of the serial overscan too, which light does not reach.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calwatch.arrays import AnyArray, DoubleArray
from calwatch.calibrations.model import PhotonTransferCurve
from calwatch.camera.model import Amplifier, Detector
from calwatch.camera.raw_tiles import RawTiles, decoded
from calwatch.isr.census import Census, take_census

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
    raw: RawTiles | AnyArray,
    detector: Detector,
    calib_type: str,
    ptc: PhotonTransferCurve | None = None,
    census: Sequence[Census] | None = None,
) -> RawCheck:
    """Judge the raw pixels of one detector.

    Most amplifiers are judged by their census alone. Tiles are decoded only of those that are not.

    Parameters
    ----------
    raw
        Shape (n_amp, rows, columns), ADU, readout order, integer or float; or the tiles of it.
    detector
        Gives the sections of each amplifier.
    calib_type
        ``flat`` measures saturation against the turnoff and applies the exception above.
    ptc
        Gives the turnoff; None or NaN leaves only the rails.
    census
        Of each amplifier, if it was taken before, as `run_isr` does.
    """
    if census is None:
        raw = decoded(raw)
        census = [take_census(pixels) for pixels in raw]
    faults = []
    saturated = np.zeros(len(detector.amplifiers))
    for i, amp in enumerate(detector.amplifiers):
        pixels = _Pixels(raw, i)
        faults.append(_fault(pixels, amp, calib_type, census[i]))
        turnoff = float(ptc.turnoff[i]) if ptc is not None and calib_type == "flat" else math.nan
        saturated[i] = _saturated_fraction(pixels, amp, turnoff, census[i])
    return RawCheck(tuple(faults), saturated)


class _Pixels:
    """The raw pixels of one amplifier, which are decoded when they are first asked for."""

    def __init__(self, raw: RawTiles | AnyArray, amp: int) -> None:
        self._raw, self._amp = raw, amp

    @cached_property
    def values(self) -> AnyArray:
        """Shape (rows, columns), ADU."""
        if isinstance(self._raw, RawTiles):
            return self._raw.decode_amplifier(self._amp)
        amplifier: AnyArray = self._raw[self._amp]
        return amplifier


def _fault(pixels: _Pixels, amp: Amplifier, calib_type: str, census: Census) -> str:
    size = amp.raw_shape[0] * amp.raw_shape[1]
    if census.n_nan >= RAILED_FRACTION * size:
        return f"{_share(census.n_nan / size)} of raw pixels are not numbers"
    if census.low == census.high:
        return f"all raw pixels are {census.low:.0f}"
    if census.n_zero >= RAILED_FRACTION * size:
        return f"{_share(census.n_zero / size)} of raw pixels stand at 0"
    if census.high not in RAILS:
        return ""
    railed = np.count_nonzero(pixels.values == census.high) / size
    if railed < RAILED_FRACTION:
        return ""
    if calib_type == "flat" and amp.serial_overscan.area:
        overscan = pixels.values[amp.serial_overscan.slices]
        if np.count_nonzero(overscan == census.high) < RAILED_FRACTION * overscan.size:
            return ""
    return f"{_share(railed)} of raw pixels stand at {census.high:.0f}"


def _saturated_fraction(pixels: _Pixels, amp: Amplifier, turnoff: float, census: Census) -> float:
    turns = math.isfinite(turnoff) and turnoff > 0
    # The level of the overscan is no lower than the lowest pixel: most amplifiers end here.
    lowest_level = census.low if amp.serial_overscan.area else 0.0
    least = turnoff + lowest_level if turns else math.inf
    if census.n_nan == 0 and census.high < min(least, *RAILS):
        return 0.0
    data = pixels.values[amp.data.slices]
    threshold = math.inf
    if turns:
        overscan = pixels.values[amp.serial_overscan.slices]
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
