"""Assembly: trim the amplifiers, flip them out of readout order and set them side by side."""

from __future__ import annotations

import numpy as np

from calwatch.arrays import AnyArray, DoubleArray, FloatArray
from calwatch.camera.model import Amplifier, Detector


def orient(pixels: AnyArray, amp: Amplifier) -> AnyArray:
    """Flip one amplifier from readout order to the assembled frame, or back; no copy."""
    if amp.flip_x:
        pixels = pixels[:, ::-1]
    if amp.flip_y:
        pixels = pixels[::-1]
    return pixels


def assemble(stack: AnyArray, detector: Detector, fill: float = 0) -> AnyArray:
    """Return the trimmed detector in the focal plane's orientation.

    Parameters
    ----------
    stack
        Shape (n_amp, rows, columns), readout order.
    detector
        Gives the data section, place and flips of each amplifier.
    fill
        Value where no amplifier lies.

    Returns
    -------
    AnyArray
        Shape (height, width), type of the stack.
    """
    image = np.empty(detector.shape, stack.dtype)
    if not _covered(detector):
        image[...] = fill
    for pixels, amp in zip(stack, detector.amplifiers, strict=True):
        image[amp.bbox.slices] = orient(pixels[amp.data.slices], amp)
    return image


def fill_amplifiers(values: DoubleArray, detector: Detector) -> FloatArray:
    """Return an assembled image that holds one value over each amplifier; 0 elsewhere."""
    image = np.empty(detector.shape, np.float32)
    if not _covered(detector):
        image[...] = 0
    for value, amp in zip(values, detector.amplifiers, strict=True):
        image[amp.bbox.slices] = value
    return image


def _covered(detector: Detector) -> bool:
    """Tell whether the amplifiers, which do not overlap, leave no pixel of the detector out."""
    height, width = detector.shape
    return sum(amp.bbox.area for amp in detector.amplifiers) == height * width
