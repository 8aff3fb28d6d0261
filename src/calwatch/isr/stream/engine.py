"""The fast engine: every step of the chain in one pass over the rows of a detector.

The order is that of IsrTaskLSST. What a step needs of the whole frame is either read first (the
parallel overscan), expected and then checked (the usual width of an overscan row, the median of
the crosstalk), or done afterwards on the few pixels that it concerns (masks, interpolation).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from calwatch.arrays import FloatArray
from calwatch.camera.model import Amplifier, Box
from calwatch.camera.raw_tiles import RawTiles
from calwatch.isr.interpolation import interpolate_in_place
from calwatch.isr.measuring import isr_statistics, measure_raw, overscan_statistics
from calwatch.isr.model import IsrInput, IsrResult
from calwatch.isr.overscan_vector import WIDE_SIGMA
from calwatch.isr.parallel_overscan import ParallelLevels
from calwatch.isr.serial_overscan import SerialLevels
from calwatch.isr.steps import AmplifierFacts, Steps
from calwatch.isr.stream.columns import fit_parallel_overscan
from calwatch.isr.stream.marking import (
    MedianRanges,
    UndecidedError,
    mark_crosstalk,
    marks_from_sample,
    median_of_middle,
    median_ranges,
    no_marks,
    without_median,
)
from calwatch.isr.stream.masks import pixels_without_data
from calwatch.isr.stream.passes import (
    ROWS_AT_A_TIME,
    Frame,
    collect_middle_signals,
    collect_rows,
    correct_rows,
)
from calwatch.isr.stream.plan import Sections
from calwatch.isr.stream.planning import Plan, images_of, plan_of, subtracted
from calwatch.isr.stream.rows import RowCensus, SerialFit
from calwatch.isr.stream.serial_levels import serial_levels_of
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
class _Made:
    """What a pass has made."""

    frame: Frame
    parallel: tuple[ParallelLevels | None, ...] | None


def run_stream(given: IsrInput, amps: AmplifierFacts, steps: Steps) -> IsrResult:
    """Run every step that is to be applied, a few rows of all amplifiers at a time.

    The result is that of `calwatch.isr.reference.run_reference` to float32 rounding. A pass is
    repeated if something turns out other than expected, which is rare: rows of the serial overscan
    that are more than twice as wide as usual, or a median of the crosstalk far from what a sample
    of rows tells. If some marks need that median exactly, its signals alone are collected again.

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
    plan = plan_of(given, amps, steps)
    made = _pass(plan)
    usual = np.median(made.frame.serial.sigma, axis=1)
    if (made.frame.serial.sigma > WIDE_SIGMA * usual[:, None]).any():
        plan = replace(plan, corrections=plan.corrections._replace(usual_sigma=usual))
        made = _pass(plan)
    serial = _serial_levels(plan, made.frame)
    try:
        _mark(plan, made)
    except UndecidedError as error:
        plan = replace(plan, keep=error.amplifiers)
        made = _pass(plan)
        _mark(plan, made)
    return _finished(plan, made, serial)


def _pass(plan: Plan) -> _Made:
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
        images=images_of(plan),
    )
    if plan.corrections.subtract_crosstalk:
        sample = _sampled_crosstalk(plan, frame)
        frame = frame._replace(marks=marks_from_sample(sample, plan.limit, sections, plan.keep))
    parallel = _parallel_levels(plan, frame)
    column_levels = np.zeros((n_amp, sections.data_x1 - sections.data_x0), np.float32)
    for k, found in enumerate(parallel or ()):
        if found is not None and found.applied:
            column_levels[k] = found.levels
    for first, last in ((0, sections.parallel_y0), (sections.parallel_y1, n_rows)):
        correct_rows(first, last, frame, plan.corrections, column_levels)
    _refuse_damage(plan)
    return _Made(frame, parallel)


