"""Whether amplifiers are proportional to the light after their linearizers (DMTN-101 §7.1a-d).

The means are linearized already, so what is left over is what a second linearizer would correct,
whatever type the first one has: its residual is judged for every type, its polynomials too.

The light is only known by the exposure time. All amplifiers of a detector see the same light, so
the residual they have in common (the median over them) is the lamp's and the shutter's, and is
taken out. A curvature that all of them have alike would go with it; therefore nothing is called
linear where the common residual is larger than what §7.1 allows. An amplifier that differs from
the others by more than that is judged all the same: no lamp does that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.model import Amplifier, Detector
from calwatch.verify.amplifier import Measured, Metrics
from calwatch.verify.definitions import linearity as definitions
from calwatch.verify.sets.model import Earlier
from calwatch.verify.sets.ptc import column, means
from calwatch.verify.sets.ptc_fit import LEAST_POINTS, LEVER_ARM, before_turnoff
from calwatch.verify.sets.read_noise import overscan_share
from calwatch.verify.statistics import mean_error

LEAST_AMPLIFIERS = 3
"""So many tell the light from an amplifier."""
MAX_DRIFT = 0.01
"""A common residual above the 1 % of §7.1 may hide a non-linearity of that size."""
MIDDLE = 0.6
"""Proportionality is that of the pairs below this part of the highest mean."""
OF_TURNOFF = 0.95
"""Up to this part of the certified turnoff an amplifier is expected to be linear."""
MAX_SHUTTER = 0.05
"""s: a larger offset is not one of a shutter."""
CUBIC_UNIT = 1000.0
"""ADU: §7.1c lets every coefficient be a thousandth of that before."""

_ROUNDS = 6
_NAMES = tuple(metric.name for metric in definitions.METRICS if metric.level == "amp")


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The pairs of all amplifiers."""

    time: DoubleArray
    """Shape (n,), s."""
    mean: DoubleArray
    """Shape (n_amp, n), ADU; NaN where a pair is not used."""
    error: DoubleArray
    """Shape (n_amp, n): of the mean, relative to it."""

    @property
    def used(self) -> BoolArray:
        """Which pairs are used; shape (n_amp, n)."""
        return np.isfinite(self.mean)


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """What is left over of proportionality."""

    own: DoubleArray
    """Shape (n_amp, n): of each amplifier, relative; NaN where a pair is not used."""
    common: DoubleArray
    """Shape (n,): of all, the shutter's part taken out; NaN where too few amplifiers have one."""
    shutter: float
    """s."""


def measure(
    detector: Detector, points: Sequence[Earlier], calibrations: CalibrationSet
) -> Measured:
    """Measure what the certified linearizer leaves over in every amplifier.

    Parameters
    ----------
    detector
        Gives the amplifiers.
    points
        The measurements of the pairs, in any order.
    calibrations
        The linearizer under test must be there; the PTC gives the turnoff.

    Returns
    -------
    Measured
        With the array ``residuals``, shape (n_amp, n_points), relative, NaN where a pair was not
        used, and ``common``, shape (n_points,).
    """
    names = [amp.name for amp in detector.amplifiers]
    series, faults = _series(detector, points, calibrations)
    usable = np.array([name not in faults for name in names])
    left = residuals(series, usable)
    drift = _largest(left.common)
    amps: dict[str, Metrics] = {}
    for i, name in enumerate(names):
        amps[name] = dict.fromkeys(_NAMES, math.nan) | _range(series, i)
        if usable[i] and np.isfinite(left.own[i]).sum() >= LEAST_POINTS:
            amps[name] |= _amp_metrics(series, left, i)
        if usable[i] and (fault := _unproven(amps[name], drift)):
            faults[name] = fault
    return Measured(
        amps,
        detector={"LAMP_DRIFT": drift, "SHUTTER_OFFSET": left.shutter},
        warnings=_warnings(calibrations, drift),
        faults=faults,
        arrays={"residuals": left.own, "common": left.common},
    )


