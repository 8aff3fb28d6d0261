"""Gains that make a flat continuous over the boundaries of amplifiers (DMTN-101 §6.3).

Light does not know of amplifiers: what jumps at a boundary is the gain. On either side of every
boundary a band of pixels is taken, without those next to it, where charge is shared and edges
are distorted. Pixels of the same row (or column) and the same distance on both sides are compared:
the median of their log ratio at each distance, a line through these medians, and the line at
distance zero, where the light is the same. The steps of all boundaries, weighted by their errors,
are solved for one factor an amplifier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import connected_components

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.camera.model import Box, Detector

INSET = 10
"""Pixels next to a boundary that are not used: rolled-off edges, the midline of E2V."""
BAND = 50
"""Pixels beyond them that are."""
LEAST_SAMPLES = 0.2
"""A distance at which fewer of the pixels are good is not used."""
LEAST_DISTANCES = 5
OUTLIER = 4.0
"""Distances this many deviations off the line are left out: bad columns."""
LIKE_NEIGHBOURS = 2.0
"""Residuals whose correlation with the next is by so many of its errors above zero are no white
noise: fewer of them are independent than there are."""
MAX_CORRELATION = 0.95
BENT = 3.0
"""Medians whose parabola bends by so many errors do not follow a line to distance zero."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """Two amplifiers side by side, or one above the other."""

    before: int
    after: int
    """Amplifiers in camera order; `after` is to the right or above."""
    vertical: bool
    """The line between them is."""
    place: int
    """First column or row of `after`."""
    start: int
    stop: int
    """Rows or columns that they share."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the signal does at one boundary."""

    boundary: Boundary
    step: float
    """Log of the signal after the boundary over that before it."""
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class RelativeGains:
    """By amplifier, camera order; NaN where no boundary could be measured."""

    ratio: DoubleArray
    """What the gain must be multiplied by for the flat to be continuous; median 1."""
    error: DoubleArray


def boundaries(detector: Detector) -> tuple[Boundary, ...]:
    """Return every boundary between two amplifiers of a detector."""
    boxes = [amp.bbox for amp in detector.amplifiers]
    found = []
    for i, a in enumerate(boxes):
        for j, b in enumerate(boxes):
            y0, y1 = max(a.y0, b.y0), min(a.y1, b.y1)
            x0, x1 = max(a.x0, b.x0), min(a.x1, b.x1)
            if a.x1 == b.x0 and y1 > y0:
                found.append(Boundary(i, j, True, b.x0, y0, y1))
            elif a.y1 == b.y0 and x1 > x0:
                found.append(Boundary(i, j, False, b.y0, x0, x1))
    return tuple(found)


def relative_gains(
    detector: Detector, image: FloatArray, good: BoolArray, usable: Sequence[bool]
) -> RelativeGains:
    """Return the factors on the gains that make a flat continuous.

    Parameters
    ----------
    detector
        Gives the boundaries.
    image
        Shape (height, width), e- (or ADU, then the factors are the gains themselves but for one
        common factor).
    good
        Same shape.
    usable
        Which amplifiers have a signal worth comparing, in camera order.
    """
    steps = []
    for boundary in boundaries(detector):
        if usable[boundary.before] and usable[boundary.after]:
            boxes = [detector.amplifiers[i].bbox for i in (boundary.before, boundary.after)]
            step = measure_step(boundary, boxes, image, good)
            if step is not None:
                steps.append(step)
    return solve(steps, len(detector.amplifiers))


