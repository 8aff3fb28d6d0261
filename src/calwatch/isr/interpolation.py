"""Interpolation over masked pixels, along rows."""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, FloatArray, IntArray
from calwatch.calibrations.masks import Mask
from calwatch.isr.buffers import copy_into


def interpolate_masked(
    image: FloatArray, mask: IntArray, out: tuple[FloatArray, IntArray] | None = None
) -> tuple[FloatArray, IntArray]:
    """Replace SAT (grown by one pixel), BAD and UNMASKEDNAN pixels from their row.

    SAT is grown along rows and columns. A run of such pixels is a straight line between the nearest
    good pixels to its left and right; at the end of a row it repeats the only one. The detector is
    one row: a run may cross the border of two amplifiers. A row without a good pixel stays as it
    is. The bits that made a pixel bad are kept, so that whoever leaves BAD pixels out still does,
    and INTRP is added. (The straight line is a choice: IsrTaskLSST also works along rows, with an
    interpolator of its own.)

    Parameters
    ----------
    image, mask
        Shape (height, width).
    out
        Image and mask to write into, which may be those given. None makes new arrays.
    """
    filled = copy_into(image, out and out[0])
    marked = copy_into(mask, out and out[1])
    bits = int(Mask.BAD | Mask.UNMASKEDNAN)
    _interpolate_rows(filled, marked, bits, int(Mask.SAT), int(Mask.INTRP))
    return filled, marked


@njit(cache=True, nogil=True)
def _interpolate_rows(
    image: FloatArray, mask: IntArray, bits: int, saturated: int, mark: int
) -> None:
    rows, columns = image.shape
    bad = np.empty(columns, np.bool_)
    for y in range(rows):
        if not _find_bad(mask, y, bits, saturated, bad):
            continue
        x = 0
        while x < columns:
            if not bad[x]:
                x += 1
                continue
            start = x
            while x < columns and (bad[x] or not np.isfinite(image[y, x])):
                x += 1
            left = start - 1
            while left >= 0 and not np.isfinite(image[y, left]):
                left -= 1
            if left < 0 and x == columns:
                continue
            for i in range(start, x):
                if not bad[i]:
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


@njit(cache=True, nogil=True)
def _find_bad(mask: IntArray, y: int, bits: int, saturated: int, bad: BoolArray) -> bool:
    """Flag the pixels of one row to replace: bad themselves, or next to a saturated one."""
    rows, columns = mask.shape
    some = False
    for x in range(columns):
        around = mask[y, x]
        if x > 0:
            around |= mask[y, x - 1] & saturated
        if x + 1 < columns:
            around |= mask[y, x + 1] & saturated
        if y > 0:
            around |= mask[y - 1, x] & saturated
        if y + 1 < rows:
            around |= mask[y + 1, x] & saturated
        bad[x] = (around & (bits | saturated)) != 0
        some |= bad[x]
    return some
