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
    views,
    without_cosmic_rays,
)
from calwatch.verify.statistics import corner_mean


def measure(frame: Frame) -> Measured:
    """Measure every amplifier of a corrected bias."""
    clean, warnings = without_cosmic_rays(frame)
    amps = {}
    for view in views(frame):
        numbers = common_metrics(view)
        numbers.update(cosmic_ray_metrics(view, clean))
        numbers["MEAN_ERROR"] = error_of_mean(view, numbers["STDEV"], numbers["NOISE"])
        numbers["EXPECTED_NOISE"] = math.hypot(numbers["PTC_NOISE"], certified_bias_noise(view))
        numbers["AMP_CORNER"] = corner_mean(frame.isr.image, view.good, view.amp.bbox)
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
