"""A frame small enough to keep and to look at: every amplifier in blocks, less its own median."""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import FloatArray, IntArray, MaskArray
from calwatch.calibrations.masks import EXCLUDED
from calwatch.camera.model import Box, Detector
from calwatch.verify.statistics import good_pixels

BLOCK = 32
"""Pixels of a block in either direction; those at the far edges hold what is left."""


def binned_residual(image: FloatArray, mask: MaskArray, detector: Detector) -> FloatArray:
    """Return the mean of the good pixels of each block, less the median of its amplifier.

    A step, a gradient, a hot column or a leak of light is seen in it; single pixels are not.

    Parameters
    ----------
    image, mask
        Of the corrected frame, shape (height, width).
    detector
        Where its amplifiers are.

    Returns
    -------
    array
        Shape (n_amp, rows, columns) in the orientation of the assembled frame and the image's unit;
        NaN where a block has no good pixel, and beyond an amplifier smaller than others.
    """
    boxes = [amp.bbox for amp in detector.amplifiers]
    shape = (max(-(-b.height // BLOCK) for b in boxes), max(-(-b.width // BLOCK) for b in boxes))
    found = np.full((len(boxes), *shape), np.nan, dtype=np.float32)
    # Amplifiers side by side are done together: whole rows are read as they lie in memory.
    for y0, height in dict.fromkeys((box.y0, box.height) for box in boxes):
        beside = [i for i, box in enumerate(boxes) if (box.y0, box.height) == (y0, height)]
        edges = np.concatenate([_edges(boxes[i]) for i in beside])
        means = _block_means(image, mask, y0, height, edges, np.uint16(EXCLUDED), BLOCK)
        done = 0
        for i in beside:
            count = len(_edges(boxes[i]))
            found[i, : means.shape[0], :count] = _less_median(means[:, done : done + count])
            done += count
    return found


def plain_binned_residual(image: FloatArray, mask: MaskArray, box: Box) -> FloatArray:
    """Return what `binned_residual` has of one amplifier, in plain numpy."""
    pixels, good = image[box.slices], good_pixels(image, mask, box)
    means = np.full((-(-box.height // BLOCK), -(-box.width // BLOCK)), np.nan, dtype=np.float32)
    for row, column in np.ndindex(means.shape):
        here = np.s_[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK]
        if good[here].any():
            means[row, column] = pixels[here][good[here]].mean(dtype=np.float64)
    return _less_median(means)


def _edges(box: Box) -> IntArray:
    """Return first and last column (exclusive) of every block: shape (blocks, 2)."""
    begin = np.arange(box.x0, box.x1, BLOCK)
    return np.stack([begin, np.minimum(begin + BLOCK, box.x1)], axis=1)


def _less_median(means: FloatArray) -> FloatArray:
    seen = means[np.isfinite(means)]
    return means - np.median(seen) if seen.size else means


@njit(cache=True, nogil=True)
def _block_means(image, mask, y0, height, edges, excluded, block):  # type: ignore[no-untyped-def]
    """Return the mean of the good pixels of each block of some rows, NaN where there is none.

    The rows of a block are added column by column first, which goes several columns at a time.
    """
    found = np.empty(((height + block - 1) // block, len(edges)), np.float32)
    sums, counts = np.empty(image.shape[1], np.float32), np.empty(image.shape[1], np.int32)
    for at_row in range(found.shape[0]):
        sums[:] = 0.0
        counts[:] = 0
        for row in range(y0 + at_row * block, y0 + min((at_row + 1) * block, height)):
            _add_row(image[row], mask[row], excluded, sums, counts)
        for at, (begin, end) in enumerate(edges):
            count = counts[begin:end].sum()
            found[at_row, at] = sums[begin:end].sum() / count if count else np.nan
    return found


@njit(cache=True, nogil=True)
def _add_row(values, bits, excluded, sums, counts):  # type: ignore[no-untyped-def]
    """Add the good ones among the pixels of a row to the sums of their columns."""
    for i in range(values.size):
        value = values[i]
        finite = value - value == np.float32(0.0)
        good = ((bits[i] & excluded) == np.int32(0)) & finite
        sums[i] += value if good else np.float32(0.0)
        counts[i] += np.int32(1) if good else np.int32(0)
