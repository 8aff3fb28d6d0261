"""The gain of a pair brought to zero signal, where charge does not push charge away.

The brighter-fatter effect lowers the variance of a flat by a part that grows with the signal, so
that the gain of a pair comes out too high by it. The certified gain is that at zero signal.
"""

from __future__ import annotations

import math

VENDOR_SLOPES = {"ITL": 0.00027, "E2V": 0.00046}
"""%/ADU: by what a gain is lowered, by vendor (cp_verify ``verifyGain.py``)."""
VENDOR_A00 = {"ITL": -1.71e-6, "E2V": -3.09e-6}
"""1/e-: medians of LSSTCam (SITCOMTN-148), for amplifiers of which nothing is certified."""
MAX_A00 = 2e-5
"""1/e-: certified ones beyond this are absurd."""

_ROUNDS = 50
_CLOSE = 1e-13
_MAX_Z = 100.0


def vendor_corrected(gain: float, mean: float, vendor: str) -> float:
    """Return a gain less the slope of its vendor, as cp_verify does it; NaN for other vendors.

    Parameters
    ----------
    gain
        e-/ADU.
    mean
        ADU.
    vendor
        In any case of letters: cp_verify asks for ``e2V``, LSSTCam says ``E2V``.
    """
    slope = VENDOR_SLOPES.get(vendor.upper(), math.nan)
    return gain * (1.0 - slope * mean / 100.0)


def a00_of(certified: float, vendor: str) -> float:
    """Return the a00 to use, 1/e-: the certified one, else the vendor's; NaN if there is none."""
    if math.isfinite(certified) and abs(certified) <= MAX_A00:
        return certified
    return VENDOR_A00.get(vendor.upper(), math.nan)


def at_zero_signal(gain: float, mean: float, a00: float) -> tuple[float, float]:
    """Return the gain at zero signal, and how much of a relative error of the given one it keeps.

    The variance of a flat is ``(exp(z) − 1)/(2·a00·g²)`` with ``z = 2·a00·μ·g`` (Astier et al.
    2019, eq. 16), so ``g = gain·(exp(z) − 1)/z``, solved for g by Newton's steps.

    Parameters
    ----------
    gain
        e-/ADU: mean over variance, the read noise taken out.
    mean
        ADU.
    a00
        1/e-.
    """
    if not (math.isfinite(mean) and math.isfinite(a00) and 0 < gain < math.inf):
        return math.nan, math.nan
    found = gain
    for _ in range(_ROUNDS):
        z = 2.0 * a00 * mean * found
        if not z < _MAX_Z:
            break
        growth, slope = _growth(z)
        # Newton's step in ln g; where the slope reaches 1 the curve turns back: no solution.
        if slope >= 1.0:
            break
        step = (math.log(gain / found) + math.log(growth)) / (1.0 - slope)
        found *= math.exp(min(max(step, -1.0), 1.0))
        if abs(step) < _CLOSE:
            return found, 1.0 / (1.0 - slope)
    return math.nan, math.nan


def _growth(z: float) -> tuple[float, float]:
    """Return ``(exp(z) − 1)/z`` and the derivative of its log by ln z."""
    if abs(z) < 1e-6:
        return 1.0 + 0.5 * z, 0.5 * z
    growth = math.expm1(z) / z
    return growth, math.exp(z) / growth - 1.0
