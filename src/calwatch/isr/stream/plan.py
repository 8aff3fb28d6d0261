"""The plan of a pass: where the sections lie and what each amplifier is corrected with.

Everything here is a named tuple of numbers and arrays, which is the form that kernels can take.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calwatch.arrays import BoolArray, FloatArray, IndexArray
from calwatch.camera.model import Amplifier, Detector
from calwatch.isr import parallel_overscan, serial_overscan
from calwatch.isr.model import IsrInput
from calwatch.isr.steps import AmplifierFacts, Steps


class CannotStreamError(Exception):
    """Some property of an exposure leaves it to the reference engine."""


class Sections(NamedTuple):
    """Where the sections of every amplifier lie, in readout order: first and one past the last."""

    rows: int
    columns: int
    data_x0: int
    data_x1: int
    data_y0: int
    data_y1: int
    serial_x0: int
    """Of the whole serial overscan."""
    serial_x1: int
    fit_x0: int
    """Of the part that is fitted; empty if there is none or if it is not to be subtracted."""
    fit_x1: int
    parallel_y0: int
    """Of the whole parallel overscan; empty if there is none or if it is not to be subtracted."""
    parallel_y1: int


class Placement(NamedTuple):
    """Where each amplifier lies in two mosaics. Arrays have one entry an amplifier."""

    flip_x: BoolArray
    flip_y: BoolArray
    x0: IndexArray
    """Lower-left corner in the assembled detector."""
    y0: IndexArray
    draw_x0: IndexArray
    """First column in the mosaic of raw amplifiers, for which the dither is drawn."""
    draw_y0: IndexArray
    draw_columns: int
    """Of that mosaic."""


def sections_of(given: IsrInput, steps: Steps) -> Sections:
    """Return the sections that all amplifiers of the detector share.

    Raises
    ------
    CannotStreamError
        If they do not share them, or if an overscan does not stand beside all of the data.
    """
    first, *others = given.detector.amplifiers
    if any(_boxes(amp) != _boxes(first) for amp in others):
        raise CannotStreamError("the amplifiers differ in their sections")
    rows, columns = first.raw_shape
    data, serial, parallel = first.data, first.serial_overscan, first.parallel_overscan
    fit = serial_overscan.fit_box(first) if "serial_overscan" in steps else None
    if fit and (serial.y0, serial.y1) != (0, rows):
        raise CannotStreamError("the serial overscan does not cover all rows")
    parallel_used = "parallel_overscan" in steps and parallel_overscan.fit_box(first) is not None
    if parallel_used and (parallel.x0, parallel.x1) != (data.x0, data.x1):
        raise CannotStreamError("the parallel overscan does not cover the columns of the data")
    return Sections(
        rows=rows,
        columns=columns,
        data_x0=data.x0,
        data_x1=data.x1,
        data_y0=data.y0,
        data_y1=data.y1,
        serial_x0=serial.x0,
        serial_x1=serial.x1,
        fit_x0=fit.x0 if fit else 0,
        fit_x1=fit.x1 if fit else 0,
        parallel_y0=parallel.y0 if parallel_used else 0,
        parallel_y1=parallel.y1 if parallel_used else 0,
    )


def _boxes(amp: Amplifier) -> tuple[object, ...]:
    return amp.raw_shape, amp.data, amp.serial_overscan, amp.parallel_overscan


def placement_of(detector: Detector) -> Placement:
    """Return where the amplifiers lie in the assembled detector and in the raw mosaic."""
    amps = detector.amplifiers
    xs = sorted({amp.bbox.x0 for amp in amps})
    ys = sorted({amp.bbox.y0 for amp in amps})
    rows, columns = amps[0].raw_shape
    return Placement(
        flip_x=np.array([amp.flip_x for amp in amps]),
        flip_y=np.array([amp.flip_y for amp in amps]),
        x0=np.array([amp.bbox.x0 for amp in amps]),
        y0=np.array([amp.bbox.y0 for amp in amps]),
        draw_x0=np.array([xs.index(amp.bbox.x0) * columns for amp in amps]),
        draw_y0=np.array([ys.index(amp.bbox.y0) * rows for amp in amps]),
        draw_columns=len(xs) * columns,
    )


def draw_shape(detector: Detector) -> tuple[int, int]:
    """Return rows and columns of the mosaic of raw amplifiers."""
    amps = detector.amplifiers
    rows, columns = amps[0].raw_shape
    return (
        rows * len({amp.bbox.y0 for amp in amps}),
        columns * len({amp.bbox.x0 for amp in amps}),
    )


def gain_factors(amps: AmplifierFacts, steps: Steps) -> FloatArray:
    """Return what each amplifier is multiplied by to become electrons; 1 where nothing is known."""
    known = np.isfinite(amps.gain) & ("gain" in steps)
    return np.where(known, amps.gain, 1.0).astype(np.float32)
