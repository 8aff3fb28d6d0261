"""Correlation of the noise between amplifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IndexArray
from calwatch.camera.model import Amplifier, Box, Detector
from calwatch.isr.assembly import orient
from calwatch.isr.serial_overscan import fit_box

_ROWS_AT_A_TIME = 64
"""Rows the reference correlates together; it bounds the memory."""
_PIXELS_TOGETHER = 512
"""Short rows are taken together up to so many pixels of an amplifier."""
_ACROSS, _DOWN = 4, 2
"""Products of so many amplifiers with so many are summed in one loop, which reads each once."""


class Places(NamedTuple):
    """Where the pixels lie that are correlated, for the kernels."""

    planes: FloatArray
    """Shape (planes, rows, columns)."""
    steps: IndexArray
    """Shape (n, 5): plane, first row, step to the next row, first column, step to the next."""
    rows: int
    columns: int
    """How many are read of each amplifier."""
    centres: FloatArray
    """Shape (n,): about what the pixels lie."""


@dataclass(frozen=True, slots=True, eq=False)
class Correlated:
    """Amplifiers that are correlated."""

    places: Places
    """Of the amplifiers that are not skipped."""
    used: IndexArray
    """Their numbers."""
    views: Sequence[FloatArray]
    """Pixels of all amplifiers, for `correlation_reference`."""
    skip: BoolArray


def overscan_correlation(
    stack: FloatArray, amplifiers: tuple[Amplifier, ...], skip: BoolArray
) -> DoubleArray | None:
    """Correlate the raw serial overscans, as many rows and columns as all amplifiers have.

    Parameters
    ----------
    stack
        Shape (n_amp, rows, columns), readout order, ADU, before any correction.
    amplifiers
        In the order of the stack.
    skip
        Shape (n_amp,): amplifiers that are not measured.

    Returns
    -------
    DoubleArray or None
        As `correlation_reference`; None if an amplifier has no overscan.
    """
    boxes = [box for amp in amplifiers if (box := fit_box(amp))]
    if len(boxes) < len(amplifiers):
        return None
    places = [_place(k, box) for k, box in enumerate(boxes)]
    views = [pixels[box.slices] for pixels, box in zip(stack, boxes, strict=True)]
    return _correlation(_correlated(stack, places, views, skip))


def image_correlation(image: FloatArray, detector: Detector, skip: BoolArray) -> DoubleArray:
    """Correlate the amplifiers of an assembled image, pixels read at the same time together."""
    return _correlation(correlated_image(image, detector, skip))


def correlated_image(image: FloatArray, detector: Detector, skip: BoolArray) -> Correlated:
    """Return what `image_correlation` correlates."""
    amplifiers = detector.amplifiers
    places = [_place(0, amp.bbox, flip_x=amp.flip_x, flip_y=amp.flip_y) for amp in amplifiers]
    views = [orient(image[amp.bbox.slices], amp) for amp in amplifiers]
    return _correlated(image[None], places, views, skip)


def correlation_reference(views: Sequence[FloatArray], skip: BoolArray) -> DoubleArray:
    """Return the matrix of Pearson's coefficients (``np.corrcoef`` of the flattened arrays).

    Parameters
    ----------
    views
        2-D arrays, one per amplifier; each is cut to the smallest.
    skip
        Shape (n_amp,): amplifiers that are not measured.

    Returns
    -------
    DoubleArray
        Shape (n_amp, n_amp); 1 on the diagonal, NaN for an amplifier that is skipped, constant or
        holds pixels that are not finite.
    """
    rows, columns = _common_shape(views)
    views = [view[:rows, :columns] for view in views]
    usable = ~skip & np.array([bool(np.isfinite(view).all()) for view in views])
    means = np.array(
        [view.mean(dtype=np.float64) if ok else 0.0 for view, ok in zip(views, usable, strict=True)]
    )
    products = np.zeros((len(views), len(views)))
    for first in range(0, rows, _ROWS_AT_A_TIME):
        block = np.zeros((len(views), min(_ROWS_AT_A_TIME, rows - first) * columns))
        for k in np.flatnonzero(usable).tolist():
            block[k] = views[k][first : first + _ROWS_AT_A_TIME].ravel() - means[k]
        products += block @ block.T
    return _normalized(products)


def _correlated(
    planes: FloatArray,
    places: Sequence[tuple[int, int, int, int, int]],
    views: Sequence[FloatArray],
    skip: BoolArray,
) -> Correlated:
    """Bring `views`, which lie at `places` in `planes`, into the form of the kernels."""
    rows, columns = _common_shape(views)
    used = np.flatnonzero(~skip)
    steps = np.array(places, np.int64)[used]
    if (steps[:, 4] < 0).all():  # in which direction is of no account if it is common to all
        steps[:, 3:] += (1 - columns, 2)
    centres = np.zeros(used.size, np.float32)
    if rows and columns:
        centres[:] = [views[k][rows // 2].mean(dtype=np.float64) for k in used.tolist()]
    form = Places(np.ascontiguousarray(planes), steps, rows, columns, centres)
    return Correlated(form, used, views, skip)


def _correlation(what: Correlated) -> DoubleArray:
    """Do what `correlation_reference` does."""
    return coefficients(what, *_sums_and_products(what.places))


def coefficients(what: Correlated, sums: DoubleArray, products: DoubleArray) -> DoubleArray:
    """Return what `correlation_reference` does, from the sums of `add_products` over all rows.

    They were taken about one row's mean, which is near enough to the mean of the amplifier for
    nothing to cancel, unless there is a gradient: then all is done again about the means
    themselves.
    """
    places, used, skip = what.places, what.used, what.skip
    n_pixels = places.rows * places.columns
    if not used.size or not n_pixels:
        return correlation_reference(what.views, skip)
    with np.errstate(invalid="ignore"):  # amplifiers that are not finite
        means = sums / n_pixels
        products = products - np.outer(sums, means)
        if (means * means > np.diag(products) / n_pixels).any():
            about_means = places._replace(centres=(places.centres + means).astype(np.float32))
            sums, products = _sums_and_products(about_means)
            products = products - np.outer(sums, sums / n_pixels)
        finite = np.isfinite(np.sqrt(np.diag(products)))
    if any(np.isfinite(what.views[k]).all() for k in used[~finite].tolist()):
        return correlation_reference(what.views, skip)  # squares that float32 cannot hold
    whole = np.zeros((skip.size, skip.size))
    whole[np.ix_(used[finite], used[finite])] = products[np.ix_(finite, finite)]
    return _normalized(whole)


def _common_shape(views: Sequence[FloatArray]) -> tuple[int, int]:
    """Return the rows and columns that all have."""
    return min(view.shape[0] for view in views), min(view.shape[1] for view in views)


def _normalized(products: DoubleArray) -> DoubleArray:
    """Make coefficients of the sums of products of deviations from the means."""
    spread = np.sqrt(np.diag(products))
    spread[spread == 0] = np.nan
    matrix = np.clip(products / spread[:, None] / spread[None, :], -1.0, 1.0)
    np.fill_diagonal(matrix, np.where(np.isfinite(spread), 1.0, np.nan))
    return matrix


def _place(
    plane: int, box: Box, *, flip_x: bool = False, flip_y: bool = False
) -> tuple[int, int, int, int, int]:
    """Return plane, first row, step to the next row, first column, step to the next column."""
    y, down = (box.y0 + box.height - 1, -1) if flip_y else (box.y0, 1)
    x, along = (box.x0 + box.width - 1, -1) if flip_x else (box.x0, 1)
    return plane, y, down, x, along


@njit(cache=True, nogil=True)
def _sums_and_products(places: Places) -> tuple[DoubleArray, DoubleArray]:
    """Return Σ(a − c_a) and Σ(a − c_a)(b − c_b) of all amplifiers a and b about their centres c."""
    sums, products, room = new_sums(places)
    together = max(1, _PIXELS_TOGETHER // places.columns)
    for first in range(0, places.rows, together):
        add_products(places, first, min(together, places.rows - first), room, sums, products)
    return whole_sums(sums, products)


@njit(cache=True, nogil=True)
def new_sums(places: Places) -> tuple[DoubleArray, DoubleArray, FloatArray]:
    """Return zeros for `add_products` to add to, and room to work in."""
    n = places.centres.size
    padded = n + _ACROSS - 1 - (n - 1) % _ACROSS
    room = np.zeros((padded, _stride(max(places.columns, _PIXELS_TOGETHER))), np.float32)
    return np.zeros(n), np.zeros((padded, padded)), room


@njit(cache=True, nogil=True, forceinline=True)
def add_products(
    places: Places,
    first: int,
    n_rows: int,
    room: FloatArray,
    sums: DoubleArray,
    products: DoubleArray,
) -> None:
    """Add the deviations and their products of one row of all amplifiers, or of a few short ones.

    They stay in the nearest cache and are summed in float32, what is added to in float64: rounding
    leaves less than 1e-6 of a coefficient. Of the products only the lower triangle is right.
    """
    n, columns = places.centres.size, places.columns
    for a in range(n):
        plane, y, down, x, along = places.steps[a]
        for i in range(n_rows):
            row = places.planes[plane, y + (first + i) * down]
            pixels = room[a, i * columns : (i + 1) * columns]
            sums[a] += _deviations(row, x, along, places.centres[a], pixels)
        room[a, n_rows * columns :] = 0.0
    for a in range(0, n, _DOWN):
        for b in range(0, a + _DOWN, _ACROSS):
            _add_dots(
                room[a], room[a + 1], room[b], room[b + 1], room[b + 2], room[b + 3],
                products[a : a + _DOWN, b : b + _ACROSS],
            )  # fmt: skip


@njit(cache=True, nogil=True)
def whole_sums(sums: DoubleArray, products: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Return the sums of all rows in the form of `coefficients`."""
    n = sums.size
    whole = np.empty((n, n))
    for a in range(n):
        for b in range(a + 1):
            whole[a, b] = whole[b, a] = products[a, b]
    return sums, whole


