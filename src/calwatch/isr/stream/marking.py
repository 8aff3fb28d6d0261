"""Which pixels the crosstalk marks: what the pass has to note, and what follows from its notes.

The rule is that of `calwatch.isr.crosstalk.marked_pixels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray, IndexArray, IntArray, MaskArray
from calwatch.calibrations.masks import Mask
from calwatch.isr.crosstalk import median_of
from calwatch.isr.selection import around_ranks
from calwatch.isr.stream.crosstalk import STEPS, Marks
from calwatch.isr.stream.plan import Placement, Sections

_CAPACITY = 200_000
"""Pixels that can be listed; with more, all signals are kept."""
_COLUMNS_APART = 3
"""Every third column of the sample is enough: it is its rows of which there are few."""
_STEPS = (0.4, 0.44, 0.48, 0.52, 0.56, 0.6)
"""Fractions of the sample at which the steps are put. Few signals are undecided between two steps
that lie near each other; the outer ones hold the median where the sample deceives."""
_LEAST_RANGE = 0.005
"""The outer steps are at least this share of the limit from the median of the sample: its rows are
too few to be sure of less."""
_OFTEN = 0.002
"""If this share of the sample is far from its median, all signals are kept."""
_FAR = 0.75
"""Limits from the median, from which a signal of the sample counts as far."""
_CROSSTALK = int(Mask.CROSSTALK)


class UndecidedError(Exception):
    """All signals of some amplifiers are needed to tell which pixels are marked."""

    def __init__(self, amplifiers: Set[int]) -> None:
        super().__init__(f"amplifiers {sorted(amplifiers)}")
        self.amplifiers = amplifiers


def no_marks(n_amp: int) -> Marks:
    """Return what makes the pass note nothing."""
    nothing = np.zeros((0, 0, 0), np.float32)
    return _marks(np.zeros((n_amp, STEPS)), np.full(n_amp, np.inf), frozenset(), nothing, 0)


@dataclass(frozen=True, slots=True, eq=False)
class MedianRanges:
    """Where the median signal of each amplifier is; arrays have the shape (n_amp,)."""

    low: DoubleArray
    high: DoubleArray
    """It is greater than `low`, or both are the median itself; units of the image."""
    below: IndexArray
    """Signals up to `low`."""
    inside: IndexArray
    """Signals greater than that, up to `high`."""

    def settled(self, medians: Mapping[int, float]) -> MedianRanges:
        """Return the same with the medians of some amplifiers known."""
        low, high = self.low.copy(), self.high.copy()
        for k, median in medians.items():
            low[k] = high[k] = median
        return replace(self, low=low, high=high)


def marks_from_sample(
    sample: FloatArray, limit: DoubleArray, sections: Sections, keep: Set[int]
) -> Marks:
    """Decide from the signals of some rows what the pass is to note.

    Parameters
    ----------
    sample
        Shape (n_amp, rows, columns): signals of some rows with data.
    limit
        Shape (n_amp,), units of the image.
    sections
        Of the amplifiers.
    keep
        Amplifiers of which all signals are to be kept in any case.
    """
    signals = sample[:, :, ::_COLUMNS_APART].reshape(len(sample), -1)
    count = signals.shape[1]
    ranks = [int(fraction * count) for fraction in (*_STEPS, 0.5)]
    found = np.partition(signals, ranks, axis=1)[:, ranks].astype(np.float64)
    steps, middle = found[:, :-1], found[:, -1]
    steps[:, 0] = np.minimum(steps[:, 0], middle - _LEAST_RANGE * limit)
    steps[:, -1] = np.maximum(steps[:, -1], middle + _LEAST_RANGE * limit)
    data = sample[:, :, sections.data_x0 : sections.data_x1]
    far = np.abs(data - middle[:, None, None]) > _FAR * limit[:, None, None]
    often = np.flatnonzero(far.mean(axis=(1, 2)) > _OFTEN)
    kept = sorted(keep | set(often.tolist()))
    room = np.empty((len(kept), sections.rows, sections.columns), np.float32)
    return _marks(steps, limit, frozenset(kept), room, _CAPACITY)


def _marks(
    steps: DoubleArray, limit: DoubleArray, kept: Set[int], room: FloatArray, capacity: int
) -> Marks:
    n_amp = limit.size
    kept_as = np.full(n_amp, -1, np.int32)
    for place, k in enumerate(sorted(kept)):
        kept_as[k] = place
    return Marks(
        steps=steps.astype(np.float32),
        not_above=np.zeros(steps.shape, np.int64),
        near_low=np.nextafter((steps[:, -1] - limit).astype(np.float32), np.float32(np.inf)),
        near_high=np.nextafter((steps[:, 0] + limit).astype(np.float32), np.float32(-np.inf)),
        places=np.empty((capacity, 3), np.int32),
        values=np.empty(capacity, np.float32),
        listed=np.zeros(1, np.int64),
        kept_as=kept_as,
        kept=room,
    )


def median_ranges(marks: Marks, sections: Sections) -> MedianRanges:
    """Return where the median signals are, as the notes of a pass prove.

    Raises
    ------
    UndecidedError
        If the notes prove nothing of some amplifiers whose signals are not kept, or if they are not
        complete.
    """
    n_amp = marks.kept_as.size
    if marks.listed[0] > marks.values.size:
        raise UndecidedError(frozenset(range(n_amp)))
    count = sections.rows * sections.columns
    lower = (marks.not_above <= (count - 1) // 2).sum(axis=1) - 1
    upper = (marks.not_above <= count // 2).sum(axis=1)
    unproved = (marks.kept_as < 0) & ((lower < 0) | (upper == STEPS))
    if unproved.any():
        raise UndecidedError(frozenset(np.flatnonzero(unproved).tolist()))
    amp, upper = np.arange(n_amp), np.minimum(upper, STEPS - 1)
    below = marks.not_above[amp, lower]
    return MedianRanges(
        low=marks.steps[amp, lower].astype(np.float64),
        high=marks.steps[amp, upper].astype(np.float64),
        below=below,
        inside=marks.not_above[amp, upper] - below,
    )


def without_median(marks: Marks, limit: DoubleArray, ranges: MedianRanges) -> list[int]:
    """Return the amplifiers of which some marks depend on where in its range the median is."""
    listed = int(marks.listed[0])
    amplifier, values = marks.places[:listed, 0], marks.values[:listed].astype(np.float64)
    low, high = ranges.low, ranges.high
    possible = (values >= (low + limit)[amplifier]) | (values <= (high - limit)[amplifier])
    marked = (values >= (high + limit)[amplifier]) | (values <= (low - limit)[amplifier])
    return sorted(set(amplifier[possible & ~marked].tolist()))


def median_of_middle(
    signals: FloatArray, n_nan: int, ranges: MedianRanges, k: int, sections: Sections
) -> float:
    """Return the median of all signals of amplifier number `k`, units of the image.

    Parameters
    ----------
    signals
        Those that lie in the range of the median, in any order.
    n_nan
        How many of all signals are no numbers; with any, the median is none either.
    ranges
        Where the medians are.
    k
        Number of the amplifier.
    sections
        Of the amplifiers.
    """
    if n_nan > 0:
        return np.nan
    count = sections.rows * sections.columns
    rank = (count - 1) // 2 - int(ranges.below[k])
    fraction = (rank + 0.5) / max(signals.size - 1, 1)  # a half, so that rounding is of no account
    (middle,) = around_ranks(signals, (fraction,))
    return float(middle[0] if count % 2 else middle.mean())


def mark_crosstalk(
    marks: Marks,
    limit: DoubleArray,
    ranges: MedianRanges,
    sections: Sections,
    placement: Placement,
    mask: MaskArray,
) -> None:
    """Set CROSSTALK in the mask of the assembled detector.

    Parameters
    ----------
    marks
        What the pass has noted.
    limit
        Shape (n_amp,), units of the image.
    ranges
        Where the medians are, so narrow that no mark depends on it.
    sections, placement
        Of the amplifiers.
    mask
        Shape (height, width): changed.
    """
    listed = int(marks.listed[0])
    amplifier, values = marks.places[:listed, 0], marks.values[:listed].astype(np.float64)
    marked = values >= (ranges.high + limit)[amplifier]
    marked |= values <= (ranges.low - limit)[amplifier]
    _mark_listed(marks.places[:listed][marked], sections, placement, mask)
    for k in np.flatnonzero(marks.kept_as >= 0):
        signal = marks.kept[marks.kept_as[k]]
        middle = median_of(signal.ravel())
        _mark_kept(signal, int(k), middle - limit[k], middle + limit[k], sections, placement, mask)


@njit(cache=True, nogil=True)
def _mark_listed(
    places: IntArray, sections: Sections, placement: Placement, mask: MaskArray
) -> None:
    for i in range(places.shape[0]):
        _mark(places[i, 0], places[i, 1], places[i, 2], sections, placement, mask)


@njit(cache=True, nogil=True)
def _mark_kept(
    signal: FloatArray,
    k: int,
    low: float,
    high: float,
    sections: Sections,
    placement: Placement,
    mask: MaskArray,
) -> None:
    for y in range(sections.data_y0, sections.data_y1):
        for x in range(sections.data_x0, sections.data_x1):
            value = np.float64(signal[y, x])
            if value <= low or value >= high:
                _mark(k, y, x, sections, placement, mask)


@njit(cache=True, nogil=True)
def _mark(
    k: int, y: int, x: int, sections: Sections, placement: Placement, mask: MaskArray
) -> None:
    """Mark one pixel given by its place in readout order."""
    at_y, at_x = y - sections.data_y0, x - sections.data_x0
    if placement.flip_y[k]:
        at_y = sections.data_y1 - sections.data_y0 - 1 - at_y
    if placement.flip_x[k]:
        at_x = sections.data_x1 - sections.data_x0 - 1 - at_x
    mask[placement.y0[k] + at_y, placement.x0[k] + at_x] |= _CROSSTALK
