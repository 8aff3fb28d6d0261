"""The first steps on a few rows: dither, serial overscan, gain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from calwatch.isr.sorting_network import sort_lanes
from calwatch.isr.stream.plan import Placement, Sections
from calwatch.isr.stream.twister import DrawArray
from calwatch.isr.stream.vector_level import vector_level, vector_sigma

_DRAW_UNIT = np.float32(2.0**-16)
_DRAW_CENTRE = np.float32(2.0**-17 - 0.5)
"""A draw cut to 16 bits stands for the middle of what it may have been."""


class Source(NamedTuple):
    """Where rows come from: whole amplifiers in memory, of which any rows can be taken."""

    raw: IntArray
    """Shape (n_amp, rows, columns), readout order, ADU."""
    draws: DrawArray
    """Dither of the mosaic of raw amplifiers, in units of 2⁻¹⁶; empty if there is none."""
    dithered: bool


class SerialFit(NamedTuple):
    """What the serial overscan says, row by row; all of shape (n_amp, rows)."""

    levels: DoubleArray
    """ADU; 0 where nothing is subtracted, NaN where no pixel could be used."""
    sigma: DoubleArray
    """ADU: 0.74·(Q75 − Q25) of each row."""
    lowest: FloatArray
    highest: FloatArray
    """ADU: least and greatest pixel of each row."""


@njit(cache=True, nogil=True)
def take_rows(
    source: Source,
    first_row: int,
    n_rows: int,
    sections: Sections,
    placement: Placement,
    overscan: FloatArray,
    block: FloatArray,
) -> None:
    """Dither a few rows of every amplifier, and keep their serial overscan.

    Parameters
    ----------
    source
        The raw frame.
    first_row, n_rows
        Which rows, in readout order.
    sections, placement
        Of the amplifiers.
    overscan
        Shape (n_amp, rows, columns of the serial overscan): those rows are filled.
    block
        Shape (n_amp or more, n_rows or more, columns or more), ADU: filled.
    """
    for k in range(source.raw.shape[0]):
        for i in range(n_rows):
            y = first_row + i
            row = block[k, i, : sections.columns]
            if source.dithered:
                mosaic_y = sections.rows - 1 - y if placement.flip_y[k] else y
                x0 = placement.draw_x0[k]
                draws = source.draws[placement.draw_y0[k] + mosaic_y, x0 : x0 + sections.columns]
                _add_draws(source.raw[k, y], draws, placement.flip_x[k], row)
            else:
                _as_float(source.raw[k, y], row)
            overscan[k, y] = row[sections.serial_x0 : sections.serial_x1]


@njit(cache=True, nogil=True)
def _as_float(counts: IntArray, row: FloatArray) -> None:
    for x in range(row.size):
        row[x] = np.float32(counts[x])


@njit(cache=True, nogil=True)
def _add_draws(counts: IntArray, draws: DrawArray, flip: bool, row: FloatArray) -> None:
    """Add draws from [0, 1), less a half. An unsigned index lets the loop be vectorised."""
    last = row.size - 1
    if flip:
        for x in range(row.size):
            draw = np.float32(draws[np.uintp(last - x)])
            row[x] = np.float32(counts[x]) + (draw * _DRAW_UNIT + _DRAW_CENTRE)
    else:
        for x in range(row.size):
            draw = np.float32(draws[x])
            row[x] = np.float32(counts[x]) + (draw * _DRAW_UNIT + _DRAW_CENTRE)


@njit(cache=True, nogil=True)
def fit_serial_overscan(
    block: FloatArray,
    first_row: int,
    n_rows: int,
    sections: Sections,
    skip: BoolArray,
    usual: DoubleArray,
    network: IntArray,
    lanes: FloatArray,
    fit: SerialFit,
) -> None:
    """Find the level of each row (`calwatch.isr.serial_overscan`, ``MEDIAN_PER_ROW``).

    Parameters
    ----------
    block
        From `take_rows`.
    first_row, n_rows
        Which rows it holds.
    sections
        Of the amplifiers.
    skip
        Shape (n_amp,): amplifiers that are left alone.
    usual
        Shape (n_amp,), ADU: median sigma of all rows of each amplifier.
    network
        For as many values as the fit has columns.
    lanes
        Shape (columns of the fit, n_amp·n_rows or more): room to sort in.
    fit
        Its rows are filled.
    """
    count = lanes.shape[0]
    rows_in_lanes = lanes.shape[1] // skip.size
    for k in range(skip.size):
        for i in range(n_rows):
            row = block[k, i]
            for p in range(count):
                lanes[p, k * rows_in_lanes + i] = row[sections.fit_x0 + p]
    sort_lanes(lanes, network)
    for k in range(skip.size):
        if skip[k]:
            continue
        for i in range(n_rows):
            y, lane = first_row + i, k * rows_in_lanes + i
            sigma = vector_sigma(lanes, lane, count)
            fit.sigma[k, y] = sigma
            fit.levels[k, y] = vector_level(lanes, lane, count, sigma, usual[k])
            fit.lowest[k, y] = lanes[0, lane]
            fit.highest[k, y] = lanes[count - 1, lane]


@njit(cache=True, nogil=True)
def subtract_levels_and_apply_gain(
    block: FloatArray,
    first_row: int,
    n_rows: int,
    sections: Sections,
    levels: DoubleArray,
    gain: FloatArray,
) -> None:
    """Do ``(raw − level)·gain``; prescan and the ends of the overscan keep their level."""
    for k in range(gain.size):
        for i in range(n_rows):
            row = block[k, i, : sections.columns]
            level = levels[k, first_row + i]
            _subtract(row[sections.data_x0 : sections.data_x1], level)
            _subtract(row[sections.fit_x0 : sections.fit_x1], level)
            for x in range(row.size):
                row[x] *= gain[k]


@njit(cache=True, nogil=True)
def _subtract(row: FloatArray, level: float) -> None:
    """Subtract in float32, as the level is in float32 of the image."""
    rounded = np.float32(level)
    for x in range(row.size):
        row[x] -= rounded
