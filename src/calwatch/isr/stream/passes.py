"""The pass over the rows of a detector: the steps of IsrTaskLSST on a few rows at a time.

A block of two rows of sixteen amplifiers stays in the second-level cache while every step works
on it, so that memory is read once and written once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IndexArray, IntArray
from calwatch.camera.rice import Room, new_room
from calwatch.isr.stream.charge_transfer import Transfer, correct_row
from calwatch.isr.stream.crosstalk import (
    TARGETS_AT_A_TIME,
    Coefficients,
    Marks,
    append_between,
    pick_up,
    subtract_crosstalk_rows,
)
from calwatch.isr.stream.linearity import Splines, linearize_row
from calwatch.isr.stream.output import Images, expect_row, finish_row
from calwatch.isr.stream.plan import Placement, Sections
from calwatch.isr.stream.rows import (
    RowCensus,
    SerialFit,
    Source,
    fit_serial_overscan,
    subtract_levels_and_apply_gain,
    take_rows,
)

ROWS_AT_A_TIME = 2
_PADDING = 16
"""Columns added to a row of a block, because rows a power of two apart share places in the
cache."""


class Corrections(NamedTuple):
    """What the amplifiers are corrected with; arrays have one entry an amplifier."""

    skip: BoolArray
    """Bad amplifiers, of which no overscan is subtracted."""
    usual_sigma: DoubleArray
    """ADU: median width of the rows of the serial overscan."""
    network: IntArray
    """Sorts the columns of the serial overscan that are fitted; empty if none are."""
    gain: FloatArray
    """e-/ADU, or 1."""
    crosstalk: Coefficients
    subtract_crosstalk: bool
    splines: Splines
    transfer: Transfer


class Frame(NamedTuple):
    """One exposure on its way."""

    source: Source
    sections: Sections
    placement: Placement
    overscan: FloatArray
    """Shape (n_amp, rows, columns of the serial overscan), ADU, dithered."""
    census: RowCensus
    serial: SerialFit
    marks: Marks
    images: Images
    """Certified images, and the image and mask that are made."""


class Block(NamedTuple):
    """Room for a few rows of all amplifiers; shape (padded n_amp, rows, padded columns)."""

    counts: IntArray
    """Shape (rows, columns): of one amplifier, as read."""
    room: Room
    """For the decoder."""
    raw: FloatArray
    """Dithered; then without serial overscan and in the units of the image."""
    clean: FloatArray
    """Without crosstalk."""
    lanes: FloatArray
    """Room to sort overscans in."""


@njit(cache=True, nogil=True)
def _new_block(frame: Frame, corrections: Corrections) -> Block:
    n_amp, n_padded = corrections.gain.size, corrections.crosstalk.linear.shape[1]
    width = frame.sections.columns + _PADDING
    fitted = frame.sections.fit_x1 - frame.sections.fit_x0
    return Block(
        np.empty((ROWS_AT_A_TIME, frame.sections.columns), np.int32),
        new_room(frame.sections.columns),
        np.zeros((n_padded, ROWS_AT_A_TIME, width), np.float32),
        np.zeros((n_padded, ROWS_AT_A_TIME, width), np.float32),
        np.zeros((fitted, n_amp * ROWS_AT_A_TIME), np.float32),
    )


@njit(cache=True, nogil=True)
def _fill_block(
    block: Block, first_row: int, n_rows: int, frame: Frame, corrections: Corrections
) -> FloatArray:
    """Take rows through dither, serial overscan, gain and crosstalk; return where they are."""
    _fill_without_crosstalk(block, first_row, n_rows, frame, corrections)
    if not corrections.subtract_crosstalk:
        return block.raw
    subtract_crosstalk_rows(
        block.raw,
        first_row,
        n_rows,
        frame.sections,
        corrections.crosstalk,
        frame.marks,
        block.clean,
    )
    return block.clean


@njit(cache=True, nogil=True)
def _fill_without_crosstalk(
    block: Block, first_row: int, n_rows: int, frame: Frame, corrections: Corrections
) -> None:
    """Take rows through dither, serial overscan and gain.

    While an amplifier is decoded, which needs little memory, what its rows will need comes.
    """
    sections, serial = frame.sections, frame.serial
    for k in range(corrections.gain.size):
        for y in range(first_row, first_row + n_rows):
            expect_row(k, y, sections, frame.placement, frame.images)
        take_rows(
            frame.source,
            k,
            first_row,
            n_rows,
            sections,
            frame.placement,
            frame.overscan[k],
            frame.census,
            block.counts,
            block.room,
            block.raw[k],
        )
    if corrections.network.size:
        fit_serial_overscan(
            block.raw,
            first_row,
            n_rows,
            sections,
            corrections.skip,
            corrections.usual_sigma,
            corrections.network,
            block.lanes,
            serial,
        )
    subtract_levels_and_apply_gain(
        block.raw, first_row, n_rows, sections, serial.levels, corrections.gain
    )


@njit(cache=True, nogil=True)
def collect_rows(
    first_row: int,
    last_row: int,
    frame: Frame,
    corrections: Corrections,
    clean: FloatArray,
    signal: FloatArray,
) -> None:
    """Take rows as far as crosstalk, and keep their data columns.

    Parameters
    ----------
    first_row, last_row
        Which rows: the first and one past the last.
    frame, corrections
        The exposure and what it is corrected with.
    clean
        Shape (n_amp, number of rows, columns of the data): the pixels after crosstalk.
    signal
        Shape (n_amp, number of rows, columns): the crosstalk that was subtracted.
    """
    block = _new_block(frame, corrections)
    x0, x1 = frame.sections.data_x0, frame.sections.data_x1
    for y in range(first_row, last_row, ROWS_AT_A_TIME):
        n_rows = min(ROWS_AT_A_TIME, last_row - y)
        pixels = _fill_block(block, y, n_rows, frame, corrections)
        for k in range(corrections.gain.size):
            for i in range(n_rows):
                clean[k, y - first_row + i] = pixels[k, i, x0:x1]
                for x in range(frame.sections.columns):
                    signal[k, y - first_row + i, x] = block.raw[k, i, x] - pixels[k, i, x]


@njit(cache=True, nogil=True)
def collect_middle_signals(
    frame: Frame,
    corrections: Corrections,
    amplifiers: IndexArray,
    low: DoubleArray,
    high: DoubleArray,
    signals: FloatArray,
) -> IndexArray:
    """Collect the signals of crosstalk that lie where the median is, over all rows.

    Parameters
    ----------
    frame, corrections
        The exposure and what it is corrected with. No marks are noted.
    amplifiers
        Shape (n,): which ones.
    low, high
        Shape (n,), units of the image: signals above the first are collected up to the second.
    signals
        Shape (n, one more than there are or more): filled, units of the image.

    Returns
    -------
    n_nan
        Shape (n,): how many signals are no numbers.
    """
    if amplifiers.size == 0:
        return np.zeros(0, np.int64)
    block = _new_block(frame, corrections)
    signals_of_row = np.empty((TARGETS_AT_A_TIME, frame.sections.columns), np.float32)
    found, n_nan = np.zeros(amplifiers.size, np.int64), np.zeros(amplifiers.size, np.int64)
    rows = frame.sections.rows
    for first in range(0, rows, ROWS_AT_A_TIME):
        n_rows = min(ROWS_AT_A_TIME, rows - first)
        _fill_without_crosstalk(block, first, n_rows, frame, corrections)
        for j in range(amplifiers.size):
            k = amplifiers[j]
            for i in range(n_rows):
                place = k % TARGETS_AT_A_TIME
                pick_up(block.raw, i, corrections.crosstalk, k - place, signals_of_row)
                signal = signals_of_row[place]
                found[j] = append_between(signal, low[j], high[j], signals[j], found[j])
                n_nan[j] += np.isnan(signal).sum()
    return n_nan


@njit(cache=True, nogil=True)
def correct_rows(
    first_row: int,
    last_row: int,
    frame: Frame,
    corrections: Corrections,
    column_levels: FloatArray,
) -> None:
    """Take rows through every step into the assembled detector.

    Parameters
    ----------
    first_row, last_row
        Which rows: the first and one past the last. Of rows without data only the overscan is
        looked at.
    frame, corrections
        The exposure and what it is corrected with.
    column_levels
        Shape (n_amp, columns of the data), units of the image: from the parallel overscan.
    """
    sections, transfer = frame.sections, corrections.transfer
    block = _new_block(frame, corrections)
    charge, a, b = (
        np.zeros(sections.data_x1, np.float32),
        np.empty(sections.data_x1, np.float32),
        np.empty(sections.data_x1, np.float32),
    )
    for first in range(first_row, last_row, ROWS_AT_A_TIME):
        n_rows = min(ROWS_AT_A_TIME, last_row - first)
        pixels = _fill_block(block, first, n_rows, frame, corrections)
        for k in range(corrections.gain.size):
            for i in range(n_rows):
                y = first + i - sections.data_y0
                if y < 0 or first + i >= sections.data_y1:
                    continue
                row = pixels[k, i, sections.data_x0 : sections.data_x1]
                _subtract_columns(row, column_levels[k])
                linearize_row(row, corrections.splines, k)
                if transfer.active[k]:
                    charge[: sections.data_x0] = 0.0
                    charge[sections.data_x0 :] = row
                    correct_row(charge, transfer, k, a, b)
                    row = charge[sections.data_x0 :]
                height = sections.data_y1 - sections.data_y0
                finish_row(row, k, y, height, frame.placement, frame.images)


@njit(cache=True, nogil=True)
def _subtract_columns(row: FloatArray, levels: FloatArray) -> None:
    for x in range(row.size):
        row[x] -= levels[x]
