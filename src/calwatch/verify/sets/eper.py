"""Charge transfer inefficiency by the extended pixel edge response (EPER).

Charge that lags behind appears in the first overscan pixels after the last imaging pixel. Their
excess E over the overscan level, of a last pixel of signal S that was moved N times, gives
``CTI = E/(S·N)``. N counts the prescan: the last imaging column of an amplifier is ``data.x1``
transfers away from the output, the last row ``data.y1``.

It is a ratio of raw counts, so neither gain nor ISR is needed; that the counts fall short of linear
by some 0.1 % makes the CTI too high by as much of itself, which is in no error. The excess also
holds what the output amplifier remembers of the last pixel (Snyder et al. 2021, JATIS 7, 048002).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calwatch.arrays import AnyArray, DoubleArray
from calwatch.camera.model import Amplifier
from calwatch.isr.clipped import clipped_statistics

TRAIL = 2
"""Overscan columns (rows) in which deferred charge is summed."""
GUARD = 6
"""Columns (rows) after the last imaging one that do not enter the overscan level: traps release
charge for six (ip_isr ``deferredCharge.py``)."""
EDGE = 3
"""Columns at the far end that do not either, as in the overscan step of the ISR."""
LEAST_FAR = 8
"""An overscan with fewer columns (rows) left has no level."""
N_SIGMA = 5.0
PASSES = 3
"""Clipping of rows and columns, as cp_verify clips pixels."""


@dataclass(frozen=True, slots=True)
class Response:
    """What one frame says of one direction; NaN where it cannot be measured."""

    excess: float
    """Sum over the trailing pixels, mean over rows (columns), ADU."""
    error: float
    """Statistical error of `excess`, ADU."""
    signal: float
    """Mean of the last imaging column (row), ADU."""


NOTHING = Response(math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Inefficiency:
    """Share of charge lost per transfer, from some frames."""

    cti: float
    error: float
    excess: float
    """Mean over the frames, ADU."""
    signal: float
    """Mean over the frames, ADU."""


def far_columns(amp: Amplifier) -> slice | None:
    """Return the serial overscan columns that give a row its level; None if there are too few."""
    box = amp.serial_overscan
    first, stop = box.x0 + GUARD, box.x1 - EDGE
    return slice(first, stop) if stop - first >= LEAST_FAR else None


def row_levels(pixels: AnyArray, columns: slice) -> DoubleArray:
    """Return the overscan level of every row, ADU: the plain mean of its far columns."""
    levels: DoubleArray = pixels[:, columns].mean(axis=1, dtype=np.float64)
    return levels


def serial_response(pixels: AnyArray, amp: Amplifier, levels: DoubleArray) -> Response:
    """Measure what lags behind the last imaging column.

    Parameters
    ----------
    pixels
        Shape (rows, columns), ADU: a raw flat in readout order.
    amp
        Gives the sections.
    levels
        Shape (rows,), ADU: `row_levels`.
    """
    rows, x0 = slice(amp.data.y0, amp.data.y1), amp.serial_overscan.x0
    level = levels[rows]
    trailing = pixels[rows, x0 : x0 + TRAIL].sum(axis=1, dtype=np.float64) - TRAIL * level
    found = clipped_statistics(trailing, N_SIGMA, PASSES)
    last = clipped_statistics(pixels[rows, amp.data.x1 - 1] - level, N_SIGMA, PASSES)
    if found.n_kept < 2 or last.n_kept < 2:
        return NOTHING
    return Response(found.mean, found.stdev / math.sqrt(found.n_kept), last.mean)


def parallel_response(pixels: AnyArray, amp: Amplifier, levels: DoubleArray) -> Response:
    """Measure what lags behind the last imaging row.

    A row's mean has an error that all its columns share: that of its own overscan level. So the
    error is taken from how the means of the far rows scatter, and not from the columns. A column
    with charge that does not belong there, such as a bleeding hot one, is clipped.

    Parameters
    ----------
    pixels, amp, levels
        As for `serial_response`.
    """
    box, columns = amp.parallel_overscan, slice(amp.data.x0, amp.data.x1)
    far = slice(box.y0 + GUARD, box.y1)
    n_far = far.stop - far.start
    if n_far < LEAST_FAR or columns.stop - columns.start < LEAST_FAR:
        return NOTHING
    image = pixels[box.y0 : box.y1, columns] - levels[box.y0 : box.y1, np.newaxis]
    background = image[GUARD:].mean(axis=0)
    excess = image[:TRAIL].sum(axis=0) - TRAIL * background
    kept = _inside(excess) & _inside(background)
    if np.count_nonzero(kept) < 2:
        return NOTHING
    scatter = float(image[GUARD:, kept].mean(axis=1).std(ddof=1))
    y = amp.data.y1 - 1
    last = clipped_statistics(pixels[y, columns] - levels[y], N_SIGMA, PASSES)
    error = scatter * math.sqrt(TRAIL + TRAIL**2 / n_far)
    return Response(float(excess[kept].mean()), error, last.mean)


def inefficiency(responses: Sequence[Response], transfers: int) -> Inefficiency:
    """Return the CTI of some frames together: the sum of their excesses over that of signals.

    Parameters
    ----------
    responses
        One of each frame.
    transfers
        How often the last imaging pixel was moved.
    """
    excess, signal = sum(r.excess for r in responses), sum(r.signal for r in responses)
    error = math.sqrt(sum(r.error**2 for r in responses))
    count = len(responses)
    if not signal > 0 or transfers < 1:
        return Inefficiency(math.nan, math.nan, excess / count, signal / count)
    moved = signal * transfers
    return Inefficiency(excess / moved, error / moved, excess / count, signal / count)


def _inside(values: DoubleArray) -> AnyArray:
    """Tell which values are left by the clipping."""
    found = clipped_statistics(values, N_SIGMA, PASSES)
    return np.abs(values - found.mean) <= N_SIGMA * found.stdev