def residuals(series: Series, usable: BoolArray) -> Residuals:
    """Part the residuals into those of the light and those of each amplifier.

    The light's is the median over amplifiers, each less what it has at low and middle signals, in
    turn until both stand (Tukey's median polish).
    """
    ratio = np.where(usable[:, None] & series.used, series.mean / series.time, np.nan)
    own = np.full(ratio.shape, np.nan)
    common = np.full(series.time.shape, np.nan)
    if usable.sum() < LEAST_AMPLIFIERS:
        return Residuals(own, common, math.nan)
    enough = (np.isfinite(ratio).sum(axis=0) >= LEAST_AMPLIFIERS) & (series.time > 0)
    if not enough.any():
        return Residuals(own, common, math.nan)
    ratio[:, ~enough] = np.nan
    weight = np.where(_middle(series) & np.isfinite(ratio), 1.0 / series.error**2, 0.0)
    usable = usable & (weight.sum(axis=1) > 0)
    light = np.ones(series.time.size)
    factor = np.ones(usable.size)
    for _ in range(_ROUNDS):
        for i in np.flatnonzero(usable):
            # A median first, against one bad pair; then the mean of those that agree with it.
            value, w = ratio[i] / light, weight[i]
            factor[i] = _settled(value[w > 0], w[w > 0], series.error[i][w > 0])
        light[enough] = np.nanmedian(ratio[usable][:, enough] / factor[usable, None], axis=0)
    own[usable] = ratio[usable] / (factor[usable, None] * light) - 1.0
    shutter = _shutter_offset(light[enough], series.time[enough])
    expected = 1.0 + (shutter if math.isfinite(shutter) else 0.0) / series.time[enough]
    rest = light[enough] / expected
    common[enough] = rest / np.median(rest) - 1.0
    return Residuals(own, common, shutter)


def _settled(value: DoubleArray, weight: DoubleArray, error: DoubleArray) -> float:
    middle = float(np.median(value))
    near = np.abs(value / middle - 1.0) <= np.maximum(5.0 * error, MAX_DRIFT)
    return float(np.average(value[near], weights=weight[near])) if near.any() else middle


def _shutter_offset(light: DoubleArray, time: DoubleArray) -> float:
    """Return by what the light lasted longer: light over time is ``1 + t0/t`` for an offset t0.

    NaN where exposure times are too alike to tell, or the offset is none of a shutter.
    """
    if light.size < LEAST_POINTS or time.max() < LEVER_ARM * time.min():
        return math.nan
    basis = np.stack([np.ones_like(time), 1.0 / time], axis=1)
    level, offset = np.linalg.lstsq(basis, light, rcond=None)[0]
    t0 = float(offset / level) if level > 0 else math.nan
    return t0 if abs(t0) <= MAX_SHUTTER else math.nan


def _series(
    detector: Detector, points: Sequence[Earlier], calibrations: CalibrationSet
) -> tuple[Series, dict[str, str]]:
    """Return the pairs below the turnoff, and why an amplifier has too few of them."""
    time = np.array([point.exposure_time for point in points], dtype=np.float64)
    mean = np.full((len(detector.amplifiers), time.size), np.nan)
    error = np.full(mean.shape, np.nan)
    faults: dict[str, str] = {}
    for i, amp in enumerate(detector.amplifiers):
        name = amp.name
        if calibrations.linearizer is None:
            faults[name] = "there is no certified linearizer to test"
        found = means(points, name)
        variance, count = (
            column(points, name, "PAIR_VARIANCE"),
            column(points, name, "PAIR_NPIXELS"),
        )
        used = before_turnoff(found, variance) & (count > 0) & (time > 0)
        ptc = calibrations.ptc
        turnoff = float(ptc.turnoff[i]) if ptc else math.nan
        if turnoff > 0:
            used &= found <= OF_TURNOFF * turnoff
        mean[i, used] = found[used]
        gain = float(ptc.gain[i]) if ptc else math.nan
        # The brighter-fatter effect takes noise from pixels, and none from their mean.
        shot = np.fmax(variance[used], found[used] / gain) if gain > 0 else variance[used]
        level = _level_error(amp, column(points, name, "NOISE_ADU")[used])
        error[i, used] = np.sqrt(0.5 * (shot / count[used] + level**2)) / found[used]
        if fault := _too_little(found, used):
            faults.setdefault(name, fault)
    return Series(time, mean, error), faults


def _level_error(amp: Amplifier, noise: DoubleArray) -> DoubleArray:
    """Return the error of the overscan levels of one frame, in the unit of the overscan noise.

    It is most of the error of the faintest pairs. Where no noise is known it is left out.
    """
    share = overscan_share(amp)
    read_noise = noise / share if share > 0 else noise
    return np.nan_to_num(read_noise * mean_error(0.0, 1, 1.0, amp, parallel_applied=True))


