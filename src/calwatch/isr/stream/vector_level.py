"""The median of one sorted vector of overscan pixels without its outliers.

The rule is that of `calwatch.isr.overscan_vector.vector_levels`. Outliers lie at both ends of a
sorted vector, so what is left of it is a range, whose median is known without more ado.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import FloatArray
from calwatch.isr.overscan_vector import IQR_TO_SIGMA, OUTLIER_SIGMA, WIDE_SIGMA


@njit(cache=True, nogil=True)
def quantile(ordered: FloatArray, lane: int, first: int, last: int, fraction: float) -> float:
    """Interpolate linearly at rank ``f·(n−1)`` among the values `first` … `last` of a column."""
    rank = fraction * (last - first)
    low = int(rank)
    high = min(low + 1, last - first)
    a = np.float64(ordered[first + low, lane])
    b = np.float64(ordered[first + high, lane])
    return a + (b - a) * (rank - low)


@njit(cache=True, nogil=True)
def vector_sigma(ordered: FloatArray, lane: int, count: int) -> float:
    """Return 0.74·(Q75 − Q25) of the first `count` values of a sorted column."""
    q25 = quantile(ordered, lane, 0, count - 1, 0.25)
    q75 = quantile(ordered, lane, 0, count - 1, 0.75)
    return IQR_TO_SIGMA * (q75 - q25)


@njit(cache=True, nogil=True)
def vector_level(ordered: FloatArray, lane: int, count: int, sigma: float, usual: float) -> float:
    """Return the median of a sorted column without its outliers; NaN if nothing is left.

    Parameters
    ----------
    ordered
        Shape (n_values, n_lanes), each column sorted.
    lane
        Which column.
    count
        Number of its values, all finite.
    sigma
        Of the column.
    usual
        The median sigma of all columns: a column twice as wide is judged by this width.
    """
    if sigma > WIDE_SIGMA * usual:
        sigma = usual
    centre = quantile(ordered, lane, 0, count - 1, 0.5)
    first, last = 0, count - 1
    while first <= last and centre - np.float64(ordered[first, lane]) > OUTLIER_SIGMA * sigma:
        first += 1
    while last >= first and np.float64(ordered[last, lane]) - centre > OUTLIER_SIGMA * sigma:
        last -= 1
    return quantile(ordered, lane, first, last, 0.5) if last >= first else np.nan
