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

_ROUNDS = 60


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
    2019, eq. 16), so ``g = gain·(exp(z) − 1)/z``, solved by repeating it.

    Parameters
    ----------
    gain
        e-/ADU: mean over variance, the read noise taken out.
    mean
        ADU.
    a00
        1/e-.
    """
    if not (math.isfinite(gain) and math.isfinite(mean) and math.isfinite(a00)):
        return math.nan, math.nan
    found = gain
    for _ in range(_ROUNDS):
        before, found = found, gain * _growth(2.0 * a00 * mean * found)
        if abs(found - before) <= 1e-14 * abs(found):
            break
    else:
        return math.nan, math.nan
    z = 2.0 * a00 * mean * found
    # d ln g = d ln gain / (1 − d ln growth / d ln z)
    slope = z * math.exp(z) / math.expm1(z) - 1.0 if abs(z) > 1e-9 else 0.5 * z
    return found, 1.0 / (1.0 - slope)


def _growth(z: float) -> float:
    if z > 50.0:
        return math.inf
    return math.expm1(z) / z if abs(z) > 1e-9 else 1.0 + 0.5 * z
