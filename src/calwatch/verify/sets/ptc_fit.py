"""Fitting the variance of flats: EXPAPPROXIMATION, and which pairs belong to the curve.

The errors are those of the counted pixels, ``2·var²/N``, not scaled by what the fit leaves over:
how well the model describes an amplifier is said by its χ² apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray
from calwatch.verify.sets.ptc_models import curve, curve_slopes

LEAST_POINTS = 5
LEVER_ARM = 3.0
"""The highest mean over the lowest: below it gain and a00 are not told apart."""
TURNOFF_DROP = 0.9
"""The curve ends where the variance falls below this fraction of the largest before, for good."""
SINGLE_DROP = 0.2
"""A pair that differs by more from both its neighbours, in variance over mean, is left out."""
OUTLIER_SIGMA = 5.0
OFF_THE_CURVE = 0.02
"""A pair above the curve's end must lie this much below it to show that the end was reached."""

_CAUCHY = 2.385
_NONE_IS_ODD = 3.0
_ROBUST_ROUNDS = 8
_ROUNDS = 60
_CLOSE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class CurveFit:
    """EXPAPPROXIMATION fitted to one amplifier; NaN throughout where it cannot be."""

    gain: float = math.nan
    """e-/ADU."""
    a00: float = math.nan
    """1/e-; NaN if it was not fitted."""
    constant: float = math.nan
    """ADU²: n²/g²."""
    covariance: DoubleArray | None = None
    """Shape (3, 3), of gain, a00 and constant; zero for what was not fitted."""

    @property
    def found(self) -> bool:
        """Whether there is a curve at all."""
        return self.covariance is not None

    def error(self, number: int) -> float:
        """Return the error of the gain (0), of a00 (1) or of the constant (2)."""
        if self.covariance is None:
            return math.nan
        return math.sqrt(max(float(self.covariance[number, number]), 0.0))

    def variance(self, mean: DoubleArray) -> DoubleArray:
        """Return the curve at some means, ADU²."""
        a00 = self.a00 if math.isfinite(self.a00) else 0.0
        return curve(mean, self.gain, a00, 0.0) + self.constant

    def noise(self) -> tuple[float, float]:
        """Return the read noise and its error, e-; NaN where the constant is not positive."""
        if self.covariance is None or not self.constant > 0:
            return math.nan, math.nan
        root = math.sqrt(self.constant)
        slopes = np.array([root, 0.0, self.gain / (2.0 * root)])
        return self.gain * root, math.sqrt(float(slopes @ self.covariance @ slopes))


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """The curve of one amplifier, and which of its pairs are on it."""

    fit: CurveFit
    used: BoolArray
    """In the order given."""
    chi2: float = math.nan
    """Per degree of freedom."""
    end: float = math.nan
    """ADU: the highest mean on the curve."""
    beyond: float = math.nan
    """ADU: the lowest mean that has left it above that; NaN where none was measured."""
    fault: str = ""


