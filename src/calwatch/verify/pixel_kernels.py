"""One pass over all pixels of a detector, from which every statistic of its amplifiers follows.

A sample says first where the pixels of each amplifier are *expected*: the core about its median,
and the ranges of its quartiles. The pass then needs no decision pixel by pixel: a run of pixels
that are all good and all in the core is summed and counted in vectors. Only where one is not are
the pixels of the run looked at one by one. The expectation costs time where it is wrong, never
truth: sums are exact for any division into core and tail, and a quartile outside its range is
noticed by the counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from calwatch.arrays import AnyArray, BoolArray, DoubleArray, FloatArray, IntArray

RUN = 256
"""Pixels of a row that are summed together."""
SAMPLED_RUN = 16
"""Neighbouring pixels sampled of each row: one line of the cache."""
QUARTILES = 3


class Expected(NamedTuple):
    """Where the good pixels of each amplifier are expected."""

    centre: DoubleArray
    """Shape (n_amp,)."""
    reach: DoubleArray
    """Shape (n_amp,): the core is within this of the centre; negative where there is none."""
    ranges: FloatArray
    """Shape (n_amp, 3, 2): ends of the ranges that hold the quartiles."""


class Found(NamedTuple):
    """What the pass found of each amplifier."""

    n_good: IntArray
    """Shape (n_amp,)."""
    good_in_row: IntArray
    """Shape (n_amp, rows)."""
    n_core: IntArray
    """Shape (n_amp,): good pixels in the core."""
    total: DoubleArray
    """Shape (n_amp,): Σ(x − centre) over the core."""
    squares: DoubleArray
    """Shape (n_amp,): Σ(x − centre)² over the core."""
    tail: FloatArray
    """Shape (n_amp, pixels): the good pixels outside the core come first."""
    n_tail: IntArray
    """Shape (n_amp,)."""
    below: IntArray
    """Shape (n_amp, 3): good pixels below each range."""
    near: FloatArray
    """Shape (n_amp, pixels): the good pixels inside any range come first."""
    n_near: IntArray
    """Shape (n_amp,)."""
    masked: FloatArray
    """Shape (n_amp, pixels): the finite pixels that are left out for their mask come first."""
    n_masked: IntArray
    """Shape (n_amp,)."""


def nothing_found(n_amp: int, rows: int, columns: int) -> Found:
    """Return zeros, and memory for amplifiers of that size (touched only where it is used)."""
    pixels = rows * columns + 1
    return Found(
        n_good=np.zeros(n_amp, np.int64),
        good_in_row=np.zeros((n_amp, rows), np.int64),
        n_core=np.zeros(n_amp, np.int64),
        total=np.zeros(n_amp),
        squares=np.zeros(n_amp),
        tail=np.empty((n_amp, pixels), np.float32),
        n_tail=np.zeros(n_amp, np.int64),
        below=np.zeros((n_amp, QUARTILES), np.int64),
        near=np.empty((n_amp, pixels), np.float32),
        n_near=np.zeros(n_amp, np.int64),
        masked=np.empty((n_amp, pixels), np.float32),
        n_masked=np.zeros(n_amp, np.int64),
    )


@njit(cache=True, nogil=True)
def sample_amplifier(
    image: FloatArray, mask: IntArray, box: IntArray, excluded: int
) -> tuple[FloatArray, FloatArray]:
    """Return the good pixels among a few of each row, and the others that are finite.

    The place in the row moves on by a prime from row to row, so that every column has its turn.
    """
    y0, height, x0, width = box
    n = min(SAMPLED_RUN, width)
    good = np.empty(height * n, np.float32)
    others = np.empty(height * n, np.float32)
    n_good = 0
    n_others = 0
    for y in range(height):
        start = x0 + (y * 37) % (width - n + 1)
        for x in range(start, start + n):
            value = image[y0 + y, x]
            if not np.isfinite(value):
                continue
            if mask[y0 + y, x] & excluded:
                others[n_others] = value
                n_others += 1
            else:
                good[n_good] = value
                n_good += 1
    return good[:n_good], others[:n_others]


@njit(cache=True, nogil=True)
def measure_amplifiers(
    image: FloatArray,
    mask: IntArray,
    boxes: IntArray,
    excluded: int,
    expected: Expected,
    found: Found,
) -> None:
    """Go once through the rows of the detector and fill in what is found.

    Parameters
    ----------
    image, mask
        Shape (height, width).
    boxes
        Shape (n_amp, 4): first row, rows, first column, columns of each amplifier.
    excluded
        Bits of the mask that leave a pixel out; so does a value that is not finite.
    expected, found
        See there.
    """
    good = np.empty(RUN, np.float32)
    flags = np.empty(RUN, np.bool_)
    for y in range(image.shape[0]):
        for k in range(boxes.shape[0]):
            y0, height, x0, width = boxes[k]
            if not y0 <= y < y0 + height:
                continue
            before = found.n_good[k]
            for x in range(x0, x0 + width, RUN):
                end = min(x + RUN, x0 + width)
                _add_run(image[y][x:end], mask[y][x:end], excluded, k, expected, found, good, flags)
            found.good_in_row[k, y - y0] = found.n_good[k] - before


@njit(cache=True, nogil=True)
def _add_run(
    pixels: FloatArray,
    bits: IntArray,
    excluded: int,
    k: int,
    expected: Expected,
    found: Found,
    good: FloatArray,
    flags: BoolArray,
) -> None:
    """Add a run of pixels of amplifier k; `good` and `flags` have room for what comes of it."""
    centre, reach, ranges = expected.centre[k], expected.reach[k], expected.ranges[k]
    total, squares, n_core = _core_sums(pixels, centre, reach)
    if n_core < pixels.size or _all_bits(bits) & excluded:
        n, found.n_masked[k] = _select_good(
            pixels, bits, excluded, good, found.masked[k], found.n_masked[k]
        )
        pixels = good[:n]
        total, squares, n_core = _core_sums(pixels, centre, reach)
        if n_core < n:
            found.n_tail[k] = _append_tail(pixels, centre, reach, found.tail[k], found.n_tail[k])
    found.n_good[k] += pixels.size
    found.n_core[k] += n_core
    found.total[k] += total
    found.squares[k] += squares
    for q in range(QUARTILES):
        found.below[k, q] += _count_below(pixels, ranges[q, 0])
    _flag_near(pixels, ranges, flags)
    found.n_near[k] = _append(pixels, flags, found.near[k], found.n_near[k])


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _core_sums(pixels: FloatArray, centre: float, reach: float) -> tuple[float, float, int]:
    """Return Σd and Σd² of the offsets d within reach of the centre, and their number."""
    total = 0.0
    squares = 0.0
    n_core = 0
    for i in range(pixels.size):
        offset = np.float64(pixels[i]) - centre
        inside = int(abs(offset) <= reach)
        within = offset if inside else np.float64(0.0)
        total += within
        squares += within * within
        n_core += inside
    return total, squares, n_core


@njit(cache=True, nogil=True)
def _all_bits(bits: IntArray) -> int:
    """Return every bit that is set in any pixel."""
    every = 0
    for i in range(bits.size):
        every |= bits[i]
    return every


@njit(cache=True, nogil=True)
def _select_good(
    pixels: FloatArray,
    bits: IntArray,
    excluded: int,
    good: FloatArray,
    masked: FloatArray,
    n_masked: int,
) -> tuple[int, int]:
    """Put good pixels into `good`, append finite others to `masked`; return the lengths of both."""
    n = 0
    for i in range(pixels.size):
        if not np.isfinite(pixels[i]):
            continue
        if bits[i] & excluded:
            masked[n_masked] = pixels[i]
            n_masked += 1
        else:
            good[n] = pixels[i]
            n += 1
    return n, n_masked


@njit(cache=True, nogil=True)
def _append_tail(pixels: FloatArray, centre: float, reach: float, tail: FloatArray, n: int) -> int:
    """Append what `_core_sums` leaves out to the first n values of the tail."""
    for i in range(pixels.size):
        if not abs(np.float64(pixels[i]) - centre) <= reach:
            tail[n] = pixels[i]
            n += 1
    return n


@njit(cache=True, nogil=True)
def _count_below(pixels: FloatArray, low: float) -> int:
    below = 0
    for i in range(pixels.size):
        below += int(pixels[i] < low)
    return below


@njit(cache=True, nogil=True)
def _flag_near(pixels: FloatArray, ranges: FloatArray, flags: BoolArray) -> None:
    """Flag the pixels inside any of the three ranges."""
    low0, high0 = ranges[0, 0], ranges[0, 1]
    low1, high1 = ranges[1, 0], ranges[1, 1]
    low2, high2 = ranges[2, 0], ranges[2, 1]
    for i in range(pixels.size):
        value = pixels[i]
        flags[i] = (
            ((value >= low0) & (value <= high0))
            | ((value >= low1) & (value <= high1))
            | ((value >= low2) & (value <= high2))
        )


@njit(cache=True, nogil=True)
def _append(pixels: FloatArray, flags: BoolArray, to: FloatArray, n: int) -> int:
    """Append the flagged pixels to the first n values; there is no branch to guess."""
    for i in range(pixels.size):
        to[n] = pixels[i]
        n += int(flags[i])
    return n


@njit(cache=True, nogil=True)
def mean_of_good(
    plane: AnyArray, image: FloatArray, mask: IntArray, box: IntArray, excluded: int
) -> float:
    """Return the mean of a plane over the pixels of a box at which the image is good."""
    y0, height, x0, width = box
    total = 0.0
    n = 0
    for y in range(y0, y0 + height):
        sum_of_row, n_of_row = _sum_of_good(
            plane[y][x0 : x0 + width], image[y][x0 : x0 + width], mask[y][x0 : x0 + width], excluded
        )
        total += sum_of_row
        n += n_of_row
    return total / n if n else np.nan


@njit(cache=True, nogil=True)
def mean_by_rows(
    plane: AnyArray,
    image: FloatArray,
    mask: IntArray,
    box: IntArray,
    excluded: int,
    good_in_row: IntArray,
    sum_of_row: DoubleArray,
) -> float:
    """Do what `mean_of_good` does, with the known sums of the rows that are good throughout."""
    y0, height, x0, width = box
    total = 0.0
    n = 0
    for y in range(height):
        if good_in_row[y] == width:
            total += sum_of_row[y]
        elif good_in_row[y]:
            row = y0 + y
            some, _ = _sum_of_good(
                plane[row][x0 : x0 + width],
                image[row][x0 : x0 + width],
                mask[row][x0 : x0 + width],
                excluded,
            )
            total += some
        n += good_in_row[y]
    return total / n if n else np.nan


@njit(cache=True, nogil=True)
def _sum_of_good(
    values: AnyArray, pixels: FloatArray, bits: IntArray, excluded: int
) -> tuple[float, int]:
    total = 0.0
    n = 0
    for i in range(values.size):
        if np.isfinite(pixels[i]) and not bits[i] & excluded:
            total += np.float64(values[i])
            n += 1
    return total, n


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def row_sums(plane: FloatArray, box: IntArray) -> DoubleArray:
    """Return the sum of each row of a box."""
    y0, height, x0, width = box
    sums = np.empty(height)
    for y in range(height):
        row = plane[y0 + y][x0 : x0 + width]
        total = 0.0
        for x in range(width):
            total += np.float64(row[x])
        sums[y] = total
    return sums
