"""What goes into the ISR chain, what comes out, and which steps are switched on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # whoever asks which steps there are needs no kernel
    from calwatch.arrays import DoubleArray, FloatArray, IntArray, MaskArray
    from calwatch.calibrations.model import CalibrationSet
    from calwatch.camera.model import Detector
    from calwatch.camera.raw_tiles import RawTiles
    from calwatch.isr.census import Census

STEPS = (
    "dither",
    "serial_overscan",
    "gain",
    "crosstalk",
    "parallel_overscan",
    "linearity",
    "cti",
    "assembly",
    "bias",
    "dark",
    "defects",
    "nan_mask",
    "variance",
    "flat",
    "interpolation",
)
"""Every step, in the order IsrTaskLSST runs them."""


Engine = Literal["fast", "reference"]


@dataclass(frozen=True, slots=True)
class IsrSwitches:
    """Which steps and which ISR statistics are wanted."""

    dither: bool = True
    serial_overscan: bool = True
    gain: bool = True
    crosstalk: bool = True
    quadratic_crosstalk: bool = True
    parallel_overscan: bool = True
    parallel_absolute_deviation: bool = False
    """LATISS: reject parallel-overscan pixels on both sides of the median."""
    parallel_column_smoothing: bool = True
    """Reject columns that stand out of a 5-pixel median filter (LATISS: off)."""
    linearity: bool = True
    cti: bool = False
    bias: bool = True
    dark: bool = False
    defects: bool = True
    nan_mask: bool = True
    variance: bool = True
    flat: bool = False
    interpolation: bool = False
    bias_shifts: bool = False
    amp_correlations: bool = False
    projections: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class IsrInput:
    """One raw frame and everything needed to correct it. No path, no Butler, no clock."""

    detector: Detector
    raw: RawTiles | IntArray | FloatArray
    """Shape (n_amp, rows, columns), every amplifier in readout order, ADU; or the tiles that hold
    it, which are then decoded a few rows at a time."""
    calibrations: CalibrationSet
    switches: IsrSwitches
    dither_seed: int
    """Detector-exposure id & 0xFFFFFFFF (obs_lsst ``_packer.py``)."""
    dark_time: float
    """Seconds, of the exposure."""
    engine: Engine = "fast"
    """``reference`` is the plain step-by-step chain that the fast engine is held to."""


@dataclass(frozen=True, slots=True, eq=False)
class OverscanStatistics:
    """Overscan numbers, one entry per amplifier in camera order; NaN for a bad amplifier."""

    serial_mean: DoubleArray
    serial_median: DoubleArray
    serial_stdev: DoubleArray
    """ADU: of the row vector (ip_isr ``overscan.py``)."""
    serial_residual_mean: DoubleArray
    serial_residual_median: DoubleArray
    serial_residual_stdev: DoubleArray
    """ADU: over the trimmed box; the last is READ_NOISE_ADU."""
    parallel_mean: DoubleArray
    parallel_median: DoubleArray
    parallel_stdev: DoubleArray
    """e-: of the column vector (ip_isr ``overscan.py``)."""
    parallel_applied: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class BiasShift:
    """One accepted shift of the bias level along the rows (ip_isr ``isrStatistics.py``)."""

    height: float
    """ADU: the convolution at its peak."""
    row: int
    first_row: int
    end_row: int


@dataclass(frozen=True, slots=True, eq=False)
class IsrStatistics:
    """Numbers the ISR measures on the way; None where not switched on."""

    overscan: OverscanStatistics | None
    bias_shifts: tuple[tuple[BiasShift, ...], ...] | None
    """One tuple per amplifier."""
    bias_shift_noise: DoubleArray | None
    """ADU, one per amplifier."""
    overscan_correlation: DoubleArray | None
    image_correlation: DoubleArray | None
    """Shape (n_amp, n_amp)."""
    row_projection: DoubleArray | None
    """Mean along each row of each assembled amplifier: shape (n_amp, rows)."""
    column_projection: DoubleArray | None
    """Shape (n_amp, columns)."""


@dataclass(frozen=True, eq=False)
class IsrResult:
    """The corrected detector in the assembled frame."""

    image: FloatArray
    """Shape (height, width); electrons where gains were applied, else ADU."""
    mask: MaskArray
    """Bits of `calwatch.calibrations.masks.Mask`."""
    variance: FloatArray
    gain: DoubleArray
    """e-/ADU used for each amplifier (NaN: none)."""
    read_noise: DoubleArray
    """e-, PTC noise of each amplifier (NaN: none)."""
    bad_amps: tuple[str, ...]
    """Amplifiers wholly inside a defect or without a finite gain."""
    applied: tuple[str, ...]
    """Steps that were applied, in order."""
    not_applied: Mapping[str, str]
    """Steps that were switched on but could not be applied, with the reason."""
    statistics: IsrStatistics
    census: tuple[Census, ...]
    """What stands in the raw pixels of each amplifier."""