def fit_curve(
    mean: DoubleArray,
    variance: DoubleArray,
    error: DoubleArray,
    *,
    constant: float | None = None,
    curved: bool = True,
) -> CurveFit:
    """Fit gain, a00 and constant by least squares.

    Parameters
    ----------
    mean, variance, error
        Shape (n,): ADU, ADU², and the error of the variance.
    constant
        ADU²: n²/g², where it is known and not fitted.
    curved
        Whether a00 is fitted; otherwise it is zero.
    """
    free = np.array([True, curved, constant is None])
    offset = constant or 0.0
    if mean.size < free.sum() or not np.all(error > 0):
        return CurveFit()
    shot = float(np.median((variance - offset) / mean))
    if not shot > 0:
        return CurveFit()
    gain = 1.0 / shot
    # In units in which every parameter is of the order of 1.
    scale = np.array([gain, 1.0 / (gain * float(mean.max())), float(variance.min())])
    found = np.array([gain, 0.0, offset])
    damping, hessian = 1e-6, np.eye(3)
    chi2 = math.inf
    for _ in range(_ROUNDS):
        residual = (variance - curve(mean, found[0], found[1], 0.0) - found[2]) / error
        slopes = curve_slopes(mean, found[0], found[1])[:, free] * scale[free] / error[:, None]
        hessian = slopes.T @ slopes
        chi2 = float(residual @ residual)
        accepted = False
        while damping < 1e12:
            damped = hessian + damping * np.diag(np.diag(hessian))
            try:
                step = np.linalg.solve(damped, slopes.T @ residual)
            except np.linalg.LinAlgError:
                return CurveFit()
            if np.max(np.abs(step)) < _CLOSE:
                break
            trial = found.copy()
            trial[free] += step * scale[free]
            # A far step is taken piece by piece: the curve must stay one.
            if trial[0] > 0 and abs(2.0 * trial[1] * trial[0] * mean.max()) < 50.0:
                left = (variance - curve(mean, trial[0], trial[1], 0.0) - trial[2]) / error
                if float(left @ left) <= chi2 * (1.0 + 1e-14):
                    accepted = True
                    break
            damping *= 10.0
        if not accepted:
            break
        found, damping = trial, max(damping * 0.1, 1e-12)
    covariance = np.zeros((3, 3))
    try:
        covariance[np.ix_(free, free)] = np.linalg.inv(hessian)
    except np.linalg.LinAlgError:
        return CurveFit()
    covariance *= np.outer(scale, scale)
    a00 = float(found[1]) if curved else math.nan
    if not (np.isfinite(found).all() and found[0] > 0 and np.isfinite(covariance).all()):
        return CurveFit()
    return CurveFit(float(found[0]), a00, float(found[2]), covariance)


def before_turnoff(mean: DoubleArray, variance: DoubleArray) -> BoolArray:
    """Flag the points before the variance falls for good, in the order given."""
    used = np.isfinite(mean) & np.isfinite(variance) & (mean > 0) & (variance > 0)
    order = np.flatnonzero(used)[np.argsort(mean[used], kind="stable")]
    ordered = variance[order]
    if ordered.size:
        highest = np.maximum.accumulate(ordered)
        later = np.maximum.accumulate(ordered[::-1])[::-1]
        fallen = np.flatnonzero((ordered < TURNOFF_DROP * highest) & (later < highest))
        if fallen.size:
            used[order[fallen[0] :]] = False
    return used


def select_and_fit(
    mean: DoubleArray, variance: DoubleArray, count: DoubleArray, offset: float
) -> Selected:
    """Fit the pairs of one amplifier that are on the curve.

    A pair that differs from both its neighbours is no point of it, nor is one above the fall of
    the variance. What is left is fitted with weights that bend to no outlier, then without
    those farther off than 5σ (σ widened by what the others scatter), until they stay the same.

    Parameters
    ----------
    mean, variance, count
        Shape (n,): ADU, ADU², and the pixels of each pair; NaN where there is none.
    offset
        ADU²: variance of the read noise as the overscan has it, or 0; it only helps in telling
        outliers.
    """
    good = np.isfinite(mean) & np.isfinite(variance) & (mean > 0) & (variance > 0) & (count > 1)
    candidates = good & ~_singles(mean, variance - offset, good)
    candidates &= before_turnoff(
        np.where(candidates, mean, np.nan), np.where(candidates, variance, np.nan)
    )
    if fault := _too_little(mean, candidates):
        return Selected(CurveFit(), candidates, fault=fault)
    # Where the read noise of the overscan is known the shape is right from the start.
    fit = _robust(mean, variance, count, candidates)
    used = candidates
    for _ in range(_ROBUST_ROUNDS):
        if not fit.found:
            return Selected(fit, used, fault="no curve can be laid through its pairs")
        kept = candidates & (
            np.abs(_pulls(fit, mean, variance, count))
            < _limit(fit, mean, variance, count, candidates)
        )
        if fault := _too_little(mean, kept):
            return Selected(CurveFit(), kept, fault=f"{fault} (the others are off the curve)")
        settled = bool(np.array_equal(kept, used))
        error = fit.variance(mean[kept]) * np.sqrt(2.0 / count[kept])
        used, fit = kept, fit_curve(mean[kept], variance[kept], error)
        if settled:
            break
    if not fit.found:
        return Selected(fit, used, fault="no curve can be laid through its pairs")
    pulls = _pulls(fit, mean[used], variance[used], count[used])
    freedom = int(used.sum()) - 3
    end = float(mean[used].max())
    low = good & (mean > end) & (variance < (1.0 - OFF_THE_CURVE) * fit.variance(mean))
    beyond = float(mean[low].min()) if low.any() else math.nan
    return Selected(fit, used, float(pulls @ pulls) / freedom, end, beyond)


