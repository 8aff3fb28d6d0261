"""What the ISR measures on the way, put together in the form of its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.camera.model import Amplifier
from calwatch.isr.bias_shift import find_bias_shifts, overscan_row_means
from calwatch.isr.correlations import image_correlation, overscan_correlation
from calwatch.isr.image_sweep import project_and_correlate
from calwatch.isr.model import BiasShift, IsrInput, IsrStatistics, OverscanStatistics
from calwatch.isr.parallel_overscan import ParallelLevels
from calwatch.isr.projections import project
from calwatch.isr.serial_overscan import SerialLevels


@dataclass(frozen=True, slots=True, eq=False)
class RawStatistics:
    """What is measured on the serial overscan before it is subtracted; None where not wanted."""

    shifts: tuple[tuple[BiasShift, ...], ...] | None
    shift_noise: DoubleArray | None
    correlation: DoubleArray | None


def measure_raw(
    given: IsrInput, stack: FloatArray, amplifiers: tuple[Amplifier, ...], bad: BoolArray
) -> RawStatistics:
    """Measure what needs the raw overscan: bias shifts and the correlation of the amplifiers.

    Parameters
    ----------
    given
        Says what is wanted.
    stack
        Shape (n_amp, rows, columns), readout order, ADU, dithered. It may hold no more than the
        serial overscan, if `amplifiers` says where that is.
    amplifiers
        Where the serial overscan lies in the stack.
    bad
        Shape (n_amp,): amplifiers that are not measured.
    """
    shifts, noise = None, None
    if given.switches.bias_shifts:
        found: list[tuple[tuple[BiasShift, ...], float]] = []
        for pixels, amp, skipped in zip(stack, amplifiers, bad, strict=True):
            levels = None if skipped else overscan_row_means(pixels, amp)
            found.append(((), np.nan) if levels is None else find_bias_shifts(levels))
        shifts = tuple(accepted for accepted, _ in found)
        noise = np.array([local for _, local in found])
    wanted = given.switches.amp_correlations
    return RawStatistics(
        shifts, noise, overscan_correlation(stack, amplifiers, bad) if wanted else None
    )


def overscan_statistics(
    serial: Sequence[SerialLevels | None] | None, parallel: Sequence[ParallelLevels | None] | None
) -> OverscanStatistics | None:
    """Put together what the overscans say; None if neither was subtracted."""
    n_amp = len(serial or parallel or ())
    if n_amp == 0:
        return None

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


def isr_statistics(
    given: IsrInput,
    image: FloatArray,
    bad: BoolArray,
    raw: RawStatistics,
    overscan: OverscanStatistics | None,
) -> IsrStatistics:
    """Add what is measured on the corrected image, of shape (height, width)."""
    switches, rows, columns, correlation = given.switches, None, None, None
    if switches.projections and switches.amp_correlations:
        rows, columns, correlation = project_and_correlate(image, given.detector, bad)
    elif switches.projections:
        rows, columns = project(image, given.detector)
    elif switches.amp_correlations:
        correlation = image_correlation(image, given.detector, bad)
    return IsrStatistics(
        overscan=overscan,
        bias_shifts=raw.shifts,
        bias_shift_noise=raw.shift_noise,
        overscan_correlation=raw.correlation,
        image_correlation=correlation,
        row_projection=rows,
        column_projection=columns,
    )
