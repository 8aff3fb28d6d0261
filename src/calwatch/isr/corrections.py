"""Pixel by pixel corrections: gain, bias, dark, flat, variance, defects and the NaN mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import Defects, ImageCalibration, Units
from calwatch.camera.model import Detector
from calwatch.isr.assembly import fill_amplifiers

NO_DATA_VARIANCE = 1e10
"""Given to pixels where the flat has no data."""


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """An assembled image with its mask and variance; all of shape (height, width)."""

    image: FloatArray
    mask: IntArray
    variance: FloatArray


def apply_gain(stack: FloatArray, gain: DoubleArray) -> FloatArray:
    """Turn ADU into electrons, overscans included.

    `stack` has shape (n_amp, rows, columns) and `gain` shape (n_amp,), e-/ADU. An amplifier whose
    gain is not positive and finite is left in ADU.
    """
    factor = np.where(np.isfinite(gain) & (gain > 0), gain, 1.0).astype(np.float32)
    return stack * factor[:, None, None]


def bad_amplifiers(detector: Detector, defects: Defects | None, gain: DoubleArray) -> BoolArray:
    """Flag amplifiers that lie within one defect, or whose gain is not positive and finite."""
    bad = ~(np.isfinite(gain) & (gain > 0))
    for k, amp in enumerate(detector.amplifiers):
        box = amp.bbox
        bad[k] |= any(
            d.x0 <= box.x0 and d.y0 <= box.y0 and d.x1 >= box.x1 and d.y1 >= box.y1
            for d in (defects.boxes if defects else ())
        )
    return bad


def in_electrons(calibration: ImageCalibration) -> bool:
    """Tell whether a bias or dark is in electrons (or electrons per second) rather than ADU."""
    return calibration.units in (Units.ELECTRON, Units.ELECTRON_PER_SECOND)


def subtract_scaled(
    exposure: Masked,
    calibration: ImageCalibration,
    scale: float,
    factor: DoubleArray | None,
    detector: Detector,
) -> Masked:
    """Subtract a bias (`scale` 1) or a dark.

    The variance grows by scale²·(variance of the calibration), and the masks are joined.

    Parameters
    ----------
    exposure
        Before.
    calibration
        Of the detector's size.
    scale
        For a dark, the exposure's dark time over the calibration's.
    factor
        Shape (n_amp,): units of the image per unit of the calibration, amplifier by amplifier (the
        gain where the calibration is in ADU and the image in electrons). None where they agree.
    detector
        Where the amplifiers lie.
    """
    image, variance = calibration.image, calibration.variance
    if factor is not None:
        units = fill_amplifiers(factor, detector)
        image, variance = image * units, variance * (units * units)
    if scale != 1.0:
        image, variance = image * np.float32(scale), variance * np.float32(scale * scale)
    return Masked(
        exposure.image - image, exposure.mask | calibration.mask, exposure.variance + variance
    )


def dark_scale(dark: ImageCalibration, dark_time: float) -> float:
    """Return the exposure's dark time over the dark's; the dark's is 1 s where it says nothing."""
    own = dark.dark_time
    return dark_time / (own if np.isfinite(own) and own > 0 else 1.0)


def mask_defects(mask: IntArray, defects: Defects) -> IntArray:
    """Set BAD in every defect's box, as far as it lies on the detector."""
    marked = mask.copy()
    for box in defects.boxes:
        marked[max(box.y0, 0) : max(box.y1, 0), max(box.x0, 0) : max(box.x1, 0)] |= Mask.BAD
    return marked


def mask_not_finite(image: FloatArray, mask: IntArray) -> IntArray:
    """Set UNMASKEDNAN where the image is not finite."""
    finite = np.isfinite(image)
    if finite.all():
        return mask
    return np.where(finite, mask, mask | Mask.UNMASKEDNAN).astype(np.int32)


def add_noise_variance(
    image: FloatArray, variance: FloatArray, read_noise: DoubleArray, detector: Detector
) -> FloatArray:
    """Add photon noise and read noise to the variance.

    The photon noise is taken from the image as it is, less its bias and dark, so that negative
    pixels lower the variance (ip_isr ``isrFunctions.updateVariance``).

    Parameters
    ----------
    image, variance
        Shape (height, width); e- and e-².
    read_noise
        Shape (n_amp,), e-; NaN gives NaN over that amplifier.
    detector
        Where the amplifiers lie.
    """
    total = variance + image
    for noise, amp in zip(read_noise, detector.amplifiers, strict=True):
        total[amp.bbox.slices] += np.float32(noise**2)
    return total


def divide_by_flat(exposure: Masked, flat: ImageCalibration) -> Masked:
    """Divide by the flat as it is, without normalising either.

    The variance is that of a quotient, and the masks are joined. Pixels where the flat has no data
    become 0 with a huge variance; where it is 0 or NaN the quotient is not finite.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        image = exposure.image / flat.image
        variance = (exposure.variance + image * image * flat.variance) / (flat.image * flat.image)
    empty = (flat.mask & Mask.NO_DATA) != 0
    if empty.any():
        image[empty], variance[empty] = 0.0, NO_DATA_VARIANCE
    return Masked(image, exposure.mask | flat.mask, variance)
