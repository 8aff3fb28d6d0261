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
    for y in range(image.shape[0]):
        for k in range(boxes.shape[0]):
            y0, height, x0, width = boxes[k]
            if y0 <= y < y0 + height:
                total = _add_row(image[y][x0 : x0 + width], by_column[k])
                by_row[k, y - y0] = total / width
    for k in range(boxes.shape[0]):
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
