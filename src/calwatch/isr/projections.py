"""Projections: each amplifier averaged along its rows and along its columns."""

from __future__ import annotations

import numpy as np

from calwatch.arrays import DoubleArray, FloatArray
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
    amps = detector.amplifiers
    by_row = np.full((len(amps), max(amp.bbox.height for amp in amps)), np.nan)
    by_column = np.full((len(amps), max(amp.bbox.width for amp in amps)), np.nan)
    for k, amp in enumerate(amps):
        pixels = image[amp.bbox.slices]
        by_row[k, : amp.bbox.height] = pixels.mean(axis=1, dtype=np.float64)
        by_column[k, : amp.bbox.width] = pixels.mean(axis=0, dtype=np.float64)
    return by_row, by_column
