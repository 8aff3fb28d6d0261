"""Parallel overscan: the level of each column, from the rows read after (or before) the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.camera.model import Amplifier, Box
from calwatch.isr.buffers import copy_into
from calwatch.isr.overscan_vector import SKIPPED, fill_gaps, vector_levels
from calwatch.isr.serial_overscan import overscan_statistics

SATURATION = 20000.0
"""ADU: pixels above are masked, with their surroundings."""
SATURATION_GROWTH = 7
"""Pixels, counted along rows and columns (a diamond)."""
MAX_DEVIATION = 100.0
"""ADU from the median of the box."""
SMOOTHING, COLUMN_EXCESS, EDGE_COLUMNS = 5, 5.0, 5
"""A column whose median stands out this many ADU from a running median of 5 columns is rejected,
except near the edges."""
COLUMN_GROWTH = 2
LIGHT_RATIO, LIGHT_LEVEL = 0.5, 10000.0
"""Nothing is subtracted if the overscan holds more than half of a bright image (units of it)."""


@dataclass(frozen=True, slots=True, eq=False)
class ParallelLevels:
    """What the parallel overscan of one amplifier says, in units of the image."""

    levels: DoubleArray
    """Shape (data columns,)."""
    mean: float
    median: float
    stdev: float
    """Clipped."""
    applied: bool
    """False if no pixel could be used or if light has spilled into the overscan."""


def fit_box(amp: Amplifier) -> Box | None:
    """Return the parallel overscan less three rows at either end, or None if none are left."""
    box = amp.parallel_overscan
    height = box.height - 2 * SKIPPED
    return Box(box.x0, box.y0 + SKIPPED, box.width, height) if height > 0 else None


def parallel_levels(
    overscan: FloatArray,
    image: FloatArray,
    gain: float,
    *,
    absolute_deviation: bool,
    column_smoothing: bool,
) -> ParallelLevels:
    """Measure one level per column (ip_isr ``overscan.py``, ``MEDIAN_PER_ROW`` turned).

    Parameters
    ----------
    overscan
        Shape (rows, columns): the whole parallel overscan; three rows at either end are not used.
    image
        The data pixels, to tell spilled light.
    gain
        e-/ADU if the pixels are electrons, 1 if they are ADU: thresholds are in ADU.
    absolute_deviation
        Reject pixels on both sides of the median, not only above.
    column_smoothing
        Reject columns that stand out of their neighbours.
    """
    nothing = ParallelLevels(np.zeros(overscan.shape[1]), 0.0, 0.0, 0.0, applied=False)
    fit, masked = fit_pixels(overscan, gain)
    if masked.all():
        return nothing
    median = float(np.median(fit[~masked]))
    if may_hold_light(median) and _spilled(median, image):
        return nothing
    with np.errstate(invalid="ignore"):
        deviation = fit - np.float32(median)
        masked = masked | (
            (np.abs(deviation) if absolute_deviation else deviation) > MAX_DEVIATION * gain
        )
    if column_smoothing:
        masked = masked | _outstanding_columns(fit, masked, COLUMN_EXCESS * gain)
    dead = masked.all(axis=0)
    if dead.any():
        masked = masked | ndimage.binary_dilation(dead, iterations=COLUMN_GROWTH)
    levels = fill_gaps(vector_levels(np.ascontiguousarray(fit.T), np.ascontiguousarray(masked.T)))
    if not np.isfinite(levels).all():
        return nothing
    return ParallelLevels(levels, *overscan_statistics(levels), applied=True)


def subtract_parallel_overscan(
    stack: FloatArray,
    amplifiers: tuple[Amplifier, ...],
    gain: DoubleArray,
    skip: BoolArray,
    *,
    absolute_deviation: bool,
    column_smoothing: bool,
    out: FloatArray | None = None,
) -> tuple[FloatArray, tuple[ParallelLevels | None, ...]]:
    """Subtract the level of each column from the data pixels.

    Parameters
    ----------
    stack
        Shape (n_amp, rows, columns), readout order, with serial overscan subtracted.
    amplifiers
        In the order of the stack.
    gain
        Shape (n_amp,): e-/ADU where the stack holds electrons, 1 where ADU.
    skip
        Shape (n_amp,): amplifiers to leave alone.
    absolute_deviation, column_smoothing
        As in `parallel_levels`.
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
    found: list[ParallelLevels | None] = []
    for pixels, amp, g, skipped in zip(corrected, amplifiers, gain, skip, strict=True):
        if skipped or fit_box(amp) is None:
            found.append(None)
            continue
        data = pixels[amp.data.slices]
        result = parallel_levels(
            pixels[amp.parallel_overscan.slices],
            data,
            float(g),
            absolute_deviation=absolute_deviation,
            column_smoothing=column_smoothing,
        )
        if result.applied:
            data -= result.levels.astype(np.float32)
        found.append(result)
    return corrected, tuple(found)


def fit_pixels(overscan: FloatArray, gain: float) -> tuple[FloatArray, BoolArray]:
    """Return the pixels that are fitted, and which of them are saturated or not finite."""
    masked = ~np.isfinite(overscan) | _grown_saturation(overscan, SATURATION * gain)
    return overscan[SKIPPED:-SKIPPED], masked[SKIPPED:-SKIPPED]


def may_hold_light(overscan_median: float) -> bool:
    """Tell whether light may have reached the overscan, whatever the image.

    Only an overscan above 0.5 × 10000 can hold half of an image above 10000, so the median of the
    image, which costs far more, is rarely needed.
    """
    return overscan_median > LIGHT_RATIO * LIGHT_LEVEL


def _grown_saturation(overscan: FloatArray, threshold: float) -> BoolArray:
    saturated: BoolArray = overscan > threshold
    if saturated.any():
        saturated = ndimage.binary_dilation(saturated, iterations=SATURATION_GROWTH)
    return saturated


def _spilled(overscan_median: float, image: FloatArray) -> bool:
    """Tell whether the overscan holds more than half of a bright image."""
    level = float(np.nanmedian(image)) if np.isfinite(image).any() else np.nan
    return level > LIGHT_LEVEL and overscan_median / level > LIGHT_RATIO


def _outstanding_columns(fit: FloatArray, masked: BoolArray, excess: float) -> BoolArray:
    """Flag whole columns whose median stands above a running median; shape (1, columns)."""
    used = np.where(masked, np.float32(np.nan), fit)
    ordered = np.sort(used, axis=0)
    n = (~masked).sum(axis=0)
    columns = np.arange(fit.shape[1])
    low, high = np.maximum(n - 1, 0) // 2, n // 2
    middle = 0.5 * (ordered[low, columns].astype(np.float64) + ordered[high, columns])
    flagged: BoolArray = outstanding(fill_gaps(np.where(n > 0, middle, np.nan)), excess)[None, :]
    return flagged


def outstanding(medians: DoubleArray, excess: float) -> BoolArray:
    """Flag the columns whose median stands above a running median of all of them."""
    flagged: BoolArray = medians - ndimage.median_filter(medians, SMOOTHING) >= excess
    flagged[:EDGE_COLUMNS] = False
    flagged[-EDGE_COLUMNS:] = False
    return flagged