def measure_step(
    boundary: Boundary, boxes: Sequence[Box], image: FloatArray, good: BoolArray
) -> Step | None:
    """Measure one boundary; None where too few pixels are good.

    The error follows from the scatter of the distances about their line, so it knows what the
    pixels' own response adds to the shot noise (at 40 ke- three times as much variance). What the
    scatter does not know is looked for: whether neighbours are alike, and whether the line is one.
    """
    sizes = [box.width if boundary.vertical else box.height for box in boxes]
    inset = min(INSET, min(sizes) // 12)
    band = min(BAND, min(sizes) // 2 - inset)
    if band < LEAST_DISTANCES:
        return None
    before, ok_before = _band(boundary, image, good, inset, band, after=False)
    after, ok_after = _band(boundary, image, good, inset, band, after=True)
    ok = ok_before & ok_after
    # Where the light is zero or less there is no log of it.
    ok &= (before > 0) & (after > 0)
    values = np.full(ok.shape, np.nan, np.float32)
    np.divide(after, before, out=values, where=ok)
    enough = np.count_nonzero(ok, axis=1) >= max(LEAST_SAMPLES * ok.shape[1], 2)
    if np.count_nonzero(enough) < LEAST_DISTANCES:
        return None
    # A median of logs is the log of the median.
    medians = np.full(band, np.nan)
    for k in np.flatnonzero(enough):
        row = values[k] if ok[k].all() else values[k][ok[k]]
        medians[k] = math.log(float(np.median(row)))
    # From the centre of a pixel to that of its partner, in pixels.
    distance = 2.0 * (inset + np.arange(band)) + 1.0
    return _at_zero(boundary, distance[enough], medians[enough])


def solve(steps: Sequence[Step], n_amp: int) -> RelativeGains:
    """Solve the steps for one factor an amplifier, in least squares, and make their median 1.

    The gain of the amplifier after a boundary must fall by as much as the signal rises there. One
    amplifier far off moves the mean of all, and so would make the others wrong; not the median.
    """
    nothing = np.full(n_amp, np.nan)
    if not steps:
        return RelativeGains(nothing, nothing.copy())
    matrix = np.zeros((n_amp, n_amp))
    wanted = np.zeros(n_amp)
    for found in steps:
        i, j = found.boundary.before, found.boundary.after
        weight = 1.0 / found.error**2
        matrix[i, i] += weight
        matrix[j, j] += weight
        matrix[i, j] -= weight
        matrix[j, i] -= weight
        wanted[j] -= weight * found.step
        wanted[i] += weight * found.step
    label = _largest(matrix)
    part = np.ix_(label, label)
    # All of a connected part may be shifted together: the pseudo-inverse makes their mean 0.
    covariance = np.linalg.pinv(matrix[part], hermitian=True)
    ratio, error = nothing, nothing.copy()
    gains = np.exp(covariance @ wanted[label])
    ratio[label] = gains / np.median(gains)
    error[label] = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    return RelativeGains(ratio, error)


def _largest(matrix: DoubleArray) -> BoolArray:
    """Return the amplifiers of the largest part that boundaries connect.

    What is not connected with it cannot be compared with it.
    """
    _, labels = connected_components(matrix != 0, directed=False)
    counts = np.bincount(labels)
    return np.asarray(labels == counts.argmax())


def _band(
    boundary: Boundary,
    image: FloatArray,
    good: BoolArray,
    inset: int,
    band: int,
    *,
    after: bool,
) -> tuple[FloatArray, BoolArray]:
    """Return the pixels of one side, shape (distance, along the boundary), the nearest first."""
    place = boundary.place
    if after:
        across = slice(place + inset, place + inset + band)
    else:
        across = slice(place - inset - band, place - inset)
    along = slice(boundary.start, boundary.stop)
    box = (along, across) if boundary.vertical else (across, along)
    pixels, usable = image[box], good[box]
    if boundary.vertical:
        pixels, usable = pixels.T, usable.T
    if not after:
        pixels, usable = pixels[::-1], usable[::-1]
    return np.ascontiguousarray(pixels), np.ascontiguousarray(usable)


def _at_zero(boundary: Boundary, distance: DoubleArray, medians: DoubleArray) -> Step | None:
    """Return the line through the medians at distance zero; its outliers are left out once."""
    keep = np.ones(distance.size, np.bool_)
    for last in (False, True):
        x, y = distance[keep], medians[keep]
        centre = x.mean()
        spread = float(np.sum((x - centre) ** 2))
        slope = float(np.sum((x - centre) * y) / spread)
        step = float(y.mean() - slope * centre)
        residual = medians - step - slope * distance
        if last:
            break
        scale = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
        inliers = np.abs(residual - np.median(residual)) <= OUTLIER * scale
        if np.count_nonzero(inliers) < LEAST_DISTANCES:
            break
        keep = inliers
    n = int(np.count_nonzero(keep))
    if not math.isfinite(step):
        return None
    left = residual[keep]
    deviation = math.sqrt(float(left @ left) / max(n - 2, 1) * _dependence(left))
    error = deviation * math.sqrt(1.0 / n + centre * centre / spread)
    return Step(boundary, step, math.hypot(error, _bend(x - centre, left, centre, deviation)))


def _dependence(residual: DoubleArray) -> float:
    """Return by what the variance of a mean of residuals exceeds that of independent ones.

    Columns that are alike with their neighbours (tree rings, edges) are fewer than they are: with
    the correlation ρ of neighbours (1 + ρ)/(1 − ρ) times. Where a line was taken out, ρ is
    found too small by (1 + 4ρ)/n (Kendall 1954).
    """
    n = residual.size
    total = float(residual @ residual)
    if n < 2 * LEAST_DISTANCES or not total > 0:
        return 1.0
    found = float(residual[1:] @ residual[:-1]) / total
    if found < LIKE_NEIGHBOURS / math.sqrt(n):
        return 1.0
    correlation = min((n * found + 1.0) / (n - 4.0), MAX_CORRELATION)
    return (1.0 + correlation) / (1.0 - correlation)


def _bend(x: DoubleArray, residual: DoubleArray, centre: float, deviation: float) -> float:
    """Return by what a parabola at distance zero is off the line; 0 where none is seen.

    Light itself bends alike on both sides, and its ratio does not. What does is an edge whose
    distortion reaches into the band; the line is then wrong by about this much.

    Parameters
    ----------
    x, residual
        Shape (n,): distances from their mean, pixels, and what the line leaves over.
    centre
        The mean distance, pixels.
    deviation
        Of one residual.
    """
    if x.size < LEAST_DISTANCES:
        return 0.0
    # The part of x² that no line has.
    slope, level = np.polyfit(x, x**2, 1)
    square = x**2 - slope * x - level
    spread = float(square @ square)
    curvature = float(square @ residual) / spread
    if abs(curvature) <= BENT * deviation / math.sqrt(spread):
        return 0.0
    return abs(curvature) * float(centre**2 + slope * centre - level)
