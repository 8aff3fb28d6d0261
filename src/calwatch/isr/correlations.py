"""Correlation of the noise between amplifiers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from calwatch.arrays import AnyArray, BoolArray, DoubleArray, FloatArray
from calwatch.camera.model import Amplifier, Box, Detector
from calwatch.isr.assembly import orient
from calwatch.isr.serial_overscan import fit_box

_ROWS_AT_A_TIME = 64
"""Rows the reference correlates together; it bounds the memory."""


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
    return _correlation(stack, places, views, skip)


def image_correlation(image: FloatArray, detector: Detector, skip: BoolArray) -> DoubleArray:
    """Correlate the amplifiers of an assembled image, pixels read at the same time together."""
    amplifiers = detector.amplifiers
    places = [_place(0, amp.bbox, flip_x=amp.flip_x, flip_y=amp.flip_y) for amp in amplifiers]
    views = [orient(image[amp.bbox.slices], amp) for amp in amplifiers]
    return _correlation(image[None], places, views, skip)


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


def _correlation(
    planes: FloatArray,
    places: Sequence[tuple[int, int, int, int, int]],
    views: Sequence[FloatArray],
    skip: BoolArray,
) -> DoubleArray:
    """Do what `correlation_reference` does with `views`, which lie at `places` in `planes`."""
    rows, columns = _common_shape(views)
    used = np.flatnonzero(~skip)
    if not used.size or not rows * columns:
        return correlation_reference(views, skip)
    place = np.array(places, np.int64)[used]
    if (place[:, 4] < 0).all():  # in which direction is of no account if it is common to all
        place[:, 3:] += (1 - columns, 2)
    middle = [views[k][rows // 2].mean(dtype=np.float64) for k in used.tolist()]
    with np.errstate(invalid="ignore"):  # amplifiers that are not finite
        products = _products(np.ascontiguousarray(planes), place, rows, columns, np.array(middle))
        finite = np.isfinite(np.sqrt(np.diag(products)))
    if any(np.isfinite(views[k]).all() for k in used[~finite].tolist()):
        return correlation_reference(views, skip)  # squares that float32 cannot hold
    whole = np.zeros((skip.size, skip.size))
    whole[np.ix_(used[finite], used[finite])] = products[np.ix_(finite, finite)]
    return _normalized(whole)


def _products(
    planes: FloatArray, places: AnyArray, rows: int, columns: int, middle: DoubleArray
) -> DoubleArray:
    """Return the sums of products of deviations from the means, first taken about one row's mean.

    That is near enough to the mean of the amplifier for nothing to cancel, unless there is a
    gradient: then all is done again about the means themselves.
    """
    centres = middle.astype(np.float32)
    for _ in range(2):
        sums, products = _sums_and_products(planes, places, rows, columns, centres)
        means = sums / (rows * columns)
        products -= np.outer(sums, means)
        if not (means * means > np.diag(products) / (rows * columns)).any():
            break
        centres = (centres + means).astype(np.float32)
    return products


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
def _sums_and_products(
    planes: FloatArray, places: AnyArray, rows: int, columns: int, centres: FloatArray
) -> tuple[DoubleArray, DoubleArray]:
    """Return Σ(a − c_a) and Σ(a − c_a)(b − c_b) of all amplifiers a and b about their centres c.

    One row is read of all amplifiers at a time, which stays in the nearest cache. Its sums are
    float32, those over the rows float64: rounding leaves less than 1e-6 of a coefficient.
    """
    n = places.shape[0]
    sums = np.zeros(n)
    products = np.zeros((n, n))
    read = np.zeros((n, _stride(columns)), np.float32)
    for r in range(rows):
        for a in range(n):
            plane, y, down, x, along = places[a]
            row = planes[plane, y + r * down]
            sums[a] += _deviations(row, x, along, centres[a], read[a, :columns])
        for a in range(n):
            for b in range(a + 1):
                products[a, b] += _dot(read[a], read[b])
    for a in range(n):
        for b in range(a):
            products[b, a] = products[a, b]
    return sums, products


@njit(cache=True, nogil=True)
def _stride(columns: int) -> int:
    """Return a length for rows side by side: whole vectors, and no two rows on one cache set."""
    stride = columns + 16 - columns % 16
    return stride + 16 if stride % 128 == 0 else stride


@njit(cache=True, nogil=True, fastmath={"reassoc"})
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


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _dot(a: FloatArray, b: FloatArray) -> float:
    total = np.float32(0.0)
    for i in range(a.size):
        total += a[i] * b[i]
    return np.float64(total)
