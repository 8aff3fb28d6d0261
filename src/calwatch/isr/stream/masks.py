"""The mask of a detector, from the few pixels that its certified calibrations mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, IndexArray, IntArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import ImageCalibration
from calwatch.isr.corrections import mask_defects
from calwatch.isr.model import IsrInput
from calwatch.isr.remembered import Remembered
from calwatch.isr.steps import AmplifierFacts, Steps


@dataclass(frozen=True, slots=True, eq=False)
class MaskedPixels:
    """The pixels of a mask that are not 0."""

    places: IndexArray
    """Indices of the flattened mask."""
    bits: IntArray


def _search(mask: IntArray) -> MaskedPixels:
    places = np.flatnonzero(mask)
    return MaskedPixels(places, np.asarray(mask).ravel()[places])


masked_pixels = Remembered(_search)
"""Of a calibration's mask, which is searched only once."""


def mask_of_calibrations(
    given: IsrInput, amps: AmplifierFacts, steps: Steps
) -> tuple[IntArray, BoolArray]:
    """Return the mask that follows from amplifiers and calibrations alone: BAD, and their bits.

    Returns
    -------
    mask
        Shape (height, width).
    masked_rows
        Shape (height,): rows that hold anything.
    """
    detector, calibrations = given.detector, given.calibrations
    mask: IntArray = np.zeros(detector.shape, np.int32)
    masked_rows = np.zeros(detector.height, np.bool_)
    for amp, bad in zip(detector.amplifiers, amps.bad, strict=True):
        if bad:
            mask[amp.bbox.slices] |= Mask.BAD
            masked_rows[amp.bbox.slices[0]] = True
    flattened = mask.reshape(-1)
    for step in ("bias", "dark", "flat"):
        image: ImageCalibration | None = getattr(calibrations, step)
        if step in steps and image is not None:
            pixels = masked_pixels(image.mask)
            flattened[pixels.places] |= pixels.bits
            masked_rows[pixels.places // detector.width] = True
    if "defects" in steps and calibrations.defects is not None:
        mask = mask_defects(mask, calibrations.defects, out=mask)
        for box in calibrations.defects.boxes:
            masked_rows[max(box.y0, 0) : max(box.y1, 0)] = True
    return mask, masked_rows


def pixels_without_data(flat: ImageCalibration) -> IndexArray:
    """Return the indices of the flattened flat where it has no data."""
    pixels = masked_pixels(flat.mask)
    places: IndexArray = pixels.places[(pixels.bits & int(Mask.NO_DATA)) != 0]
    return places
