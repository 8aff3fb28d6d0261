"""The fast engine: every step of the chain in one pass over the rows of a detector.

The order is that of IsrTaskLSST. What a step needs of the whole frame is either read first (the
parallel overscan), expected and then checked (the usual width of an overscan row, the median of
the crosstalk), or done afterwards on the few pixels that it concerns (masks, interpolation).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.calibrations.model import ImageCalibration
from calwatch.camera.model import Amplifier, Box
from calwatch.camera.raw_tiles import RawTiles
from calwatch.isr import crosstalk, serial_overscan
from calwatch.isr.corrections import dark_scale
from calwatch.isr.interpolation import interpolate_in_place
from calwatch.isr.measuring import isr_statistics, measure_raw, overscan_statistics
from calwatch.isr.model import IsrInput, IsrResult
from calwatch.isr.overscan_vector import IQR_TO_SIGMA, WIDE_SIGMA
from calwatch.isr.parallel_overscan import ParallelLevels
from calwatch.isr.serial_overscan import SerialLevels
from calwatch.isr.sorting_network import sorting_network
from calwatch.isr.steps import AmplifierFacts, Steps, image_factor
from calwatch.isr.stream.charge_transfer import no_transfer, transfer_of
from calwatch.isr.stream.columns import fit_parallel_overscan
from calwatch.isr.stream.crosstalk import padded_coefficients
from calwatch.isr.stream.linearity import linearizer_splines, no_splines
from calwatch.isr.stream.marking import (
    UndecidedError,
    mark_crosstalk,
    marks_from_sample,
    median_of_middle,
    no_marks,
    without_median,
)
from calwatch.isr.stream.masks import mask_of_calibrations, pixels_without_data
from calwatch.isr.stream.output import Images, read_only, unused_image
from calwatch.isr.stream.passes import (
    ROWS_AT_A_TIME,
    Corrections,
    Frame,
    collect_middle_signals,
    collect_rows,
    correct_rows,
)
from calwatch.isr.stream.plan import (
    CannotStreamError,
    Placement,
    Sections,
    draw_shape,
    gain_factors,
    placement_of,
    sections_of,
)
from calwatch.isr.stream.residuals import residual_statistics
from calwatch.isr.stream.rows import RowCensus, SerialFit, Source, source_of
from calwatch.isr.stream.twister import uniform_draws
from calwatch.isr.stream.variance import VarianceParts

_SAMPLED_BLOCKS = 8
"""Blocks of rows, spread over the data, that tell beforehand what crosstalk there is."""


class StreamedResult(IsrResult):
    """A result whose variance is made on first use."""

    def __init__(self, *, variance_parts: VarianceParts, **fields: Any) -> None:
        self.__dict__.update(fields, variance_parts=variance_parts)

    variance_parts: VarianceParts

    @cached_property
    def variance(self) -> FloatArray:
        """Variance of the image, shape (height, width)."""
        return self.variance_parts.of(self.image)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What is known before a pixel is read, or expected."""

    given: IsrInput
    amps: AmplifierFacts
    steps: Steps
    sections: Sections
    placement: Placement
    source: Source
    corrections: Corrections
    limit: DoubleArray
    """Shape (n_amp,), units of the image: signal of crosstalk that marks a pixel."""
    keep: Set[int] = frozenset()
    """Amplifiers of which all signals of crosstalk are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """What a pass has made."""

    frame: Frame
    parallel: tuple[ParallelLevels | None, ...] | None
    images: Images


def run_stream(given: IsrInput, amps: AmplifierFacts, steps: Steps) -> IsrResult:
    """Run every step that is to be applied, a few rows of all amplifiers at a time.

    The result is that of `calwatch.isr.reference.run_reference` to float32 rounding. A pass is
    repeated if something turns out other than expected, which is rare: rows of the serial overscan
    that are more than twice as wide as usual, or a median of the crosstalk other than a sample of
    rows tells. If some marks need that median exactly, its signals alone are collected again.

    Raises
    ------
    CannotStreamError
        If the exposure is left to the reference engine: raw pixels that are not int32; amplifiers
        of one detector whose sections differ, or which do not cover it; an overscan that does not
        stand beside all of the data; rows of the serial overscan whose level cannot be told from
        the row alone; a parallel overscan bright enough to hold spilled light; a linearizer that is
        not made of splines.
    CalibrationError
        If a calibration is not of its stated form.
    RawError
        If a tile of the raw frame is damaged.
    """
    plan = _plan(given, amps, steps)
    made = _pass(plan)
    usual = np.median(made.frame.serial.sigma, axis=1)
    if (made.frame.serial.sigma > WIDE_SIGMA * usual[:, None]).any():
        plan = replace(plan, corrections=plan.corrections._replace(usual_sigma=usual))
        made = _pass(plan)
    serial = _serial_levels(plan, made)
    try:
        _mark(plan, made)
    except UndecidedError as error:
        plan = replace(plan, keep=error.amplifiers)
        made = _pass(plan)
        _mark(plan, made)
    return _finished(plan, made, serial)


def _plan(given: IsrInput, amps: AmplifierFacts, steps: Steps) -> _Plan:
    detector, n_amp = given.detector, len(given.detector.amplifiers)
    if sum(amp.bbox.area for amp in detector.amplifiers) != detector.width * detector.height:
        raise CannotStreamError("the amplifiers do not cover the detector")
    sections = sections_of(given, steps)
    linear = squared = np.zeros((n_amp, n_amp))
    limit = np.ones(n_amp)
    certified = given.calibrations
    if "crosstalk" in steps and certified.crosstalk is not None:
        linear, squared, limit = crosstalk.coefficients(
            certified.crosstalk,
            amps.gain if amps.electrons else None,
            amps.bad,
            quadratic=given.switches.quadratic_crosstalk,
        )
    splines, transfer = no_splines(n_amp), no_transfer(n_amp)
    if "linearity" in steps and certified.linearizer is not None:
        splines = linearizer_splines(certified.linearizer, amps)
    if "cti" in steps and certified.cti is not None:
        transfer = transfer_of(certified.cti)
    corrections = Corrections(
        skip=amps.bad,
        usual_sigma=np.full(n_amp, np.inf),
        network=sorting_network(sections.fit_x1 - sections.fit_x0),
        gain=gain_factors(amps, steps),
        crosstalk=padded_coefficients(linear, squared),
        subtract_crosstalk="crosstalk" in steps,
        splines=splines,
        transfer=transfer,
    )
    source = _source(given, dithered="dither" in steps)
    return _Plan(given, amps, steps, sections, placement_of(detector), source, corrections, limit)


def _source(given: IsrInput, *, dithered: bool) -> Source:
    shape = draw_shape(given.detector) if dithered else (0, 0)
    draws = uniform_draws(given.dither_seed, shape[0] * shape[1]).reshape(shape)
    return source_of(given.raw, draws, dithered=dithered)


def _pass(plan: _Plan) -> _Made:
    """Take all rows through all steps."""
    n_amp, sections = len(plan.amps.bad), plan.sections
    n_rows = sections.rows
    frame = Frame(
        source=plan.source,
        sections=sections,
        placement=plan.placement,
        overscan=np.empty((n_amp, n_rows, sections.serial_x1 - sections.serial_x0), np.float32),
        census=RowCensus(*np.zeros((3, n_amp, n_rows), np.int32)),
        serial=SerialFit(
            np.zeros((n_amp, n_rows)),
            np.zeros((n_amp, n_rows)),
            np.zeros((n_amp, n_rows), np.float32),
            np.zeros((n_amp, n_rows), np.float32),
        ),
        marks=no_marks(n_amp),
    )
    if plan.corrections.subtract_crosstalk:
        sample = _sampled_crosstalk(plan, frame)
        frame = frame._replace(marks=marks_from_sample(sample, plan.limit, sections, plan.keep))
    parallel = _parallel_levels(plan, frame)
    column_levels = np.zeros((n_amp, sections.data_x1 - sections.data_x0), np.float32)
    for k, found in enumerate(parallel or ()):
        if found is not None and found.applied:
            column_levels[k] = found.levels
    images = _images(plan)
    for first, last in ((0, sections.parallel_y0), (sections.parallel_y1, n_rows)):
        correct_rows(first, last, frame, plan.corrections, column_levels, images)
    _refuse_damage(plan)
    return _Made(frame, parallel, images)


def _sampled_crosstalk(plan: _Plan, frame: Frame) -> FloatArray:
    """Return the crosstalk of some rows, shape (n_amp, rows, columns)."""
    sections = plan.sections
    last = max(sections.data_y1 - ROWS_AT_A_TIME, sections.data_y0)
    starts = np.unique(np.linspace(sections.data_y0, last, _SAMPLED_BLOCKS).astype(int))
    blocks = [
        _collected(plan, frame, int(y), min(int(y) + ROWS_AT_A_TIME, sections.data_y1))[1]
        for y in starts
    ]
    return np.concatenate(blocks, axis=1)


def _parallel_levels(plan: _Plan, frame: Frame) -> tuple[ParallelLevels | None, ...] | None:
    """Return the level of each column of each amplifier; None if they are not subtracted."""
    if "parallel_overscan" not in plan.steps:
        return None
    sections, switches = plan.sections, plan.given.switches
    overscan, _ = _collected(plan, frame, sections.parallel_y0, sections.parallel_y1)
    return tuple(
        None
        if bad
        else fit_parallel_overscan(
            pixels,
            float(gain),
            absolute_deviation=switches.parallel_absolute_deviation,
            column_smoothing=switches.parallel_column_smoothing,
        )
        for pixels, gain, bad in zip(overscan, plan.amps.scale, plan.amps.bad, strict=True)
    )


def _collected(
    plan: _Plan, frame: Frame, first_row: int, last_row: int
) -> tuple[FloatArray, FloatArray]:
    """Return the data columns of some rows after crosstalk, and the crosstalk of all columns."""
    n_amp, sections = len(plan.amps.bad), plan.sections
    width = sections.data_x1 - sections.data_x0
    clean = np.empty((n_amp, last_row - first_row, width), np.float32)
    signal = np.empty((n_amp, last_row - first_row, sections.columns), np.float32)
    collect_rows(first_row, last_row, frame, plan.corrections, clean, signal)
    _refuse_damage(plan)
    return clean, signal


def _refuse_damage(plan: _Plan) -> None:
    """Raise `RawError` if a tile was found damaged."""
    amp, row = plan.source.damaged.tolist()
    if row >= 0 and isinstance(plan.given.raw, RawTiles):
        raise plan.given.raw.damage(amp, row)


def _images(plan: _Plan) -> Images:
    """Return the certified images that are used, and room for image and mask."""
    given, steps, n_amp = plan.given, plan.steps, len(plan.amps.bad)
    used, factors = {}, {}
    for step in ("bias", "dark", "flat"):
        calibration = getattr(given.calibrations, step)
        used[step] = read_only(calibration.image) if step in steps else unused_image()
        factors[step] = np.ones(n_amp, np.float32)
    for calibration, factor in _subtracted(plan):
        factors[calibration.calib_type] = factor.astype(np.float32)
    mask, masked_rows = mask_of_calibrations(given, plan.amps, steps)
    return Images(
        bias=used["bias"],
        dark=used["dark"],
        flat=used["flat"],
        bias_factor=factors["bias"],
        dark_factor=factors["dark"],
        image=np.empty(given.detector.shape, np.float32),
        mask=mask,
        masked_rows=masked_rows,
        mark_nan="nan_mask" in steps,
    )


def _subtracted(plan: _Plan) -> tuple[tuple[ImageCalibration, DoubleArray], ...]:
    """Return bias and dark, if they are subtracted, with the factor of each amplifier."""
    found = []
    bias, dark = plan.given.calibrations.bias, plan.given.calibrations.dark
    if "bias" in plan.steps and bias is not None:
        found.append((bias, image_factor(bias, plan.amps)[0]))
    if "dark" in plan.steps and dark is not None:
        scale = dark_scale(dark, plan.given.dark_time)
        found.append((dark, image_factor(dark, plan.amps)[0] * scale))
    return tuple(found)


def _mark(plan: _Plan, made: _Made) -> None:
    """Mark the pixels that hold much crosstalk.

    Raises
    ------
    UndecidedError
        If the pass has not noted enough.
    """
    if not plan.corrections.subtract_crosstalk:
        return
    marks, sections = made.frame.marks, plan.sections
    medians = _signal_medians(plan, made, without_median(marks, plan.limit, sections))
    mark_crosstalk(marks, plan.limit, medians, sections, plan.placement, made.images.mask)


def _signal_medians(plan: _Plan, made: _Made, amplifiers: list[int]) -> dict[int, float]:
    """Return the median crosstalk of some amplifiers, for which all rows are read once more."""
    if not amplifiers:
        return {}
    marks, chosen = made.frame.marks, np.array(amplifiers)
    found = (marks.not_above - marks.below)[chosen]
    signals = np.empty((chosen.size, int(found.max()) + 1), np.float32)
    n_nan = collect_middle_signals(made.frame, plan.corrections, chosen, signals)
    return {
        k: median_of_middle(signals[j, : found[j]], int(n_nan[j]), marks, k, plan.sections)
        for j, k in enumerate(amplifiers)
    }


def _finished(
    plan: _Plan, made: _Made, serial: tuple[SerialLevels | None, ...] | None
) -> IsrResult:
    """Do what is left to do, on few pixels or none, and measure."""
    given, amps, steps, image = plan.given, plan.amps, plan.steps, made.images.image
    flat = given.calibrations.flat if "flat" in steps else None
    without_data = pixels_without_data(flat) if flat is not None else np.zeros(0, np.int64)
    image.reshape(-1)[without_data] = 0.0
    replaced = None
    if "interpolation" in steps:
        replaced = interpolate_in_place(image, made.images.mask, made.images.masked_rows)
    overscans, amplifiers = made.frame.overscan, _overscan_amplifiers(given, plan.sections)
    raw = measure_raw(given, overscans, amplifiers, amps.bad)
    return StreamedResult(
        image=image,
        mask=made.images.mask,
        gain=amps.gain,
        read_noise=amps.read_noise,
        bad_amps=amps.bad_names(given.detector),
        applied=steps.applied,
        not_applied=steps.not_applied,
        statistics=isr_statistics(
            given, image, amps.bad, raw, overscan_statistics(serial, made.parallel)
        ),
        census=made.frame.census.whole(),
        variance_parts=VarianceParts(
            detector=given.detector,
            raw=amps.raw_variance("dither" in steps),
            read_noise=amps.read_noise if "variance" in steps else None,
            subtracted=_subtracted(plan),
            flat=flat,
            without_data=without_data,
            replaced=replaced,
        ),
    )


def _overscan_amplifiers(given: IsrInput, sections: Sections) -> tuple[Amplifier, ...]:
    """Return the amplifiers as if their raw pixels were nothing but their serial overscan."""
    found = []
    for amp in given.detector.amplifiers:
        box = amp.serial_overscan
        moved = Box(box.x0 - sections.serial_x0, box.y0, box.width, box.height)
        found.append(replace(amp, serial_overscan=moved))
    return tuple(found)


def _serial_levels(plan: _Plan, made: _Made) -> tuple[SerialLevels | None, ...] | None:
    """Return levels and statistics of each serial overscan; None if it is not subtracted.

    Raises
    ------
    CannotStreamError
        If a level is another than the one that was subtracted.
    """
    if "serial_overscan" not in plan.steps:
        return None
    sections, fit = plan.sections, made.frame.serial
    x0, x1 = sections.fit_x0 - sections.serial_x0, sections.fit_x1 - sections.serial_x0
    every_pixel_counts = _every_pixel_counts(fit)
    found: list[SerialLevels | None] = []
    for k, bad in enumerate(plan.amps.bad):
        pixels = made.frame.overscan[k, :, x0:x1]
        if bad:
            found.append(None)
        elif every_pixel_counts[k]:
            levels, usual = fit.levels[k], float(np.median(fit.sigma[k]))
            found.append(
                SerialLevels(
                    levels,
                    *serial_overscan.overscan_statistics(levels),
                    *residual_statistics(pixels, levels, usual),
                )
            )
        else:
            exact = serial_overscan.serial_levels(pixels)
            if not np.array_equal(exact.levels, fit.levels[k]):
                raise CannotStreamError("a level of the serial overscan depends on all its rows")
            found.append(exact)
    return tuple(found)


def _every_pixel_counts(fit: SerialFit) -> BoolArray:
    """Tell of each amplifier whether surely no pixel is too far from the median of its overscan.

    The median of all pixels lies among the medians of the rows, and each of these no further from
    the row's level than the width of the row's quartiles.
    """
    margin = fit.sigma.max(axis=1) / IQR_TO_SIGMA
    above = fit.highest.max(axis=1) - fit.levels.min(axis=1)
    below = fit.levels.max(axis=1) - fit.lowest.min(axis=1)
    near: BoolArray = np.maximum(above, below) + margin <= serial_overscan.MAX_DEVIATION
    return near
