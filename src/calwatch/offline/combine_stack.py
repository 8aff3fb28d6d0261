"""Combining a stack of frames pixel by pixel: the clipped mean of afw's ``statisticsStack``."""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray, IntArray

SIGMA = 3.0
PASSES = 3
"""Clipping of cp_pipe ``cpCombine.py``."""

_IQR_TO_SIGMA = 0.741301109252802


def clipped_mean(stack: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the clipped mean of every pixel, its variance, and how many values were kept.

    First values within 3 σ of the median are kept, σ from the quartiles; then twice more all
    values within 3 σ of the last mean, σ of the last kept set.

    Parameters
    ----------
    stack
        Shape (frames, rows, columns); NaN where a pixel is not to be used.

    Returns
    -------
    mean, variance, kept
        Shape (rows, columns). The variance is that of the mean, from the scatter of the kept
        values; NaN where fewer than two are kept, as the mean is where none is.
    """
    rows, columns = stack.shape[1:]
    mean = np.empty((rows, columns), np.float32)
    variance = np.empty((rows, columns), np.float32)
    kept = np.empty((rows, columns), np.int32)
    _clip_pixels(stack, mean, variance, kept, SIGMA, PASSES)
    return mean, variance, kept


def clipped_mean_reference(
    stack: FloatArray,
) -> tuple[DoubleArray, DoubleArray, IntArray]:
    """Do what `clipped_mean` does, in plain numpy and float64: the definition it is held to."""
    values = np.where(np.isfinite(stack), stack, np.nan).astype(np.float64)
    good = np.isfinite(values)
    filled = np.where(good.any(axis=0), values, 0.0)
    low, centre, high = np.nanpercentile(filled, [25, 50, 75], axis=0)
    limit = SIGMA * _IQR_TO_SIGMA * (high - low)
    for _ in range(PASSES):
        keep = good & (np.abs(values - centre) <= limit)
        kept = keep.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = np.where(keep, values, 0.0).sum(axis=0) / kept
            scatter = (np.where(keep, values - centre, 0.0) ** 2).sum(axis=0)
            spread = np.where(kept > 1, scatter / (kept - 1), np.nan)
            limit = SIGMA * np.sqrt(np.where(kept > 1, spread, np.inf))
    with np.errstate(invalid="ignore", divide="ignore"):
        return centre, spread / kept, kept.astype(np.int32)


@njit(cache=True, nogil=True)
def _clip_pixels(
    stack: FloatArray,
    mean: FloatArray,
    variance: FloatArray,
    kept: IntArray,
    n_sigma: float,
    passes: int,
) -> None:
    n_frames, rows, columns = stack.shape
    values = np.empty(n_frames, np.float64)
    for y in range(rows):
        for x in range(columns):
            n = _sorted_column(stack, y, x, values)
            centre, spread, count = np.nan, np.nan, 0
            if n > 0:
                centre = _quantile(values, n, 0.5)
                width = _quantile(values, n, 0.75) - _quantile(values, n, 0.25)
                limit = n_sigma * _IQR_TO_SIGMA * width
                for _ in range(passes):
                    centre, spread, count = _kept(values, n, centre, limit)
                    limit = n_sigma * np.sqrt(spread) if count > 1 else np.inf
            mean[y, x] = centre
            variance[y, x] = spread / count if count > 1 else np.nan
            kept[y, x] = count


@njit(cache=True, nogil=True)
def _sorted_column(stack: FloatArray, y: int, x: int, values: DoubleArray) -> int:
    """Put the finite values of one pixel in order; return how many there are."""
    n = 0
    for frame in range(stack.shape[0]):
        value = np.float64(stack[frame, y, x])
        if np.isfinite(value):
            place = n
            while place > 0 and values[place - 1] > value:
                values[place] = values[place - 1]
                place -= 1
            values[place] = value
            n += 1
    return n


@njit(cache=True, nogil=True)
def _quantile(values: DoubleArray, n: int, fraction: float) -> float:
    rank = fraction * (n - 1)
    below = int(rank)
    above = min(below + 1, n - 1)
    return float(values[below] + (values[above] - values[below]) * (rank - below))


@njit(cache=True, nogil=True)
def _kept(values: DoubleArray, n: int, centre: float, limit: float) -> tuple[float, float, int]:
    """Return mean, N−1 variance and number of the values within the limit of the centre."""
    total, count = 0.0, 0
    for index in range(n):
        if abs(values[index] - centre) <= limit:
            total += values[index]
            count += 1
    if count == 0:
        return np.nan, np.nan, 0
    mean = total / count
    scatter = 0.0
    for index in range(n):
        if abs(values[index] - centre) <= limit:
            scatter += (values[index] - mean) ** 2
    return mean, (scatter / (count - 1) if count > 1 else np.nan), count
