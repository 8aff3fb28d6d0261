"""Fitting the covariances of flats: FULLCOVARIANCE, all lags of an amplifier together.

Gain, a, c = a·b and the noise of 8 × 8 lags are 193 parameters. The model is a polynomial of the
mean of degree 4 in every lag, and the weights of a pair are the same for all lags but for a
factor: so the pairs are brought down to five numbers a lag, without loss, and the steps of the
fit cost the same for fifteen pairs and for two hundred.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from calwatch.arrays import DoubleArray
from calwatch.verify.sets.ptc_models import (
    POWERS,
    convolution,
    full_coefficients,
    full_slopes,
    trace_of_convolution,
)

LEAST_PIXELS = 400_000
"""A pair of fewer has no place in the fit: the errors of 64 lags are then too large for squares of
them. An amplifier of LSSTCam or LATISS has 0.9 Mpix, half of which must be good."""
MAX_GROWTH = 0.55
"""Of ``|2·a00·x|``: the model ends with the third power of it, and the next term, z⁴/120, is here
half the error of a pair. Farther out a00 would be too low by a quarter of its error."""
QUIET = 3.0
"""Lags of fewer errors are taken for zero where slopes are needed, not the model itself."""

_ROUNDS = 30
_CLOSE = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class FullFit:
    """FULLCOVARIANCE fitted to one amplifier."""

    gain: float
    gain_error: float
    """e-/ADU."""
    noise: float
    noise_error: float
    """e-; NaN where the constant of the variance is not positive."""
    a: DoubleArray
    a_error: DoubleArray
    """Shape (side, side), 1/e-."""
    b: DoubleArray
    """Shape (side, side), 1/e-: c over a."""
    noise_matrix: DoubleArray
    """Shape (side, side), e-²."""
    chi2: float
    """Per degree of freedom."""


def fit_full(
    mean: DoubleArray,
    covariances: DoubleArray,
    variance: DoubleArray,
    count: DoubleArray,
    start: tuple[float, float],
) -> FullFit | None:
    """Fit the covariances of one amplifier; None where they cannot be.

    Parameters
    ----------
    mean
        Shape (n,), ADU.
    covariances
        Shape (n, side, side), ADU²; [0, 0] is the variance.
    variance
        Shape (n,), ADU²: that of the model, of which the weights are made.
    count
        Shape (n,): the pixels of each pair.
    start
        Gain (e-/ADU) and a00 (1/e-) to begin with.
    """
    side = covariances.shape[1]
    lags = side * side
    near = (np.abs(2.0 * start[1] * start[0] * mean) <= MAX_GROWTH) & (count >= LEAST_PIXELS)
    mean, covariances, variance, count = (
        values[near] for values in (mean, covariances, variance, count)
    )
    if mean.size < POWERS or not (np.isfinite(covariances).all() and np.all(variance > 0)):
        return None
    unit = float(mean.max())
    weight = np.sqrt(count) / variance
    powers = (mean / unit)[:, None] ** np.arange(POWERS)
    q, r = np.linalg.qr(powers * weight[:, None])
    measured = covariances.reshape(-1, lags) * weight[:, None]
    data = q.T @ measured
    of_lag = 1.0 / np.sqrt(_relative_variance(side)).ravel()
    # The part of the data that no polynomial reaches.
    rest = float(np.sum(((measured - q @ data) * of_lag) ** 2))
    to_unit = r * unit ** np.arange(POWERS)
    found = _start(mean, covariances.reshape(-1, lags), weight, start)
    solved = _solve(found, data, to_unit, of_lag, side)
    if solved is None:
        return None
    found, covariance, chi2 = solved
    quiet = _quiet(found, covariance, lags)
    of_quiet = _covariance(quiet, to_unit, of_lag, side)
    if of_quiet is None:
        return None
    found, covariance = found + _bias(quiet, of_quiet, to_unit, of_lag, side), of_quiet
    return _result(found, covariance, (chi2 + rest) / max(mean.size * lags - found.size, 1), side)


def _relative_variance(side: int) -> DoubleArray:
    """Return the variance of each covariance over var²/N.

    That of a variance is 2. Lags (i, j) and (i, −j) are averaged, which halves it off the axes.
    """
    result = np.full((side, side), 0.5)
    result[0, :] = result[:, 0] = 1.0
    result[0, 0] = 2.0
    return result


def _start(
    mean: DoubleArray, covariances: DoubleArray, weight: DoubleArray, start: tuple[float, float]
) -> DoubleArray:
    """Return first values: each lag as a constant and a square of the mean."""
    gain, a00 = start
    lags = covariances.shape[1]
    basis = np.stack([np.ones_like(mean), mean**2], axis=1) * weight[:, None]
    constant, square = np.linalg.lstsq(basis, covariances * weight[:, None], rcond=None)[0]
    square[0] = a00
    constant[0] = 0.0
    return np.concatenate([[gain], square, np.zeros(lags), constant])


def _solve(
    found: DoubleArray, data: DoubleArray, to_unit: DoubleArray, of_lag: DoubleArray, side: int
) -> tuple[DoubleArray, DoubleArray, float] | None:
    """Return parameters, their covariance and χ² by Levenberg's and Marquardt's steps."""
    lags = side * side

    def left(parameters: DoubleArray) -> DoubleArray:
        gain, a, c, constant = _parts(parameters, lags)
        model = to_unit @ full_coefficients(gain, a, c, constant, side)
        return np.asarray((data - model) * of_lag)

    damping = 1e-9
    residual = left(found)
    chi2 = float(np.sum(residual**2))
    for _ in range(_ROUNDS):
        hessian, gradient, scale = _normal(found, residual, to_unit, of_lag, side)
        while True:
            if damping > 1e8:
                return None
            damped = hessian + damping * np.eye(found.size)
            try:
                step = cho_solve(cho_factor(damped, check_finite=False), gradient)
            except np.linalg.LinAlgError:
                damping *= 100.0
                continue
            trial = found + step * scale
            residual_then = left(trial)
            then = float(np.sum(residual_then**2))
            if trial[0] > 0 and then <= chi2 * (1.0 + 1e-12):
                break
            damping *= 100.0
        gained, chi2 = chi2 - then, then
        found, residual, damping = trial, residual_then, max(damping * 0.01, 1e-12)
        # Both the fall of χ² and the step in units of errors are then far below one.
        if gained < 1e-6 and float(step @ gradient) < _CLOSE:
            break
    covariance = _covariance(found, to_unit, of_lag, side)
    return None if covariance is None else (found, covariance, chi2)


def _covariance(
    found: DoubleArray, to_unit: DoubleArray, of_lag: DoubleArray, side: int
) -> DoubleArray | None:
    """Return the covariance of the parameters; None where the data do not fix them."""
    nothing = np.zeros((POWERS, side * side))
    hessian, _, scale = _normal(found, nothing, to_unit, of_lag, side)
    try:
        covariance = np.linalg.inv(hessian) * np.outer(scale, scale)
    except np.linalg.LinAlgError:
        return None
    if not (np.isfinite(covariance).all() and np.all(np.diag(covariance) >= 0)):
        return None
    return covariance


def _quiet(found: DoubleArray, covariance: DoubleArray, lags: int) -> DoubleArray:
    """Return the parameters, a and c that are no more than noise set to zero.

    Slopes by the parameters are themselves made of a and c. Noise of 128 of them makes the slopes
    look steeper than they are, so that errors come out too small, and what is corrected for them
    half of what it should be.
    """
    quiet = found.copy()
    part = slice(1, 1 + 2 * lags)
    errors = np.sqrt(np.diag(covariance))[part]
    quiet[part] = np.where(np.abs(found[part]) < QUIET * errors, 0.0, found[part])
    return quiet


def _normal(
    found: DoubleArray,
    residual: DoubleArray,
    to_unit: DoubleArray,
    of_lag: DoubleArray,
    side: int,
) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Return the normal equations in scaled parameters, their right side, and the scale."""
    gain, a, c, _ = _parts(found, side * side)
    slopes = np.tensordot(to_unit, full_slopes(gain, a, c, side), axes=1)
    slopes = (slopes * of_lag[:, None]).reshape(-1, found.size)
    hessian = slopes.T @ slopes
    scale = 1.0 / np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    gradient = (slopes.T @ residual.ravel()) * scale
    return hessian * np.outer(scale, scale), gradient, scale


