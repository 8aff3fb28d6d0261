"""One pass over all pixels of a detector, from which every statistic of its amplifiers follows.

A sample says first where the pixels of each amplifier are *expected*: the core about its median,
and the ranges of its quartiles. The pass then needs no decision pixel by pixel: a run of pixels is
summed and counted in vectors. Only where one is masked or outside the core are those of the run
looked at one by one. The expectation costs time where it is wrong, never truth: sums are exact for
any division into core and tail, and a quartile outside its range is noticed by the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from calwatch.arrays import AnyArray, BoolArray, DoubleArray, FloatArray, IntArray, MaskArray
from calwatch.isr.variance_terms import VarianceTerms, fill_row
from calwatch.processor import LANES, append_flagged, prefetch_row

RUN = 512
"""Pixels of a row that are summed together: a row of an LSSTCam amplifier."""
VECTOR = 32
"""Pixels that one turn of a vectorised loop takes; `RUN` is a multiple."""
SAMPLED_RUN = 16
"""Neighbouring pixels sampled of each row: one line of the cache."""
_ROWS_AHEAD = 8
"""Rows of a sample that are asked for before they are needed."""
QUARTILES = 3
CORE, NEAR, TAIL, MASKED, BELOW = range(5)
"""What is counted of each amplifier; below is counted for each quartile."""
N_COUNTS = BELOW + QUARTILES


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Where the good pixels of an amplifier are expected."""

    centre: float
    reach: float
    """The core is within this of the centre; negative where there is none."""
    ranges: FloatArray
    """Shape (3, 2): ends of the ranges that hold the quartiles."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What the pass found of an amplifier."""

    n_good: int
    n_core: int
    """Good pixels in the core."""
    total: float
    """Σ(x − centre) over the core."""
    squares: float
    """Σ(x − centre)² over the core."""
    below: AnyArray
    """Shape (3,): good pixels below each range."""
    near: FloatArray
    """The good pixels inside any range."""
    tail: FloatArray
    """The good pixels outside the core."""
    masked: FloatArray
    """The finite pixels that are left out for their mask."""
    good_in_row: IntArray
    """Shape (rows,): good pixels of each row."""


def measure_amplifiers(
    image: FloatArray,
    mask: MaskArray,
    boxes: IntArray,
    excluded: int,
    expected: Sequence[Expected],
) -> list[Found]:
    """Go once through the pixels of a detector.

    Parameters
    ----------
    image, mask
        Shape (height, width), of the whole detector.
    boxes
        Shape (n_amp, 4): first row, rows, first column, columns of each amplifier.
    excluded
        Bits of the mask that leave a pixel out; so does a value that is not finite.
    expected
        One for each amplifier.
    """
    n_amp, rows, columns = len(boxes), int(boxes[:, 1].max()), int(boxes[:, 3].max())
    # Only the first values of these are ever touched, unless a frame is beyond use.
    near, tail, masked = np.empty((3, n_amp, rows * columns + RUN + LANES), np.float32)
    sums, counts = np.zeros((n_amp, 2)), np.zeros((n_amp, N_COUNTS), np.int64)
    good_in_row = np.zeros((n_amp, rows), np.int32)
    _measure(
        image, mask, boxes, excluded,
        np.array([(e.centre, e.reach) for e in expected]),
        np.array([e.ranges for e in expected], np.float32),
        near, tail, masked, sums, counts, good_in_row,
    )  # fmt: skip
    return [
        Found(
            n_good=int(good_in_row[k].sum()),
            n_core=int(counts[k, CORE]),
            total=float(sums[k, 0]),
            squares=float(sums[k, 1]),
            below=counts[k, BELOW:],
            near=near[k, : counts[k, NEAR]],
            tail=tail[k, : counts[k, TAIL]],
            masked=masked[k, : counts[k, MASKED]],
            good_in_row=good_in_row[k],
        )
        for k in range(n_amp)
    ]


