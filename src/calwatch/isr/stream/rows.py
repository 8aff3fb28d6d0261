"""The first steps on a few rows: dither, serial overscan, gain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from calwatch.arrays import AnyArray, BoolArray, DoubleArray, FloatArray, IndexArray, IntArray
from calwatch.camera.raw_tiles import RawTiles
from calwatch.camera.rice import Room, decode_rows
from calwatch.isr.census import Census, row_census
from calwatch.isr.sorting_network import sort_lanes
from calwatch.isr.stream.output import read_only
from calwatch.isr.stream.plan import CannotStreamError, Placement, Sections
from calwatch.isr.stream.twister import DrawArray
from calwatch.isr.stream.vector_level import vector_level, vector_sigma
from calwatch.processor import prefetch_row

_DRAW_UNIT = np.float32(2.0**-16)
_DRAW_CENTRE = np.float32(2.0**-17 - 0.5)
"""A draw cut to 16 bits stands for the middle of what it may have been."""


class Source(NamedTuple):
    """Where rows come from: amplifiers of which any rows can be taken, decoded or in tiles."""

    raw: IntArray
    """Shape (n_amp, rows, columns), readout order, ADU; empty if the rows are in tiles."""
    data: NDArray[np.uint8]
    offsets: IndexArray
    lengths: IndexArray
    """As in `calwatch.camera.raw_tiles.RawTiles`; empty if the rows are decoded."""
    damaged: IndexArray
    """Shape (2,): amplifier and row of the first tile that was found damaged; −1 if none was."""
    draws: DrawArray
    """Dither of the mosaic of raw amplifiers, in units of 2⁻¹⁶; empty if there is none."""
    dithered: bool


def source_of(raw: RawTiles | AnyArray, draws: DrawArray, *, dithered: bool) -> Source:
    """Return where the rows of a raw frame come from; `draws` is as in `Source`.

    Raises
    ------
    CannotStreamError
        If the pixels are not int32.
    """
    damaged = np.full(2, -1, np.int64)
    if isinstance(raw, RawTiles):
        no_pixels = read_only(np.empty((0, 0, 0), np.int32))
        return Source(no_pixels, raw.data, raw.offsets, raw.lengths, damaged, draws, dithered)
    if raw.dtype != np.int32:
        raise CannotStreamError("the raw pixels are not int32")
    no_data, no_places = np.empty(0, np.uint8), np.empty((0, 0), np.int64)
    return Source(read_only(raw), no_data, no_places, no_places, damaged, draws, dithered)


class RowCensus(NamedTuple):
    """What `calwatch.isr.census` counts, row by row; all of shape (n_amp, rows)."""

    low: IntArray
    high: IntArray
    """ADU: least and greatest pixel."""
    n_zero: IntArray

    def whole(self) -> tuple[Census, ...]:
        """Return the census of each amplifier."""
        columns = (self.low.min(axis=1), self.high.max(axis=1), self.n_zero.sum(axis=1))
        return tuple(
            Census(float(low), float(high), int(n_zero), 0)
            for low, high, n_zero in zip(*columns, strict=True)
        )


class SerialFit(NamedTuple):
    """What the serial overscan says, row by row; all of shape (n_amp, rows)."""

    levels: DoubleArray
    """ADU; 0 where nothing is subtracted, NaN where no pixel could be used."""
    sigma: DoubleArray
    """ADU: 0.74·(Q75 − Q25) of each row."""
    lowest: FloatArray
    highest: FloatArray
    """ADU: least and greatest pixel of each row."""


@njit(cache=True, nogil=True, forceinline=True)
def take_rows(
    source: Source,
    k: int,
    first_row: int,
    n_rows: int,
    sections: Sections,
    placement: Placement,
    overscan: FloatArray,
    census: RowCensus,
    counts: IntArray,
    room: Room,
    block: FloatArray,
) -> None:
    """Decode and dither a few rows of an amplifier; keep their serial overscan and census.

    Parameters
    ----------
    source
        The raw frame.
    k
        Number of the amplifier.
    first_row, n_rows
        Which rows, in readout order.
    sections, placement
        Of the amplifiers.
    overscan
        Shape (rows, columns of the serial overscan): those rows are filled.
    census
        Those rows are filled.
    counts
        Shape (n_rows or more, columns): overwritten.
    room
        For the decoder.
    block
        Shape (n_rows or more, columns or more), ADU: filled.
    """
    if source.dithered:
        for y in range(first_row, first_row + n_rows):
            prefetch_row(_draws(source, k, y, sections, placement))
    _take_counts(source, k, first_row, n_rows, counts, room)
    for i in range(n_rows):
        y = first_row + i
        row = block[i, : sections.columns]
        census.low[k, y], census.high[k, y], census.n_zero[k, y] = row_census(counts[i])
        if source.dithered:
            draws = _draws(source, k, y, sections, placement)
            _add_draws(counts[i], draws, placement.flip_x[k], row)
        else:
            _as_float(counts[i], row)
        overscan[y] = row[sections.serial_x0 : sections.serial_x1]


@njit(cache=True, nogil=True, forceinline=True)
def _draws(source: Source, k: int, y: int, sections: Sections, placement: Placement) -> DrawArray:
    """Return the draws of one row of an amplifier, in the orientation of the mosaic."""
    mosaic_y = sections.rows - 1 - y if placement.flip_y[k] else y
    x0 = placement.draw_x0[k]
    return source.draws[placement.draw_y0[k] + mosaic_y, x0 : x0 + sections.columns]


@njit(cache=True, nogil=True, forceinline=True)
def _take_counts(
    source: Source, k: int, first_row: int, n_rows: int, counts: IntArray, room: Room
) -> None:
    """Fill the first rows of `counts` with those of an amplifier, or note that one is damaged."""
    last_row = first_row + n_rows
    if not source.offsets.size:
        counts[:n_rows] = source.raw[k, first_row:last_row]
        return
    offsets, lengths, columns = source.offsets[k], source.lengths[k], counts.shape[1]
    row = decode_rows(source.data, offsets, lengths, first_row, last_row, counts, columns, room)
    if row >= 0:
        counts[:] = 0
        if source.damaged[1] < 0:
            source.damaged[0] = k
            source.damaged[1] = row


@njit(cache=True, nogil=True)
def _as_float(counts: IntArray, row: FloatArray) -> None:
    for x in range(row.size):
        row[x] = np.float32(counts[x])


@njit(cache=True, nogil=True, forceinline=True)
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