def _too_little(mean: DoubleArray, used: BoolArray) -> str:
    """Say why a curve cannot be fitted; empty if it can."""
    points = int(used.sum())
    if points < LEAST_POINTS:
        return f"{points} pairs can be used, {LEAST_POINTS} are needed"
    low, high = float(mean[used].min()), float(mean[used].max())
    if high < LEVER_ARM * low:
        return (
            f"its pairs reach from {low:.4g} to {high:.4g} ADU only, less than a factor of "
            f"{LEVER_ARM:g}"
        )
    return ""


def _singles(mean: DoubleArray, shot: DoubleArray, good: BoolArray) -> BoolArray:
    """Flag pairs whose variance over mean is not that of its neighbours."""
    found = np.zeros(good.shape, bool)
    order = np.flatnonzero(good)[np.argsort(mean[good], kind="stable")]
    if order.size < LEAST_POINTS:
        return found
    ratio = shot[order] / mean[order]
    around = np.lib.stride_tricks.sliding_window_view(ratio, 5)
    middle = np.median(around, axis=1)
    middle = np.concatenate([middle[:1], middle[:1], middle, middle[-1:], middle[-1:]])
    # The two highest may be past the turnoff: they are left to it.
    odd = np.abs(ratio - middle) > SINGLE_DROP * np.abs(middle)
    odd[-2:] = False
    found[order] = odd
    return found


def _pulls(
    fit: CurveFit, mean: DoubleArray, variance: DoubleArray, count: DoubleArray
) -> DoubleArray:
    model = fit.variance(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((variance - model) / (np.abs(model) * np.sqrt(2.0 / count)))


def _limit(
    fit: CurveFit,
    mean: DoubleArray,
    variance: DoubleArray,
    count: DoubleArray,
    candidates: BoolArray,
) -> float:
    """Return how many errors off the curve a pair may be."""
    pulls = _pulls(fit, mean[candidates], variance[candidates], count[candidates])
    freed = pulls.size / (pulls.size - 3)
    return OUTLIER_SIGMA * max(1.0, 1.4826 * float(np.median(np.abs(pulls))) * math.sqrt(freed))


def _robust(
    mean: DoubleArray, variance: DoubleArray, count: DoubleArray, candidates: BoolArray
) -> CurveFit:
    """Fit with Cauchy's weights: an outlier loses them the farther off it is."""
    mean, variance, count = mean[candidates], variance[candidates], count[candidates]
    plain = variance * np.sqrt(2.0 / count)
    fit = fit_curve(mean, variance, plain)
    for _ in range(_ROBUST_ROUNDS):
        if not fit.found:
            break
        pulls = _pulls(fit, mean, variance, count)
        if np.all(np.abs(pulls) < _NONE_IS_ODD):
            break
        scale = max(1.0, 1.4826 * float(np.median(np.abs(pulls))))
        weight = 1.0 / (1.0 + (pulls / (_CAUCHY * scale)) ** 2)
        fit = fit_curve(mean, variance, fit.variance(mean) * np.sqrt(2.0 / (count * weight)))
    return fit