def _sampled_crosstalk(plan: Plan, frame: Frame) -> FloatArray:
    """Return the crosstalk of some rows, shape (n_amp, rows, columns)."""
    sections = plan.sections
    last = max(sections.data_y1 - ROWS_AT_A_TIME, sections.data_y0)
    starts = np.unique(np.linspace(sections.data_y0, last, _SAMPLED_BLOCKS).astype(int))
    blocks = [
        _collected(plan, frame, int(y), min(int(y) + ROWS_AT_A_TIME, sections.data_y1))[1]
        for y in starts
    ]
    return np.concatenate(blocks, axis=1)


def _parallel_levels(plan: Plan, frame: Frame) -> tuple[ParallelLevels | None, ...] | None:
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
    plan: Plan, frame: Frame, first_row: int, last_row: int
) -> tuple[FloatArray, FloatArray]:
    """Return the data columns of some rows after crosstalk, and the crosstalk of all columns."""
    n_amp, sections = len(plan.amps.bad), plan.sections
    width = sections.data_x1 - sections.data_x0
    clean = np.empty((n_amp, last_row - first_row, width), np.float32)
    signal = np.empty((n_amp, last_row - first_row, sections.columns), np.float32)
    collect_rows(first_row, last_row, frame, plan.corrections, clean, signal)
    _refuse_damage(plan)
    return clean, signal


def _refuse_damage(plan: Plan) -> None:
    """Raise `RawError` if a tile was found damaged."""
    amp, row = plan.source.damaged.tolist()
    if row >= 0 and isinstance(plan.given.raw, RawTiles):
        raise plan.given.raw.damage(amp, row)


def _mark(plan: Plan, made: _Made) -> None:
    """Mark the pixels that hold much crosstalk.

    Raises
    ------
    UndecidedError
        If the pass has not noted enough.
    """
    if not plan.corrections.subtract_crosstalk:
        return
    marks, sections = made.frame.marks, plan.sections
    ranges = median_ranges(marks, sections)
    amplifiers = without_median(marks, plan.limit, ranges)
    ranges = ranges.settled(_signal_medians(plan, made, ranges, amplifiers))
    mark_crosstalk(marks, plan.limit, ranges, sections, plan.placement, made.frame.images.mask)


def _signal_medians(
    plan: Plan, made: _Made, ranges: MedianRanges, amplifiers: list[int]
) -> dict[int, float]:
    """Return the median crosstalk of some amplifiers, for which all rows are read once more.

    The kernel is called for none, too: it is rarely needed, and then no exposure waits for its
    compilation, as it comes compiled with those that every exposure needs.
    """
    chosen = np.array(amplifiers, np.int64)
    found = ranges.inside[chosen]
    signals = np.empty((chosen.size, int(found.max(initial=0)) + 1), np.float32)
    n_nan = collect_middle_signals(
        made.frame, plan.corrections, chosen, ranges.low[chosen], ranges.high[chosen], signals
    )
    return {
        k: median_of_middle(signals[j, : found[j]], int(n_nan[j]), ranges, k, plan.sections)
        for j, k in enumerate(amplifiers)
    }


def _finished(plan: Plan, made: _Made, serial: tuple[SerialLevels | None, ...] | None) -> IsrResult:
    """Do what is left to do, on few pixels or none, and measure."""
    given, amps, steps, images = plan.given, plan.amps, plan.steps, made.frame.images
    image = images.image
    flat = given.calibrations.flat if "flat" in steps else None
    without_data = pixels_without_data(flat) if flat is not None else np.zeros(0, np.int64)
    image.reshape(-1)[without_data] = 0.0
    replaced = None
    if "interpolation" in steps:
        replaced = interpolate_in_place(image, images.mask, images.masked_rows)
    overscans, amplifiers = made.frame.overscan, _overscan_amplifiers(given, plan.sections)
    raw = measure_raw(given, overscans, amplifiers, amps.bad)
    return StreamedResult(
        image=image,
        mask=images.mask,
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
            subtracted=subtracted(plan),
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


def _serial_levels(plan: Plan, frame: Frame) -> tuple[SerialLevels | None, ...] | None:
    """Return levels and statistics of each serial overscan; None if they are not subtracted."""
    if "serial_overscan" not in plan.steps:
        return None
    return serial_levels_of(frame.overscan, frame.serial, plan.amps.bad, plan.sections)
