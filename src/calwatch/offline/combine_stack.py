"""Combining a stack of frames pixel by pixel: the clipped mean of afw's ``statisticsStack``."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from calwatch.arrays import DoubleArray, FloatArray, IntArray, MaskArray
from calwatch.isr.sorting_network import sort_lanes, sorting_network

ByteArray: TypeAlias = NDArray[np.uint8]
"""Flags of pixels."""

SIGMA = 3.0
PASSES = 3
"""Clipping of cp_pipe ``cpCombine.py``."""

BAD_PIXEL, COSMIC_RAY = 1, 2
"""Bits of the masks that come with the frames of a stack."""

_IQR_TO_SIGMA = 0.741301109252802


def clipped_mean(stack: FloatArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the clipped mean of every pixel, its variance, and how many values were kept.

    First values within 3 σ of the median are kept, σ from the quartiles; then twice more all
    values within 3 σ of the last mean, σ of the last kept set.

    Parameters
    ----------
    stack
        Shape (frames, rows, columns), at least one frame; NaN where a pixel is not to be used.

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
    _clip_rows(stack, sorting_network(len(stack)), mean, variance, kept, SIGMA, PASSES)
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
        offset = values - centre
        keep = good & (np.abs(offset) <= limit)
        kept = keep.sum(axis=0)
        total = np.where(keep, offset, 0.0).sum(axis=0)
        squares = np.where(keep, offset**2, 0.0).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = centre + total / kept
            scatter = np.maximum(squares - total * total / kept, 0.0)
            spread = np.where(kept > 1, scatter / (kept - 1), np.nan)
            limit = SIGMA * np.sqrt(np.where(kept > 1, spread, np.inf))
    with np.errstate(invalid="ignore", divide="ignore"):
        return centre, spread / kept, kept.astype(np.int32)


@njit(cache=True, nogil=True)
def _clip_rows(
    stack: FloatArray,
    network: IntArray,
    mean: FloatArray,
    variance: FloatArray,
    kept: IntArray,
    n_sigma: float,
    passes: int,
) -> None:
    n_frames, rows, columns = stack.shape
    values = np.empty((n_frames, columns), np.float32)
    n_good = np.empty(columns, np.int32)
    count = np.empty(columns, np.int32)
    centre = np.empty(columns, np.float64)
    limit = np.empty(columns, np.float64)
    total = np.empty(columns, np.float64)
    squares = np.empty(columns, np.float64)
    for y in range(rows):
        _sort_row(stack, y, network, values, n_good)
        for x in range(columns):
            width = _quantile(values, x, n_good[x], 0.75) - _quantile(values, x, n_good[x], 0.25)
            centre[x] = _quantile(values, x, n_good[x], 0.5)
            limit[x] = n_sigma * _IQR_TO_SIGMA * width
        for _ in range(passes):
            _sum_row(values, centre, limit, total, squares, count)
            for x in range(columns):
                n = count[x]
                spread = np.nan
                if n > 1:
                    spread = max(squares[x] - total[x] * total[x] / n, 0.0) / (n - 1)
                centre[x] = centre[x] + total[x] / n if n > 0 else np.nan
                limit[x] = n_sigma * np.sqrt(spread) if n > 1 else np.inf
                mean[y, x] = centre[x]
                variance[y, x] = spread / n if n > 1 else np.nan
                kept[y, x] = n


@njit(cache=True, nogil=True)
def _sort_row(
    stack: FloatArray, y: int, network: IntArray, values: FloatArray, n_good: IntArray
) -> None:
    """Put the finite values of each pixel of a row in order, infinity after them."""
    n_good[:] = 0
    for frame in range(stack.shape[0]):
        source, place = stack[frame, y], values[frame]
        for x in range(source.size):
            good = np.isfinite(source[x])
            place[x] = source[x] if good else np.inf
            n_good[x] += good
    sort_lanes(values, network)


@njit(cache=True, nogil=True)
def _quantile(values: FloatArray, x: int, n: int, fraction: float) -> float:
    """Return a quantile of the first values of a column; NaN if there are none."""
    if n == 0:
        return np.nan
    rank = fraction * (n - 1)
    below = int(rank)
    low = np.float64(values[below, x])
    return float(low + (np.float64(values[min(below + 1, n - 1), x]) - low) * (rank - below))


@njit(cache=True, nogil=True)
def _sum_row(
    values: FloatArray,
    centre: DoubleArray,
    limit: DoubleArray,
    total: DoubleArray,
    squares: DoubleArray,
    count: IntArray,
) -> None:
    """Sum what lies within the limit of the centre: offsets, their squares, and the number."""
    total[:] = 0.0
    squares[:] = 0.0
    count[:] = 0
    for frame in range(values.shape[0]):
        row = values[frame]
        for x in range(row.size):
            offset = np.float64(row[x]) - centre[x]
            keep = (abs(offset) <= limit[x]) & (row[x] < np.inf)
            used = offset if keep else 0.0
            total[x] += used
            squares[x] += used * used
            count[x] += keep


@njit(cache=True, nogil=True)
def flag_frame(
    image: FloatArray, mask: MaskArray, unusable: int, hit: int, reach: int, flags: ByteArray
) -> None:
    """Write the flags of one frame: bad pixels, and cosmic rays grown by a square.

    Parameters
    ----------
    image, mask
        Shape (rows, columns); a pixel that is not finite is bad.
    unusable, hit
        Bits of the mask that mean a bad pixel, and a cosmic ray; zero for none.
    reach
        Pixels by which cosmic rays grow to every side, corners included.
    flags
        Shape (rows, columns), written to: `BAD_PIXEL` and `COSMIC_RAY`.
    """
    height, width = image.shape
    for y in range(height):
        for x in range(width):
            bad = (mask[y, x] & unusable != 0) | (not np.isfinite(image[y, x]))
            flags[y, x] = BAD_PIXEL if bad else 0
    if hit == 0:
        return
    for y in range(height):
        for x in range(width):
            if mask[y, x] & hit:
                for row in range(max(y - reach, 0), min(y + reach + 1, height)):
                    for column in range(max(x - reach, 0), min(x + reach + 1, width)):
                        flags[row, column] |= COSMIC_RAY


@njit(cache=True, nogil=True)
def prepare_stack(values: FloatArray, marks: ByteArray, scale: FloatArray) -> None:
    """Divide each frame by its scale; put NaN where a pixel is not to be used.

    A pixel marked as a cosmic ray in more than half of the frames is a hot pixel and is kept.

    Parameters
    ----------
    values
        Shape (frames, rows, columns), changed in place.
    marks
        Same shape: `BAD_PIXEL` and `COSMIC_RAY`.
    scale
        Shape (frames,).
    """
    n_frames, rows, columns = values.shape
    hits = np.empty(columns, np.int32)
    for y in range(rows):
        hits[:] = 0
        for frame in range(n_frames):
            for x in range(columns):
                hits[x] += marks[frame, y, x] & COSMIC_RAY != 0
        for frame in range(n_frames):
            for x in range(columns):
                mark = marks[frame, y, x]
                struck = (mark & COSMIC_RAY != 0) & (2 * hits[x] <= n_frames)
                unused = struck | (mark & BAD_PIXEL != 0)
                values[frame, y, x] = np.nan if unused else values[frame, y, x] / scale[frame]