def _bias(
    found: DoubleArray,
    covariance: DoubleArray,
    to_unit: DoubleArray,
    of_lag: DoubleArray,
    side: int,
) -> DoubleArray:
    """Return what is to be added to the parameters for their errors in the model's squares.

    The square a⊗a sums over all lags, and far ones are hardly more than their errors: the sum
    of their squares is too high by that of their variances, and a00 comes out a quarter of its
    error too low. The mean of the model at parameters that scatter is its value and half the
    trace of its second derivative with their covariance (Box 1971); the terms that count are
    those of a and c.
    """
    lags = side * side
    gain, a, c, _ = _parts(found, lags)
    of_a = covariance[1 : 1 + lags, 1 : 1 + lags]
    of_ac = covariance[1 : 1 + lags, 1 + lags : 1 + 2 * lags]
    of_both = [trace_of_convolution(block, side) for block in (of_a, of_ac)]
    extra = np.zeros((POWERS, lags))
    extra[3] = gain * 2.0 / 3.0 * of_both[0]
    thrice = 3.0 * (convolution(a, side) @ of_both[0])
    extra[4] = gain**2 / 6.0 * (2.0 * thrice + 5.0 * of_both[1])
    slopes = np.tensordot(to_unit, full_slopes(gain, a, c, side), axes=1)
    weighted = (slopes * (of_lag**2)[:, None]).reshape(-1, found.size)
    return np.asarray(covariance @ (weighted.T @ (to_unit @ extra).ravel()))


def _parts(
    parameters: DoubleArray, lags: int
) -> tuple[float, DoubleArray, DoubleArray, DoubleArray]:
    return (
        float(parameters[0]),
        parameters[1 : 1 + lags],
        parameters[1 + lags : 1 + 2 * lags],
        parameters[1 + 2 * lags :],
    )


def _result(found: DoubleArray, covariance: DoubleArray, chi2: float, side: int) -> FullFit:
    lags = side * side
    gain, a, c, constant = _parts(found, lags)
    errors = np.sqrt(np.diag(covariance))
    noise = noise_error = math.nan
    if constant[0] > 0:
        root = math.sqrt(float(constant[0]))
        slopes = np.zeros(found.size)
        slopes[0], slopes[1 + 2 * lags] = root, gain / (2.0 * root)
        noise, noise_error = gain * root, math.sqrt(float(slopes @ covariance @ slopes))
    with np.errstate(divide="ignore", invalid="ignore"):
        b = np.where(a != 0.0, c / a, np.nan)
    shape = (side, side)
    return FullFit(
        gain=gain,
        gain_error=float(errors[0]),
        noise=noise,
        noise_error=noise_error,
        a=a.reshape(shape),
        a_error=errors[1 : 1 + lags].reshape(shape),
        b=b.reshape(shape),
        noise_matrix=constant.reshape(shape) * gain**2,
        chi2=chi2,
    )
