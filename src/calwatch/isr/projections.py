"""Projections: each amplifier averaged along its rows and along its columns."""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray, IntArray
from calwatch.camera.model import Detector


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
    by_row, by_column = _padded(detector)
    boxes = np.array(
        [(b.y0, b.height, b.x0, b.width) for b in (a.bbox for a in detector.amplifiers)]
    )
    _project(image, boxes, by_row, by_column)
    return by_row, by_column


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


@njit(cache=True, nogil=True)
def _project(
    image: FloatArray, boxes: IntArray, by_row: DoubleArray, by_column: DoubleArray
) -> None:
    """Average the boxes (y0, height, x0, width), going once through the rows of the detector."""
    for k in range(boxes.shape[0]):
        by_column[k, : boxes[k, 3]] = 0.0
    for first in range(0, image.shape[0], 4):
        for k in range(boxes.shape[0]):
            y0, height, x0, width = boxes[k]
            start, stop = max(first, y0), min(first + 4, y0 + height)
            x1 = x0 + width
            totals, columns = by_row[k, start - y0 : stop - y0], by_column[k, :width]
            if stop - start == 4:
                a, b = image[start, x0:x1], image[start + 1, x0:x1]
                c, d = image[start + 2, x0:x1], image[start + 3, x0:x1]
                totals[:] = _add_four_rows(a, b, c, d, columns)
            else:
                for i in range(stop - start):
                    totals[i] = _add_row(image[start + i, x0:x1], columns)
    for k in range(boxes.shape[0]):
        by_row[k] /= boxes[k, 3]
        by_column[k] /= boxes[k, 1]


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _add_row(row: FloatArray, columns: DoubleArray) -> float:
    """Add a row to the sums of the columns; return its own sum."""
    total = 0.0
    for x in range(row.size):
        value = np.float64(row[x])
        total += value
        columns[x] += value
    return total


@njit(cache=True, nogil=True, fastmath={"reassoc"})
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
