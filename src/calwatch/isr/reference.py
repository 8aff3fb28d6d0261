"""The chain step by step, each a plain numpy function: what the streaming engine is held to."""

from __future__ import annotations

import numpy as np

from calwatch.arrays import BoolArray, FloatArray, MaskArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import Units
from calwatch.camera.raw_tiles import decoded
from calwatch.isr.assembly import assemble, fill_amplifiers
from calwatch.isr.census import take_census
from calwatch.isr.corrections import (
    Masked,
    add_noise_variance,
    apply_gain,
    dark_scale,
    divide_by_flat,
    mask_defects,
    mask_not_finite,
    subtract_scaled,
)
from calwatch.isr.crosstalk import subtract_crosstalk
from calwatch.isr.cti import correct_charge_transfer
from calwatch.isr.dither import dither
from calwatch.isr.interpolation import interpolate_masked
from calwatch.isr.linearity import linearize
from calwatch.isr.measuring import isr_statistics, measure_raw, overscan_statistics
from calwatch.isr.model import IsrInput, IsrResult
from calwatch.isr.parallel_overscan import subtract_parallel_overscan
from calwatch.isr.serial_overscan import subtract_serial_overscan
from calwatch.isr.steps import AmplifierFacts, Steps, image_factor


def run_reference(given: IsrInput, amps: AmplifierFacts, steps: Steps) -> IsrResult:
    """Run every step that is to be applied over the whole frame, one after the other.

    The amplifiers are kept in readout order until they are assembled. Nothing that is given is
    written to: the steps work on one copy of the frame.

    Raises
    ------
    RawError
        If a tile of the raw frame is damaged.
    """
    amplifiers, calibrations, bad = given.detector.amplifiers, given.calibrations, amps.bad
    counts = decoded(given.raw)
    stack: FloatArray
    if "dither" in steps:
        stack = dither(counts, given.detector, given.dither_seed)
    else:
        stack = counts.astype(np.float32)
    raw = measure_raw(given, stack, amplifiers, bad)
    serial, parallel, marked = None, None, None
    if "serial_overscan" in steps:
        stack, serial = subtract_serial_overscan(stack, amplifiers, bad, out=stack)
    if "gain" in steps:
        stack = apply_gain(stack, amps.gain, out=stack)
    if "crosstalk" in steps and calibrations.crosstalk is not None:
        stack, marked = subtract_crosstalk(
            stack,
            amplifiers,
            calibrations.crosstalk,
            amps.gain if amps.electrons else None,
            bad,
            quadratic=given.switches.quadratic_crosstalk,
            out=stack,
        )
    if "parallel_overscan" in steps:
        stack, parallel = subtract_parallel_overscan(
            stack,
            amplifiers,
            amps.scale,
            bad,
            absolute_deviation=given.switches.parallel_absolute_deviation,
            column_smoothing=given.switches.parallel_column_smoothing,
            out=stack,
        )
    if "linearity" in steps and calibrations.linearizer is not None:
        in_adu = calibrations.linearizer.units is not Units.ELECTRON
        scale = amps.scale if in_adu else np.ones(len(stack))
        stack = linearize(stack, amplifiers, calibrations.linearizer, scale, out=stack)
    if "cti" in steps and calibrations.cti is not None:
        stack = correct_charge_transfer(stack, amplifiers, calibrations.cti, out=stack)
    exposure = _correct_detector(given, _assembled(given, stack, marked, amps, steps), amps, steps)
    return IsrResult(
        image=exposure.image,
        mask=exposure.mask,
        variance=exposure.variance,
        gain=amps.gain,
        read_noise=amps.read_noise,
        bad_amps=amps.bad_names(given.detector),
        applied=steps.applied,
        not_applied=steps.not_applied,
        statistics=isr_statistics(
            given, exposure.image, bad, raw, overscan_statistics(serial, parallel)
        ),
        census=tuple(take_census(pixels) for pixels in counts),
    )


def _assembled(
    given: IsrInput, stack: FloatArray, marked: BoolArray | None, amps: AmplifierFacts, steps: Steps
) -> Masked:
    """Trim and put the amplifiers together, with a mask and the variance of the raw frame."""
    detector = given.detector
    mask: MaskArray = np.full(detector.shape, Mask.NO_DATA, np.uint16)
    for amp, bad in zip(detector.amplifiers, amps.bad, strict=True):
        mask[amp.bbox.slices] = Mask.BAD if bad else 0
    if marked is not None:
        mask[assemble(marked, detector)] |= int(Mask.CROSSTALK)
    variance = fill_amplifiers(amps.raw_variance("dither" in steps), detector)
    return Masked(assemble(stack, detector), mask, variance)


def _correct_detector(
    given: IsrInput, exposure: Masked, amps: AmplifierFacts, steps: Steps
) -> Masked:
    """Run the steps on the assembled detector."""
    detector, calibrations = given.detector, given.calibrations
    bias, dark = calibrations.bias, calibrations.dark
    if "bias" in steps and bias is not None:
        factor, _ = image_factor(bias, amps)
        exposure = subtract_scaled(exposure, bias, factor, detector, out=exposure)
    if "dark" in steps and dark is not None:
        factor, _ = image_factor(dark, amps)
        scale = factor * dark_scale(dark, given.dark_time)
        exposure = subtract_scaled(exposure, dark, scale, detector, out=exposure)
    image, mask, variance = exposure.image, exposure.mask, exposure.variance
    if "defects" in steps and calibrations.defects is not None:
        mask = mask_defects(mask, calibrations.defects, out=mask)
    if "nan_mask" in steps:
        mask = mask_not_finite(image, mask)
    if "variance" in steps:
        variance = add_noise_variance(image, variance, amps.read_noise, detector, out=variance)
    exposure = Masked(image, mask, variance)
    if "flat" in steps and calibrations.flat is not None:
        exposure = divide_by_flat(exposure, calibrations.flat, out=exposure)
    if "interpolation" in steps:
        image, mask = exposure.image, exposure.mask
        image, mask = interpolate_masked(image, mask, out=(image, mask))
        exposure = Masked(image, mask, exposure.variance)
    return exposure
