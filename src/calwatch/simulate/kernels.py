"""The inner loops of the simulator."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray, IntArray

ADC_MAX = (1 << 18) - 1
"""Largest number of the 18-bit converters."""

NEIGHBOURS = (0.19, 0.11, 0.10)
"""Share of the moved charge noise that goes to each vertical, horizontal and diagonal neighbour."""

_SHARE_SQUARED = 2 * NEIGHBOURS[0] ** 2 + 2 * NEIGHBOURS[1] ** 2 + 4 * NEIGHBOURS[2] ** 2


@njit(cache=True, nogil=True)
def _uniform(state: np.uint64) -> tuple[np.uint64, float]:
    """One step of SplitMix64: the next state and a number in (0, 1)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return state, (float(z >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def poisson_charge(mean: FloatArray, seed: np.uint64, out: FloatArray) -> None:
    """Fill ``out`` with Poisson numbers of these means (a rounded Gaussian above 50 e-).

    Parameters
    ----------
    mean, out
        Shape (rows, columns), e-.
    seed
        Start of the random stream.
    """
    state = seed
    last = -1.0
    none = 1.0
    for y in range(mean.shape[0]):
        for x in range(mean.shape[1]):
            mu = float(mean[y, x])
            if mu <= 0.0:
                out[y, x] = 0.0
            elif mu < 50.0:
                if mu != last:
                    none = math.exp(-mu)
                    last = mu
                state, u = _uniform(state)
                count = 0
                probability = none
                while u > probability and count < 1000:
                    u -= probability
                    count += 1
                    probability *= mu / count
                out[y, x] = count
            else:
                state, u = _uniform(state)
                state, v = _uniform(state)
                z = math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v)
                out[y, x] = max(0.0, round(mu + math.sqrt(mu) * z))


@njit(cache=True, nogil=True)
def _growth(t: float) -> float:
    """Return ``(exp(t) − 1)/t``, to 2e-6 for ``|t| < 0.7``.

    Cut off two powers before, the variance of the brightest flats of a curve is too high by 3e-4,
    and the a00 of a whole amplifier by a seventh of its error.
    """
    result = 1.0
    for power in range(7, 1, -1):
        result = 1.0 + result * t / power
    return result


@njit(cache=True, nogil=True)
def flat_charge(mean: FloatArray, normal: FloatArray, a00: float, out: FloatArray) -> None:
    """Fill ``out`` with charge whose shot noise shows the brighter-fatter effect.

    The variance follows (exp(2·a00·μ) − 1)/(2·a00), which is μ·(1 + a00·μ) to first order
    (Astier et al. 2019, eq. 16); what a pixel loses its eight neighbours gain as covariance.

    Parameters
    ----------
    mean, normal, out
        Shape (rows, columns): e-, standard normal numbers, e-.
    a00
        1/e-, negative or zero.
    """
    height, width = mean.shape
    fv, fh, fd = NEIGHBOURS
    q = _SHARE_SQUARED
    for y in range(height):
        up = y + 1 if y + 1 < height else y - 1
        down = y - 1 if y > 0 else y + 1
        for x in range(width):
            right = x + 1 if x + 1 < width else x - 1
            left = x - 1 if x > 0 else x + 1
            mu = max(float(mean[y, x]), 0.0)
            t = 2.0 * a00 * mu
            factor = _growth(t)
            # own·z + (1 − own)·Σ f·z has variance own² + (1 − own)²·Σ f², which must be factor.
            own = (q + math.sqrt(max(q * q - (1.0 + q) * (q - factor), 0.0))) / (1.0 + q)
            around = (
                fv * (normal[up, x] + normal[down, x])
                + fh * (normal[y, left] + normal[y, right])
                + fd * (normal[up, left] + normal[up, right])
                + fd * (normal[down, left] + normal[down, right])
            )
            noise = own * normal[y, x] + (1.0 - own) * around
            out[y, x] = max(0.0, mu + math.sqrt(mu) * noise)


@njit(cache=True, nogil=True)
def transfer(
    charge: FloatArray,
    full_well: float,
    cti: float,
    prescan: int,
    curvature: float,
    out: FloatArray,
) -> None:
    """Clip at full well, lose charge serially, and bend the response.

    The response is the exact inverse of the correction x + c·x², which ip_isr's ``Squared``
    linearizer applies and any spline linearizer can follow.

    Parameters
    ----------
    charge
        Imaging pixels in readout order, shape (rows, columns), e-.
    full_well
        e-.
    cti
        Share lost per serial transfer.
    prescan
        Columns read before the first imaging pixel.
    curvature
        c, 1/e-.
    out
        The whole raw amplifier, shape (raw rows, raw columns), already zero, e-.
    """
    height, width = charge.shape
    total = out.shape[1]
    for y in range(height):
        carried = 0.0
        for x in range(width + 1):
            place = prescan + x
            if place >= total:
                break
            q = min(float(charge[y, x]), full_well) if x < width else 0.0
            if q == 0.0 and carried == 0.0:
                out[y, place] = 0.0
                continue
            lost = q * cti * (place + 1)
            q = q - lost + carried
            carried = lost
            if curvature != 0.0:
                q = 2.0 * q / (1.0 + math.sqrt(max(1.0 + 4.0 * curvature * q, 0.0)))
            out[y, place] = q


@njit(cache=True, nogil=True)
def digitise(
    signal: FloatArray,
    crosstalk: DoubleArray,
    quadratic: DoubleArray,
    noise: FloatArray,
    read_noise: DoubleArray,
    gain: DoubleArray,
    rows: DoubleArray,
    columns: DoubleArray,
    glow_rows: DoubleArray,
    glow_columns: DoubleArray,
    out: IntArray,
) -> None:
    """Add crosstalk, read noise and the bias, and convert to whole ADU.

    Parameters
    ----------
    signal
        Shape (n_amp, rows, columns), e-.
    crosstalk, quadratic
        ``[source, target]``, shape (n_amp, n_amp).
    noise
        Standard normal numbers, shape of ``signal``.
    read_noise, gain
        Shape (n_amp,), e- and e-/ADU.
    rows
        Level of each row, shape (n_amp, rows), ADU.
    columns
        Level of each column, shape (n_amp, columns), ADU.
    glow_rows, glow_columns
        Factors of the fixed pattern, shapes as ``rows`` and ``columns``, ADU.
    out
        Shape of ``signal``.
    """
    n_amp, height, width = signal.shape
    total = np.empty(width, dtype=np.float32)
    for y in range(height):
        for t in range(n_amp):
            for x in range(width):
                total[x] = signal[t, y, x] + np.float32(read_noise[t]) * noise[t, y, x]
            for s in range(n_amp):
                c = np.float32(crosstalk[s, t])
                c2 = np.float32(quadratic[s, t])
                if c != 0.0 or c2 != 0.0:
                    for x in range(width):
                        q = signal[s, y, x]
                        total[x] += q * (c + c2 * q)
            inverse = np.float32(1.0 / gain[t])
            level = rows[t, y]
            glow = glow_rows[t, y]
            for x in range(width):
                adu = total[x] * inverse + level + columns[t, x] + glow * glow_columns[t, x]
                out[t, y, x] = min(max(math.floor(adu + 0.5), 0), ADC_MAX)
