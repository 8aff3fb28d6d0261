"""Serial overscan: the level of each row, from the columns read after (or before) the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.camera.model import Amplifier, Box
from calwatch.isr.buffers import copy_into
from calwatch.isr.clipped import clipped_statistics, plain_mean
from calwatch.isr.overscan_vector import SKIPPED, fill_gaps, vector_levels

MAX_DEVIATION = 1000.0
"""ADU from the median of the box, beyond which a pixel is not used."""
N_SIGMA, PASSES = 3.0, 3
"""Clipping of the overscan statistics (afw's defaults)."""


@dataclass(frozen=True, slots=True, eq=False)
class SerialLevels:
    """What the serial overscan of one amplifier says. ADU; all statistics 0 if nothing is left."""

    levels: DoubleArray
    """Shape (rows,): subtracted from each row; zeros if no pixel could be used."""
    mean: float
    median: float
    stdev: float
    """Clipped; of the levels."""
    residual_mean: float
    residual_median: float
    residual_stdev: float
    """Clipped; of the box minus its levels."""


def fit_box(amp: Amplifier) -> Box | None:
    """Return the serial overscan less three columns at either end, or None if none are left."""
    box = amp.serial_overscan
    width = box.width - 2 * SKIPPED
    return Box(box.x0 + SKIPPED, box.y0, width, box.height) if width > 0 else None


def serial_levels(values: FloatArray) -> SerialLevels:
    """Measure one level per row (ip_isr ``overscan.py``, ``MEDIAN_PER_ROW``).

    Parameters
    ----------
    values
        Shape (rows, columns): the fit box, ADU.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return SerialLevels(np.zeros(values.shape[0]), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    median = np.float32(np.median(values[finite]))
    with np.errstate(invalid="ignore"):
        masked = ~(np.abs(values - median) <= MAX_DEVIATION)
    levels = fill_gaps(vector_levels(values, masked))
    if not np.isfinite(levels).all():
        return SerialLevels(np.zeros(values.shape[0]), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    mean, middle, stdev = overscan_statistics(levels)
    residual = _subtract_rows(values, levels)[~masked]
    return SerialLevels(levels, mean, middle, stdev, *overscan_statistics(residual))


def overscan_statistics(values: FloatArray | DoubleArray) -> tuple[float, float, float]:
    """Return plain mean, median, and standard deviation clipped at 3σ three times."""
    clipped = clipped_statistics(values, N_SIGMA, PASSES)
    return plain_mean(values), clipped.median, clipped.stdev


def subtract_serial_overscan(
    stack: FloatArray,
    amplifiers: tuple[Amplifier, ...],
    skip: BoolArray,
    out: FloatArray | None = None,
) -> tuple[FloatArray, tuple[SerialLevels | None, ...]]:
    """Subtract the level of each row from the data columns and from the fit box.

    The three columns at either end of the overscan, and the prescan, stay as they are.

    Parameters
    ----------
    stack
        Shape (n_amp, rows, columns), readout order, ADU.
    amplifiers
        In the order of the stack.
    skip
        Shape (n_amp,): amplifiers to leave alone.
    out
        Where to write the result; it may be `stack`. None makes a new array.

    Returns
    -------
    FloatArray
        The corrected stack.
    tuple
        What was found on each amplifier; None where it was skipped or has no usable overscan.
    """
    corrected = copy_into(stack, out)
    found: list[SerialLevels | None] = []
    for pixels, amp, skipped in zip(corrected, amplifiers, skip, strict=True):
        box = fit_box(amp)
        if skipped or box is None:
            found.append(None)
            continue
        fit = pixels[box.slices]
        result = serial_levels(fit)
        fit[...] = _subtract_rows(fit, result.levels)
        levels = np.zeros(pixels.shape[0])
        levels[box.y0 : box.y1] = result.levels
        data = pixels[:, amp.data.x0 : amp.data.x1]
        data[...] = _subtract_rows(data, levels)
        found.append(result)
    return corrected, tuple(found)


def _subtract_rows(values: FloatArray, levels: DoubleArray) -> FloatArray:
    return values - levels.astype(np.float32)[:, None]
