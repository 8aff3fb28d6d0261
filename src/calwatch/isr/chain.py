"""The whole chain: from one raw frame to a corrected detector, in the order of IsrTaskLSST."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import ImageCalibration, Units
from calwatch.isr import parallel_overscan, serial_overscan
from calwatch.isr.assembly import assemble, fill_amplifiers
from calwatch.isr.bias_shift import find_bias_shifts, overscan_row_means
from calwatch.isr.checks import check_input
from calwatch.isr.corrections import (
    Masked,
    add_noise_variance,
    apply_gain,
    bad_amplifiers,
    dark_scale,
    divide_by_flat,
    in_electrons,
    mask_defects,
    mask_not_finite,
    subtract_scaled,
)
from calwatch.isr.correlations import image_correlation, overscan_correlation
from calwatch.isr.crosstalk import subtract_crosstalk
from calwatch.isr.cti import correct_charge_transfer
from calwatch.isr.dither import dither
from calwatch.isr.interpolation import interpolate_masked
from calwatch.isr.linearity import linearize
from calwatch.isr.model import BiasShift, IsrInput, IsrResult, IsrStatistics, OverscanStatistics
from calwatch.isr.projections import project
from calwatch.isr.switches import CALIBRATION_OF_STEP

DITHER_VARIANCE = 1.0 / 12.0
"""ADU², of a uniform distribution one count wide."""


@dataclass(slots=True)
class _Record:
    """What was applied, and what was wanted but could not be."""

    given: IsrInput
    applied: list[str] = field(default_factory=list)
    not_applied: dict[str, str] = field(default_factory=dict)

    def wanted(self, step: str) -> bool:
        """Tell whether a step is on and has its calibration; note it if the latter is missing."""
        if not getattr(self.given.switches, step):
            return False
        calib_type = CALIBRATION_OF_STEP.get(step)
        if calib_type and getattr(self.given.calibrations, calib_type) is None:
            self.not_applied[step] = f"no {calib_type} certified"
            return False
        return True

    def done(self, step: str, reason: str = "") -> bool:
        """Record that a step was applied, or why not if there is a reason."""
        if reason:
            self.not_applied[step] = reason
        else:
            self.applied.append(step)
        return not reason


@dataclass(frozen=True, slots=True, eq=False)
class _Amplifiers:
    """What is known of the amplifiers: one entry each, in camera order."""

    gain: DoubleArray
    """e-/ADU; NaN where there is none."""
    read_noise: DoubleArray
    """e-; NaN where there is none."""
    bad: BoolArray
    electrons: bool
    """Whether gains are applied, so that the image is in electrons."""

    @property
    def scale(self) -> DoubleArray:
        """Units of the image per ADU: the gain, or 1 where none is applied."""
        usable = self.electrons & np.isfinite(self.gain)
        return np.where(usable, self.gain, 1.0)


@dataclass(slots=True)
class _Measured:
    """Numbers measured on the raw frame."""

    shifts: tuple[tuple[BiasShift, ...], ...] | None = None
    shift_noise: DoubleArray | None = None
    overscan_correlation: DoubleArray | None = None
    overscan: OverscanStatistics | None = None


def run_isr(given: IsrInput) -> IsrResult:
    """Remove the instrument signature from one raw frame.

    The steps, their order and their formulae are those of IsrTaskLSST (ip_isr ``isrTaskLSST.py``),
    with the amplifiers kept in readout order until they are assembled. Nothing that is given is
    written to; the steps work on one copy of the frame. A step that is switched on
    but has no calibration, or cannot be done, is recorded in `IsrResult.not_applied` and left out.
    Without certified gains everything stays in ADU. Where a bias or dark is in ADU and the image in
    electrons, or the reverse, it is brought to the units of the image by the gains.

    Raises
    ------
    RawError
        If the raw frame is not of the detector's size.
    CalibrationError
        If a calibration is not of the detector's size or amplifiers, or not of its stated form.
    """
    check_input(given)
    record = _Record(given)
    amps = _amplifiers(given)
    measured = _Measured()
    stack, crosstalk = _correct_amplifiers(given, amps, record, measured)
    exposure = _assembled(given, stack, crosstalk, amps, record)
    exposure = _correct_detector(given, exposure, amps, record)
    return IsrResult(
        image=exposure.image,
        mask=exposure.mask,
        variance=exposure.variance,
        gain=amps.gain,
        read_noise=amps.read_noise,
        bad_amps=tuple(
            name for name, bad in zip(given.detector.amp_names, amps.bad, strict=True) if bad
        ),
        applied=tuple(record.applied),
        not_applied=record.not_applied,
        statistics=_statistics(given, exposure.image, amps, measured),
    )


def _amplifiers(given: IsrInput) -> _Amplifiers:
    """Take gains and noises from the PTC; without one, no amplifier is bad for want of a gain."""
    n_amp = len(given.detector.amplifiers)
    ptc, defects = given.calibrations.ptc, given.calibrations.defects
    unknown = np.full(n_amp, np.nan)
    if ptc is None:
        bad = bad_amplifiers(given.detector, defects, np.ones(n_amp))
        return _Amplifiers(unknown, unknown.copy(), bad, electrons=False)
    bad = bad_amplifiers(given.detector, defects, ptc.gain)
    gain = np.where(np.isfinite(ptc.gain) & (ptc.gain > 0), ptc.gain, np.nan)
    return _Amplifiers(gain, ptc.noise.copy(), bad, electrons=given.switches.gain)


def _correct_amplifiers(
    given: IsrInput, amps: _Amplifiers, record: _Record, measured: _Measured
) -> tuple[FloatArray, BoolArray | None]:
    """Run the steps on raw amplifiers; return the stack and the pixels marked by crosstalk."""
    if record.wanted("dither"):
        stack = dither(given.raw, given.detector, given.dither_seed)
        record.done("dither")
    else:
        stack = given.raw.astype(np.float32)
    _measure_raw(given, stack, amps, measured)
    stack, serial = _serial_overscan(given, stack, amps, record)
    if record.wanted("gain"):
        some = bool(np.isfinite(amps.gain).any())
        if record.done("gain", "" if some else "the ptc has no usable gain"):
            stack = apply_gain(stack, amps.gain, out=stack)
    stack, marked = _crosstalk(given, stack, amps, record)
    stack, parallel = _parallel_overscan(given, stack, amps, record)
    if serial is not None or parallel is not None:
        measured.overscan = _overscan_statistics(len(stack), serial, parallel)
    linearizer = given.calibrations.linearizer
    if record.wanted("linearity") and linearizer is not None:
        in_adu = linearizer.units is not Units.ELECTRON
        mismatch = not in_adu and not amps.electrons
        reason = "it is in electron, the image in adu" if mismatch else ""
        if record.done("linearity", reason):
            scale = amps.scale if in_adu else np.ones(len(stack))
            stack = linearize(stack, given.detector.amplifiers, linearizer, scale, out=stack)
    cti = given.calibrations.cti
    if record.wanted("cti") and cti is not None:
        reason = "" if amps.electrons else "it needs electrons, the image is in adu"
        if record.done("cti", reason):
            stack = correct_charge_transfer(stack, given.detector.amplifiers, cti, out=stack)
    return stack, marked


def _measure_raw(
    given: IsrInput, stack: FloatArray, amps: _Amplifiers, measured: _Measured
) -> None:
    """Measure what needs the raw overscan: bias shifts and the correlation of the amplifiers."""
    amplifiers = given.detector.amplifiers
    if given.switches.bias_shifts:
        found: list[tuple[tuple[BiasShift, ...], float]] = []
        for pixels, amp, bad in zip(stack, amplifiers, amps.bad, strict=True):
            levels = None if bad else overscan_row_means(pixels, amp)
            found.append(((), np.nan) if levels is None else find_bias_shifts(levels))
        measured.shifts = tuple(shifts for shifts, _ in found)
        measured.shift_noise = np.array([noise for _, noise in found])
    if given.switches.amp_correlations:
        measured.overscan_correlation = overscan_correlation(stack, amplifiers, amps.bad)


def _serial_overscan(
    given: IsrInput, stack: FloatArray, amps: _Amplifiers, record: _Record
) -> tuple[FloatArray, Sequence[serial_overscan.SerialLevels | None] | None]:
    if not record.wanted("serial_overscan"):
        return stack, None
    usable = [serial_overscan.fit_box(amp) is not None for amp in given.detector.amplifiers]
    if not record.done("serial_overscan", _why_no_overscan("serial", usable, amps.bad)):
        return stack, None
    return serial_overscan.subtract_serial_overscan(
        stack, given.detector.amplifiers, amps.bad, out=stack
    )


def _parallel_overscan(
    given: IsrInput, stack: FloatArray, amps: _Amplifiers, record: _Record
) -> tuple[FloatArray, Sequence[parallel_overscan.ParallelLevels | None] | None]:
    if not record.wanted("parallel_overscan"):
        return stack, None
    usable = [parallel_overscan.fit_box(amp) is not None for amp in given.detector.amplifiers]
    if not record.done("parallel_overscan", _why_no_overscan("parallel", usable, amps.bad)):
        return stack, None
    return parallel_overscan.subtract_parallel_overscan(
        stack,
        given.detector.amplifiers,
        amps.scale,
        amps.bad,
        absolute_deviation=given.switches.parallel_absolute_deviation,
        column_smoothing=given.switches.parallel_column_smoothing,
        out=stack,
    )


def _why_no_overscan(kind: str, usable: list[bool], bad: BoolArray) -> str:
    """Say why there is nothing to subtract; empty if there is something."""
    if not any(usable):
        return f"no amplifier has enough {kind} overscan"
    if bad.all():
        return "every amplifier is bad"
    return ""


def _crosstalk(
    given: IsrInput, stack: FloatArray, amps: _Amplifiers, record: _Record
) -> tuple[FloatArray, BoolArray | None]:
    calibration = given.calibrations.crosstalk
    if not record.wanted("crosstalk") or calibration is None:
        return stack, None
    mismatch = calibration.units is Units.ELECTRON and not amps.electrons
    if not record.done("crosstalk", "it is in electron, the image in adu" if mismatch else ""):
        return stack, None
    return subtract_crosstalk(
        stack,
        given.detector.amplifiers,
        calibration,
        amps.gain if amps.electrons else None,
        amps.bad,
        quadratic=given.switches.quadratic_crosstalk,
        out=stack,
    )


def _assembled(
    given: IsrInput,
    stack: FloatArray,
    crosstalk: BoolArray | None,
    amps: _Amplifiers,
    record: _Record,
) -> Masked:
    """Trim and put the amplifiers together, with a mask and the variance of the raw frame."""
    detector = given.detector
    mask: IntArray = np.full(detector.shape, Mask.NO_DATA, np.int32)
    for amp, bad in zip(detector.amplifiers, amps.bad, strict=True):
        mask[amp.bbox.slices] = Mask.BAD if bad else 0
    if crosstalk is not None:
        mask[assemble(crosstalk, detector)] |= Mask.CROSSTALK
    counts = 1.0 + (DITHER_VARIANCE if "dither" in record.applied else 0.0)
    variance = fill_amplifiers(counts * amps.scale**2, detector)
    image = assemble(stack, detector)
    record.done("assembly")
    return Masked(image, mask, variance)


def _correct_detector(
    given: IsrInput, exposure: Masked, amps: _Amplifiers, record: _Record
) -> Masked:
    """Run the steps on the assembled detector."""
    exposure = _bias_and_dark(given, exposure, amps, record)
    image, mask, variance = exposure.image, exposure.mask, exposure.variance
    defects, flat = given.calibrations.defects, given.calibrations.flat
    if record.wanted("defects") and defects is not None:
        mask = mask_defects(mask, defects, out=mask)
        record.done("defects")
    if record.wanted("nan_mask"):
        mask = mask_not_finite(image, mask)
        record.done("nan_mask")
    if record.wanted("variance"):
        reason = "" if amps.electrons else "it needs electrons, the image is in adu"
        if record.done("variance", reason):
            variance = add_noise_variance(
                image, variance, amps.read_noise, given.detector, out=variance
            )
    exposure = Masked(image, mask, variance)
    if record.wanted("flat") and flat is not None:
        exposure = divide_by_flat(exposure, flat, out=exposure)
        record.done("flat")
    if record.wanted("interpolation"):
        image, mask = exposure.image, exposure.mask
        image, mask = interpolate_masked(image, mask, out=(image, mask))
        exposure = Masked(image, mask, exposure.variance)
        record.done("interpolation")
    return exposure


def _bias_and_dark(given: IsrInput, exposure: Masked, amps: _Amplifiers, record: _Record) -> Masked:
    bias, dark = given.calibrations.bias, given.calibrations.dark
    if record.wanted("bias") and bias is not None:
        factor, reason = _unit_factor(bias, amps)
        if record.done("bias", reason):
            exposure = subtract_scaled(exposure, bias, factor, given.detector, out=exposure)
    if record.wanted("dark") and dark is not None:
        factor, reason = _unit_factor(dark, amps)
        scale = dark_scale(dark, given.dark_time)
        if not np.isfinite(scale):
            reason = f"the exposure's dark time is {given.dark_time}"
        if record.done("dark", reason):
            exposure = subtract_scaled(exposure, dark, factor * scale, given.detector, out=exposure)
    return exposure


def _unit_factor(calibration: ImageCalibration, amps: _Amplifiers) -> tuple[DoubleArray, str]:
    """Return the factor per amplifier to the units of the image, or the reason there is none."""
    known = np.where(np.isfinite(amps.gain), amps.gain, 1.0)
    same = np.ones(known.size)
    if in_electrons(calibration) == amps.electrons:
        return same, ""
    if amps.electrons:
        return known, ""
    if np.isfinite(amps.gain).any():
        return 1.0 / known, ""
    return same, "it is in electron, the image in adu"


def _overscan_statistics(
    n_amp: int,
    serial: Sequence[serial_overscan.SerialLevels | None] | None,
    parallel: Sequence[parallel_overscan.ParallelLevels | None] | None,
) -> OverscanStatistics:
    def column(source: Sequence[object | None] | None, name: str) -> DoubleArray:
        values = source if source is not None else [None] * n_amp
        return np.array([np.nan if v is None else getattr(v, name) for v in values])

    return OverscanStatistics(
        serial_mean=column(serial, "mean"),
        serial_median=column(serial, "median"),
        serial_stdev=column(serial, "stdev"),
        serial_residual_mean=column(serial, "residual_mean"),
        serial_residual_median=column(serial, "residual_median"),
        serial_residual_stdev=column(serial, "residual_stdev"),
        parallel_mean=column(parallel, "mean"),
        parallel_median=column(parallel, "median"),
        parallel_stdev=column(parallel, "stdev"),
        parallel_applied=tuple(bool(p and p.applied) for p in parallel or [None] * n_amp),
    )


def _statistics(
    given: IsrInput, image: FloatArray, amps: _Amplifiers, measured: _Measured
) -> IsrStatistics:
    """Add what is measured on the corrected image."""
    switches, rows, columns = given.switches, None, None
    if switches.projections:
        rows, columns = project(image, given.detector)
    correlated = switches.amp_correlations
    return IsrStatistics(
        overscan=measured.overscan,
        bias_shifts=measured.shifts,
        bias_shift_noise=measured.shift_noise,
        overscan_correlation=measured.overscan_correlation,
        image_correlation=image_correlation(image, given.detector, amps.bad)
        if correlated
        else None,
        row_projection=rows,
        column_projection=columns,
    )