def _too_little(mean: DoubleArray, used: BoolArray) -> str:
    if not np.isfinite(mean).any():
        return "none of its pairs was measured"
    points = int(used.sum())
    if points < LEAST_POINTS:
        return f"{points} pairs below the turnoff, {LEAST_POINTS} are needed"
    low, high = float(mean[used].min()), float(mean[used].max())
    if high < LEVER_ARM * low:
        return f"its pairs reach from {low:.4g} to {high:.4g} ADU only"
    return ""


def _middle(series: Series) -> BoolArray:
    """Flag the pairs that proportionality is taken from."""
    with np.errstate(invalid="ignore"):
        highest = np.fmax.reduce(series.mean, axis=1, initial=0.0)
        return np.asarray(series.mean <= MIDDLE * highest[:, None])


def _range(series: Series, index: int) -> Metrics:
    used = series.mean[index][series.used[index]]
    return {
        "LINEARITY_POINTS": float(used.size),
        "LINEARITY_MAX_MEAN": float(used.max()) if used.size else math.nan,
    }


def _amp_metrics(series: Series, left: Residuals, index: int) -> Metrics:
    good = np.isfinite(left.own[index])
    own, mean, error = left.own[index][good], series.mean[index][good], series.error[index][good]
    at = int(np.argmax(np.abs(own)))
    squared = _coefficients(own, mean, error, 1)
    polynomial = _coefficients(own, mean, error, 2)
    return {
        "LINEARITY_MAX_RESIDUAL": abs(float(own[at])),
        "LINEARITY_MAX_RESIDUAL_ERROR": float(error[at]),
        "LINEARITY_QUADRATIC": squared[0][0],
        "LINEARITY_QUADRATIC_ERROR": squared[1][0],
        "LINEARITY_POLYNOMIAL_2": polynomial[0][0],
        "LINEARITY_POLYNOMIAL_2_ERROR": polynomial[1][0],
        "LINEARITY_POLYNOMIAL_3": polynomial[0][1] * CUBIC_UNIT,
        "LINEARITY_POLYNOMIAL_3_ERROR": polynomial[1][1] * CUBIC_UNIT,
    }


def _coefficients(
    own: DoubleArray, mean: DoubleArray, error: DoubleArray, order: int
) -> tuple[list[float], list[float]]:
    """Return the coefficients of a second linearizer, and their errors.

    It would make of a mean μ the light ``k·(μ + c_0·μ² + c_1·μ³)``. Light over mean is one over
    one plus the residual, so that is ``k·(1 + c_0·μ + c_1·μ²)``: linear in all but the factor k.
    """
    unit = float(mean.max())
    basis = (mean / unit)[:, None] ** np.arange(order + 1) / error[:, None]
    covariance = np.linalg.pinv(basis.T @ basis)
    found = covariance @ (basis.T @ (1.0 / (1.0 + own) / error))
    scale = unit ** -np.arange(1.0, order + 1) / found[0]
    errors = np.sqrt(np.diag(covariance))[1:] * scale
    return [float(x) for x in found[1:] * scale], [float(x) for x in errors]


def _largest(values: DoubleArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.abs(known).max()) if known.size else math.nan


def _unproven(numbers: Metrics, drift: float) -> str:
    """Say why an amplifier without a residual of its own cannot be called linear."""
    own = numbers["LINEARITY_MAX_RESIDUAL"]
    if math.isnan(own):
        return f"fewer than {LEAST_AMPLIFIERS} amplifiers can be used: none is told from the lamp"
    if drift > MAX_DRIFT and own <= MAX_DRIFT + 5.0 * numbers["LINEARITY_MAX_RESIDUAL_ERROR"]:
        return (
            f"all amplifiers leave proportionality together by {100 * drift:.3g} %: a lamp that "
            "drifts and a non-linearity of the whole detector look alike"
        )
    return ""


def _warnings(calibrations: CalibrationSet, drift: float) -> tuple[str, ...]:
    found = []
    if drift > MAX_DRIFT:
        found.append(f"the light does not follow the exposure time: {100 * drift:.3g} %")
    if calibrations.ptc is None:
        found.append("no certified PTC gives the turnoff: the fall of the variance does")
    return tuple(found)
