"""Levels and statistics of the serial overscan, once the pass has found the level of each row."""

from __future__ import annotations

import numpy as np

from calwatch.arrays import BoolArray, FloatArray
from calwatch.isr import serial_overscan
from calwatch.isr.overscan_vector import IQR_TO_SIGMA
from calwatch.isr.serial_overscan import SerialLevels
from calwatch.isr.stream.plan import CannotStreamError, Sections
from calwatch.isr.stream.residuals import residual_statistics
from calwatch.isr.stream.rows import SerialFit


def serial_levels_of(
    overscan: FloatArray, fit: SerialFit, skip: BoolArray, sections: Sections
) -> tuple[SerialLevels | None, ...]:
    """Return levels and statistics of each serial overscan; None for one that is left alone.

    Parameters
    ----------
    overscan
        Shape (n_amp, rows, columns of the serial overscan), ADU, dithered.
    fit
        What the pass has found.
    skip
        Shape (n_amp,): amplifiers that are left alone.
    sections
        Of the amplifiers.

    Raises
    ------
    CannotStreamError
        If a level is another than the one that was subtracted.
    """
    x0, x1 = sections.fit_x0 - sections.serial_x0, sections.fit_x1 - sections.serial_x0
    every_pixel_counts = _every_pixel_counts(fit)
    found: list[SerialLevels | None] = []
    for k, skipped in enumerate(skip):
        pixels = overscan[k, :, x0:x1]
        if skipped:
            found.append(None)
        elif every_pixel_counts[k]:
            levels, usual = fit.levels[k], float(np.median(fit.sigma[k]))
            found.append(
                SerialLevels(
                    levels,
                    *serial_overscan.overscan_statistics(levels),
                    *residual_statistics(pixels, levels, usual),
                )
            )
        else:
            exact = serial_overscan.serial_levels(pixels)
            if not np.array_equal(exact.levels, fit.levels[k]):
                raise CannotStreamError("a level of the serial overscan depends on all its rows")
            found.append(exact)
    return tuple(found)


def _every_pixel_counts(fit: SerialFit) -> BoolArray:
    """Tell of each amplifier whether surely no pixel is too far from the median of its overscan.

    The median of all pixels lies among the medians of the rows, and each of these no further from
    the row's level than the width of the row's quartiles.
    """
    margin = fit.sigma.max(axis=1) / IQR_TO_SIGMA
    above = fit.highest.max(axis=1) - fit.levels.min(axis=1)
    below = fit.levels.max(axis=1) - fit.lowest.min(axis=1)
    near: BoolArray = np.maximum(above, below) + margin <= serial_overscan.MAX_DEVIATION
    return near
