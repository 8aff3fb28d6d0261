"""Bias shifts: sudden steps of the bias level from one row to the next."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, filtfilt
from scipy.stats import linregress

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
    means: DoubleArray = orient(amplifier[box.slices], amp)[:, SKIPPED:].mean(
        axis=1, dtype=np.float64
    )
    return means


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
    b, a = butter(FILTER_ORDER, CUTOFF, "high")
    noise = float(np.std(filtfilt(b, a, levels)))
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


def _flat_around(levels: DoubleArray, row: int, height: float) -> bool:
    """Tell whether neither side of a step trends as much as the step itself."""
    for side in (levels[row - WINDOW : row], levels[row : row + WINDOW]):
        trend = 2 * linregress(np.arange(side.size), side).slope * side.size
        if not (trend < height if height > 0 else trend > height):
            return False
    return True
