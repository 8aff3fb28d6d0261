"""The variance of a corrected image as the sum that it is, worked out where somebody asks for it.

It would cost as much memory as the image, and most exposures need it at a few pixels or as a mean.
The formulae are those of `calwatch.isr.corrections`. Everything is float32, in the order of the
steps, so that a pixel has the same bits however it is asked for. Kernels work on pieces of rows: to
take the arrays out of their tuple for every pixel would cost more than the sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, FloatArray, IndexArray
from calwatch.isr.stream.output import read_only, unused_image

CELL = 64
"""Pixels of a row of which the variance is worked out together: a few lines of the cache."""


class VarianceTerms(NamedTuple):
    """What the variance is the sum of; images that are not used are empty.

    With i the image and f the flat it is ``raw + bias + dark + i·f + noise``, and where there is a
    flat, that sum plus ``i²·var(f)``, over f². (i·f is the image before the flat.)
    """

    band: IndexArray
    """Shape (height,): rows of one band meet the same amplifiers."""
    amplifier: IndexArray
    """Shape (bands, width): the amplifier of each column."""
    raw: FloatArray
    """Shape (n_amp,), units² of the image: of a count and its dither."""
    noise: FloatArray
    """Shape (n_amp,), e-²: of one reading."""
    with_noise: bool
    """Whether photon and read noise are added."""
    image: FloatArray
    """Shape (height, width): as it is now."""
    replaced_of_row: IndexArray
    """Shape (height + 1,): the first replaced pixel of each row."""
    replaced_x: IndexArray
    """Columns of replaced pixels, row by row and ascending within."""
    replaced: FloatArray
    """What these pixels were before, of which the variance is."""
    bias: FloatArray
    """Shape (height, width): variance of the bias."""
    dark: FloatArray
    bias_factor: FloatArray
    """Shape (n_amp,): what the variance of the bias is multiplied by."""
    dark_factor: FloatArray
    flat: FloatArray
    flat_variance: FloatArray
    least: FloatArray
    """Shape (n, width): what the variance is at least, not counting the image where noise is added;
    -inf if nothing is known."""
    least_of_row: IndexArray
    """Shape (height,): the row of `least` that holds for each row of the image."""


def plain_terms(variance: FloatArray) -> VarianceTerms:
    """Return a variance that is known of every pixel, shape (height, width), in this form."""
    height, width = variance.shape
    nothing, all_of_it = np.zeros(1, np.float32), np.ones(1, np.float32)
    unused, plane = unused_image(), read_only(variance.astype(np.float32, copy=False))
    return VarianceTerms(
        band=np.zeros(height, np.int64),
        amplifier=np.zeros((1, width), np.int64),
        raw=nothing,
        noise=nothing,
        with_noise=False,
        image=unused,
        replaced_of_row=np.zeros(height + 1, np.int64),
        replaced_x=np.zeros(0, np.int64),
        replaced=np.zeros(0, np.float32),
        bias=plane,
        dark=unused,
        bias_factor=all_of_it,
        dark_factor=all_of_it,
        flat=unused,
        flat_variance=unused,
        least=plane,
        least_of_row=np.arange(height),
    )


@njit(cache=True, nogil=True)
def fill_row(terms: VarianceTerms, y: int, x0: int, row: FloatArray) -> None:
    """Write the variance of a row from column x0 on, which lies within one amplifier."""
    k = terms.amplifier[terms.band[y], x0]
    x1 = x0 + row.size
    row[:] = terms.raw[k]
    if terms.bias.size:
        _add_scaled(row, terms.bias[y, x0:x1], terms.bias_factor[k])
    if terms.dark.size:
        _add_scaled(row, terms.dark[y, x0:x1], terms.dark_factor[k])
    if terms.with_noise:
        if terms.flat.size:
            _add_product(row, terms.image[y, x0:x1], terms.flat[y, x0:x1])
        else:
            row += terms.image[y, x0:x1]
        row += terms.noise[k]
    if terms.flat.size:
        _divide(row, terms.image[y, x0:x1], terms.flat[y, x0:x1], terms.flat_variance[y, x0:x1])
    first, last = terms.replaced_of_row[y], terms.replaced_of_row[y + 1]
    for i in range(first, last):
        x = terms.replaced_x[i]
        if x0 <= x < x1:
            row[x - x0] = _of_replaced(terms, k, y, x, terms.replaced[i])


@njit(cache=True, nogil=True)
def _of_replaced(terms: VarianceTerms, k: int, y: int, x: int, before: float) -> float:
    """Return the variance of one pixel of amplifier k, as `fill_row` does of a row."""
    value = terms.raw[k]
    if terms.bias.size:
        value += terms.bias[y, x] * terms.bias_factor[k]
    if terms.dark.size:
        value += terms.dark[y, x] * terms.dark_factor[k]
    if terms.with_noise:
        value += before * terms.flat[y, x] if terms.flat.size else before
        value += terms.noise[k]
    if terms.flat.size:
        value += before * before * terms.flat_variance[y, x]
        value = np.divide(value, terms.flat[y, x] * terms.flat[y, x])
    return np.float32(value)  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def _add_scaled(row: FloatArray, plane: FloatArray, factor: float) -> None:
    for x in range(row.size):
        row[x] += plane[x] * factor


@njit(cache=True, nogil=True)
def _add_product(row: FloatArray, pixels: FloatArray, flat: FloatArray) -> None:
    for x in range(row.size):
        row[x] += pixels[x] * flat[x]


@njit(cache=True, nogil=True)
def _divide(row: FloatArray, pixels: FloatArray, flat: FloatArray, variance: FloatArray) -> None:
    """Make it the variance of the quotient ``pixels``: ``(v + q²·var(f))/f²``."""
    for x in range(row.size):
        value = row[x] + pixels[x] * pixels[x] * variance[x]
        row[x] = np.divide(value, flat[x] * flat[x])


@njit(cache=True, nogil=True)
def fill_box(
    terms: VarianceTerms, y0: int, height: int, x0: int, width: int, variance: FloatArray
) -> None:
    """Write the variance of a box within one amplifier into an image, shape (height, width)."""
    for y in range(y0, y0 + height):
        fill_row(terms, y, x0, variance[y, x0 : x0 + width])


class SparseVariance(NamedTuple):
    """The variance where it has been asked for; make it with `sparse_variance`."""

    plane: FloatArray
    """Shape (height, width)."""
    known: BoolArray
    """Shape (height, width / `CELL` + 1): the parts of each row that are filled in."""


def sparse_variance(shape: tuple[int, ...]) -> SparseVariance:
    """Return a variance of which nothing is known, shape (height, width)."""
    height, width = shape
    cells = np.zeros((height, width // CELL + 1), np.bool_)
    return SparseVariance(np.empty((height, width), np.float32), cells)


@njit(cache=True, nogil=True)
def know_around(terms: VarianceTerms, plane: FloatArray, known: BoolArray, y: int, x: int) -> None:
    """Fill in the 3×3 surroundings of a pixel, which does not lie at an edge."""
    first, last = (x - 1) // CELL, (x + 1) // CELL
    for j in range(y - 1, y + 2):
        for cell in range(first, last + 1):
            if not known[j, cell]:
                known[j, cell] = True
                _fill_cell(terms, plane[j], j, cell)


@njit(cache=True, nogil=True)
def _fill_cell(terms: VarianceTerms, row: FloatArray, y: int, cell: int) -> None:
    """Fill in one cell of a row, which may lie in several amplifiers."""
    amplifier = terms.amplifier[terms.band[y]]
    first, end = cell * CELL, min((cell + 1) * CELL, row.size)
    for x in range(first + 1, end + 1):
        if x == end or amplifier[x] != amplifier[first]:
            fill_row(terms, y, first, row[first:x])
            first = x
