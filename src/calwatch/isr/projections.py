"""Projections: each amplifier averaged along its rows and along its columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray, IndexArray
from calwatch.camera.model import Detector

ROWS_AT_A_TIME = 4
"""Rows that are added to the sums of the columns together, which then change once."""


class Projections(NamedTuple):
    """Sums on their way to means, for the kernels; the first index is the amplifier."""

    boxes: IndexArray
    """Shape (n_amp, 4): first row, rows, first column, columns."""
    by_row: DoubleArray
    by_column: DoubleArray
    """Padded with NaN if amplifiers differ in size."""


def project(image: FloatArray, detector: Detector) -> tuple[DoubleArray, DoubleArray]:
    """Average every amplifier, without a mask (ip_isr ``isrStatistics.py``).

    Parameters
    ----------
    image
        Shape (height, width), assembled.
    detector
        Where the amplifiers lie.

    Returns
    -------
    row_projection
        Shape (n_amp, rows): mean of each row. Padded with NaN if amplifiers differ in size.
    column_projection
        Shape (n_amp, columns): mean of each column.
    """
    projections = new_projections(detector)
    _project(image, projections)
    return means_of(projections)


def project_reference(image: FloatArray, detector: Detector) -> tuple[DoubleArray, DoubleArray]:
    """Do what `project` does, in plain numpy."""
    by_row, by_column = _padded(detector)
    for k, amp in enumerate(detector.amplifiers):
        pixels = image[amp.bbox.slices]
        by_row[k, : amp.bbox.height] = pixels.mean(axis=1, dtype=np.float64)
        by_column[k, : amp.bbox.width] = pixels.mean(axis=0, dtype=np.float64)
    return by_row, by_column


def _padded(detector: Detector) -> tuple[DoubleArray, DoubleArray]:
    """Return NaN for every row and every column of the largest amplifier."""
    boxes = [amp.bbox for amp in detector.amplifiers]
    by_row = np.full((len(boxes), max(box.height for box in boxes)), np.nan)
    by_column = np.full((len(boxes), max(box.width for box in boxes)), np.nan)
    return by_row, by_column


def new_projections(detector: Detector) -> Projections:
    """Return sums of nothing."""
    boxes = np.array(
        [(b.y0, b.height, b.x0, b.width) for b in (a.bbox for a in detector.amplifiers)]
    )
    by_row, by_column = _padded(detector)
    for k, columns in enumerate(boxes[:, 3]):
        by_column[k, :columns] = 0.0
    return Projections(boxes, by_row, by_column)


def means_of(projections: Projections) -> tuple[DoubleArray, DoubleArray]:
    """Return the means, once all rows have been added."""
    boxes, by_row, by_column = projections
    return by_row / boxes[:, 3, None], by_column / boxes[:, 1, None]


@njit(cache=True, nogil=True)
def _project(image: FloatArray, projections: Projections) -> None:
    """Add all rows, as they lie in memory."""
    for first in range(0, image.shape[0], ROWS_AT_A_TIME):
        for k in range(projections.boxes.shape[0]):
            y0, height = projections.boxes[k, :2]
            start, stop = max(first, y0), min(first + ROWS_AT_A_TIME, y0 + height)
            if start < stop:
                add_rows(image, k, start - y0, stop - start, projections)


@njit(cache=True, nogil=True, forceinline=True)
def add_rows(image: FloatArray, k: int, first: int, n_rows: int, projections: Projections) -> None:
    """Add at most `ROWS_AT_A_TIME` rows of amplifier number `k`, counted in its box."""
    boxes, by_row, by_column = projections
    y0, _, x0, width = boxes[k]
    y, x1 = y0 + first, x0 + width
    totals, columns = by_row[k, first : first + n_rows], by_column[k, :width]
    if n_rows == ROWS_AT_A_TIME:
        a, b, c, d = image[y, x0:x1], image[y + 1, x0:x1], image[y + 2, x0:x1], image[y + 3, x0:x1]
        totals[:] = _add_four_rows(a, b, c, d, columns)
    else:
        for i in range(n_rows):
            totals[i] = _add_row(image[y + i, x0:x1], columns)


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _add_row(row: FloatArray, columns: DoubleArray) -> float:
    """Add a row to the sums of the columns; return its own sum."""
    total = 0.0
    for x in range(row.size):
        value = np.float64(row[x])
        total += value
        columns[x] += value
    return total


@njit(cache=True, nogil=True, fastmath={"reassoc"}, forceinline=True)
def _add_four_rows(
    row_a: FloatArray, row_b: FloatArray, row_c: FloatArray, row_d: FloatArray, columns: DoubleArray
) -> tuple[float, float, float, float]:
    """Add four rows to the sums of the columns, which then change once; return their own sums."""
    total_a, total_b, total_c, total_d = 0.0, 0.0, 0.0, 0.0
    for x in range(columns.size):
        a, b, c, d = (
            np.float64(row_a[x]),
            np.float64(row_b[x]),
            np.float64(row_c[x]),
            np.float64(row_d[x]),
        )
        total_a += a
        total_b += b
        total_c += c
        total_d += d
        columns[x] += (a + b) + (c + d)
    return total_a, total_b, total_c, total_d
