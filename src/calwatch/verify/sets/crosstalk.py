"""What crosstalk the correction leaves, beside bright features of any frame (DMTN-101 §9).

Amplifiers are read out together, so that a bright pixel of one shows in the same pixel, in readout
order, of the others. Of every run of bright pixels in a row of the source the excess over windows
on both sides is taken, and that of each target in the same pixels. The residual coefficient is the
weighted regression through zero of the one on the other.

Rows are taken as independent, and frames are not: the pixels of the target respond alike in all of
them. So the error follows from how the sums of the rows, each over all frames, scatter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.model import Detector
from calwatch.isr import crosstalk as correction
from calwatch.isr.assembly import orient
from calwatch.verify.amplifier import Measured, Metrics
from calwatch.verify.sets.crosstalk_kernels import add_products, count_bright, find_runs
from calwatch.verify.sets.model import CorrectedFrame

BRIGHT = 10_000.0
"""e- above the median of its amplifier: what counts as a bright feature."""
LEAST_ROWS = 10
"""Rows with bright pixels below which there is no error and no coefficient."""
SIGNIFICANT = 5.0
LEAST_COEFFICIENT = 2e-5
"""A coefficient counts if it is this large and stands so many errors off zero."""


@dataclass(slots=True, eq=False)
class _Sums:
    """Sums over frames, by source, target and row, and what was met on the way."""

    products: DoubleArray
    squares: DoubleArray
    pixels: DoubleArray
    """Bright pixels used, by source."""
    bright: DoubleArray
    """Bright pixels of any kind, by source."""
    gain: DoubleArray
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """Residual coefficients, ``[source, target]``; NaN where none was measured."""

    value: DoubleArray
    error: DoubleArray


def measure(
    detector: Detector, frames: Iterable[CorrectedFrame], calibrations: CalibrationSet
) -> Measured:
    """Measure residual crosstalk between all amplifiers of a detector.

    Parameters
    ----------
    detector
        Gives places and flips.
    frames
        Crosstalk-corrected frames, e-; taken one by one. The masks BAD and NO_DATA are left out in
        sources and targets alike, saturated pixels are not.
    calibrations
        The certified crosstalk, to say what the coefficients are without the correction.

    Returns
    -------
    Measured
        With the arrays ``crosstalk_residual``, ``crosstalk_error`` and ``crosstalk_uncorrected``
        (residual and certified together), each (n_amp, n_amp), ``[source, target]``, of electrons.
        Without any bright feature that can be used there are no amplifiers in it, the detector's
        number of significant coefficients is NaN, and a warning says why.
    """
    sums = _empty(detector)
    with np.errstate(over="ignore", invalid="ignore"):
        for frame in frames:
            _add_frame(detector, frame, sums)
    found = coefficients(sums.products, sums.squares)
    if not np.isfinite(found.value).any():
        return _nothing(sums)
    significant = _significant(found)
    amps: dict[str, Metrics] = {}
    faults: dict[str, str] = {}
    for i, name in enumerate(detector.amp_names):
        amps[name] = _amp_metrics(found, significant, sums, i)
        if math.isnan(amps[name]["CROSSTALK_RESIDUAL"]):
            faults[name] = sums.faults.get(name) or "no bright feature falls on its good pixels"
    return Measured(
        amps,
        detector={
            "CROSSTALK_DETECTIONS": float(np.count_nonzero(significant)),
            "CROSSTALK_SOURCES": float(np.count_nonzero(np.isfinite(found.value).any(axis=1))),
        },
        faults=faults,
        arrays={
            "crosstalk_residual": found.value,
            "crosstalk_error": found.error,
            "crosstalk_uncorrected": found.value + _certified(calibrations, sums.gain),
        },
    )


def coefficients(products: DoubleArray, squares: DoubleArray) -> Coefficients:
    """Return coefficients and errors from sums by row.

    With the sums A and B of a row, ``c = ΣA/ΣB`` and ``σ² = n/(n−1)·Σ(A − c·B)²/(ΣB)²`` over the
    n rows that have any: what holds whether or not the pixels of a row are independent.

    Parameters
    ----------
    products, squares
        Shape (n_amp, n_amp, rows): A and B, ``[source, target, row]``.
    """
    rows = np.count_nonzero(squares > 0, axis=-1)
    total = squares.sum(axis=-1)
    enough = rows >= LEAST_ROWS
    value = np.full(total.shape, math.nan)
    np.divide(products.sum(axis=-1), total, out=value, where=enough)
    off = products - value[..., np.newaxis] * squares
    variance = np.full(total.shape, math.nan)
    np.divide((off**2).sum(axis=-1), total**2, out=variance, where=enough)
    factor = rows / np.maximum(rows - 1, 1)
    return Coefficients(value, np.sqrt(variance * factor))


def _empty(detector: Detector) -> _Sums:
    n = len(detector.amplifiers)
    rows = max((amp.bbox.height for amp in detector.amplifiers), default=0)
    shape = (n, n, rows)
    return _Sums(np.zeros(shape), np.zeros(shape), np.zeros(n), np.zeros(n), np.full(n, math.nan))


def _add_frame(detector: Detector, frame: CorrectedFrame, sums: _Sums) -> None:
    stack = _readout_order(detector, frame)
    usable = np.array([not fault for fault in frame.faults])
    for amp, fault in zip(detector.amplifiers, frame.faults, strict=True):
        if fault:
            sums.faults[amp.name] = fault
    sums.gain = np.where(np.isfinite(frame.gain), frame.gain, sums.gain)
    medians, noise = _levels(stack)
    thresholds = np.where(usable & np.isfinite(medians), medians + BRIGHT, math.inf)
    sources = np.flatnonzero(
        [float(np.nanmax(p, initial=-math.inf)) > t for p, t in zip(stack, thresholds, strict=True)]
    )
    if sources.size == 0:
        return
    count = count_bright(stack, thresholds)
    for source in (int(index) for index in sources):
        bright, threshold = stack[source], float(thresholds[source])
        sums.bright[source] += np.count_nonzero(bright > threshold)
        runs = find_runs(bright, threshold, count)
        sums.pixels[source] += float((runs[:, 2] - runs[:, 1]).sum())
        add_products(stack, source, runs, noise, sums.products[source], sums.squares[source])


def _readout_order(detector: Detector, frame: CorrectedFrame) -> FloatArray:
    """Return the amplifiers in readout order, NaN where a pixel or an amplifier cannot be used."""
    amps = detector.amplifiers
    shape = tuple(max(getattr(amp.bbox, side) for amp in amps) for side in ("height", "width"))
    stack = np.full((len(amps), *shape), np.nan, np.float32)
    for i, amp in enumerate(amps):
        if frame.faults[i]:
            continue
        place = stack[i, : amp.bbox.height, : amp.bbox.width]
        place[...] = orient(frame.image[amp.bbox.slices], amp)
        bad = (frame.mask[amp.bbox.slices] & int(Mask.BAD | Mask.NO_DATA)) != 0
        if bad.any():
            place[orient(bad, amp)] = np.nan
    return stack


def _levels(stack: FloatArray) -> tuple[DoubleArray, DoubleArray]:
    """Return the median and the noise of a pixel of each amplifier, from a sixteenth of them.

    The noise is that of the difference of columns four apart, by its quartiles.
    """
    medians, noise = np.full(len(stack), math.nan), np.full(len(stack), math.nan)
    for i, pixels in enumerate(stack):
        some = pixels[::4, ::4]
        finite = some[np.isfinite(some)]
        steps = np.diff(some, axis=1)
        steps = steps[np.isfinite(steps)]
        if finite.size and steps.size:
            medians[i] = np.median(finite)
            low, high = np.percentile(steps, (25, 75))
            noise[i] = (high - low) / 1.349 / math.sqrt(2)
    return medians, noise


def _significant(found: Coefficients) -> BoolArray:
    large: BoolArray = np.abs(found.value) > np.maximum(
        SIGNIFICANT * found.error, LEAST_COEFFICIENT
    )
    return large


def _amp_metrics(found: Coefficients, significant: BoolArray, sums: _Sums, index: int) -> Metrics:
    """Return what an amplifier gives and takes."""
    value = np.concatenate([found.value[index], found.value[:, index]])
    error = np.concatenate([found.error[index], found.error[:, index]])
    sure = np.abs(value) - SIGNIFICANT * error
    measured = np.isfinite(sure)
    # Not the largest, which among thirty is one with a large error.
    worst = int(np.argmax(np.where(measured, sure, -math.inf)))
    return {
        "CROSSTALK_RESIDUAL": float(abs(value[worst])) if measured.any() else math.nan,
        "CROSSTALK_RESIDUAL_ERROR": float(error[worst]) if measured.any() else math.nan,
        "CROSSTALK_SIGNIFICANT": float(
            np.count_nonzero(significant[index]) + np.count_nonzero(significant[:, index])
        )
        if measured.any()
        else math.nan,
        "CROSSTALK_PIXELS": float(sums.pixels[index]),
    }


def _certified(calibrations: CalibrationSet, gain: DoubleArray) -> DoubleArray:
    """Return the certified coefficients, of electrons; NaN without any."""
    n = gain.size
    if calibrations.crosstalk is None:
        return np.full((n, n), math.nan)
    linear, _, _ = correction.coefficients(
        calibrations.crosstalk, gain, np.zeros(n, np.bool_), quadratic=False
    )
    return linear


def _nothing(sums: _Sums) -> Measured:
    """Say that there is nothing to measure with."""
    if sums.bright.any():
        why = (
            f"none of {sums.bright.sum():.0f} bright pixels can be used: too near an edge, too "
            f"wide, in fewer than {LEAST_ROWS} rows, or bright in several amplifiers at once"
        )
    else:
        why = f"no feature stands {BRIGHT:.0f} e- above its amplifier"
    return Measured(
        {},
        detector={"CROSSTALK_DETECTIONS": math.nan, "CROSSTALK_SOURCES": 0.0},
        warnings=(f"crosstalk not measured: {why}",),
    )
