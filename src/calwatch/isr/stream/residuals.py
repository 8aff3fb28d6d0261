"""Mean, median and clipped deviation of what the serial overscan leaves: its read noise.

The definitions are those of `calwatch.isr.serial_overscan.overscan_statistics`. Quartiles are found
by counting values in bins and sorting those of the few bins that hold them, so that they are exact.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray, IndexArray, IntArray
from calwatch.isr.clipped import IQR_TO_SIGMA
from calwatch.isr.ranks import bin_of_rank
from calwatch.isr.serial_overscan import N_SIGMA, PASSES, overscan_statistics

_BINS = 4096
_REACH = 8.0
"""The bins cover so many times the usual width of a row on either side of 0."""


def residual_statistics(
    pixels: FloatArray, levels: DoubleArray, usual_sigma: float
) -> tuple[float, float, float]:
    """Return mean, median, and standard deviation clipped at 3σ three times.

    Parameters
    ----------
    pixels
        Shape (rows, columns): the serial overscan that was fitted, ADU.
    levels
        Shape (rows,), ADU: subtracted from each row.
    usual_sigma
        ADU: median width of the rows.
    """
    residual = (pixels - levels.astype(np.float32)[:, None]).ravel()
    if usual_sigma > 0:
        q25, median, q75 = _quartiles(residual, _BINS / (2 * _REACH * usual_sigma))
        if np.isfinite(q25 + median + q75):
            mean = _sums(residual, 0.0, np.inf)[0] / residual.size
            return mean, median, _clipped_deviation(residual, q25, median, q75)
    return overscan_statistics(residual)


@njit(cache=True, nogil=True)
def _quartiles(values: FloatArray, bins_per_unit: float) -> tuple[float, float, float]:
    """Return the quartiles, linear at rank f·(n−1); NaN for one outside the bins."""
    keys = np.empty(values.size, np.int32)
    _fill_keys(values, bins_per_unit, keys)
    counts = np.zeros(_BINS, np.int64)
    for key in keys:
        counts[key] += 1
    wanted = np.zeros(_BINS, np.int32)
    last = values.size - 1
    for quarter in range(1, 4):
        low = quarter * last // 4
        wanted[bin_of_rank(counts, low)] = 1
        wanted[bin_of_rank(counts, min(low + 1, last))] = 1
    if wanted[0] or wanted[_BINS - 1]:
        return np.nan, np.nan, np.nan
    chosen = _chosen(values, keys, wanted)
    return (
        _at_rank(chosen, counts, wanted, 0.25 * last, last),
        _at_rank(chosen, counts, wanted, 0.5 * last, last),
        _at_rank(chosen, counts, wanted, 0.75 * last, last),
    )


@njit(cache=True, nogil=True)
def _fill_keys(values: FloatArray, bins_per_unit: float, keys: IntArray) -> None:
    """Fill in the bin of each value; the first and last bin take all that lies beyond."""
    scale, middle, top = np.float32(bins_per_unit), np.float32(_BINS // 2), np.float32(_BINS - 1)
    for i in range(values.size):
        place = values[i] * scale + middle
        place = place if place > 0 else np.float32(0.0)
        keys[i] = np.int32(place if place < top else top)


@njit(cache=True, nogil=True)
def _chosen(values: FloatArray, keys: IntArray, wanted: IntArray) -> FloatArray:
    """Return the values of the wanted bins, sorted.

    Every value is written and the place moves on only if it counts: there is no branch to guess.
    """
    chosen = np.empty(values.size + 1, np.float32)
    n = 0
    for i in range(values.size):
        chosen[n] = values[i]
        n += wanted[keys[i]]
    return np.sort(chosen[:n])


@njit(cache=True, nogil=True)
def _at_rank(
    chosen: FloatArray, counts: IndexArray, wanted: IntArray, rank: float, last: int
) -> float:
    """Interpolate linearly between the two values around a rank of all values."""
    low = int(rank)
    a = np.float64(chosen[_place(counts, wanted, low)])
    b = np.float64(chosen[_place(counts, wanted, min(low + 1, last))])
    t = rank - low
    return a + (b - a) * t if t < 0.5 else b - (b - a) * (1 - t)


@njit(cache=True, nogil=True)
def _place(counts: IndexArray, wanted: IntArray, rank: int) -> int:
    """Return where the value of a rank of all values stands among the chosen."""
    place = rank
    for key in range(bin_of_rank(counts, rank)):
        if not wanted[key]:
            place -= counts[key]
    return place


@njit(cache=True, nogil=True)
def _clipped_deviation(values: FloatArray, q25: float, median: float, q75: float) -> float:
    """Clip as `calwatch.isr.clipped.clipped_statistics` does."""
    centre, limit = median, N_SIGMA * IQR_TO_SIGMA * (q75 - q25)
    stdev = np.nan
    for _ in range(PASSES):
        total, squares, kept = _sums(values, centre, limit)
        centre = centre + total / kept if kept > 0 else np.nan
        stdev = np.nan
        if kept > 1:
            stdev = np.sqrt(max(squares - total * total / kept, 0.0) / (kept - 1))
        limit = N_SIGMA * stdev
    return stdev


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _sums(values: FloatArray, centre: float, limit: float) -> tuple[float, float, float]:
    """Return sum, sum of squares and number of the offsets from a centre up to a limit."""
    total, squares, kept = 0.0, 0.0, 0.0
    for i in range(values.size):
        offset = np.float64(values[i]) - centre
        inside = 1.0 if abs(offset) <= limit else 0.0
        total += inside * offset
        squares += inside * offset * offset
        kept += inside
    return total, squares, kept