@njit(cache=True, nogil=True)
def sample_amplifier(image: FloatArray, box: IntArray) -> FloatArray:
    """Return a few finite pixels of each row, masked or not."""
    y0, height, _, width = box
    together = min(SAMPLED_RUN, width)
    sample = np.empty(height * together + 1, np.float32)
    n = np.uintp(0)  # unsigned: no place counts from the end of the array
    for y in range(height):
        ahead = min(y + _ROWS_AHEAD, height - 1)
        prefetch_row(image[y0 + ahead][_sampled_column(box, ahead) :][:together])
        for value in image[y0 + y][_sampled_column(box, y) :][:together]:
            sample[n] = value
            n += np.uintp(abs(value) < np.inf)
    return sample[: np.intp(n)]


@njit(cache=True, nogil=True)
def _sampled_column(box: IntArray, y: int) -> int:
    """Return where the sample of row number `y` of a box begins.

    The place moves on by a prime from row to row, so that every column has its turn.
    """
    x0, width = box[2], box[3]
    return int(x0 + (y * 37) % (width - min(SAMPLED_RUN, width) + 1))


@njit(cache=True, nogil=True)
def _measure(
    image: FloatArray,
    mask: MaskArray,
    boxes: IntArray,
    excluded: int,
    core: DoubleArray,
    ranges: FloatArray,
    near: FloatArray,
    tail: FloatArray,
    masked: FloatArray,
    sums: DoubleArray,
    counts: AnyArray,
    good_in_row: IntArray,
) -> None:
    """Fill in what is found, row by row of the detector, as the pixels lie in memory.

    `core` holds centre and reach; the first index of all but image and mask is the amplifier.
    """
    room = np.empty(RUN, np.float32)
    flags = np.empty(RUN, np.bool_)
    for y in range(image.shape[0]):
        for k in range(boxes.shape[0]):
            y0, height, x0, width = boxes[k]
            if not y0 <= y < y0 + height:
                continue
            centre, reach = core[k]
            for x in range(x0, x0 + width, RUN):
                end = min(x + RUN, x0 + width)
                pixels, bits = image[y][x:end], mask[y][x:end]
                ahead = min(y + 1, image.shape[0] - 1)
                prefetch_row(image[ahead][x:end])
                prefetch_row(mask[ahead][x:end])
                good = _good_or_nan(pixels, bits, excluded, room)
                total, squares, n_core, n_good = _core_sums(good, centre, reach)
                if n_good < pixels.size:
                    counts[k, MASKED] = _append_masked(
                        pixels, bits, excluded, masked[k], counts[k, MASKED]
                    )
                if n_core < n_good:
                    counts[k, TAIL] = _append_tail(good, centre, reach, tail[k], counts[k, TAIL])
                good_in_row[k, y - y0] += n_good
                counts[k, CORE] += n_core
                sums[k, 0] += total
                sums[k, 1] += squares
                _count_below(good, ranges[k], counts[k, BELOW:])
                _flag_near(good, ranges[k], flags)
                counts[k, NEAR] = append_flagged(good, flags, near[k], counts[k, NEAR])


@njit(cache=True, nogil=True)
def _good_or_nan(
    pixels: FloatArray, bits: MaskArray, excluded: int, room: FloatArray
) -> FloatArray:
    """Return the pixels of a run, and NaN instead of those that are masked or infinite.

    More NaN follow up to a whole number of vectors: no loop over the run then has a rest, and none
    counts what is no number.
    """
    n, unwanted = pixels.size, bits.dtype.type(excluded)  # as narrow as the bits
    nothing = np.float32(np.nan)
    for i in range(n):
        value = pixels[i]  # read in any case: a choice between two numbers needs no branch
        good = ((bits[i] & unwanted) == 0) & (abs(value) < np.inf)
        room[i] = value if good else nothing
    whole = min(n + -n % VECTOR, room.size)
    for i in range(n, whole):
        room[i] = nothing
    return room[:whole]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _core_sums(pixels: FloatArray, centre: float, reach: float) -> tuple[float, float, int, int]:
    """Return Σd and Σd² of the offsets d within reach of the centre, and two numbers of pixels.

    They are those within reach and those that are numbers.
    """
    total = 0.0
    squares = 0.0
    n_core = 0
    n_good = 0
    for i in range(pixels.size):
        offset = np.float64(pixels[i]) - centre
        inside = int(abs(offset) <= reach)
        within = offset if inside else np.float64(0.0)
        total += within
        squares += within * within
        n_core += inside
        n_good += int(offset == offset)
    return total, squares, n_core, n_good