@njit(cache=True, nogil=True)
def _stride(columns: int) -> int:
    """Return a length for rows side by side: whole vectors, and no two rows on one cache set."""
    stride = columns + 16 - columns % 16
    return stride + 16 if stride % 128 == 0 else stride


@njit(cache=True, nogil=True, fastmath={"reassoc"}, forceinline=True)
def _deviations(row: FloatArray, x: int, along: int, centre: float, out: FloatArray) -> float:
    """Put the pixels less the centre into `out`, in the order they are read; return their sum.

    An unsigned index lets the loop that turns the order be vectorised.
    """
    n = out.size
    total = np.float32(0.0)
    if along > 0:
        pixels = row[x : x + n]
        for i in range(n):
            out[i] = pixels[i] - centre
        for i in range(n):
            total += out[i]
    else:
        for i in range(n):
            deviation = row[np.uintp(x - i)] - centre
            out[i] = deviation
            total += deviation
    return np.float64(total)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"}, forceinline=True)
def _add_dots(
    a0: FloatArray,
    a1: FloatArray,
    b0: FloatArray,
    b1: FloatArray,
    b2: FloatArray,
    b3: FloatArray,
    products: DoubleArray,
) -> None:
    """Add Σ a·b of each a and each b."""
    zero = np.float32(0.0)
    a0b0, a0b1, a0b2, a0b3 = zero, zero, zero, zero
    a1b0, a1b1, a1b2, a1b3 = zero, zero, zero, zero
    for i in range(a0.size):
        a0b0 += a0[i] * b0[i]
        a0b1 += a0[i] * b1[i]
        a0b2 += a0[i] * b2[i]
        a0b3 += a0[i] * b3[i]
        a1b0 += a1[i] * b0[i]
        a1b1 += a1[i] * b1[i]
        a1b2 += a1[i] * b2[i]
        a1b3 += a1[i] * b3[i]
    products[0, 0] += a0b0
    products[0, 1] += a0b1
    products[0, 2] += a0b2
    products[0, 3] += a0b3
    products[1, 0] += a1b0
    products[1, 1] += a1b1
    products[1, 2] += a1b2
    products[1, 3] += a1b3
