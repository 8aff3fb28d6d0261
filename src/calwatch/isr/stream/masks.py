"""The mask of a detector, from the few pixels that its certified calibrations mask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, IndexArray, MaskArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import Defects, ImageCalibration
from calwatch.isr.model import IsrInput
from calwatch.isr.remembered import Remembered
from calwatch.isr.steps import AmplifierFacts, Steps

_CACHED_DEFECTS = 256
"""As many detectors as a worker may meet."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskedPixels:
    """The pixels of a mask that are not 0."""

    places: IndexArray
    """Indices of the flattened mask."""
    bits: MaskArray
    rows: IndexArray
    """Those in which they lie."""


def _search(mask: MaskArray) -> MaskedPixels:
    places = np.flatnonzero(mask)
    rows = np.flatnonzero(np.any(mask, axis=1))
    return MaskedPixels(places, np.asarray(mask).ravel()[places], rows)


masked_pixels = Remembered(_search)
"""Of a calibration's mask, which is searched only once."""


def mask_of_calibrations(
    given: IsrInput, amps: AmplifierFacts, steps: Steps
) -> tuple[MaskArray, BoolArray]:
    """Return the mask that follows from amplifiers and calibrations alone: BAD, and their bits.

    Returns
    -------
    mask
        Shape (height, width).
    masked_rows
        Shape (height,): rows that hold anything.
    """
    detector, calibrations = given.detector, given.calibrations
    mask: MaskArray = np.zeros(detector.shape, np.uint16)
    masked_rows = np.zeros(detector.height, np.bool_)
    for amp, bad in zip(detector.amplifiers, amps.bad, strict=True):
        if bad:
            mask[amp.bbox.slices] |= int(Mask.BAD)
            masked_rows[amp.bbox.slices[0]] = True
    flattened = mask.reshape(-1)
    for step in ("bias", "dark", "flat"):
        image: ImageCalibration | None = getattr(calibrations, step)
        if step in steps and image is not None:
            pixels = masked_pixels(image.mask)
            flattened[pixels.places] |= pixels.bits
            masked_rows[pixels.rows] = True
    if "defects" in steps and calibrations.defects is not None:
        _mark_boxes(_edges(calibrations.defects), int(Mask.BAD), mask, masked_rows)
    return mask, masked_rows


@lru_cache(maxsize=_CACHED_DEFECTS)
def _edges(defects: Defects) -> IndexArray:
    """Return y0, y1, x0 and x1 of each box, shape (n, 4), without what lies below 0."""
    edges = [(box.y0, box.y1, box.x0, box.x1) for box in defects.boxes]
    return np.maximum(np.array(edges, np.int64).reshape(-1, 4), 0)


@njit(cache=True, nogil=True)
def _mark_boxes(edges: IndexArray, bad: int, mask: MaskArray, masked_rows: BoolArray) -> None:
    """Do what `calwatch.isr.corrections.mask_defects` does, and note the rows."""
    height, width = mask.shape
    for i in range(edges.shape[0]):
        y0, y1, x0, x1 = edges[i]
        for y in range(y0, min(y1, height)):
            masked_rows[y] = True
            for x in range(x0, min(x1, width)):
                mask[y, x] |= bad


def pixels_without_data(flat: ImageCalibration) -> IndexArray:
    """Return the indices of the flattened flat where it has no data."""
    pixels = masked_pixels(flat.mask)
    places: IndexArray = pixels.places[(pixels.bits & int(Mask.NO_DATA)) != 0]
    return places
