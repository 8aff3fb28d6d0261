"""Pixel by pixel corrections: gain, bias, dark, flat, variance, defects and the NaN mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, MaskArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import Defects, ImageCalibration, Units
from calwatch.camera.model import Detector
from calwatch.isr.buffers import copy_into

NO_DATA_VARIANCE = 1e10
"""Given to pixels where the flat has no data."""

_ROWS_AT_A_TIME = 64
"""Rows divided together; it bounds the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """An assembled image with its mask and variance; all of shape (height, width)."""

    image: FloatArray
    mask: MaskArray
    variance: FloatArray


def apply_gain(stack: FloatArray, gain: DoubleArray, out: FloatArray | None = None) -> FloatArray:
    """Turn ADU into electrons, overscans included.

    `stack` has shape (n_amp, rows, columns) and `gain` shape (n_amp,), e-/ADU. An amplifier whose
    gain is not positive and finite is left in ADU. `out`, which may be `stack`, takes the result;
    None makes a new array.
    """
    factor = np.where(np.isfinite(gain) & (gain > 0), gain, 1.0).astype(np.float32)
    return np.multiply(stack, factor[:, None, None], out=out)


def bad_amplifiers(detector: Detector, defects: Defects | None, gain: DoubleArray) -> BoolArray:
    """Flag amplifiers that lie within one defect, or whose gain is not positive and finite."""
    bad = ~(np.isfinite(gain) & (gain > 0))
    narrowest = min(amp.bbox.width for amp in detector.amplifiers)
    # Of hundreds of defects hardly any is as wide as an amplifier.
    wide = [d for d in (defects.boxes if defects else ()) if d.width >= narrowest]
    for k, amp in enumerate(detector.amplifiers):
        box = amp.bbox
        bad[k] |= any(
            d.x0 <= box.x0 and d.y0 <= box.y0 and d.x1 >= box.x1 and d.y1 >= box.y1 for d in wide
        )
    return bad


def in_electrons(calibration: ImageCalibration) -> bool:
    """Tell whether a bias or dark is in electrons (or electrons per second) rather than ADU."""
    return calibration.units in (Units.ELECTRON, Units.ELECTRON_PER_SECOND)


def subtract_scaled(
    exposure: Masked,
    calibration: ImageCalibration,
    scale: DoubleArray,
    detector: Detector,
    out: Masked | None = None,
) -> Masked:
    """Subtract a bias or a dark.

    The variance grows by scale²·(variance of the calibration), and the masks are joined.

    Parameters
    ----------
    exposure
        Before.
    calibration
        Of the detector's size.
    scale
        Shape (n_amp,): what the calibration is multiplied by on each amplifier, for the dark time
        and for the units of the image.
    detector
        Where the amplifiers lie.
    out
        Where to write the result; it may be `exposure`. None makes new arrays.
    """
    result = _copy(exposure, out)
    np.bitwise_or(result.mask, calibration.mask, out=result.mask)
    for factor, amp in zip(scale, detector.amplifiers, strict=True):
        box = amp.bbox.slices
        result.image[box] -= calibration.image[box] * np.float32(factor)
        result.variance[box] += calibration.variance[box] * np.float32(factor**2)
    return result


def dark_scale(dark: ImageCalibration, dark_time: float) -> float:
    """Return the exposure's dark time over the dark's; the dark's is 1 s where it says nothing."""
    own = dark.dark_time
    return dark_time / (own if np.isfinite(own) and own > 0 else 1.0)


def mask_defects(mask: MaskArray, defects: Defects, out: MaskArray | None = None) -> MaskArray:
    """Set BAD in every defect's box, as far as it lies on the detector.

    `out`, which may be `mask`, takes the result; None makes a new array.
    """
    marked = copy_into(mask, out)
    bad = int(Mask.BAD)  # a flag of an enumeration is slow to look up and to combine
    for box in defects.boxes:
        marked[max(box.y0, 0) : max(box.y1, 0), max(box.x0, 0) : max(box.x1, 0)] |= bad
    return marked


def mask_not_finite(image: FloatArray, mask: MaskArray) -> MaskArray:
    """Set UNMASKEDNAN where the image is not finite."""
    finite = np.isfinite(image)
    if finite.all():
        return mask
    marked = mask.copy()
    marked[~finite] |= int(Mask.UNMASKEDNAN)
    return marked


def add_noise_variance(
    image: FloatArray,
    variance: FloatArray,
    read_noise: DoubleArray,
    detector: Detector,
    out: FloatArray | None = None,
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
    out
        Where to write the result; it may be `variance`. None makes a new array.
    """
    total = np.add(variance, image, out=out)
    for noise, amp in zip(read_noise, detector.amplifiers, strict=True):
        total[amp.bbox.slices] += np.float32(noise**2)
    return total


def divide_by_flat(exposure: Masked, flat: ImageCalibration, out: Masked | None = None) -> Masked:
    """Divide by the flat as it is, without normalising either.

    The variance is that of a quotient, and the masks are joined. Pixels where the flat has no data
    become 0 with a huge variance; where it is 0 or NaN the quotient is not finite. `out`, which may
    be `exposure`, takes the result; None makes new arrays.
    """
    result = _copy(exposure, out)
    np.bitwise_or(result.mask, flat.mask, out=result.mask)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for y in range(0, flat.image.shape[0], _ROWS_AT_A_TIME):
            rows = slice(y, y + _ROWS_AT_A_TIME)
            image, variance, f = result.image[rows], result.variance[rows], flat.image[rows]
            image /= f
            variance += image * image * flat.variance[rows]
            variance /= f * f
    empty = (flat.mask & int(Mask.NO_DATA)) != 0
    if empty.any():
        result.image[empty], result.variance[empty] = 0.0, NO_DATA_VARIANCE
    return result


def _copy(exposure: Masked, out: Masked | None) -> Masked:
    if out is exposure:
        return exposure
    return Masked(
        copy_into(exposure.image, out.image if out else None),
        copy_into(exposure.mask, out.mask if out else None),
        copy_into(exposure.variance, out.variance if out else None),
    )
