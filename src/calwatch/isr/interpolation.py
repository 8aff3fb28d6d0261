"""Interpolation over masked pixels, along rows."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import ndimage

from calwatch.arrays import BoolArray, FloatArray, IntArray
from calwatch.calibrations.masks import Mask

SATURATION_GROWTH = 1
"""Pixels by which SAT is grown, along rows and columns."""


def interpolate_masked(image: FloatArray, mask: IntArray) -> tuple[FloatArray, IntArray]:
    """Replace SAT (grown by one pixel), BAD and UNMASKEDNAN pixels from their row.

    A run of such pixels is a straight line between the nearest good pixels to its left and right;
    at the end of a row it repeats the only one. The detector is one row: a run may cross the border
    of two amplifiers. A row without a good pixel stays as it is. The bits that made a pixel bad are
    kept, so that whoever leaves BAD pixels out still does, and INTRP is added. (The straight line
    is a choice: IsrTaskLSST also works along rows, with an interpolator of its own.)

    Parameters
    ----------
    image, mask
        Shape (height, width).

    Returns
    -------
    FloatArray, IntArray
        A new image and a new mask.
    """
    bad = (mask & (Mask.BAD | Mask.UNMASKEDNAN)) != 0
    saturated = (mask & Mask.SAT) != 0
    if saturated.any():
        bad |= ndimage.binary_dilation(saturated, iterations=SATURATION_GROWTH)
    filled, marked = image.copy(), mask.copy()
    _interpolate_rows(filled, marked, bad, int(Mask.INTRP))
    return filled, marked


@njit(cache=True, nogil=True)
def _interpolate_rows(image: FloatArray, mask: IntArray, bad: BoolArray, mark: int) -> None:
    rows, columns = image.shape
    for y in range(rows):
        x = 0
        while x < columns:
            if not bad[y, x]:
                x += 1
                continue
            start = x
            while x < columns and (bad[y, x] or not np.isfinite(image[y, x])):
                x += 1
            left = start - 1
            while left >= 0 and not np.isfinite(image[y, left]):
                left -= 1
            if left < 0 and x == columns:
                continue
            for i in range(start, x):
                if not bad[y, i]:
                    continue
                if left < 0:
                    value = np.float64(image[y, x])
                elif x == columns:
                    value = np.float64(image[y, left])
                else:
                    a, b = np.float64(image[y, left]), np.float64(image[y, x])
                    value = a + (b - a) * (i - left) / (x - left)
                image[y, i] = np.float32(value)
                mask[y, i] |= mark
