"""How steady the biases of one day are, from the numbers of their own judgements.

The first frame of a set is left out: after idling its level is off by several ADU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from calwatch.arrays import DoubleArray
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.model import Amplifier, Detector
from calwatch.verify.amplifier import Measured, Metrics
from calwatch.verify.definitions import bias_stability as definitions
from calwatch.verify.inputs import reference_fault
from calwatch.verify.sets.model import Earlier, numbers
from calwatch.verify.statistics import mean_error

LEAST_FRAMES = 5
"""Frames after the first below which nothing is said."""
LOW, HIGH = 5.0, 95.0
"""Percentiles between which a spread is taken, as the camera team does."""
SPREAD_OF_GAUSSIAN = 3.2897
"""Spread of a Gaussian of deviation 1."""
SPREAD_ERROR = 2.910
"""Error of the spread of n values of a Gaussian of deviation 1, times √n."""

_NAMES = tuple(metric.name for metric in definitions.METRICS if metric.level == "amp")


def measure(
    detector: Detector, points: Sequence[Earlier], calibrations: CalibrationSet
) -> Measured:
    """Measure how steady the biases of one day are.

    Parameters
    ----------
    detector
        Gives the amplifiers.
    points
        The numbers of each bias: MEAN (e-), OVERSCAN_LEVEL, READ_NOISE_ADU (ADU) and
        BIAS_SHIFT_COUNT of every amplifier. In any order; the first exposure is left out.
    calibrations
        The PTC gives the gain that MEAN was multiplied by; without one it is the nominal gain.

    Returns
    -------
    Measured
        With the arrays ``level_changes``, shape (n_amp, n_frames), ADU: the overscan level less
        its median, NaN where there is none; and ``level_exposures``, shape (n_frames,): the
        exposures, so that detectors that lack one can be laid side by side.
    """
    used = sorted(points, key=lambda point: point.exposure_id)[1:]
    amps: dict[str, Metrics] = {}
    faults: dict[str, str] = {}
    changes = np.full((len(detector.amplifiers), len(used)), math.nan)
    for i, amp in enumerate(detector.amplifiers):
        amps[amp.name] = dict.fromkeys(_NAMES, math.nan)
        fault = _measure_amplifier(
            amp, used, _gain(amp, calibrations, i), amps[amp.name], changes[i]
        )
        if fault:
            faults[amp.name] = fault
    return Measured(
        amps,
        faults=faults,
        arrays={
            "level_changes": changes,
            "level_exposures": np.array([point.exposure_id for point in used], np.float64),
        },
    )


def spread(values: DoubleArray) -> float:
    """Return the 95 % point less the 5 % point of some values; NaN of fewer than two."""
    if values.size < 2:
        return math.nan
    low, high = np.percentile(values, (LOW, HIGH))
    return float(high - low)


def _gain(amp: Amplifier, calibrations: CalibrationSet, index: int) -> float:
    ptc = calibrations.ptc
    gain = float(ptc.gain[index]) if ptc else math.nan
    return amp.nominal_gain if reference_fault(gain, 1.0) else gain


def _measure_amplifier(
    amp: Amplifier,
    points: Sequence[Earlier],
    gain: float,
    found: Metrics,
    changes: DoubleArray,
) -> str:
    """Fill in the numbers and the changes of the level; say why it cannot be judged."""
    level, mean, noise, shifts = (
        np.array(numbers(points, amp.name, name))
        for name in ("OVERSCAN_LEVEL", "MEAN", "READ_NOISE_ADU", "BIAS_SHIFT_COUNT")
    )
    whole = np.isfinite(level) & np.isfinite(mean) & np.isfinite(noise)
    count = int(np.count_nonzero(whole))
    if count < LEAST_FRAMES:
        return f"{count} biases after the first one were measured, {LEAST_FRAMES} are needed"
    changes[whole] = level[whole] - np.median(level[whole])
    typical = float(np.median(noise[whole]))
    if not (typical > 0 and gain > 0):
        return f"there is no noise: {typical:.3g} ADU, a gain of {gain:.3g} e-/ADU"
    # In ADU all through: the noise of the overscan is that of a pixel of a bias.
    deviation = mean_error(typical, amp.data.area, typical, amp, parallel_applied=True)
    order = np.flatnonzero(whole).astype(np.float64)
    known = shifts[np.isfinite(shifts)]
    found |= {
        "BIAS_FRAMES": float(count),
        "BIAS_LEVEL_SPREAD": spread(level[whole]),
        "BIAS_MEAN_SPREAD": spread(mean[whole]) / gain,
        "BIAS_MEAN_SPREAD_EXPECTED": SPREAD_OF_GAUSSIAN * deviation,
        "BIAS_MEAN_SPREAD_ERROR": SPREAD_ERROR * deviation / math.sqrt(count),
        "BIAS_LEVEL_SLOPE": float(np.polyfit(order, level[whole], 1)[0]),
        "BIAS_NOISE_SPREAD": spread(noise[whole]) / typical,
        "BIAS_SHIFT_TOTAL": float(known.sum()) if known.size else math.nan,
        "BIAS_SHIFT_EXPECTED": 0.0 if known.size else math.nan,
    }
    return ""
