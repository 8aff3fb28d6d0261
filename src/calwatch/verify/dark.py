"""What is measured of a dark (DMTN-101 §5, cp_verify ``verifyDark.py``)."""

from __future__ import annotations

import math

from calwatch.verify.amplifier import (
    AmpView,
    Frame,
    Measured,
    common_metrics,
    cosmic_ray_metrics,
    dark_scale,
    error_of_mean,
    measure_pixels,
    views,
)


def measure(frame: Frame) -> Measured:
    """Measure every amplifier of a corrected dark."""
    pixels = measure_pixels(frame)
    cleaned, warnings = cosmic_ray_metrics(frame, pixels)
    amps = {}
    for view in views(frame, pixels):
        numbers = common_metrics(view)
        numbers.update(cleaned[view.index])
        numbers["MEAN_ERROR"] = error_of_mean(view, numbers["STDEV"], numbers["NOISE"])
        dark = _certified_signal(view)
        numbers["EXPECTED_NOISE"] = _expected_noise(view, numbers["PTC_NOISE"], dark)
        if frame.dark_time > 0:
            numbers["DARK_CURRENT"] = (numbers["MEAN"] + dark) / frame.dark_time
        amps[view.amp.name] = numbers
    return Measured(amps, warnings=warnings)


def _certified_signal(view: AmpView) -> float:
    """Return what the certified dark took away on the average, e-; NaN without one."""
    dark, scale = view.frame.calibrations.dark, dark_scale(view)
    return view.mean_of_certified(dark.image) * scale if dark is not None and scale else math.nan


def _expected_noise(view: AmpView, read_noise: float, signal: float) -> float:
    """Return the noise of a dark: read noise, shot noise of the dark current, certified dark.

    The noise of the certified bias is left out: it is in the certified dark with the other sign,
    and cancels where dark and exposure are of like length.
    """
    dark, scale = view.frame.calibrations.dark, dark_scale(view)
    if dark is None or not scale:
        return math.nan
    extra = view.mean_of_certified(dark.variance) * scale * scale
    return math.sqrt(read_noise * read_noise + max(signal, 0.0) + max(extra, 0.0))
