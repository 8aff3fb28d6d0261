"""Plain and clipped statistics, as afw's ``Statistics`` defines them.

Everything is accumulated in float64 from the first value to the last, so that the fast kernels and
the plain numpy references beside them give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from calwatch.arrays import AnyArray, DoubleArray
from calwatch.isr.selection import around_ranks

IQR_TO_SIGMA = 0.741301109252802
"""Standard deviation of a Gaussian with interquartile range 1."""


@dataclass(frozen=True, slots=True)
class Clipped:
    """Statistics of the values that survive clipping; NaN where there are too few."""

    mean: float
    """MEANCLIP."""
    stdev: float
    """STDEVCLIP, N−1 normalisation, not corrected for the truncation."""
    n_kept: int
    n_total: int
    median: float
    """Of all values, before clipping."""


def quartiles(values: AnyArray) -> tuple[float, float, float]:
    """Return the 25, 50 and 75 % points by linear interpolation at rank f·(n−1).

    Parameters
    ----------
    values
        1-D, finite. The same as ``np.percentile`` of the values in float64, but the selection is
        made in the type of the input.
    """
    n = values.size
    if n == 0:
        return (np.nan, np.nan, np.nan)
    fractions = (0.25, 0.5, 0.75)
    q25, median, q75 = (
        at_fraction(f, n, float(pair[0]), float(pair[1]))
        for f, pair in zip(fractions, around_ranks(values, fractions), strict=True)
    )
    return q25, median, q75


def at_fraction(fraction: float, n: int, a: float, b: float) -> float:
    """Interpolate between the values on either side of rank f·(n−1), from the nearer as numpy."""
    t = fraction * (n - 1) % 1.0
    return a + (b - a) * t if t < 0.5 else b - (b - a) * (1 - t)


def clipped_statistics(values: AnyArray, n_sigma: float, passes: int) -> Clipped:
    """Return mean and standard deviation after clipping (afw ``Statistics.cc``).

    Parameters
    ----------
    values
        1-D, finite, any float type: the good pixels.
    n_sigma
        Half width of the kept range. In the first pass about the median, in units of
        0.7413·(Q75 − Q25); later about the last clipped mean, in units of the last clipped
        standard deviation. A value on the edge is kept.
    passes
        Number of passes, each over all values; there is no stop on convergence.

    Raises
    ------
    ValueError
        If there is not at least one pass.
    """
    q25, median, q75 = _start(values, passes)
    limit = n_sigma * IQR_TO_SIGMA * (q75 - q25)
    mean, stdev, kept = _clip(_as_float(values), median, limit, float(n_sigma), passes)
    return Clipped(mean, stdev, int(kept), values.size, median)


def clipped_statistics_reference(values: AnyArray, n_sigma: float, passes: int) -> Clipped:
    """Do what `clipped_statistics` does, in plain numpy: the definition the kernel is held to."""
    q25, median, q75 = _start(values, passes)
    x = values.astype(np.float64)
    centre, limit = median, n_sigma * IQR_TO_SIGMA * (q75 - q25)
    stdev, n_kept = np.nan, 0
    for _ in range(passes):
        offset = x - centre
        offset = offset[np.abs(offset) <= limit]
        n_kept = offset.size
        total, squares = _running_sum(offset), _running_sum(offset * offset)
        centre = centre + total / n_kept if n_kept > 0 else np.nan
        spread = max(squares - total * total / n_kept, 0.0) if n_kept > 1 else np.nan
        stdev = float(np.sqrt(spread / (n_kept - 1))) if n_kept > 1 else np.nan
        limit = n_sigma * stdev
    return Clipped(centre, stdev, n_kept, x.size, median)


def plain_statistics(values: AnyArray) -> tuple[float, float, int]:
    """Return the mean, the standard deviation (N−1) and the number of values, without clipping.

    `values` is 1-D and finite. The mean of nothing, and the deviation of fewer than two values,
    are NaN.
    """
    mean, stdev = _plain(_as_float(values))
    return mean, stdev, values.size


def plain_mean(values: AnyArray) -> float:
    """Return the mean alone, to the bit that of `plain_statistics`, in half its time."""
    return _mean(_as_float(values)) if values.size else np.nan


def plain_statistics_reference(values: AnyArray) -> tuple[float, float, int]:
    """Do what `plain_statistics` does, in plain numpy."""
    x = values.astype(np.float64)
    if x.size == 0:
        return np.nan, np.nan, 0
    mean = _running_sum(x) / x.size
    if x.size == 1:
        return mean, np.nan, 1
    offset = x - mean
    return mean, float(np.sqrt(_running_sum(offset * offset) / (x.size - 1))), x.size


def _start(values: AnyArray, passes: int) -> tuple[float, float, float]:
    if passes < 1:
        raise ValueError(f"clipping needs at least one pass, got {passes}")
    return quartiles(values)


def _as_float(values: AnyArray) -> AnyArray:
    """Leave float32 and float64 as they are; make anything else float64."""
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _running_sum(x: DoubleArray) -> float:
    """Sum from first to last, as the kernels do (``np.sum`` adds in pairs)."""
    return float(np.cumsum(x)[-1]) if x.size else 0.0


@njit(cache=True, nogil=True)
def _clip(
    values: AnyArray, centre: float, limit: float, n_sigma: float, passes: int
) -> tuple[float, float, int]:
    """Run all passes; sums are taken about the centre, so that nothing cancels."""
    stdev = np.nan
    kept = 0
    for _ in range(passes):
        total = 0.0
        squares = 0.0
        kept = 0
        for value in values:
            offset = np.float64(value) - centre
            if abs(offset) <= limit:
                total += offset
                squares += offset * offset
                kept += 1
        centre = centre + total / kept if kept > 0 else np.nan
        stdev = np.nan
        if kept > 1:
            stdev = np.sqrt(max(squares - total * total / kept, 0.0) / (kept - 1))
        limit = n_sigma * stdev
    return centre, stdev, kept


@njit(cache=True, nogil=True)
def _mean(values: AnyArray) -> float:
    total = 0.0
    for value in values:
        total += np.float64(value)
    return total / values.size


@njit(cache=True, nogil=True)
def _plain(values: AnyArray) -> tuple[float, float]:
    n = values.size
    if n == 0:
        return np.nan, np.nan
    mean = _mean(values)
    if n == 1:
        return mean, np.nan
    squares = 0.0
    for value in values:
        offset = np.float64(value) - mean
        squares += offset * offset
    return mean, np.sqrt(squares / (n - 1))
