"""Fitting a photon-transfer curve: gain, read noise, turnoff and brighter-fatter a00."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, FloatArray
from calwatch.isr.clipped import clipped_statistics
from calwatch.verify.sets.pair import PairPoint
from calwatch.verify.sets.ptc_fit import before_turnoff, fit_curve

NOISE_SIGMA = 5.0
NOISE_PASSES = 3
"""Clipping of a bias difference: that of the verification (cp_verify ``verifyStats.py``)."""


@dataclass(frozen=True, slots=True, eq=False)
class PtcFit:
    """The fitted curve of one amplifier; NaN throughout if it could not be fitted."""

    gain: float
    """e-/ADU."""
    gain_error: float
    a00: float
    """1/e-; NaN if the levels are too few or too close to tell it from the gain."""
    noise: float
    """e-."""
    turnoff: float
    """ADU: the highest level that belongs to the curve."""
    used: BoolArray
    """Which points were fitted, in the order given."""


def difference_noise(first: FloatArray, second: FloatArray) -> float:
    """Return the noise of one frame, ADU, from the clipped difference of two biases."""
    if first.size < 2:
        return np.nan
    stdev = clipped_statistics(first - second, NOISE_SIGMA, NOISE_PASSES).stdev
    return float(stdev / np.sqrt(2.0))


def fit_ptc(points: list[PairPoint], noise_adu: float) -> PtcFit:
    """Fit gain and a00 to the points of one amplifier, the read noise being known from biases.

    Parameters
    ----------
    points
        In any order.
    noise_adu
        Read noise, ADU; NaN if there were no biases, then the noise stays NaN and the offset of
        the curve is taken as zero.
    """
    mean = np.array([point.mean for point in points], np.float64)
    variance = np.array([point.variance for point in points], np.float64)
    count = np.array([point.n_pixels for point in points], np.float64)
    used = before_turnoff(mean, variance)
    offset = noise_adu**2 if np.isfinite(noise_adu) else 0.0
    used &= variance > offset
    if not used.any():
        return PtcFit(np.nan, np.nan, np.nan, np.nan, np.nan, used)
    mean_u, variance_u = mean[used], variance[used]
    error = variance_u * np.sqrt(2.0 / count[used])
    curved = mean_u.size >= 3 and mean_u.max() >= 2.0 * mean_u.min()
    fit = fit_curve(mean_u, variance_u, error, constant=offset, curved=bool(curved))
    if not fit.found:
        return PtcFit(np.nan, np.nan, np.nan, np.nan, np.nan, used)
    return PtcFit(
        gain=fit.gain,
        gain_error=fit.error(0),
        a00=fit.a00,
        noise=noise_adu * fit.gain,
        turnoff=float(mean_u.max()),
        used=used,
    )
