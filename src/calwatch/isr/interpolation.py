"""Interpolation over masked pixels, along rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, FloatArray, IntArray, MaskArray
from calwatch.calibrations.masks import Mask
from calwatch.isr.buffers import copy_into

_COLUMNS_AT_A_TIME = 128
"""Columns whose mask is looked at together."""


@dataclass(frozen=True, slots=True, eq=False)
class Replaced:
    """Pixels that were interpolated, and what they held before."""

    places: IntArray
    """(y, x), shape (n, 2), in raster order."""
    values: FloatArray


def interpolate_masked(
    image: FloatArray, mask: MaskArray, out: tuple[FloatArray, MaskArray] | None = None
) -> tuple[FloatArray, MaskArray]:
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
    interpolate_in_place(filled, marked, np.ones(len(mask), np.bool_))
    return filled, marked


def interpolate_in_place(image: FloatArray, mask: MaskArray, masked_rows: BoolArray) -> Replaced:
    """Do what `interpolate_masked` does to image and mask themselves; tell what was replaced.

    The rows that are not in `masked_rows`, shape (height,), have an empty mask.
    """
    bits = int(Mask.BAD | Mask.UNMASKEDNAN)
    places, values = _interpolate_rows(
        image, mask, masked_rows, bits, int(Mask.SAT), int(Mask.INTRP)
    )
    return Replaced(places, values)


@njit(cache=True, nogil=True)
def _interpolate_rows(
    image: FloatArray,
    mask: MaskArray,
    masked_rows: BoolArray,
    bits: int,
    saturated: int,
    mark: int,
) -> tuple[IntArray, FloatArray]:
    rows, columns = image.shape
    bad = np.empty(columns, np.int32)
    places = np.empty((1024, 2), np.int32)
    values = np.empty(1024, np.float32)
    count = 0
    above, here = 0, 0
    below = _any_bits(mask[0]) if masked_rows[0] else 0
    for y in range(rows):
        above, here = here, below
        below = _any_bits(mask[y + 1]) if y + 1 < rows and masked_rows[y + 1] else 0
        if not (here & (bits | saturated)) and not ((above | below) & saturated):
            continue
        if (above | here | below) & saturated:
            n_bad = _find_bad_and_grown(mask, y, bits, saturated, bad)
        else:
            n_bad = _find_bad(mask[y], bits, bad)
        while count + columns > values.size:
            places, values = _enlarged(places, values)
        count = _interpolate_row(image[y], mask[y], y, bad[:n_bad], mark, places, values, count)
    return places[:count], values[:count]


@njit(cache=True, nogil=True)
def _any_bits(mask: MaskArray) -> int:
    """Return all bits of a row together."""
    together = np.int32(0)
    for x in range(mask.size):
        together |= mask[x]
    return int(together)


@njit(cache=True, nogil=True)
def _enlarged(places: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return copies with twice the room."""
    more_places = np.empty((2 * places.shape[0], 2), np.int32)
    more_values = np.empty(2 * values.size, np.float32)
    more_places[: places.shape[0]] = places
    more_values[: values.size] = values
    return more_places, more_values


@njit(cache=True, nogil=True)
def _interpolate_row(
    image: FloatArray,
    mask: MaskArray,
    y: int,
    bad: IntArray,
    mark: int,
    places: IntArray,
    values: FloatArray,
    count: int,
) -> int:
    """Replace the bad pixels of one row; note them from number `count` on, return their number.

    `bad` holds their columns in ascending order.
    """
    columns = image.size
    last = 0
    while last < bad.size:
        first = last
        x = bad[first]
        left = x - 1
        while x < columns and ((last < bad.size and bad[last] == x) or not np.isfinite(image[x])):
            last += int(last < bad.size and bad[last] == x)
            x += 1
        while left >= 0 and not np.isfinite(image[left]):
            left -= 1
        if left < 0 and x == columns:
            continue
        for i in bad[first:last]:
            if left < 0:
                value = np.float64(image[x])
            elif x == columns:
                value = np.float64(image[left])
            else:
                a, b = np.float64(image[left]), np.float64(image[x])
                value = a + (b - a) * (i - left) / (x - left)
            places[count, 0] = y
            places[count, 1] = i
            values[count] = image[i]
            count += 1
            image[i] = np.float32(value)
            mask[i] |= mark
    return count


@njit(cache=True, nogil=True)
def _find_bad(mask: MaskArray, bits: int, bad: IntArray) -> int:
    """Fill in the columns that are bad themselves, and return how many they are."""
    n = 0
    for x0 in range(0, mask.size, _COLUMNS_AT_A_TIME):
        if _any_bits(mask[x0 : x0 + _COLUMNS_AT_A_TIME]) & bits:
            for x in range(x0, min(x0 + _COLUMNS_AT_A_TIME, mask.size)):
                if mask[x] & bits:
                    bad[n] = x
                    n += 1
    return n


@njit(cache=True, nogil=True)
def _find_bad_and_grown(mask: MaskArray, y: int, bits: int, saturated: int, bad: IntArray) -> int:
    """Do the same for row `y`, adding pixels that are saturated or next to a saturated one."""
    rows, columns = mask.shape
    n = 0
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
        if around & (bits | saturated):
            bad[n] = x
            n += 1
    return n
