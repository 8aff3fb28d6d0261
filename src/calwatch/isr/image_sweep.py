"""Projections and correlation of a corrected image, which is read from memory once for both."""

from __future__ import annotations

from numba import njit

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.camera.model import Detector
from calwatch.isr.correlations import (
    Places,
    add_products,
    coefficients,
    correlated_image,
    image_correlation,
    new_sums,
    whole_sums,
)
from calwatch.isr.projections import (
    ROWS_AT_A_TIME,
    Projections,
    add_rows,
    means_of,
    new_projections,
    project,
)
from calwatch.processor import prefetch_row


def project_and_correlate(
    image: FloatArray, detector: Detector, skip: BoolArray
) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Return what `project` and `image_correlation` do.

    Parameters
    ----------
    image
        Shape (height, width), assembled.
    detector
        Where the amplifiers lie.
    skip
        Shape (n_amp,): amplifiers that are not correlated.

    Returns
    -------
    row_projection, column_projection, correlation
        As of these functions.
    """
    shapes = {(amp.bbox.height, amp.bbox.width) for amp in detector.amplifiers}
    if len(shapes) > 1 or skip.any():
        return *project(image, detector), image_correlation(image, detector, skip)
    what, projections = correlated_image(image, detector, skip), new_projections(detector)
    found = _sweep(what.places, projections)
    return *means_of(projections), coefficients(what, *found)


@njit(cache=True, nogil=True)
def _expect_rows(places: Places, first: int) -> None:
    """Ask for the rows that come next."""
    for k in range(places.steps.shape[0]):
        _, y, down, x, along = places.steps[k]
        x0 = x if along > 0 else x - places.columns + 1
        for r in range(first, min(first + ROWS_AT_A_TIME, places.rows)):
            prefetch_row(places.planes[0, y + r * down, x0 : x0 + places.columns])


@njit(cache=True, nogil=True)
def _sweep(places: Places, projections: Projections) -> tuple[DoubleArray, DoubleArray]:
    """Take a few rows of all amplifiers, as they were read, through both; they stay in the cache.

    Returns
    -------
    sums, products
        For `coefficients`.
    """
    sums, products, room = new_sums(places)
    for first in range(0, places.rows, ROWS_AT_A_TIME):
        n_rows = min(ROWS_AT_A_TIME, places.rows - first)
        _expect_rows(places, first + n_rows)
        for k in range(places.steps.shape[0]):
            upwards = places.steps[k, 2] > 0
            row = first if upwards else places.rows - first - n_rows
            add_rows(places.planes[0], k, row, n_rows, projections)
        for r in range(first, first + n_rows):
            add_products(places, r, 1, room, sums, products)
    return whole_sums(sums, products)
