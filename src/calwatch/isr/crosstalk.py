"""Crosstalk between the amplifiers of one detector."""

from __future__ import annotations

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.calibrations.model import Crosstalk, Units
from calwatch.camera.model import Amplifier
from calwatch.isr.selection import around_ranks

MIN_PIXEL_TO_MASK = 1.0
"""Correction, in units of the coefficients, from which a pixel is marked."""

_BLOCK = 16384
"""Pixels corrected together: 16 amplifiers of them stay in the processor's cache."""


def coefficients(
    calibration: Crosstalk, gain: DoubleArray | None, skip: BoolArray, *, quadratic: bool
) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Bring the coefficients to the units of the image.

    Coefficients for ADU act on electrons by ``c·g_t/g_s`` and ``c2·g_t/g_s²``, which is the same
    as dividing the image by the gains, correcting it, and multiplying it back.

    Parameters
    ----------
    calibration
        Coefficients are ``[source, target]``. Those that are not finite or not valid count as 0.
    gain
        Shape (n_amp,), e-/ADU, if the image is in electrons; None if it is in ADU. Gains that are
        not positive and finite are replaced by the median of the others.
    skip
        Shape (n_amp,): amplifiers that neither give nor take.
    quadratic
        Whether the quadratic term is wanted.

    Returns
    -------
    linear, squared
        Shape (n_amp, n_amp), ``[source, target]``; per unit of the image.
    threshold
        Shape (n_amp,): correction from which a target pixel is marked, in units of the image.
    """
    usable = calibration.valid & ~skip[:, None] & ~skip[None, :]
    linear = np.where(usable, calibration.coefficients, 0.0)
    squared = np.where(usable, calibration.quadratic, 0.0) if quadratic else np.zeros_like(linear)
    linear = np.where(np.isfinite(linear), linear, 0.0)
    squared = np.where(np.isfinite(squared), squared, 0.0)
    threshold = np.full(linear.shape[0], MIN_PIXEL_TO_MASK)
    if gain is not None and calibration.units is not Units.ELECTRON:
        good = np.isfinite(gain) & (gain > 0)
        g = np.where(good, gain, np.median(gain[good]) if good.any() else 1.0)
        linear = linear * g[None, :] / g[:, None]
        squared = squared * g[None, :] / g[:, None] ** 2
        threshold = threshold * g
    return linear, squared, threshold


def crosstalk_signal(stack: FloatArray, linear: DoubleArray, squared: DoubleArray) -> FloatArray:
    """Return what each amplifier picks up from the others: Σ_s c[s,t]·S + c2[s,t]·S².

    `stack` has shape (n_amp, rows, columns), every amplifier in readout order, so that pixels read
    at the same time lie on top of each other (ip_isr ``crosstalk.py``). The sources are taken as
    they are, before correction and without removing a background. A source pixel that is not
    finite gives nothing, so that a dead amplifier does not take its neighbours with it.
    """
    n_amp = stack.shape[0]
    flat = stack.reshape(n_amp, -1)
    c1 = np.ascontiguousarray(linear.T, dtype=np.float32)
    c2 = np.ascontiguousarray(squared.T, dtype=np.float32)
    second_order = bool(c2.any())
    signal = np.empty_like(flat)
    for first in range(0, flat.shape[1], _BLOCK):
        source = flat[:, first : first + _BLOCK]
        if not np.isfinite(source).all():
            source = np.nan_to_num(source, nan=0.0, posinf=0.0, neginf=0.0)
        block = c1 @ source
        if second_order:
            block += c2 @ (source * source)
        signal[:, first : first + _BLOCK] = block
    return signal.reshape(stack.shape)


def marked_pixels(
    signal: FloatArray, amplifiers: tuple[Amplifier, ...], threshold: DoubleArray
) -> BoolArray:
    """Flag data pixels whose correction differs from the raw amplifier's median by the threshold.

    Parameters
    ----------
    signal
        Shape (n_amp, rows, columns), from `crosstalk_signal`.
    amplifiers
        In the order of the stack.
    threshold
        Shape (n_amp,).
    """
    marked = np.zeros(signal.shape, np.bool_)
    for pixels, flags, amp, limit in zip(signal, marked, amplifiers, threshold, strict=True):
        data = pixels[amp.data.slices]
        # The median of all pixels lies within the range of any half of them.
        narrow = float(data.max()) - float(data.min()) < limit
        if narrow and 2 * data.size > pixels.size:
            continue
        median = median_of(pixels.ravel())
        flags[amp.data.slices] = (data >= median + limit) | (data <= median - limit)
    return marked


def median_of(values: FloatArray) -> float:
    """Do what ``np.median`` does, without sorting all of a large array."""
    if np.isnan(values).any():
        return np.nan
    (middle,) = around_ranks(values, (0.5,))
    return float(middle[0] if values.size % 2 else middle.mean())


def subtract_crosstalk(
    stack: FloatArray,
    amplifiers: tuple[Amplifier, ...],
    calibration: Crosstalk,
    gain: DoubleArray | None,
    skip: BoolArray,
    *,
    quadratic: bool,
    out: FloatArray | None = None,
) -> tuple[FloatArray, BoolArray]:
    """Subtract the crosstalk from whole raw amplifiers.

    Parameters are those of `crosstalk_signal`, `marked_pixels` and `coefficients`; `out` is where
    to write the corrected stack, which may be `stack`; None makes a new array.

    Returns
    -------
    FloatArray
        The corrected stack.
    BoolArray
        Same shape: data pixels to mark CROSSTALK.
    """
    linear, squared, threshold = coefficients(calibration, gain, skip, quadratic=quadratic)
    signal = crosstalk_signal(stack, linear, squared)
    marked = marked_pixels(signal, amplifiers, threshold)
    return np.subtract(stack, signal, out=signal if out is None else out), marked
