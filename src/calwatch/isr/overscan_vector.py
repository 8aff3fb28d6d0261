"""One overscan level per row or per column: outliers, medians, gaps (ip_isr ``overscan.py``)."""

from __future__ import annotations

import numpy as np

from calwatch.arrays import AnyArray, BoolArray, DoubleArray, FloatArray

SKIPPED = 3
"""Columns (or rows) left out of a fit at either end of an overscan."""

IQR_TO_SIGMA = 0.74
OUTLIER_SIGMA = 3.0
WIDE_SIGMA = 2.0
"""A vector this many times wider than the median one is judged by the median width."""
_NEIGHBOURS = 5
"""Levels on either side that fill a gap."""


def vector_levels(values: FloatArray, masked: BoolArray) -> DoubleArray:
    """Return the median of each vector without its outliers.

    Parameters
    ----------
    values
        Shape (n_vectors, n_pixels). Pixels that are not finite are left out altogether.
    masked
        Same shape: pixels that do not count for the medians, though they do count for the
        quartiles that define the outliers.

    Returns
    -------
    DoubleArray
        One level per vector; NaN where no pixel is left.
    """
    q25, q50, q75 = _sorted_quantiles(values, (0.25, 0.5, 0.75))
    sigma = IQR_TO_SIGMA * (q75 - q25)
    if np.isfinite(sigma).any():
        usual = np.nanmedian(sigma)
        sigma = np.where(sigma > WIDE_SIGMA * usual, usual, sigma)
    with np.errstate(invalid="ignore"):
        far = np.abs(values - q50[:, None]) > OUTLIER_SIGMA * sigma[:, None]
    (level,) = _sorted_quantiles(np.where(masked | far, np.float32(np.nan), values), (0.5,))
    return level


def fill_gaps(levels: DoubleArray) -> DoubleArray:
    """Fill each run of NaN levels from its neighbours.

    A run takes the median of up to five levels before it (if it starts after the fifth) and five
    after it (if it ends before the fifth from the end); without any, the median of all levels.
    Vectors without a single finite level are returned as they are.
    """
    missing = ~np.isfinite(levels)
    if not missing.any() or missing.all():
        return levels
    filled = levels.copy()
    usual = float(np.median(levels[~missing]))
    n = levels.size
    for start, stop in runs(missing):
        before = levels[start - _NEIGHBOURS : start] if start > _NEIGHBOURS else levels[:0]
        after = levels[stop : stop + _NEIGHBOURS] if stop < n - _NEIGHBOURS else levels[:0]
        near = np.concatenate([before, after])
        near = near[np.isfinite(near)]
        filled[start:stop] = np.median(near) if near.size else usual
    return filled


def runs(flags: BoolArray) -> list[tuple[int, int]]:
    """Return (start, one past the end) of each run of true flags."""
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def _sorted_quantiles(values: AnyArray, fractions: tuple[float, ...]) -> list[DoubleArray]:
    """Quantiles of the finite values of each vector, linear at rank f·(n−1); NaN if there are none.

    One sort of short vectors serves all fractions, which ``np.percentile`` does not do as fast.
    """
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, np.float32(np.nan))
    ordered = np.sort(values, axis=1)
    last = finite.sum(axis=1) - 1
    picked = []
    for fraction in fractions:
        rank = fraction * np.maximum(last, 0)
        low = rank.astype(np.intp)
        high = np.minimum(low + 1, np.maximum(last, 0))
        a = np.take_along_axis(ordered, low[:, None], axis=1)[:, 0].astype(np.float64)
        b = np.take_along_axis(ordered, high[:, None], axis=1)[:, 0].astype(np.float64)
        picked.append(np.where(last >= 0, a + (b - a) * (rank - low), np.nan))
    return picked
