"""The variance and the covariances of a flat as they grow with its signal (Astier et al. 2019).

Charge that is collected shifts the boundaries of the pixels: a pixel that holds Q changes the
current into its neighbour at lag (i, j) by the fraction ``a_ij·Q``. A fluctuation therefore acts
back on itself. Let x be the mean in e-, C the covariances in e-², ⊗ the convolution over lags, and
``b`` the change of ``a`` with the charge that is there already. One step of collection gives
``dC/dx = δ + 2·(a·(1 + b·x)) ⊗ C``: the shot noise, and twice the feedback, once for each of the
two pixels. Solved by powers of x that is the FULLCOVARIANCE model (the paper's eq. 20), here with
``c = a·b``, element by element::

    C = x·[δ + a·x + (2/3)·(a⊗a + c)·x² + (1/6)·(2·a⊗a⊗a + 5·a⊗c)·x³] + n

For the variance alone, with ``a⊗`` taken as the number a00 and no b, the same equation has the
solution ``(exp(2·a00·x) − 1)/(2·a00)``, EXPAPPROXIMATION (eq. 16). Where charge leaves, a00 < 0.

Everything here is in ADU: x = μ·g, and covariances are divided by g².
"""

from __future__ import annotations

from functools import cache

import numpy as np

from calwatch.arrays import DoubleArray, IndexArray

_SMALL = 1e-5
POWERS = 5
"""Powers 0 … 4 of the mean in the FULLCOVARIANCE model."""


def curve(mean: DoubleArray, gain: float, a00: float, noise: float) -> DoubleArray:
    """Return the EXPAPPROXIMATION variance, ADU² (Astier+19 eq. 16; ip_isr ``ptcDataset.py``).

    ``(exp(2·a00·μ·g) − 1)/(2·g²·a00) + n²/g²`` with μ in ADU, g in e-/ADU and n in e-.
    """
    growth, _ = _growth(2.0 * a00 * gain * np.asarray(mean, np.float64))
    return np.asarray(mean / gain * growth + (noise / gain) ** 2)


def curve_slopes(mean: DoubleArray, gain: float, a00: float) -> DoubleArray:
    """Return the derivatives of `curve` by gain, by a00 and by its constant n²/g².

    Returns
    -------
    DoubleArray
        Shape (n, 3).
    """
    growth, slope = _growth(2.0 * a00 * gain * mean)
    by_gain = mean / gain * (2.0 * a00 * mean * slope - growth / gain)
    return np.stack([by_gain, 2.0 * mean**2 * slope, np.ones_like(mean)], axis=1)


