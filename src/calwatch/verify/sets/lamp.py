"""The light of a sequence of pairs parted from what each amplifier makes of it (DMTN-101 §7)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray
from calwatch.verify.amplifier import Metrics
from calwatch.verify.sets.ptc_fit import LEAST_POINTS, LEVER_ARM

LEAST_AMPLIFIERS = 3
"""So many tell the light from an amplifier."""
MAX_DRIFT = 0.01
"""A common residual above the 1 % of §7.1 may hide a non-linearity of that size."""
MIDDLE = 0.6
"""Proportionality is that of the pairs below this part of the highest mean."""
MAX_SHUTTER = 0.05
"""s: a larger offset is not one of a shutter."""
MAX_OFFSET = 0.1
"""Of the smallest charge: a larger offset is not one of a baseline."""
OFFSET_SIGMA = 3.0
"""By the photodiode: an offset, or a residual in common, of so many errors or less is none."""
CONFIRMED = 0.5
"""So much of a common residual by the photodiode the exposure time has to show as well: else the
photodiode contradicts both the exposure time and the amplifiers."""

_ROUNDS = 6
_TERMS = 4
"""Of the fit of an offset."""
_LEAST_ERROR = 1e-5
_MAD = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The pairs of all amplifiers."""

    light: DoubleArray
    """Shape (n,), s or C."""
    mean: DoubleArray
    """Shape (n_amp, n), ADU; NaN where a pair is not used."""
    error: DoubleArray
    """Shape (n_amp, n): of the mean, relative to it."""
    light_error: DoubleArray | None = None
    """Shape (n,): of a light that was measured, relative to it; None where it was not."""

    @property
    def used(self) -> BoolArray:
        """Which pairs are used; shape (n_amp, n)."""
        return np.isfinite(self.mean)

    @property
    def whole_error(self) -> DoubleArray:
        """Of mean over light, relative; shape (n_amp, n)."""
        return self.error if self.light_error is None else np.hypot(self.error, self.light_error)


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """What is left over of proportionality."""

    own: DoubleArray
    """Shape (n_amp, n): of each amplifier, relative; NaN where a pair is not used."""
    common: DoubleArray
    """Shape (n,): of all, the offset's part taken out; NaN where too few amplifiers have one."""
    offset: float
    """By what the light was more than said, s or C."""


def residuals(series: Series, usable: BoolArray) -> Residuals:
    """Part the residuals into those of the light and those of each amplifier.

    The light's is the median over amplifiers, each less what it has at low and middle signals, in
    turn until both stand (Tukey's median polish). A light that was measured is what it is.
    """
    measured = series.light_error is not None
    least = 1 if measured else LEAST_AMPLIFIERS
    ratio = np.where(usable[:, None] & series.used, series.mean / series.light, np.nan)
    own = np.full(ratio.shape, np.nan)
    common = np.full(series.light.shape, np.nan)
    enough = (np.isfinite(ratio).sum(axis=0) >= least) & (series.light > 0)
    if usable.sum() < least or not enough.any():
        return Residuals(own, common, math.nan)
    ratio[:, ~enough] = np.nan
    weight = np.where(_middle(series) & np.isfinite(ratio), 1.0 / series.whole_error**2, 0.0)
    usable = usable & (weight.sum(axis=1) > 0)
    expected = np.ones(series.light.size)
    light, factor = _polish(series, ratio, weight, usable, expected, not measured)
    offset, bent = _offset(series, light, enough)
    if measured:
        # Twice: the factors were taken with the offset in them.
        expected[enough] = bent
        light, factor = _polish(series, ratio, weight, usable, expected, free=False)
        own[usable] = ratio[usable] / (factor[usable, None] * expected) - 1.0
        common[enough] = light[enough] / bent - 1.0
    else:
        own[usable] = ratio[usable] / (factor[usable, None] * light) - 1.0
        rest = light[enough] / bent
        common[enough] = rest / np.median(rest) - 1.0
    return Residuals(own, common, offset)


def certain(series: Series, left: Residuals, index: int) -> tuple[DoubleArray, DoubleArray]:
    """Return the residuals of an amplifier less what may be the noise of the light, and errors.

    What an amplifier differs from the others by has no error of the light. What all of them show
    counts only where the light is known better than that; less would pass in any case.
    """
    own = left.own[index]
    if series.light_error is None:
        return own, series.error[index]
    if (np.isfinite(left.own).sum(axis=0) < LEAST_AMPLIFIERS)[np.isfinite(own)].any():
        return own, series.whole_error[index]
    with np.errstate(invalid="ignore"):
        shown = np.abs(left.common) > OFFSET_SIGMA * series.light_error
    common = np.where(shown, left.common, 0.0)
    found = (1.0 + own) / (1.0 + left.common) * (1.0 + common) - 1.0
    return found, np.where(shown, series.whole_error[index], series.error[index])


