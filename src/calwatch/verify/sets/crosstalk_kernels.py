"""Runs of bright pixels in the rows of one amplifier, and what the others show beside them."""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray, IntArray, MaskArray

GUARD = 3
"""Pixels between a run and its windows: charge that lags or spreads."""
WINDOW = 12
"""Pixels of the window on either side that the background is taken from."""
LONGEST = 200
"""Longer runs have no local background."""
ALLOWANCE = 5e-3
"""Coefficients up to this one are never taken for an outlier."""
OUTLIER = 6.0


def count_bright(stack: FloatArray, thresholds: DoubleArray) -> MaskArray:
    """Return how many amplifiers are bright at each pixel, shape (rows, columns)."""
    count = np.zeros(stack.shape[1:], np.uint16)
    for pixels, threshold in zip(stack, thresholds, strict=True):
        count += pixels > threshold
    return count


def find_runs(bright: FloatArray, threshold: float, count: MaskArray) -> IntArray:
    """Return the usable runs of bright pixels of one amplifier: row, first column, end.

    A run can be used if no other amplifier is bright there, and if no amplifier at all is in the
    windows on both sides of it: symmetric windows take out any slope of the background.

    Parameters
    ----------
    bright
        Shape (rows, columns), e-: the amplifier in readout order.
    threshold
        e-: what is bright.
    count
        `count_bright` of all amplifiers.

    Returns
    -------
    IntArray
        Shape (n, 3).
    """
    rows = np.flatnonzero((bright > threshold).any(axis=1)).astype(np.int32)
    return _find_runs(bright, threshold, count, rows)


@njit(cache=True, nogil=True)
def _find_runs(bright: FloatArray, threshold: float, count: MaskArray, rows: IntArray) -> IntArray:
    width = bright.shape[1]
    found = np.empty((rows.size * (width // 2 + 1), 3), np.int32)
    n = 0
    for y in rows:
        x = 0
        while x < width:
            if not bright[y, x] > threshold:
                x += 1
                continue
            start = x
            alone = True
            while x < width and bright[y, x] > threshold:
                alone = alone and count[y, x] == 1
                x += 1
            reach = GUARD + WINDOW
            if not alone or x - start > LONGEST or start < reach or x + reach > width:
                continue
            for i in range(reach):
                if count[y, start - 1 - i] > 0 or count[y, x + i] > 0:
                    alone = False
                    break
            if alone:
                found[n, 0], found[n, 1], found[n, 2] = y, start, x
                n += 1
    return found[:n].copy()


@njit(cache=True, nogil=True)
def _excess(pixels: FloatArray, y: int, start: int, stop: int) -> float:
    """Return the mean of a run less that of its two windows; NaN if any pixel is."""
    inside = 0.0
    for x in range(start, stop):
        inside += pixels[y, x]
    beside = 0.0
    for i in range(GUARD, GUARD + WINDOW):
        beside += pixels[y, start - 1 - i] + pixels[y, stop + i]
    return inside / (stop - start) - beside / (2 * WINDOW)


@njit(cache=True, nogil=True)
def add_products(
    stack: FloatArray,
    source: int,
    runs: IntArray,
    noise: DoubleArray,
    products: DoubleArray,
    squares: DoubleArray,
) -> None:
    """Add ``w·x·d`` and ``w·x²`` of every run, by row and target.

    ``x`` is the excess of the source and ``d`` that of the target, ``w`` the inverse of the
    variance of ``d`` in units of that of a pixel. A run in which the target has an outlier (a
    particle, a bad pixel) is left out for that target.

    Parameters
    ----------
    stack
        Shape (n_amp, rows, columns), e-, readout order; NaN where a pixel cannot be used.
    source
        Index of the amplifier that is bright.
    runs
        `find_runs` of the source.
    noise
        Shape (n_amp,), e-: of a pixel of each target.
    products, squares
        Shape (n_amp, rows), by target: what is added to.
    """
    for k in range(runs.shape[0]):
        y, start, stop = runs[k, 0], runs[k, 1], runs[k, 2]
        x = _excess(stack[source], y, start, stop)
        if not x > 0.0:
            continue
        share = 1.0 / (stop - start) + 1.0 / (2.0 * WINDOW)
        for target in range(stack.shape[0]):
            if target == source:
                continue
            d = _excess(stack[target], y, start, stop)
            if not abs(d) <= OUTLIER * noise[target] * np.sqrt(share) + ALLOWANCE * x:
                continue
            products[target, y] += x * d / share
            squares[target, y] += x * x / share


def add_products_reference(
    stack: FloatArray,
    source: int,
    runs: IntArray,
    noise: DoubleArray,
    products: DoubleArray,
    squares: DoubleArray,
) -> None:
    """Do what `add_products` does, in plain numpy: the definition the kernel is held to."""
    pixels = stack.astype(np.float64)
    for y, start, stop in runs:
        left = pixels[:, y, start - GUARD - WINDOW : start - GUARD]
        right = pixels[:, y, stop + GUARD : stop + GUARD + WINDOW]
        beside = np.concatenate([left, right], axis=1).mean(axis=1)
        excess = pixels[:, y, start:stop].mean(axis=1) - beside
        x, share = excess[source], 1 / (stop - start) + 1 / (2 * WINDOW)
        if not x > 0:
            continue
        kept = np.abs(excess) <= OUTLIER * noise * np.sqrt(share) + ALLOWANCE * x
        kept[source] = False
        products[kept, y] += x * excess[kept] / share
        squares[kept, y] += x * x / share
