"""What is measured of every amplifier, whatever the exposure is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calwatch.arrays import DoubleArray, FloatArray, MaskArray
from calwatch.calibrations.model import CalibrationSet, ImageCalibration, Units
from calwatch.camera.model import Amplifier, Detector
from calwatch.isr import cosmic_rays
from calwatch.isr.model import IsrResult
from calwatch.verify.fast_pixels import FastPixels
from calwatch.verify.good_pixels import GoodPixels, PlainPixels
from calwatch.verify.inputs import RawCheck
from calwatch.verify.metrics import DISTRIBUTION_LEVELS, distribution_name
from calwatch.verify.statistics import OVERSCAN_EDGE, AmpStatistics, mean_error
from calwatch.verify.variance import terms_of_variance

ENGINES: Mapping[str, Callable[[FloatArray, MaskArray, Detector], GoodPixels]] = {
    "fast": FastPixels,
    "reference": PlainPixels,
}
"""How good pixels are measured: in kernels, or in the plain numpy that they are held to."""

Metrics = dict[str, float]
"""Numbers by name; NaN until they leave the measurement."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One corrected exposure of one detector, and what it was corrected with."""

    calib_type: str
    detector: Detector
    isr: IsrResult
    calibrations: CalibrationSet
    raw: RawCheck
    dark_time: float
    """Seconds, of the exposure."""
    seed: int
    """Of the noise that replaces cosmic rays."""
    engine: str = "fast"
    """One of `ENGINES`."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """All numbers of one exposure and detector."""

    amps: dict[str, Metrics]
    detector: Metrics = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    """By amplifier why it cannot be judged."""
    arrays: Mapping[str, DoubleArray | FloatArray] = field(default_factory=dict)
    """What is kept beside the numbers, by name."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """How it was measured, where that is not always the same."""


@dataclass(frozen=True, slots=True, eq=False)
class AmpView:
    """One amplifier of a frame, its good pixels measured."""

    frame: Frame
    index: int
    amp: Amplifier
    pixels: GoodPixels
    """Those of the whole detector."""
    found: AmpStatistics
    inputs: Mapping[str, int]
    """Exposures that the certified bias and dark were combined from; 0 if not known."""

    def mean_of_certified(self, plane: FloatArray) -> float:
        """Return the mean of a plane of a certified calibration over the same good pixels."""
        return self.pixels.mean_of_certified(plane, self.index)


def measure_pixels(frame: Frame) -> GoodPixels:
    """Measure the good pixels of a frame with its engine."""
    return ENGINES[frame.engine](frame.isr.image, frame.isr.mask, frame.detector)


def views(frame: Frame, pixels: GoodPixels) -> list[AmpView]:
    """Return every amplifier of a frame, in camera order."""
    certified = frame.calibrations
    inputs = {"bias": input_count(certified.bias), "dark": input_count(certified.dark)}
    return [
        AmpView(frame, i, amp, pixels, pixels.statistics(i), inputs)
        for i, amp in enumerate(frame.detector.amplifiers)
    ]


def common_metrics(view: AmpView) -> Metrics:
    """Return what bias, dark and flat have in common, less what depends on the type."""
    frame, i, found = view.frame, view.index, view.found
    numbers: Metrics = {
        "MEAN": found.mean,
        "MEDIAN": found.median,
        "STDEV": found.stdev,
        "NOISE": found.noise,
        "NOISE_ERROR": found.noise / math.sqrt(2 * found.n_good) if found.n_good else math.nan,
        "MIN": found.minimum,
        "MAX": found.maximum,
        "NGOOD": found.n_good,
        "NMASKED": found.n_masked,
        "NCLIPPED": found.n_clipped,
        "SATURATED": float(frame.raw.saturated[i]),
        "GAIN": float(frame.isr.gain[i]),
        "PTC_NOISE": float(frame.isr.read_noise[i]),
    }
    numbers.update(_overscan_metrics(view))
    numbers.update(_distribution(view))
    return numbers


def _overscan_metrics(view: AmpView) -> Metrics:
    frame, i = view.frame, view.index
    overscan, ptc = frame.isr.statistics.overscan, frame.calibrations.ptc
    noise = float(overscan.serial_residual_stdev[i]) if overscan else math.nan
    pixels = max(view.amp.serial_overscan.width - OVERSCAN_EDGE, 0) * view.amp.hdu_box.height
    read_noise = noise * float(frame.isr.gain[i])
    return {
        "READ_NOISE_ADU": noise,
        "READ_NOISE": read_noise,
        "READ_NOISE_ERROR": read_noise / math.sqrt(2 * pixels) if pixels else math.nan,
        "OVERSCAN_LEVEL": float(overscan.serial_median[i]) if overscan else math.nan,
        "PTC_OVERSCAN_MEDIAN": float(ptc.overscan_median[i]) if ptc else math.nan,
    }


def _distribution(view: AmpView) -> Metrics:
    """Return the percentiles that cp_pipe wrote into the calibration of the same type."""
    frame = view.frame
    calibration = _of_type(frame.calibrations, frame.calib_type)
    numbers = {}
    for level in DISTRIBUTION_LEVELS:
        key = f"LSST CALIB {frame.calib_type.upper()} {view.amp.name} DISTRIBUTION {level}-PCT"
        value = calibration.metadata.get(key) if calibration else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            numbers[distribution_name(level)] = float(value)
    return numbers


def _of_type(calibrations: CalibrationSet, calib_type: str) -> ImageCalibration | None:
    images = {"bias": calibrations.bias, "dark": calibrations.dark, "flat": calibrations.flat}
    return images.get(calib_type)


def error_of_mean(view: AmpView, stdev: float, read_noise: float) -> float:
    """Return MEAN_ERROR: that of the frame, and of the certified bias and dark beside it.

    MEAN is not clipped, so its error is taken from the plain deviation: a few bright pixels of a
    cosmic ray then widen the range by more than they move the mean.
    """
    overscan = view.frame.isr.statistics.overscan
    parallel = bool(overscan and overscan.parallel_applied[view.index])
    error = mean_error(stdev, view.found.n_good, read_noise, view.amp, parallel)
    used = ("bias",) if view.frame.calib_type == "bias" else ("bias", "dark")
    counts = [view.inputs[calib_type] for calib_type in used]
    return error * math.sqrt(1 + sum(1 / n for n in counts if n))


def input_count(calibration: ImageCalibration | None) -> int:
    """Return how many exposures a calibration was combined from, 0 if its header does not say."""
    if calibration is None:
        return 0
    prefix = "CPP_INPUT_"
    return sum(
        key.startswith(prefix) and key[len(prefix) :].isdigit() for key in calibration.metadata
    )


def certified_bias_noise(view: AmpView) -> float:
    """Return what the certified bias adds to the noise in quadrature, e-; 0 where there is none.

    It is the root of its mean variance, but no more than one exposure's read noise over the root
    of the number of its exposures, where the header gives that.
    """
    bias = view.frame.calibrations.bias
    if bias is None or "bias" not in view.frame.isr.applied:
        return 0.0
    scale = float(view.frame.isr.gain[view.index]) if bias.units is Units.ADU else 1.0
    variance = view.mean_of_certified(bias.variance)
    noise = scale * math.sqrt(variance) if math.isfinite(variance) and variance > 0 else 0.0
    count = view.inputs["bias"]
    if not count:
        return noise
    return min(noise, float(view.frame.isr.read_noise[view.index]) / math.sqrt(count))


def dark_scale(view: AmpView) -> float:
    """Return what the certified dark is multiplied by in the ISR, in e- per its unit; 0: none."""
    dark = view.frame.calibrations.dark
    if dark is None or "dark" not in view.frame.isr.applied:
        return 0.0
    time = dark.dark_time if math.isfinite(dark.dark_time) and dark.dark_time > 0 else 1.0
    gain = float(view.frame.isr.gain[view.index]) if dark.units is Units.ADU else 1.0
    return gain * view.frame.dark_time / time


def cosmic_ray_metrics(frame: Frame, pixels: GoodPixels) -> tuple[list[Metrics], tuple[str, ...]]:
    """Return CR_NOISE and PROCESSING of each amplifier, and warnings."""
    isr = frame.isr
    try:
        places, values = cosmic_rays.cosmic_ray_noise(
            isr.image, isr.mask, terms_of_variance(isr), frame.seed, pixels.background()
        )
    except cosmic_rays.TooManyCosmicRaysError as error:
        nothing = {"CR_NOISE": math.nan, "PROCESSING": 0.0}
        return [dict(nothing) for _ in frame.detector.amplifiers], (str(error),)
    deviations = pixels.deviations_with(places, values)
    return [{"CR_NOISE": deviation, "PROCESSING": 1.0} for deviation in deviations], ()


def judgeable(frame: Frame, measured: list[Metrics]) -> DoubleArray:
    """Return the MEAN of each amplifier that can be judged, NaN for the others."""
    means = np.array([numbers["MEAN"] for numbers in measured], dtype=float)
    for i, amp in enumerate(frame.detector.amplifiers):
        if frame.raw.faults[i] or amp.name in frame.isr.bad_amps:
            means[i] = np.nan
    return means
