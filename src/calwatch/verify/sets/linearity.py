"""Whether amplifiers are proportional to the light after their linearizers (DMTN-101 §7.1a-d).

The means are linearized already, so what is left over is what a second linearizer would correct,
whatever type the first one has: its residual is judged for every type, its polynomials too.

The light is known by the exposure time or by a photodiode (`calwatch.verify.sets.abscissa`).

By the exposure time: all amplifiers of a detector see the same light, so the residual they have in
common (the median over them) is the lamp's and the shutter's, and is taken out. A curvature that
all of them have alike would go with it; therefore nothing is called linear where the common
residual is larger than what §7.1 allows. An amplifier that differs from the others by more than
that is judged all the same: no lamp does that.

By the photodiode: nothing is taken out but an offset of its charge, so that a curvature of the
whole detector is found, and a lamp that drifts does no harm. Where the photodiode shows a residual
in common of which the exposure time knows nothing, one of them is wrong, and nothing is called
linear or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.model import Amplifier, Detector
from calwatch.verify.amplifier import Measured, Metrics
from calwatch.verify.definitions import linearity as definitions
from calwatch.verify.sets.abscissa import Abscissa, by_time
from calwatch.verify.sets.lamp import (
    LEAST_AMPLIFIERS,
    MAX_DRIFT,
    Light,
    Residuals,
    Series,
    certain,
    largest,
    light_of,
    residuals,
)
from calwatch.verify.sets.model import Earlier
from calwatch.verify.sets.pair import TURNOFF_SLACK
from calwatch.verify.sets.ptc import column, means
from calwatch.verify.sets.ptc_fit import LEAST_POINTS, LEVER_ARM, before_turnoff
from calwatch.verify.sets.read_noise import overscan_share
from calwatch.verify.statistics import mean_error

OF_MAX_RESIDUAL = 5.0
"""n_sigma of MAX_RESIDUAL: by the photodiode that residual is the largest which exceeds so many
errors by most."""
CUBIC_UNIT = 1000.0
"""ADU: §7.1c lets every coefficient be a thousandth of that before."""

_MAD = 1.4826
_NAMES = tuple(metric.name for metric in definitions.METRICS if metric.level == "amp")


def measure(
    detector: Detector,
    points: Sequence[Earlier],
    calibrations: CalibrationSet,
    abscissa: Abscissa | None = None,
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
    abscissa
        The light of the pairs, in the same order; the exposure times if None.

    Returns
    -------
    Measured
        With the array ``residuals``, shape (n_amp, n_points), relative, NaN where a pair was not
        used, and ``common``, shape (n_points,).
    """
    names = [amp.name for amp in detector.amplifiers]
    abscissa = abscissa or by_time(points)
    series, faults = _series(detector, points, calibrations, abscissa)
    usable = np.array([name not in faults for name in names])
    left = residuals(series, usable)
    light = light_of(series, left, usable, by_time(points).light)
    amps: dict[str, Metrics] = {}
    for i, name in enumerate(names):
        amps[name] = dict.fromkeys(_NAMES, math.nan) | _range(series, i)
        if usable[i] and np.isfinite(left.own[i]).sum() >= LEAST_POINTS:
            amps[name] |= _amp_metrics(series, left, i)
        if usable[i] and (fault := _unproven(amps[name], left, i, light)):
            faults[name] = fault
    return Measured(
        amps,
        detector=light.metrics,
        warnings=(*abscissa.warnings, *_warnings(calibrations, light)),
        faults=faults,
        arrays={"residuals": left.own, "common": left.common},
        provenance={"light": {"by": abscissa.by, "why_not": abscissa.why_not}},
    )


def _series(
    detector: Detector,
    points: Sequence[Earlier],
    calibrations: CalibrationSet,
    abscissa: Abscissa,
) -> tuple[Series, dict[str, str]]:
    """Return the pairs below the turnoff, and why an amplifier has too few of them."""
    light = abscissa.light
    mean = np.full((len(detector.amplifiers), light.size), np.nan)
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
        used = before_turnoff(found, variance) & (count > 0) & (light > 0)
        ptc = calibrations.ptc
        turnoff = float(ptc.turnoff[i]) if ptc else math.nan
        if turnoff > 0:
            # It is the mean of the last pair on the curve, and so bright ones are on it, too.
            used &= found <= (1.0 + TURNOFF_SLACK) * turnoff
        mean[i, used] = found[used]
        gain = float(ptc.gain[i]) if ptc else math.nan
        # The brighter-fatter effect takes noise from pixels, and none from their mean.
        shot = np.fmax(variance[used], found[used] / gain) if gain > 0 else variance[used]
        level = _level_error(amp, column(points, name, "NOISE_ADU")[used])
        error[i, used] = np.sqrt(0.5 * (shot / count[used] + level**2)) / found[used]
        if fault := _too_little(found, used, abscissa):
            faults.setdefault(name, fault)
    series = Series(light, mean, error)
    if abscissa.by == "exposure_time":
        return series, faults
    of_light = np.hypot(abscissa.error, _noise_of_light(detector, points, abscissa))
    return replace(series, light_error=of_light), faults


