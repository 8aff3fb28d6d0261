"""What stands in the raw pixels of an amplifier: the numbers that a dead or railed one gives away.

They are counted before any correction, and judged by `calwatch.verify.inputs`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from calwatch.arrays import AnyArray, IntArray


@dataclass(frozen=True, slots=True)
class Census:
    """What stands in the raw pixels of one amplifier."""

    low: float
    """ADU, of the pixels that are numbers."""
    high: float
    """ADU, of the pixels that are numbers."""
    n_zero: int
    n_nan: int
    """Pixels that are no numbers."""


def take_census(pixels: AnyArray) -> Census:
    """Count what stands in the raw pixels of one amplifier, shape (rows, columns).

    Integers, as the cameras write them, go through a kernel; it is held to `take_census_reference`.
    """
    if pixels.dtype == np.int32:
        low, high, n_zero = _integer_census(pixels)
        return Census(float(low), float(high), int(n_zero), 0)
    return take_census_reference(pixels)


def take_census_reference(pixels: AnyArray) -> Census:
    """Do what `take_census` does, in plain numpy and for any type of pixels."""
    finite = pixels[np.isfinite(pixels)]
    n_nan = pixels.size - finite.size
    if not finite.size:
        return Census(math.inf, -math.inf, 0, n_nan)
    n_zero = int(np.count_nonzero(finite == 0))
    return Census(float(finite.min()), float(finite.max()), n_zero, n_nan)


@njit(cache=True, nogil=True)
def _integer_census(pixels: IntArray) -> tuple[int, int, int]:
    """Return the minimum, the maximum and the number of zeros."""
    low, high, n_zero = row_census(pixels[0])
    for y in range(1, pixels.shape[0]):
        least, most, zeros = row_census(pixels[y])
        low, high, n_zero = min(low, least), max(high, most), n_zero + zeros
    return low, high, n_zero


@njit(cache=True, nogil=True)
def row_census(row: IntArray) -> tuple[int, int, int]:
    """Return the minimum, the maximum and the number of zeros of one row."""
    low = row[0]
    high = row[0]
    n_zero = np.int32(0)  # as wide as the pixels, so that the loop becomes vectors
    for x in range(row.size):
        low = min(low, row[x])
        high = max(high, row[x])
        n_zero += np.int32(row[x] == 0)
    return low, high, int(n_zero)
