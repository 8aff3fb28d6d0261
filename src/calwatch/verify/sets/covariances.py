"""Covariances of the pixels of a flat, to a stated lag (Astier et al. 2019, A&A 629, A36, §3).

A pixel that is left out has no weight: it adds nothing to the sum and is not counted. The sums
come from the Fourier transform of the difference of a pair, padded by the largest lag so that
nothing wraps round. How many pairs of pixels there are is counted from those left out.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.fft import irfft2, next_fast_len, rfft2

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IndexArray

MAX_LAG = 8
"""Lags 0 … 7 along either axis."""


def covariances(difference: FloatArray, kept: BoolArray, max_lag: int = MAX_LAG) -> DoubleArray:
    """Return the covariances of one frame from the difference of two.

    Lag (i, j) and lag (i, −j) are averaged where they are not the same, as cp_pipe does.

    Parameters
    ----------
    difference
        Shape (rows, columns), ADU: D of the pair, less its mean, 0 where a pixel is left out.
    kept
        Same shape: which pixels are not left out.
    max_lag
        Number of lags along either axis.

    Returns
    -------
    DoubleArray
        Shape (max_lag, max_lag), ADU²: lag i along a row (serial) first, lag j along a column
        second. Half of that of D. NaN where no two pixels are that far apart.
    """
    sums = _sums(difference, max_lag)
    pairs = pair_counts(kept, max_lag).astype(np.float64)
    return _folded(sums, pairs)


def covariances_reference(
    difference: FloatArray, kept: BoolArray, max_lag: int = MAX_LAG
) -> DoubleArray:
    """Do what `covariances` does by adding the products up: the definition."""
    sums = np.zeros((2 * max_lag - 1, max_lag))
    pairs = np.zeros_like(sums)
    d = np.where(kept, difference, 0.0).astype(np.float64)
    w = kept.astype(np.float64)
    rows, columns = d.shape
    for j in range(1 - max_lag, max_lag):
        for i in range(min(max_lag, columns)):
            if abs(j) >= rows:
                continue
            here = (slice(max(0, -j), rows - max(0, j)), slice(0, columns - i))
            there = (slice(max(0, j), rows - max(0, -j)), slice(i, columns))
            sums[j + max_lag - 1, i] = np.sum(d[here] * d[there])
            pairs[j + max_lag - 1, i] = np.sum(w[here] * w[there])
    return _folded(sums, pairs)


def pair_counts(kept: BoolArray, max_lag: int) -> IndexArray:
    """Return how many pairs of kept pixels there are at every lag.

    Returns
    -------
    IndexArray
        Shape (2·max_lag − 1, max_lag): lag along a column from −(max_lag − 1) on, along a row
        from 0 on.
    """
    rows, columns = kept.shape
    j = np.abs(np.arange(1 - max_lag, max_lag))
    i = np.arange(max_lag)
    whole = np.maximum(rows - j, 0)[:, None] * np.maximum(columns - i, 0)[None, :]
    y, x = np.nonzero(~kept)
    return np.asarray(whole - _lost_pairs(kept, y, x, max_lag), dtype=np.int64)


def _sums(difference: FloatArray, max_lag: int) -> DoubleArray:
    """Return the sums of products; shape as that of `pair_counts`."""
    shape = tuple(next_fast_len(n + max_lag - 1, real=True) for n in difference.shape)
    spectrum = rfft2(difference, s=shape, workers=1)
    power = spectrum.real * spectrum.real + spectrum.imag * spectrum.imag
    correlation = irfft2(power, s=shape, workers=1)
    # A negative lag is found from the end.
    return np.asarray(correlation[np.arange(1 - max_lag, max_lag), :max_lag], dtype=np.float64)


def _folded(sums: DoubleArray, pairs: DoubleArray) -> DoubleArray:
    """Average over pairs and over both signs of the lag along a column; lag along a row first."""
    last = sums.shape[1] - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(pairs > 0, sums / pairs, np.nan)
    ahead, behind = means[last:], means[last::-1]
    return np.asarray(0.25 * (ahead + behind).T)


@njit(cache=True, nogil=True)
def _lost_pairs(kept: BoolArray, y: IndexArray, x: IndexArray, max_lag: int) -> IndexArray:
    """Count the pairs of which one pixel or both are left out; they are at rows y, columns x."""
    rows, columns = kept.shape
    lost = np.zeros((2 * max_lag - 1, max_lag), np.int64)
    for k in range(y.size):
        for j in range(1 - max_lag, max_lag):
            for i in range(max_lag):
                ahead_y, ahead_x = y[k] + j, x[k] + i
                if 0 <= ahead_y < rows and ahead_x < columns:
                    lost[j + max_lag - 1, i] += 1
                behind_y, behind_x = y[k] - j, x[k] - i
                if (
                    0 <= behind_y < rows
                    and behind_x >= 0
                    and (i != 0 or j != 0)
                    and kept[behind_y, behind_x]
                ):
                    lost[j + max_lag - 1, i] += 1
    return lost