def _noise_of_light(
    detector: Detector, points: Sequence[Earlier], abscissa: Abscissa
) -> DoubleArray:
    """Return what the halves of pairs show of the error of their charge, beyond what is known.

    Photodiode and amplifiers see the same light, whatever the lamp does: what is left of the ratio
    of the halves is the photodiode's, since the noise of many pixels is small.
    """
    ratios = []
    for amp in detector.amplifiers:
        first = column(points, amp.name, "PAIR_MEAN_1")
        second = column(points, amp.name, "PAIR_MEAN_2")
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(np.where((first > 0) & (second > 0), second / first, np.nan))
    known = np.isfinite(abscissa.ratio) & np.isfinite(ratios).any(axis=0)
    if known.sum() < LEAST_POINTS:
        return np.zeros(len(points))
    seen = np.nanmedian(np.array(ratios)[:, known], axis=0)
    # Of the mean of two it is half of that of their ratio.
    scatter = 0.5 * _MAD * np.median(np.abs(np.log(abscissa.ratio[known] / seen)))
    variance = scatter**2 - np.median(abscissa.error[known] ** 2)
    return np.full(len(points), math.sqrt(max(float(variance), 0.0)))


def _level_error(amp: Amplifier, noise: DoubleArray) -> DoubleArray:
    """Return the error of the overscan levels of one frame, in the unit of the overscan noise.

    It is most of the error of the faintest pairs. Where no noise is known it is left out.
    """
    share = overscan_share(amp)
    read_noise = noise / share if share > 0 else noise
    return np.nan_to_num(read_noise * mean_error(0.0, 1, 1.0, amp, parallel_applied=True))


def _too_little(mean: DoubleArray, used: BoolArray, abscissa: Abscissa) -> str:
    if not np.isfinite(mean).any():
        return "none of its pairs was measured"
    points = int(used.sum())
    if points < LEAST_POINTS:
        lit = " with a photodiode" if not np.isfinite(abscissa.light).all() else ""
        return f"{points} pairs below the turnoff{lit}, {LEAST_POINTS} are needed"
    low, high = float(mean[used].min()), float(mean[used].max())
    if high < LEVER_ARM * low:
        return f"its pairs reach from {low:.4g} to {high:.4g} ADU only"
    return ""


def _range(series: Series, index: int) -> Metrics:
    used = series.mean[index][series.used[index]]
    return {
        "LINEARITY_POINTS": float(used.size),
        "LINEARITY_MAX_MEAN": float(used.max()) if used.size else math.nan,
    }


def _amp_metrics(series: Series, left: Residuals, index: int) -> Metrics:
    good = np.isfinite(left.own[index])
    own, mean = left.own[index][good], series.mean[index][good]
    error = series.whole_error[index][good]
    residual, of_residual = (values[good] for values in certain(series, left, index))
    # Of a light that was measured the faintest pairs have large errors and hide no other.
    beyond = 0.0 if series.light_error is None else OF_MAX_RESIDUAL * of_residual
    at = int(np.argmax(np.abs(residual) - beyond))
    squared = _coefficients(own, mean, error, 1)
    polynomial = _coefficients(own, mean, error, 2)
    return {
        "LINEARITY_MAX_RESIDUAL": abs(float(residual[at])),
        "LINEARITY_MAX_RESIDUAL_ERROR": float(of_residual[at]),
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


def _unproven(numbers: Metrics, left: Residuals, index: int, light: Light) -> str:
    """Say why an amplifier without a residual of its own cannot be called linear."""
    own = numbers["LINEARITY_MAX_RESIDUAL"]
    if math.isnan(own):
        if light.measured:
            return "no pair of middle signal gives its proportionality"
        return f"fewer than {LEAST_AMPLIFIERS} amplifiers can be used: none is told from the lamp"
    if light.contradicted:
        # By how much it differs from the others is known all the same.
        own = largest((1.0 + left.own[index]) / (1.0 + left.common) - 1.0)
    if light.unknown <= MAX_DRIFT or own > (
        MAX_DRIFT + 5.0 * numbers["LINEARITY_MAX_RESIDUAL_ERROR"]
    ):
        return ""
    if light.contradicted:
        return (
            f"all amplifiers leave the photodiode together by {100 * light.unknown:.3g} %, and "
            "follow the exposure time: one of the two is wrong"
        )
    if light.measured:
        return f"the charge of the photodiode is known to {100 * light.unknown:.3g} % only"
    return (
        f"all amplifiers leave proportionality together by {100 * light.unknown:.3g} %: a lamp "
        "that drifts and a non-linearity of the whole detector look alike"
    )


def _warnings(calibrations: CalibrationSet, light: Light) -> tuple[str, ...]:
    found = []
    drift = light.metrics["LIGHT_DRIFT"] if light.measured else light.unknown
    if drift > MAX_DRIFT:
        followed = ", the photodiode has seen it" if light.measured else ""
        found.append(f"the light does not follow the exposure time: {100 * drift:.3g} %{followed}")
    if calibrations.ptc is None:
        found.append("no certified PTC gives the turnoff: the fall of the variance does")
    return tuple(found)