def _growth(z: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Return ``(exp(z) − 1)/z`` and its derivative, also near zero."""
    small = np.abs(z) < _SMALL
    safe = np.where(small, 1.0, np.minimum(z, 500.0))
    growth = np.where(small, 1.0 + z / 2.0, np.expm1(safe) / safe)
    slope = np.where(small, 0.5 + z / 3.0, (np.exp(safe) - np.expm1(safe) / safe) / safe)
    return growth, slope


@cache
def _images(side: int) -> IndexArray:
    """Return where the convolution of two lags finds its factor.

    Returns
    -------
    IndexArray
        Shape (4, side², side²): for a lag s and each of the up to four places ±k of a lag k, the
        flat index of s − k; side² where it is outside or the place is the same as another one.
    """
    lag = np.arange(side)
    outside = side * side
    found = np.full((4, side, side, side, side), outside, np.int64)
    for number, (sign_i, sign_j) in enumerate([(1, 1), (-1, 1), (1, -1), (-1, -1)]):
        i = np.abs(lag[:, None] - sign_i * lag[None, :])[:, None, :, None]
        j = np.abs(lag[:, None] - sign_j * lag[None, :])[None, :, None, :]
        once = np.ones((1, 1, side, side), bool)
        if sign_i < 0:
            once[:, :, 0, :] = False
        if sign_j < 0:
            once[:, :, :, 0] = False
        inside = (i < side) & (j < side) & once
        found[number] = np.where(inside, i * side + j, outside)
    return found.reshape(4, outside, outside)


def convolution(lags: DoubleArray, side: int) -> DoubleArray:
    """Return the matrix that convolves with `lags`, which are alike on all four sides of zero.

    What falls outside the lags that are kept is dropped.

    Parameters
    ----------
    lags
        Shape (side²,): lag i first, lag j second.
    side
        Number of lags along either axis.

    Returns
    -------
    DoubleArray
        Shape (side², side²).
    """
    padded = np.append(lags, 0.0)
    return np.asarray(padded[_images(side)].sum(axis=0))


def trace_of_convolution(covariance: DoubleArray, side: int) -> DoubleArray:
    """Return by what the convolution of two sets of lags is greater, in the mean, for their errors.

    Parameters
    ----------
    covariance
        Shape (side², side²): of the errors of the one set with those of the other.
    side
        Number of lags along either axis.

    Returns
    -------
    DoubleArray
        Shape (side²,).
    """
    padded = np.pad(covariance, ((0, 0), (0, 1)))
    row = np.arange(side * side)[None, None, :]
    return np.asarray(padded[row, _images(side)].sum(axis=(0, 2)))


def full_coefficients(
    gain: float, a: DoubleArray, c: DoubleArray, constant: DoubleArray, side: int
) -> DoubleArray:
    """Return the FULLCOVARIANCE covariances as coefficients of powers of the mean.

    Parameters
    ----------
    gain
        e-/ADU.
    a
        Shape (side²,), 1/e-.
    c
        Shape (side²,), 1/e-²: a times b.
    constant
        Shape (side²,), ADU²: n/g².
    side
        Number of lags along either axis.

    Returns
    -------
    DoubleArray
        Shape (5, side²), ADU² per ADU to the power of 0 … 4.
    """
    by_a = convolution(a, side)
    twice = by_a @ a
    result = np.zeros((POWERS, a.size))
    result[0] = constant
    result[1, 0] = 1.0 / gain
    result[2] = a
    result[3] = gain * 2.0 / 3.0 * (twice + c)
    result[4] = gain**2 / 6.0 * (2.0 * (by_a @ twice) + 5.0 * (by_a @ c))
    return result


def full_slopes(gain: float, a: DoubleArray, c: DoubleArray, side: int) -> DoubleArray:
    """Return the derivatives of `full_coefficients` by gain, a, c and the constants.

    Returns
    -------
    DoubleArray
        Shape (5, side², 1 + 3·side²).
    """
    lags = a.size
    by_a = convolution(a, side)
    twice = by_a @ a
    one = np.eye(lags)
    result = np.zeros((POWERS, lags, 1 + 3 * lags))
    gains, of_a, of_c, of_constant = (
        result[:, :, 0],
        result[:, :, 1 : 1 + lags],
        result[:, :, 1 + lags : 1 + 2 * lags],
        result[:, :, 1 + 2 * lags :],
    )
    of_constant[0] = one
    gains[1, 0] = -1.0 / gain**2
    of_a[2] = one
    gains[3] = 2.0 / 3.0 * (twice + c)
    of_a[3] = gain * 4.0 / 3.0 * by_a
    of_c[3] = gain * 2.0 / 3.0 * one
    gains[4] = gain / 3.0 * (2.0 * (by_a @ twice) + 5.0 * (by_a @ c))
    # Cut off at the last lag, a⊗(a⊗da) is not (a⊗a)⊗da: both are there.
    of_a[4] = (
        gain**2
        / 6.0
        * (2.0 * (convolution(twice, side) + 2.0 * by_a @ by_a) + 5.0 * convolution(c, side))
    )
    of_c[4] = gain**2 * 5.0 / 6.0 * by_a
    return result


def full_covariances(
    mean: DoubleArray, gain: float, a: DoubleArray, c: DoubleArray, noise: DoubleArray
) -> DoubleArray:
    """Return the FULLCOVARIANCE covariances, ADU².

    Parameters
    ----------
    mean
        Shape (n,), ADU.
    gain
        e-/ADU.
    a, c, noise
        Shape (side, side): 1/e-, 1/e-² and e-².

    Returns
    -------
    DoubleArray
        Shape (n, side, side).
    """
    side = a.shape[0]
    found = full_coefficients(gain, a.ravel(), c.ravel(), noise.ravel() / gain**2, side)
    powers = np.asarray(mean, np.float64)[:, None] ** np.arange(POWERS)
    return np.asarray(powers @ found).reshape(-1, side, side)
