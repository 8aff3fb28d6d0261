"""Certified calibrations as plain data, after reading and checking.

Each keeps the header or table metadata it came with in ``metadata`` (keyword to value), because
the sequencer comparison and the units need it. Everything here can be pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, MaskArray
from calwatch.camera.model import Box


class Units(StrEnum):
    """Units of pixel values, from ``LSST ISR UNITS``."""

    ADU = "adu"
    ELECTRON = "electron"
    ELECTRON_PER_SECOND = "electron/s"
    NONE = ""


@dataclass(frozen=True, slots=True, eq=False)
class ImageCalibration:
    """A certified bias, dark or flat in the assembled frame."""

    calib_type: str
    image: FloatArray
    """Shape (height, width)."""
    mask: MaskArray
    """Bits of `calwatch.calibrations.masks`; shape (height, width)."""
    variance: FloatArray
    """Square of ``units``; shape (height, width)."""
    units: Units
    """ADU where the header lacks ``LSST ISR UNITS``."""
    dark_time: float
    """Seconds the image corresponds to: 1.0 for darks made by IsrTaskLSST, 0 for biases."""
    physical_filter: str
    """Filter of a flat, else empty."""
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Defects:
    """Boxes of bad pixels in the assembled frame."""

    boxes: tuple[Box, ...]
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class PhotonTransferCurve:
    """What verification needs of a certified PTC. Arrays are in camera order of amplifiers."""

    amp_names: tuple[str, ...]
    gain: DoubleArray
    """e-/ADU; NaN where the file says so."""
    noise: DoubleArray
    """e-; NaN where the file says so."""
    turnoff: DoubleArray
    """ADU; NaN where absent."""
    overscan_median: DoubleArray
    """ADU; NaN where the file has no such column."""
    overscan_median_sigma: DoubleArray
    """ADU; NaN where the file has no such column."""
    a00: DoubleArray
    """1/e-, signed as DMTN-101 §16.4 tests it; NaN where the fit does not give it."""
    bad_amps: tuple[str, ...]
    metadata: Mapping[str, Any]


class LinearizerType(StrEnum):
    """Forms of linearizer (ip_isr ``linearize.py``)."""

    SPLINE = "Spline"
    DOUBLE_SPLINE = "DoubleSpline"
    SQUARED = "Squared"
    POLYNOMIAL = "Polynomial"
    LOOKUP_TABLE = "LookupTable"
    PROPORTIONAL = "Proportional"
    NONE = "None"


@dataclass(frozen=True, slots=True, eq=False)
class Linearizer:
    """A certified linearizer, one form and one coefficient vector per amplifier."""

    amp_names: tuple[str, ...]
    types: tuple[LinearizerType, ...]
    coefficients: tuple[DoubleArray, ...]
    """As stored; the meaning depends on the form."""
    table: FloatArray | None
    """Lookup table, shape (rows, entries), or None."""
    units: Units
    """``LINEARITY_UNITS``: ADU nodes are multiplied by the gain when applied to electrons."""
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Crosstalk:
    """Intra-detector crosstalk coefficients, ``[source, target]`` in camera order."""

    coefficients: DoubleArray
    """Shape (n_amp, n_amp); dimensionless."""
    quadratic: DoubleArray
    """Shape (n_amp, n_amp); per unit of the image; zeros where the file has none."""
    valid: BoolArray
    """Shape (n_amp, n_amp)."""
    units: Units
    """``CROSSTALK_RATIOS_UNITS``."""
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class SerialTrap:
    """One serial trap of the deferred-charge model (Snyder+21)."""

    kind: str
    """``linear``, ``logistic`` or ``spline``."""
    size: float
    """e-."""
    emission_time: float
    """In pixel transfers."""
    pixel: int
    coefficients: DoubleArray


@dataclass(frozen=True, slots=True, eq=False)
class ChargeTransfer:
    """A certified CTI calibration. Arrays are in camera order of amplifiers."""

    amp_names: tuple[str, ...]
    drift_scale: DoubleArray
    decay_time: DoubleArray
    global_cti: DoubleArray
    traps: tuple[SerialTrap | None, ...]
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSet:
    """Everything certified for one exposure and detector; None where there is nothing."""

    bias: ImageCalibration | None = None
    dark: ImageCalibration | None = None
    flat: ImageCalibration | None = None
    defects: Defects | None = None
    ptc: PhotonTransferCurve | None = None
    linearizer: Linearizer | None = None
    crosstalk: Crosstalk | None = None
    cti: ChargeTransfer | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PhotodiodeReadings:
    """What the photodiode gave in one exposure: it is certified by nobody."""

    time: DoubleArray
    """s; shape (n,)."""
    current: DoubleArray
    """A, or the charge since the reading before, C. Shape (n,)."""
