"""What is measured of a bias (DMTN-101 §4, cp_verify ``verifyBias.py``)."""

from __future__ import annotations

import math

from calwatch.verify.amplifier import (
    AmpView,
    Frame,
    Measured,
    Metrics,
    certified_bias_noise,
    common_metrics,
    cosmic_ray_metrics,
    error_of_mean,
    measure_pixels,
    views,
)


def measure(frame: Frame) -> Measured:
    """Measure every amplifier of a corrected bias."""
    pixels = measure_pixels(frame)
    cleaned, warnings = cosmic_ray_metrics(frame, pixels)
    amps = {}
    for view in views(frame, pixels):
        numbers = common_metrics(view)
        numbers.update(cleaned[view.index])
        numbers["MEAN_ERROR"] = error_of_mean(view, numbers["STDEV"], numbers["NOISE"])
        numbers["EXPECTED_NOISE"] = math.hypot(numbers["PTC_NOISE"], certified_bias_noise(view))
        numbers["AMP_CORNER"] = pixels.corner_mean(view.index)
        numbers.update(_bias_shift_metrics(view))
        amps[view.amp.name] = numbers
    return Measured(amps, warnings=warnings)


def _bias_shift_metrics(view: AmpView) -> Metrics:
    found, i = view.frame.isr.statistics, view.index
    numbers: Metrics = {}
    if found.bias_shifts is not None:
        numbers["BIAS_SHIFT_COUNT"] = len(found.bias_shifts[i])
    if found.bias_shift_noise is not None:
        numbers["BIAS_SHIFT_NOISE"] = float(found.bias_shift_noise[i])
    return numbers
