"""Crosstalk of a few rows of all amplifiers, and which pixels it marks.

Formulae: `calwatch.isr.crosstalk`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IndexArray, IntArray
from calwatch.isr.stream.plan import Sections

SOURCES_AT_A_TIME = 4
"""Sources summed in one loop; coefficients and blocks are padded to a multiple of it."""
TARGETS_AT_A_TIME = 2
"""Targets for which a source is read once."""
STEPS = 6
"""Signals at which all others are counted."""


class Coefficients(NamedTuple):
    """What every amplifier picks up; shape (padded n_amp, padded n_amp), [target, source]."""

    linear: FloatArray
    squared: FloatArray
    quadratic: BoolArray
    """Shape (pairs of targets, fours of sources): whether there is anything in `squared`."""


class Marks(NamedTuple):
    """What decides which pixels are marked; arrays have one entry an amplifier.

    A data pixel is marked if its signal is further than a limit from the median of all signals of
    its amplifier. That median is not known before the pass ends, but a sample of rows tells some
    steps among which it will be. The pass counts the signals up to each step, which proves between
    which two it is, and lists the few pixels whose signal is far enough from all to matter.
    """

    steps: FloatArray
    """Shape (n_amp, `STEPS`), ascending."""
    not_above: IndexArray
    """Shape (n_amp, `STEPS`): number of signals up to each step."""
    near_low: FloatArray
    near_high: FloatArray
    """A signal strictly within these is not marked wherever among the steps the median is."""
    places: IntArray
    """Shape (capacity, 3): amplifier, row and column of the listed pixels."""
    values: FloatArray
    """Shape (capacity,): their signals."""
    listed: IndexArray
    """Shape (1,): how many there are; more than the capacity if they did not fit."""
    kept_as: IntArray
    """Where in `kept` the signals of an amplifier go, −1: nowhere."""
    kept: FloatArray
    """Shape (n_kept, rows, columns): all signals of amplifiers of which no such range is known."""


def padded_coefficients(linear: DoubleArray, squared: DoubleArray) -> Coefficients:
    """Bring ``[source, target]`` coefficients into the form of the kernels."""
    missing = -linear.shape[0] % SOURCES_AT_A_TIME
    padding = ((0, missing), (0, missing))
    squares = np.pad(squared.T, padding).astype(np.float32)
    targets, sources = squares.shape
    groups = (
        targets // TARGETS_AT_A_TIME,
        TARGETS_AT_A_TIME,
        sources // SOURCES_AT_A_TIME,
        SOURCES_AT_A_TIME,
    )
    quadratic = np.asarray(squares.reshape(groups).any(axis=(1, 3)))
    return Coefficients(np.pad(linear.T, padding).astype(np.float32), squares, quadratic)


@njit(cache=True, nogil=True)
def subtract_crosstalk_rows(
    block: FloatArray,
    first_row: int,
    n_rows: int,
    sections: Sections,
    coefficients: Coefficients,
    marks: Marks,
    clean: FloatArray,
) -> None:
    """Fill `clean` with the rows in `block` less what they picked up from each other.

    Parameters
    ----------
    block, clean
        Shape (padded n_amp, n_rows or more, columns or more), units of the image. The padding
        holds zeros.
    first_row, n_rows
        Which rows they are, in readout order.
    sections
        Of the amplifiers.
    coefficients
        In units of the image.
    marks
        Brought up to date.
    """
    columns, n_amp = sections.columns, marks.near_low.size
    signals = np.empty((TARGETS_AT_A_TIME, columns), np.float32)
    for i in range(n_rows):
        for first in range(0, n_amp, TARGETS_AT_A_TIME):
            pick_up(block, i, coefficients, first, signals)
            for k in range(first, min(first + TARGETS_AT_A_TIME, n_amp)):
                signal = signals[k - first]
                _subtract_and_count(
                    block[k, i, :columns],
                    signal,
                    clean[k, i, :columns],
                    marks.steps[k],
                    marks.not_above[k],
                )
                if marks.kept_as[k] >= 0:
                    marks.kept[marks.kept_as[k], first_row + i] = signal
                elif _is_far(_data_of(signal, sections), marks.near_low[k], marks.near_high[k]):
                    _list_far(signal, k, first_row + i, sections, marks)


@njit(cache=True, nogil=True)
def pick_up(
    block: FloatArray, i: int, coefficients: Coefficients, first: int, signals: FloatArray
) -> None:
    """Sum ``c[s,t]·S + c2[s,t]·S²`` over the sources, a few at a time.

    Parameters
    ----------
    block
        As in `subtract_crosstalk_rows`.
    i
        Which of its rows.
    coefficients
        In units of the image.
    first
        Number of the first target, a multiple of `TARGETS_AT_A_TIME`.
    signals
        Shape (`TARGETS_AT_A_TIME`, columns): filled, units of the image.
    """
    signals[:] = 0.0
    linear = coefficients.linear[first : first + TARGETS_AT_A_TIME]
    squared = coefficients.squared[first : first + TARGETS_AT_A_TIME]
    for s in range(0, linear.shape[1], SOURCES_AT_A_TIME):
        if coefficients.quadratic[first // TARGETS_AT_A_TIME, s // SOURCES_AT_A_TIME]:
            _add_quadratic(block, i, s, linear, squared, signals[0], signals[1])
        else:
            _add_linear(block, i, s, linear, signals[0], signals[1])


@njit(cache=True, nogil=True, fastmath={"contract"})
def _add_linear(
    block: FloatArray, i: int, s: int, linear: FloatArray, one: FloatArray, other: FloatArray
) -> None:
    n = one.size
    a, b, c, d = (
        block[s, i, :n],
        block[s + 1, i, :n],
        block[s + 2, i, :n],
        block[s + 3, i, :n],
    )
    la, lb, lc, ld = linear[0, s], linear[0, s + 1], linear[0, s + 2], linear[0, s + 3]
    ma, mb, mc, md = linear[1, s], linear[1, s + 1], linear[1, s + 2], linear[1, s + 3]
    for x in range(n):
        # From left to right, so that each term is one fused multiplication and addition.
        one[x] = one[x] + la * a[x] + lb * b[x] + lc * c[x] + ld * d[x]
        other[x] = other[x] + ma * a[x] + mb * b[x] + mc * c[x] + md * d[x]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _add_quadratic(
    block: FloatArray,
    i: int,
    s: int,
    linear: FloatArray,
    squared: FloatArray,
    one: FloatArray,
    other: FloatArray,
) -> None:
    n = one.size
    a, b, c, d = (
        block[s, i, :n],
        block[s + 1, i, :n],
        block[s + 2, i, :n],
        block[s + 3, i, :n],
    )
    la, lb, lc, ld = linear[0, s], linear[0, s + 1], linear[0, s + 2], linear[0, s + 3]
    ma, mb, mc, md = linear[1, s], linear[1, s + 1], linear[1, s + 2], linear[1, s + 3]
    qa, qb, qc, qd = squared[0, s], squared[0, s + 1], squared[0, s + 2], squared[0, s + 3]
    ra, rb, rc, rd = squared[1, s], squared[1, s + 1], squared[1, s + 2], squared[1, s + 3]
    for x in range(n):
        one[x] = (
            one[x]
            + a[x] * (la + qa * a[x])
            + b[x] * (lb + qb * b[x])
            + c[x] * (lc + qc * c[x])
            + d[x] * (ld + qd * d[x])
        )
        other[x] = (
            other[x]
            + a[x] * (ma + ra * a[x])
            + b[x] * (mb + rb * b[x])
            + c[x] * (mc + rc * c[x])
            + d[x] * (md + rd * d[x])
        )


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _subtract_and_count(
    row: FloatArray,
    signal: FloatArray,
    clean: FloatArray,
    steps: FloatArray,
    not_above: IndexArray,
) -> None:
    """Subtract the signal; count those up to each step.

    The counts are float32, which holds the few columns of a row exactly and is quick to add up.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    a, b, c, d, e, f = steps
    up_to_a, up_to_b, up_to_c, up_to_d, up_to_e, up_to_f = zero, zero, zero, zero, zero, zero
    for x in range(row.size):
        value = signal[x]
        clean[x] = row[x] - value
        up_to_a += one if value <= a else zero
        up_to_b += one if value <= b else zero
        up_to_c += one if value <= c else zero
        up_to_d += one if value <= d else zero
        up_to_e += one if value <= e else zero
        up_to_f += one if value <= f else zero
    for step, count in enumerate((up_to_a, up_to_b, up_to_c, up_to_d, up_to_e, up_to_f)):
        not_above[step] += int(count)


