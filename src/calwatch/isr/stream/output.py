"""The last steps on one row: what is left goes into the assembled detector."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, FloatArray, IntArray, MaskArray
from calwatch.calibrations.masks import Mask
from calwatch.isr.stream.plan import Placement, Sections
from calwatch.processor import prefetch_row

_NOT_A_NUMBER = int(Mask.UNMASKEDNAN)


class Images(NamedTuple):
    """Certified images of the detector and what is made of the exposure; shape (height, width).

    A certified image that is not used is empty.
    """

    bias: FloatArray
    dark: FloatArray
    flat: FloatArray
    bias_factor: FloatArray
    dark_factor: FloatArray
    """Shape (n_amp,): what bias and dark are multiplied by."""
    image: FloatArray
    mask: MaskArray
    masked_rows: BoolArray
    """Shape (height,): rows of the mask that hold anything."""
    mark_nan: bool
    """Whether pixels that are not finite are to be marked."""


def unused_image() -> FloatArray:
    """Return the empty image that stands for a calibration that is not used."""
    return read_only(np.empty((0, 0), np.float32))


def read_only(values: FloatArray | IntArray | BoolArray) -> np.ndarray:
    """Return a view that cannot be written to.

    To numba read-only arrays are of another type, so that kernels would be compiled once more for
    each of the calibrations that are mapped from files. With this they are all of one type.
    """
    view = np.ascontiguousarray(values).view(np.ndarray)
    view.flags.writeable = False
    return view


@njit(cache=True, nogil=True, forceinline=True)
def expect_row(k: int, y: int, sections: Sections, placement: Placement, images: Images) -> None:
    """Ask for the memory that `finish_row` will need for row number `y` of the raw pixels."""
    if y < sections.data_y0 or y >= sections.data_y1:
        return
    height = sections.data_y1 - sections.data_y0
    at_y = _row_of_detector(k, y - sections.data_y0, height, placement)
    x0 = placement.x0[k]
    x1 = x0 + sections.data_x1 - sections.data_x0
    prefetch_row(images.image[at_y, x0:x1])
    for calibration in (images.bias, images.dark, images.flat):
        if calibration.size:
            prefetch_row(calibration[at_y, x0:x1])


@njit(cache=True, nogil=True, forceinline=True)
def _row_of_detector(k: int, y: int, height: int, placement: Placement) -> int:
    """Return where row `y` of the data of an amplifier stands in the assembled detector."""
    return int(placement.y0[k]) + (height - 1 - y if placement.flip_y[k] else y)


@njit(cache=True, nogil=True, forceinline=True)
def finish_row(
    row: FloatArray, k: int, y: int, height: int, placement: Placement, images: Images
) -> None:
    """Put data pixels into the assembled detector; subtract bias and dark, divide by the flat.

    Parameters
    ----------
    row
        Shape (columns of the data,), readout order.
    k
        Number of the amplifier.
    y
        Row of the data section, readout order.
    height
        Rows of the data section.
    placement
        Of the amplifiers.
    images
        What to subtract and divide by, and where to write.
    """
    at_y = _row_of_detector(k, y, height, placement)
    x0, x1 = placement.x0[k], placement.x0[k] + row.size
    pixels = images.image[at_y, x0:x1]
    _orient(row, placement.flip_x[k], pixels)
    if images.bias.size:
        _subtract_scaled(pixels, images.bias[at_y, x0:x1], images.bias_factor[k])
    if images.dark.size:
        _subtract_scaled(pixels, images.dark[at_y, x0:x1], images.dark_factor[k])
    if images.mark_nan and _count_not_finite(pixels) > 0:
        _mark_not_finite(pixels, images.mask[at_y, x0:x1])
        images.masked_rows[at_y] = True
    if images.flat.size:
        _divide(pixels, images.flat[at_y, x0:x1])


@njit(cache=True, nogil=True)
def _orient(row: FloatArray, flip: bool, pixels: FloatArray) -> None:
    """Copy a row, flipped or not. An unsigned index lets the loop be vectorised."""
    last = row.size - 1
    if flip:
        for x in range(row.size):
            pixels[x] = row[np.uintp(last - x)]
    else:
        for x in range(row.size):
            pixels[x] = row[x]


@njit(cache=True, nogil=True)
def _subtract_scaled(pixels: FloatArray, calibration: FloatArray, factor: float) -> None:
    for x in range(pixels.size):
        pixels[x] -= calibration[x] * factor


@njit(cache=True, nogil=True)
def _divide(pixels: FloatArray, flat: FloatArray) -> None:
    """Divide without an exception: x/0 is infinite or NaN, as in numpy."""
    for x in range(pixels.size):
        pixels[x] = np.divide(pixels[x], flat[x])


@njit(cache=True, nogil=True)
def _count_not_finite(pixels: FloatArray) -> int:
    """Count NaN and infinities: ``x − x`` is not 0 for them."""
    count = 0
    for x in range(pixels.size):
        count += int(pixels[x] - pixels[x] != 0)
    return count


@njit(cache=True, nogil=True)
def _mark_not_finite(pixels: FloatArray, mask: MaskArray) -> None:
    for x in range(pixels.size):
        if not np.isfinite(pixels[x]):
            mask[x] |= _NOT_A_NUMBER