def _polish(
    series: Series,
    ratio: DoubleArray,
    weight: DoubleArray,
    usable: BoolArray,
    expected: DoubleArray,
    free: bool,
) -> tuple[DoubleArray, DoubleArray]:
    """Return what all amplifiers show of the light beside what is said of it, and their factors.

    If it is free, their factors are taken by what all of them show, otherwise by what is expected.
    """
    enough = np.isfinite(ratio).any(axis=0)
    light, factor, error = expected.copy(), np.ones(usable.size), series.whole_error
    for _ in range(_ROUNDS if free else 1):
        for i in np.flatnonzero(usable):
            # A median first, against one bad pair; then the mean of those that agree with it.
            value, w = ratio[i] / light, weight[i]
            factor[i] = _settled(value[w > 0], w[w > 0], error[i][w > 0])
        light[enough] = np.nanmedian(ratio[usable][:, enough] / factor[usable, None], axis=0)
    return light, factor


def _offset(series: Series, light: DoubleArray, enough: BoolArray) -> tuple[float, DoubleArray]:
    """Return the offset of the light, and what it makes of that of each pair (shape: enough)."""
    shown, said = light[enough], series.light[enough]
    if series.light_error is None:
        offset = _shutter_offset(shown, said)
    else:
        offset = _charge_offset(shown, said, series.light_error[enough])
    return offset, 1.0 + (offset if math.isfinite(offset) else 0.0) / said


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


def _charge_offset(light: DoubleArray, charge: DoubleArray, error: DoubleArray) -> float:
    """Return by what the light was more than the charge says; 0 where that is not significant.

    It is light beside the photodiode, or a baseline that was taken wrong. A non-linearity must not
    be taken for it, so that a line and a square are fitted beside it.
    """
    if light.size <= _TERMS:
        return 0.0
    unit = float(charge.max())
    x = charge / unit
    weight = 1.0 / np.maximum(error, _LEAST_ERROR)
    basis = np.stack([np.ones_like(x), 1.0 / x, x, x**2], axis=1) * weight[:, None]
    covariance = np.linalg.pinv(basis.T @ basis)
    found = covariance @ (basis.T @ (light * weight))
    if not found[0] > 0:
        return 0.0
    scatter = float(np.median(np.abs(basis @ found - light * weight))) * _MAD
    offset = float(found[1] / found[0]) * unit
    sigma = float(np.sqrt(covariance[1, 1]) / found[0]) * unit * max(scatter, 1.0)
    return offset if OFFSET_SIGMA * sigma < abs(offset) <= MAX_OFFSET * charge.min() else 0.0


def _middle(series: Series) -> BoolArray:
    """Flag the pairs that proportionality is taken from."""
    with np.errstate(invalid="ignore"):
        highest = np.fmax.reduce(series.mean, axis=1, initial=0.0)
        return np.asarray(series.mean <= MIDDLE * highest[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """What is known of the light of a sequence."""

    metrics: Metrics
    unknown: float
    """By what it may differ from what it is taken for, relative."""
    contradicted: bool
    """The photodiode shows what the exposure time does not."""
    measured: bool


def light_of(series: Series, left: Residuals, usable: BoolArray, time: DoubleArray) -> Light:
    """Compare the light with what is said of it."""
    common = largest(left.common)
    if series.light_error is None:
        metrics = _light_metrics(0.0, common, math.nan, math.nan, left.offset)
        return Light(metrics, common, contradicted=False, measured=False)
    timed = residuals(replace(series, light=time, light_error=None), usable)
    used = np.isfinite(series.light) & series.used.any(axis=0)
    shutter, drift = _drift(series.light[used], time[used])
    error = float(np.median(series.light_error[used])) if used.any() else math.nan
    beyond = np.abs(left.common) - OFFSET_SIGMA * series.light_error
    beyond_doubt = float(np.fmax.reduce(beyond, initial=0.0)) > MAX_DRIFT
    contradicted = beyond_doubt and largest(timed.common) < CONFIRMED * common
    unknown = common if contradicted else error
    metrics = _light_metrics(1.0, unknown, drift, common, shutter)
    return Light(metrics, unknown, contradicted, measured=True)


def _light_metrics(
    by_photodiode: float, unknown: float, drift: float, common: float, shutter: float
) -> Metrics:
    return {
        "LIGHT_BY_PHOTODIODE": by_photodiode,
        "LAMP_DRIFT": unknown,
        "LIGHT_DRIFT": drift,
        "COMMON_RESIDUAL": common,
        "SHUTTER_OFFSET": shutter,
    }


def _drift(charge: DoubleArray, time: DoubleArray) -> tuple[float, float]:
    """Return the shutter's offset and by what a measured light departs from the exposure time."""
    if not (time > 0).all() or not time.size:
        return math.nan, math.nan
    rate = charge / time
    shutter = _shutter_offset(rate, time)
    rest = rate / (1.0 + (shutter if math.isfinite(shutter) else 0.0) / time)
    return shutter, largest(rest / np.median(rest) - 1.0)


def largest(values: DoubleArray) -> float:
    """Return the largest size of what is a number; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(np.abs(known).max()) if known.size else math.nan
