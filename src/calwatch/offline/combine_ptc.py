"""Fitting a photon-transfer curve: gain, read noise, turnoff and brighter-fatter a00."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.isr.clipped import clipped_statistics
from calwatch.verify.sets.pair import PairPoint

NOISE_SIGMA = 5.0
NOISE_PASSES = 3
"""Clipping of a bias difference: that of the verification (cp_verify ``verifyStats.py``)."""
TURNOFF_DROP = 0.9
"""The curve ends where the variance falls below this fraction of the largest before."""

_A00_SCALE = 1e-6


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


def curve(mean: DoubleArray, gain: float, a00: float, noise: float) -> DoubleArray:
    """Return the EXPAPPROXIMATION variance, ADU² (Astier+19 eq. 16; ip_isr ``ptcDataset.py``).

    ``(exp(2·a00·μ·g) − 1)/(2·g²·a00) + n²/g²`` with μ in ADU, g in e-/ADU and n in e-.
    """
    z = 2.0 * a00 * gain * np.asarray(mean, np.float64)
    safe = np.where(np.abs(z) < 1e-12, 1.0, z)
    growth = np.where(np.abs(z) < 1e-12, 1.0, np.expm1(safe) / safe)
    return np.asarray(mean / gain * growth + (noise / gain) ** 2)


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
    used = _usable(mean, variance)
    offset = noise_adu**2 if np.isfinite(noise_adu) else 0.0
    used &= variance > offset
    if not used.any():
        return PtcFit(np.nan, np.nan, np.nan, np.nan, np.nan, used)
    mean_u, variance_u = mean[used], variance[used]
    error = variance_u * np.sqrt(2.0 / count[used])
    start = float(np.median(mean_u / (variance_u - offset)))
    curved = mean_u.size >= 3 and mean_u.max() >= 2.0 * mean_u.min()

    def residual(parameters: DoubleArray) -> DoubleArray:
        gain = parameters[0] * start
        a00 = parameters[1] * _A00_SCALE if curved else 0.0
        return np.asarray((curve(mean_u, gain, a00, 0.0) + offset - variance_u) / error)

    fit = least_squares(residual, [1.0, -1.0] if curved else [1.0], x_scale=1.0)
    gain = float(fit.x[0]) * start
    if not (fit.success and gain > 0):
        return PtcFit(np.nan, np.nan, np.nan, np.nan, np.nan, used)
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac)
    return PtcFit(
        gain=gain,
        gain_error=float(np.sqrt(covariance[0, 0]) * start),
        a00=float(fit.x[1]) * _A00_SCALE if curved else np.nan,
        noise=noise_adu * gain,
        turnoff=float(mean_u.max()),
        used=used,
    )


def _usable(mean: DoubleArray, variance: DoubleArray) -> BoolArray:
    """Flag the points below the turnoff: those before the variance falls for good."""
    used = np.isfinite(mean) & np.isfinite(variance) & (mean > 0) & (variance > 0)
    highest = 0.0
    turned = False
    for index in np.argsort(mean):
        if used[index]:
            turned |= bool(variance[index] < TURNOFF_DROP * highest)
            highest = max(highest, float(variance[index]))
            used[index] &= not turned
    return used
