"""Which pixels the crosstalk marks: what the pass has to note, and what follows from its notes.

The rule is that of `calwatch.isr.crosstalk.marked_pixels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from calwatch.calibrations.masks import Mask
from calwatch.isr.crosstalk import median_of
from calwatch.isr.selection import around_ranks
from calwatch.isr.stream.crosstalk import Marks
from calwatch.isr.stream.plan import Placement, Sections

_CAPACITY = 200_000
"""Pixels that can be listed; with more, all signals are kept."""
_RANGE = 0.1
_LEAST_RANGE = 0.005
"""Half width of the range in which the median is expected: as a share of the sample, and at least
this share of the limit. The rows of a sample are too few to be sure of less; a wider range leaves
more signals undecided."""
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
    return _marks(np.zeros((2, n_amp)), np.full(n_amp, np.inf), frozenset(), nothing, 0)


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
    signals = sample.reshape(len(sample), -1)
    count = signals.shape[1]
    ranks = [int((0.5 - _RANGE) * count), int((0.5 + _RANGE) * count), count // 2]
    low, high, middle = np.partition(signals, ranks, axis=1)[:, ranks].astype(np.float64).T
    low = np.minimum(low, middle - _LEAST_RANGE * limit)
    high = np.maximum(high, middle + _LEAST_RANGE * limit)
    data = sample[:, :, sections.data_x0 : sections.data_x1]
    far = np.abs(data - middle[:, None, None]) > _FAR * limit[:, None, None]
    often = np.flatnonzero(far.mean(axis=(1, 2)) > _OFTEN)
    kept = sorted(keep | set(often.tolist()))
    room = np.empty((len(kept), sections.rows, sections.columns), np.float32)
    return _marks(np.array([low, high]), limit, frozenset(kept), room, _CAPACITY)


def _marks(
    expected: DoubleArray, limit: DoubleArray, kept: Set[int], room: FloatArray, capacity: int
) -> Marks:
    low, high = expected
    n_amp = limit.size
    kept_as = np.full(n_amp, -1, np.int32)
    for place, k in enumerate(sorted(kept)):
        kept_as[k] = place
    return Marks(
        low=low.astype(np.float32),
        high=high.astype(np.float32),
        near_low=np.nextafter((high - limit).astype(np.float32), np.float32(np.inf)),
        near_high=np.nextafter((low + limit).astype(np.float32), np.float32(-np.inf)),
        below=np.zeros(n_amp, np.int64),
        not_above=np.zeros(n_amp, np.int64),
        places=np.empty((capacity, 3), np.int32),
        values=np.empty(capacity, np.float32),
        listed=np.zeros(1, np.int64),
        kept_as=kept_as,
        kept=room,
    )


def without_median(marks: Marks, limit: DoubleArray, sections: Sections) -> list[int]:
    """Return the amplifiers of which some marks depend on where in its range the median is.

    Raises
    ------
    UndecidedError
        If the notes do not even tell that the median is in its range, or if they are not complete.
    """
    n_amp, listed = limit.size, int(marks.listed[0])
    if listed > marks.values.size:
        raise UndecidedError(frozenset(range(n_amp)))
    unproved = (marks.kept_as < 0) & ~_median_proved(marks, sections)
    if unproved.any():
        raise UndecidedError(frozenset(np.flatnonzero(unproved).tolist()))
    amplifier, values = marks.places[:listed, 0], marks.values[:listed].astype(np.float64)
    low, high = marks.low.astype(np.float64), marks.high.astype(np.float64)
    possible = (values >= (low + limit)[amplifier]) | (values <= (high - limit)[amplifier])
    marked = (values >= (high + limit)[amplifier]) | (values <= (low - limit)[amplifier])
    return sorted(set(amplifier[possible & ~marked].tolist()))


def median_of_middle(
    signals: FloatArray, n_nan: int, marks: Marks, k: int, sections: Sections
) -> float:
    """Return the median of all signals of amplifier number `k`, units of the image.

    Parameters
    ----------
    signals
        Those that lie in the range in which the median was expected, in any order.
    n_nan
        How many of all signals are no numbers; with any, the median is none either.
    marks
        Of a pass that has proved the range.
    k
        Number of the amplifier.
    sections
        Of the amplifiers.
    """
    if n_nan > 0:
        return np.nan
    count = sections.rows * sections.columns
    rank = (count - 1) // 2 - int(marks.below[k])
    fraction = (rank + 0.5) / max(signals.size - 1, 1)  # a half, so that rounding is of no account
    (middle,) = around_ranks(signals, (fraction,))
    return float(middle[0] if count % 2 else middle.mean())


def mark_crosstalk(
    marks: Marks,
    limit: DoubleArray,
    medians: Mapping[int, float],
    sections: Sections,
    placement: Placement,
    mask: IntArray,
) -> None:
    """Set CROSSTALK in the mask of the assembled detector.

    Parameters
    ----------
    marks
        What the pass has noted.
    limit
        Shape (n_amp,), units of the image.
    medians
        Units of the image, of those amplifiers that `without_median` names.
    sections, placement
        Of the amplifiers.
    mask
        Shape (height, width): changed.
    """
    listed = int(marks.listed[0])
    amplifier, values = marks.places[:listed, 0], marks.values[:listed].astype(np.float64)
    low, high = marks.low.astype(np.float64), marks.high.astype(np.float64)
    for known, median in medians.items():
        low[known] = high[known] = median
    marked = (values >= (high + limit)[amplifier]) | (values <= (low - limit)[amplifier])
    _mark_listed(marks.places[:listed][marked], sections, placement, mask)
    for k in np.flatnonzero(marks.kept_as >= 0):
        signal = marks.kept[marks.kept_as[k]]
        middle = median_of(signal.ravel())
        _mark_kept(signal, int(k), middle - limit[k], middle + limit[k], sections, placement, mask)


def _median_proved(marks: Marks, sections: Sections) -> BoolArray:
    """Tell whether the one or two middle signals are within the range expected."""
    count = sections.rows * sections.columns
    proved: BoolArray = (marks.below <= (count - 1) // 2) & (marks.not_above > count // 2)
    return proved


@njit(cache=True, nogil=True)
def _mark_listed(
    places: IntArray, sections: Sections, placement: Placement, mask: IntArray
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
    mask: IntArray,
) -> None:
    for y in range(sections.data_y0, sections.data_y1):
        for x in range(sections.data_x0, sections.data_x1):
            value = np.float64(signal[y, x])
            if value <= low or value >= high:
                _mark(k, y, x, sections, placement, mask)


@njit(cache=True, nogil=True)
def _mark(k: int, y: int, x: int, sections: Sections, placement: Placement, mask: IntArray) -> None:
    """Mark one pixel given by its place in readout order."""
    at_y, at_x = y - sections.data_y0, x - sections.data_x0
    if placement.flip_y[k]:
        at_y = sections.data_y1 - sections.data_y0 - 1 - at_y
    if placement.flip_x[k]:
        at_x = sections.data_x1 - sections.data_x0 - 1 - at_x
    mask[placement.y0[k] + at_y, placement.x0[k] + at_x] |= _CROSSTALK
