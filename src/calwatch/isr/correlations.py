"""Correlation of the noise between amplifiers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.camera.model import Amplifier, Detector
from calwatch.isr.assembly import orient
from calwatch.isr.serial_overscan import fit_box

_ROWS_AT_A_TIME = 64
"""Rows correlated together; it bounds the memory."""


def overscan_correlation(
    stack: FloatArray, amplifiers: tuple[Amplifier, ...], skip: BoolArray
) -> DoubleArray | None:
    """Correlate the raw serial overscans, as many rows and columns as all amplifiers have.

    Parameters
    ----------
    stack
        Shape (n_amp, rows, columns), readout order, ADU, before any correction.
    amplifiers
        In the order of the stack.
    skip
        Shape (n_amp,): amplifiers that are not measured.

    Returns
    -------
    DoubleArray or None
        As `correlation`; None if an amplifier has no overscan.
    """
    boxes = [fit_box(amp) for amp in amplifiers]
    views = [pixels[box.slices] for pixels, box in zip(stack, boxes, strict=True) if box]
    return correlation(views, skip) if len(views) == len(boxes) else None


def image_correlation(image: FloatArray, detector: Detector, skip: BoolArray) -> DoubleArray:
    """Correlate the amplifiers of an assembled image, pixels read at the same time together."""
    views = [orient(image[amp.bbox.slices], amp) for amp in detector.amplifiers]
    return correlation(views, skip)


def correlation(views: Sequence[FloatArray], skip: BoolArray) -> DoubleArray:
    """Return the matrix of Pearson's coefficients (``np.corrcoef`` of the flattened arrays).

    Parameters
    ----------
    views
        2-D arrays, one per amplifier; each is cut to the smallest.
    skip
        Shape (n_amp,): amplifiers that are not measured.

    Returns
    -------
    DoubleArray
        Shape (n_amp, n_amp); 1 on the diagonal, NaN for an amplifier that is skipped, constant or
        holds pixels that are not finite.
    """
    rows = min(view.shape[0] for view in views)
    columns = min(view.shape[1] for view in views)
    views = [view[:rows, :columns] for view in views]
    usable = ~skip & np.array([bool(np.isfinite(view).all()) for view in views])
    means = np.array(
        [view.mean(dtype=np.float64) if ok else 0.0 for view, ok in zip(views, usable, strict=True)]
    )
    products = np.zeros((len(views), len(views)))
    for first in range(0, rows, _ROWS_AT_A_TIME):
        block = np.zeros((len(views), min(_ROWS_AT_A_TIME, rows - first) * columns))
        for k in np.flatnonzero(usable):
            block[k] = views[k][first : first + _ROWS_AT_A_TIME].ravel() - means[k]
        products += block @ block.T
    spread = np.sqrt(np.diag(products))
    spread[spread == 0] = np.nan
    matrix = np.clip(products / spread[:, None] / spread[None, :], -1.0, 1.0)
    np.fill_diagonal(matrix, np.where(np.isfinite(spread), 1.0, np.nan))
    return matrix