@njit(cache=True, nogil=True)
def _append_masked(
    pixels: FloatArray, bits: MaskArray, excluded: int, masked: FloatArray, n: int
) -> int:
    """Append the finite pixels that are masked to the first n values; return the new number."""
    for i in range(pixels.size):
        if bits[i] & excluded and np.isfinite(pixels[i]):
            masked[n] = pixels[i]
            n += 1
    return n


@njit(cache=True, nogil=True)
def _append_tail(pixels: FloatArray, centre: float, reach: float, tail: FloatArray, n: int) -> int:
    """Append the numbers that `_core_sums` leaves out to the first n values of the tail."""
    for i in range(pixels.size):
        if abs(np.float64(pixels[i]) - centre) > reach:
            tail[n] = pixels[i]
            n += 1
    return n


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _count_below(pixels: FloatArray, ranges: FloatArray, counts: AnyArray) -> None:
    """Add the number of pixels below each range.

    The numbers are float32, which holds those of a run exactly and is quick to add up.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    low0, low1, low2 = ranges[0, 0], ranges[1, 0], ranges[2, 0]
    below0, below1, below2 = zero, zero, zero
    for i in range(pixels.size):
        below0 += one if pixels[i] < low0 else zero
        below1 += one if pixels[i] < low1 else zero
        below2 += one if pixels[i] < low2 else zero
    counts[0] += int(below0)
    counts[1] += int(below1)
    counts[2] += int(below2)


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
def mean_of_good(
    plane: AnyArray, image: FloatArray, mask: MaskArray, box: IntArray, excluded: int
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
    mask: MaskArray,
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
def mean_variances(
    terms: VarianceTerms,
    image: FloatArray,
    mask: MaskArray,
    boxes: IntArray,
    excluded: int,
    good_in_row: IntArray,
) -> DoubleArray:
    """Return the mean of the variance over the good pixels of each amplifier.

    Rows are taken as they lie in memory. `good_in_row` has the shape (n_amp, rows).
    """
    scratch = np.empty(image.shape[1], np.float32)
    total = np.zeros(boxes.shape[0])
    for y in range(image.shape[0]):
        for k in range(boxes.shape[0]):
            y0, height, x0, width = boxes[k]
            if not y0 <= y < y0 + height or good_in_row[k, y - y0] == 0:
                continue
            row = scratch[:width]
            fill_row(terms, y, x0, row)
            if good_in_row[k, y - y0] == width:
                total[k] += _sum(row)
            else:
                pixels, bits = image[y][x0 : x0 + width], mask[y][x0 : x0 + width]
                total[k] += _sum_of_good(row, pixels, bits, excluded)[0]
    for k in range(boxes.shape[0]):
        total[k] = np.divide(total[k], good_in_row[k].sum())
    return total


@njit(cache=True, nogil=True)
def _sum_of_good(
    values: AnyArray, pixels: FloatArray, bits: MaskArray, excluded: int
) -> tuple[float, int]:
    total = 0.0
    n = 0
    for i in range(values.size):
        if np.isfinite(pixels[i]) and not bits[i] & excluded:
            total += np.float64(values[i])
            n += 1
    return total, n


@njit(cache=True, nogil=True)
def row_sums(plane: FloatArray, box: IntArray) -> DoubleArray:
    """Return the sum of each row of a box."""
    y0, height, x0, width = box
    sums = np.empty(height)
    for y in range(height):
        sums[y] = _sum(plane[y0 + y][x0 : x0 + width])
    return sums


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _sum(values: FloatArray) -> float:
    total = 0.0
    for i in range(values.size):
        total += np.float64(values[i])
    return total
