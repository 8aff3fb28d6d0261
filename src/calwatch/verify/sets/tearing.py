"""Tearing in E2V flats (divisadero): edge columns of amplifiers that gain or lose charge.

At the boundary of two amplifiers side by side each column is compared with a line through the
columns further in, so that neither gain nor illumination matters; what the columns at the same
distance on both sides then differ by is the divisadero of the boundary. Electro-optical tests of
the camera flag 0.05.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from calwatch.arrays import AnyArray, DoubleArray
from calwatch.camera.model import Amplifier, Detector
from calwatch.verify.sets.boundaries import boundaries

VENDOR = "E2V"
"""Whose CCDs tear."""
COLUMNS = 3
"""Columns next to a boundary that are judged."""
FIRST, STOP = 10, 50
"""Distances from the boundary through which the line is drawn."""
OUTLIER, SLACK = 8.0, 2e-3
"""Columns further off the median than so many median deviations, and this share of the signal, do
not enter the line."""


def can_tear(detector: Detector) -> bool:
    """Tell whether a detector is of the vendor whose CCDs tear."""
    return detector.vendor.strip().upper() == VENDOR


def edge_ratios(
    frames: Sequence[AnyArray], levels: Sequence[DoubleArray], amp: Amplifier
) -> tuple[DoubleArray, DoubleArray]:
    """Return the columns at either edge of an amplifier over the line through those further in.

    Parameters
    ----------
    frames
        Shape (rows, columns) each, ADU: raw flats of the amplifier in readout order.
    levels
        Shape (rows,) each, ADU: the overscan level of every row.
    amp
        Gives sections and flips.

    Returns
    -------
    left, right
        Shape (COLUMNS,), the outermost first, as the assembled frame has the edges. NaN where an
        amplifier is too narrow or has no light.
    """
    data = amp.data
    rows, reach = slice(data.y0, data.y1), min(STOP, data.width // 2)
    if reach - FIRST < COLUMNS:
        nothing = np.full(COLUMNS, math.nan)
        return nothing, nothing
    near = slice(data.x0, data.x0 + reach)
    far = slice(data.x1 - reach, data.x1)
    level = sum(float(one[rows].mean()) for one in levels)
    first, last = (
        sum(frame[rows, side].mean(axis=0, dtype=np.float64) for frame in frames) - level
        for side in (near, far)
    )
    edges = _over_line(first), _over_line(last[::-1])
    return (edges[1], edges[0]) if amp.flip_x else edges


def divisadero(
    detector: Detector, edges: Sequence[tuple[DoubleArray, DoubleArray] | None]
) -> DoubleArray:
    """Return the largest divisadero of the boundaries of each amplifier, shape (n_amp,).

    Parameters
    ----------
    detector
        Gives the boundaries.
    edges
        `edge_ratios` of each amplifier in camera order; None of one that cannot be measured. An
        amplifier without a boundary that can be measured has NaN.
    """
    largest = np.full(len(detector.amplifiers), math.nan)
    for boundary in boundaries(detector):
        before, after = edges[boundary.before], edges[boundary.after]
        if not boundary.vertical or before is None or after is None:
            continue
        value = float(np.abs(before[1] / after[0] - 1.0).max())
        for index in (boundary.before, boundary.after):
            largest[index] = np.fmax(largest[index], value)
    return largest


def _over_line(profile: DoubleArray) -> DoubleArray:
    """Divide the first columns of a profile by the line through those further in.

    Bad columns are left out. Over so few columns the illumination changes by a thousandth.
    """
    x, inner = np.arange(FIRST, profile.size, dtype=np.float64), profile[FIRST:]
    off = np.abs(inner - np.median(inner))
    kept = off <= OUTLIER * float(np.median(off)) + SLACK * abs(float(np.median(inner)))
    slope, offset = np.polyfit(x[kept], inner[kept], 1)
    line = offset + slope * np.arange(COLUMNS)
    ratios: DoubleArray = np.full(COLUMNS, math.nan)
    np.divide(profile[:COLUMNS], line, out=ratios, where=line > 0)
    return ratios