@njit(cache=True, nogil=True)
def _data_of(signal: FloatArray, sections: Sections) -> FloatArray:
    """Return the signals of the columns with data: others may have kept their level, and much."""
    return signal[sections.data_x0 : sections.data_x1]


@njit(cache=True, nogil=True)
def _is_far(signal: FloatArray, near_low: float, near_high: float) -> bool:
    """Tell whether any signal is outside the near range."""
    far = np.int32(0)
    for x in range(signal.size):
        far |= np.int32((signal[x] <= near_low) | (signal[x] >= near_high))
    return bool(far != 0)


@njit(cache=True, nogil=True)
def append_between(
    signal: FloatArray, low: float, high: float, values: FloatArray, count: int
) -> int:
    """Append signals above `low` up to `high` to the first `count` values; return the new count.

    Each is written, and the next one over it if it is not wanted, which spares a branch.
    """
    last = values.size - 1
    for x in range(signal.size):
        values[min(count, last)] = signal[x]
        count += int((signal[x] > low) & (signal[x] <= high))
    return count


@njit(cache=True, nogil=True)
def _list_far(signal: FloatArray, k: int, y: int, sections: Sections, marks: Marks) -> None:
    """List the data pixels of a row whose signal is outside the near range."""
    if y < sections.data_y0 or y >= sections.data_y1:
        return
    for x in range(sections.data_x0, sections.data_x1):
        if marks.near_low[k] < signal[x] < marks.near_high[k]:
            continue
        place = marks.listed[0]
        marks.listed[0] += 1
        if place < marks.values.size:
            marks.places[place, 0] = k
            marks.places[place, 1] = y
            marks.places[place, 2] = x
            marks.values[place] = signal[x]
