"""Bias shifts: sudden steps of the bias level from one row to the next."""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit
from scipy.signal import butter, filtfilt

from calwatch.arrays import DoubleArray, FloatArray
from calwatch.camera.model import Amplifier
from calwatch.isr.assembly import orient
from calwatch.isr.model import BiasShift
from calwatch.isr.overscan_vector import SKIPPED, runs
from calwatch.isr.serial_overscan import fit_box

WINDOW = 30
"""Rows compared on either side of a step."""
THRESHOLD = 3.0
"""Step over noise, from which a row is a candidate."""
SKIPPED_ROWS = 30
FILTER_ORDER, CUTOFF = 5, 1 / 15
"""High-pass Butterworth filter that leaves the noise; cutoff in units of the Nyquist frequency."""


def overscan_row_means(amplifier: FloatArray, amp: Amplifier) -> DoubleArray | None:
    """Return the mean of each row of the serial overscan, in the focal plane's orientation.

    Three columns at either end are left out, and three more at the end that is left in the focal
    plane's orientation (ip_isr ``isrStatistics.py``). The numbers are raw ADU, before anything is
    subtracted.

    Parameters
    ----------
    amplifier
        Shape (rows, columns), readout order, ADU.
    amp
        Whose it is.

    Returns
    -------
    DoubleArray or None
        Shape (rows,); None if there are not enough columns.
    """
    box = fit_box(amp)
    if box is None or box.width <= SKIPPED:
        return None
    means = np.empty(box.height)
    first = box.x0 if amp.flip_x else box.x0 + SKIPPED
    _row_means(amplifier, box.y0, first, box.width - SKIPPED, means)
    return means[::-1] if amp.flip_y else means


def overscan_row_means_reference(amplifier: FloatArray, amp: Amplifier) -> DoubleArray | None:
    """Do what `overscan_row_means` does, in plain numpy."""
    box = fit_box(amp)
    if box is None or box.width <= SKIPPED:
        return None
    means: DoubleArray = orient(amplifier[box.slices], amp)[:, SKIPPED:].mean(
        axis=1, dtype=np.float64
    )
    return means


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _row_means(pixels: FloatArray, y0: int, x0: int, width: int, means: DoubleArray) -> None:
    """Average `width` pixels from column x0 of as many rows as there are means."""
    for y in range(means.size):
        row = pixels[y0 + y][x0 : x0 + width]
        total = 0.0
        for x in range(width):
            total += np.float64(row[x])
        means[y] = total / width


def find_bias_shifts(levels: DoubleArray) -> tuple[tuple[BiasShift, ...], float]:
    """Find steps in a run of row levels (ip_isr ``isrStatistics.py``, ``measureBiasShifts``).

    A row is a candidate if the levels after it less those before it, weighted towards the row,
    exceed three times the local noise. Each run of candidates has one peak, which is accepted if
    the levels on both sides are flat compared with it.

    Parameters
    ----------
    levels
        Shape (rows,), ADU; first row in the focal plane's orientation first.

    Returns
    -------
    tuple of BiasShift
        Accepted steps.
    float
        Local noise, ADU: the standard deviation of the high-passed levels. NaN, and no steps, if
        there are too few rows or some are not finite.
    """
    if levels.size < 2 * WINDOW or not np.isfinite(levels).all():
        return (), np.nan
    noise = float(np.std(filtfilt(*_high_pass(), levels)))
    ramp = np.arange(WINDOW, dtype=np.float64)
    kernel = np.concatenate([ramp, -ramp[:0:-1]]) / ramp.sum()
    steps = np.pad(np.convolve(levels, kernel, "valid"), (WINDOW - 1, WINDOW))
    candidates = np.abs(steps) > THRESHOLD * noise
    candidates[:SKIPPED_ROWS] = False
    shifts = []
    for start, end in runs(candidates):
        row = start + int(np.argmax(np.abs(steps[start:end])))
        if _flat_around(levels, row, float(steps[row])):
            shifts.append(BiasShift(float(steps[row]), row, start, end))
    return tuple(shifts), noise


@cache
def _high_pass() -> tuple[DoubleArray, DoubleArray]:
    """Return the coefficients of the filter, numerator and denominator."""
    b, a = butter(FILTER_ORDER, CUTOFF, "high")
    return b, a


def _flat_around(levels: DoubleArray, row: int, height: float) -> bool:
    """Tell whether neither side of a step trends as much as the step itself."""
    for side in (levels[row - WINDOW : row], levels[row : row + WINDOW]):
        trend = 2 * _slope(side) * side.size
        if not (trend < height if height > 0 else trend > height):
            return False
    return True


def _slope(values: DoubleArray) -> float:
    """Return the slope of the straight line through equidistant values, by least squares."""
    places = np.arange(values.size) - (values.size - 1) / 2
    return float(places @ (values - values.mean()) / (places @ places))
