"""What is measured of a flat (cp_verify ``verifyFlat.py``; DMTN-101 has no text for it)."""

from __future__ import annotations

import math

import numpy as np

from calwatch.arrays import DoubleArray
from calwatch.verify.amplifier import (
    Frame,
    Measured,
    Metrics,
    common_metrics,
    error_of_mean,
    judgeable,
    measure_pixels,
    views,
)


def measure(frame: Frame) -> Measured:
    """Measure every amplifier of a corrected flat, and the detector."""
    amps: dict[str, Metrics] = {}
    pixels = measure_pixels(frame)
    variances = pixels.mean_variances(frame.isr)
    for view in views(frame, pixels):
        numbers = common_metrics(view)
        numbers["MEAN_ERROR"] = error_of_mean(view, numbers["STDEV"], numbers["PTC_NOISE"])
        numbers["EXPECTED_NOISE"] = _expected_noise(variances[view.index], numbers)
        amps[view.amp.name] = numbers
    means = judgeable(frame, list(amps.values()))
    typical = _median(means)
    if typical > 0:
        for numbers in amps.values():
            numbers["RELATIVE_LEVEL"] = numbers["MEAN"] / typical
            numbers["RELATIVE_LEVEL_ERROR"] = numbers["MEAN_ERROR"] / typical
    return Measured(amps, _detector_metrics(means))


def _expected_noise(variance: float, numbers: Metrics) -> float:
    """Return the noise of a flat: that of the ISR's variance, or sqrt(MEAN + read noise²).

    The variance knows what division by the flat does to shot noise in the vignetted corners, and
    the noise of the certified flat itself.
    """
    if math.isfinite(variance) and variance > 0:
        return math.sqrt(variance)
    return math.hypot(math.sqrt(max(numbers["MEAN"], 0.0)), numbers["PTC_NOISE"])


def _median(means: DoubleArray) -> float:
    finite = means[np.isfinite(means)]
    return float(np.median(finite)) if finite.size else math.nan


def _detector_metrics(means: DoubleArray) -> Metrics:
    """Return mean and scatter (N−1) of the amplifiers that can be judged."""
    finite = means[np.isfinite(means)]
    return {
        "DET_MEAN": float(finite.mean()) if finite.size else math.nan,
        "DET_SCATTER": float(finite.std(ddof=1)) if finite.size > 1 else math.nan,
    }
