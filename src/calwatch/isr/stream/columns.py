"""The level of each column from the parallel overscan, which is read before anything else."""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray
from calwatch.isr.overscan_vector import SKIPPED
from calwatch.isr.parallel_overscan import (
    COLUMN_EXCESS,
    MAX_DEVIATION,
    SATURATION,
    ParallelLevels,
    fit_pixels,
    may_hold_light,
    outstanding,
    parallel_levels,
)
from calwatch.isr.serial_overscan import overscan_statistics
from calwatch.isr.sorting_network import sort_lanes, sorting_network
from calwatch.isr.stream.plan import CannotStreamError
from calwatch.isr.stream.vector_level import quantile, vector_level, vector_sigma


def fit_parallel_overscan(
    overscan: FloatArray, gain: float, *, absolute_deviation: bool, column_smoothing: bool
) -> ParallelLevels:
    """Do what `calwatch.isr.parallel_overscan.parallel_levels` does; parameters are the same.

    An overscan in which some pixel is to be rejected, other than as an outlier of its column, is
    left to that function.

    Raises
    ------
    CannotStreamError
        If light may have spilled into the overscan: the image would be needed to tell.
    """
    ordered = overscan[SKIPPED:-SKIPPED].copy()
    sort_lanes(ordered, sorting_network(len(ordered)))
    middle, sigma = _centres(ordered)
    if may_hold_light(float(middle.max())):
        fit, masked = fit_pixels(overscan, gain)
        if not masked.all() and may_hold_light(float(np.median(fit[~masked]))):
            raise CannotStreamError("light may have spilled into the parallel overscan")
    if _all_count(overscan, ordered, middle, gain) and not (
        column_smoothing and outstanding(middle, COLUMN_EXCESS * gain).any()
    ):
        levels = _levels(ordered, sigma, float(np.median(sigma)))
        if np.isfinite(levels).all():
            return ParallelLevels(levels, *overscan_statistics(levels), applied=True)
    return parallel_levels(
        overscan,
        overscan[:0],
        gain,
        absolute_deviation=absolute_deviation,
        column_smoothing=column_smoothing,
    )


def _all_count(overscan: FloatArray, ordered: FloatArray, middle: DoubleArray, gain: float) -> bool:
    """Tell whether no pixel is saturated or far from the median, which lies among the columns'."""
    limit = MAX_DEVIATION * gain
    return bool(
        overscan.max() <= SATURATION * gain
        and ordered[-1].max() - middle.min() <= limit
        and middle.max() - ordered[0].min() <= limit
    )


@njit(cache=True, nogil=True)
def _centres(ordered: FloatArray) -> tuple[DoubleArray, DoubleArray]:
    """Return median and sigma of each sorted column."""
    count, columns = ordered.shape
    middle, sigma = np.empty(columns), np.empty(columns)
    for x in range(columns):
        middle[x] = quantile(ordered, x, 0, count - 1, 0.5)
        sigma[x] = vector_sigma(ordered, x, count)
    return middle, sigma


@njit(cache=True, nogil=True)
def _levels(ordered: FloatArray, sigma: DoubleArray, usual: float) -> DoubleArray:
    """Return the median of each sorted column without its outliers."""
    count, columns = ordered.shape
    levels = np.empty(columns)
    for x in range(columns):
        levels[x] = vector_level(ordered, x, count, sigma[x], usual)
    return levels
