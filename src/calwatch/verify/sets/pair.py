"""Mean and variance of a pair of flats in one amplifier (cp_pipe ``cpPtcExtract.py``).

``D = (μ2·I1 − μ1·I2)/μ`` takes out the fixed pattern and a difference in light. Half its clipped
variance is the variance of one frame. For two lights that differ by δ·μ it is too low by δ²/4:
six in a hundred thousand for a lamp that drifted by 1.5 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calwatch.arrays import AnyArray, BoolArray, FloatArray
from calwatch.camera.model import Box
from calwatch.isr.clipped import Clipped, clipped_statistics

PAIR_SIGMA = 5.5
PAIR_PASSES = 3
"""Clipping of a flat pair (cp_pipe ``cpPtcExtract.py``)."""
EDGE = 20
"""Pixels at every edge of an amplifier that are suspect (cp_pipe ``numEdgeSuspect``, level AMP)."""
MAX_IMBALANCE = 0.05
IMBALANCE_SIGMA = 5.0
"""Halves that differ by more of their mean, and by so many errors more, are no pair: the lamp was
not the same."""
TURNOFF_SLACK = 0.01
"""So far above the certified turnoff a pair is still judged: it is the mean of the last pair on the
curve, and the same light is above it every other day."""
LEAST_ROW = 0.5
"""A row of which fewer pixels are good has no mean."""


def truncation_factor(n_sigma: float) -> float:
    """Return by what the variance of a Gaussian cut at ±n σ must be multiplied to be whole again.

    The cut one has ``1 − 2·n·φ(n)/(2·Φ(n) − 1)`` of it; at 5.5σ 1.2e-6 is lost.
    """
    density = math.exp(-0.5 * n_sigma * n_sigma) / math.sqrt(2.0 * math.pi)
    kept = math.erf(n_sigma / math.sqrt(2.0))
    return 1.0 / (1.0 - 2.0 * n_sigma * density / kept)


_TRUNCATION = truncation_factor(PAIR_SIGMA)


@dataclass(frozen=True, slots=True)
class PairPoint:
    """One point of a photon-transfer curve, from two flats of equal exposure."""

    mean: float
    """ADU."""
    variance: float
    """ADU²: of one frame."""
    n_pixels: int


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """What two flats of equal exposure say of one amplifier; NaN where there is too little."""

    mean_1: float
    mean_2: float
    """ADU, clipped."""
    variance: float
    """ADU²: of one frame, for the truncation corrected; 0 if either half is constant."""
    n_pixels: int
    """Pixels left by the clipping of the difference."""
    constant: float
    """ADU: mean of D²/(I1 + I2), of which the inverse is the gain but for the read noise."""
    row_mean_variance: float
    """ADU²: clipped variance of the row means of D (of two frames, as cp_pipe has it)."""
    difference: FloatArray
    """D less its mean, ADU; 0 where `kept` is not. Shape of the box."""
    kept: BoolArray
    """Which pixels are good in both frames and left by the clipping. Shape of the box."""

    @property
    def mean(self) -> float:
        """Mean of both, ADU."""
        return 0.5 * (self.mean_1 + self.mean_2)


def inner_box(box: Box) -> Box:
    """Return an amplifier without its suspect edges; of a small one a tenth is left out."""
    edge = min(EDGE, box.width // 10, box.height // 10)
    return Box(box.x0 + edge, box.y0 + edge, box.width - 2 * edge, box.height - 2 * edge)


def pair_point(first: FloatArray, second: FloatArray) -> PairPoint:
    """Return mean and variance of a pair of flats.

    Parameters
    ----------
    first, second
        1-D, ADU: the same good pixels of one amplifier in both flats.
    """
    if first.size < 2:
        return PairPoint(np.nan, np.nan, 0)
    mean_1, mean_2 = _clip(first).mean, _clip(second).mean
    mean = 0.5 * (mean_1 + mean_2)
    if not mean > 0:
        return PairPoint(mean, np.nan, first.size)
    clipped = _clip(_difference(first, second, mean_1, mean_2))
    return PairPoint(mean, _variance(clipped), clipped.n_kept)


def measure_pair(first: FloatArray, second: FloatArray, good: BoolArray) -> Pair:
    """Measure one amplifier in a pair of flats.

    The constant is taken over the pixels that the clipping of D leaves, so that a cosmic ray does
    not make it; cp_pipe takes all good ones, and (I1 − I2)² in place of D².

    Parameters
    ----------
    first, second
        Shape (rows, columns), ADU: the same box in both flats.
    good
        Same shape: which pixels can be used in both.
    """
    everything = bool(good.all())
    pixels_1, pixels_2 = (f.ravel() if everything else f[good] for f in (first, second))
    if pixels_1.size < 2:
        return _nothing(np.nan, np.nan, good)
    halves = _clip(pixels_1), _clip(pixels_2)
    mean_1, mean_2 = halves[0].mean, halves[1].mean
    if not mean_1 + mean_2 > 0:
        return _nothing(mean_1, mean_2, good)
    # Of a half that stands still the difference has the noise of the other alone.
    noisy = halves[0].stdev > 0 and halves[1].stdev > 0
    difference = _difference(pixels_1, pixels_2, mean_1, mean_2)
    clipped = _clip(difference)
    if not clipped.n_kept > 1:
        return _nothing(mean_1, mean_2, good)
    difference -= np.float32(clipped.mean)
    inside = np.abs(difference) <= np.float32(PAIR_SIGMA * clipped.stdev)
    constant = _constant(difference, pixels_1 + pixels_2, inside)
    difference *= inside
    if everything:
        plane, kept = difference.reshape(good.shape), inside.reshape(good.shape)
    else:
        plane, kept = np.zeros(good.shape, np.float32), np.zeros(good.shape, np.bool_)
        plane[good], kept[good] = difference, inside
    return Pair(
        mean_1,
        mean_2,
        _variance(clipped) if noisy else 0.0,
        clipped.n_kept,
        constant,
        _row_mean_variance(plane, kept),
        plane,
        kept,
    )


def _nothing(mean_1: float, mean_2: float, good: BoolArray) -> Pair:
    empty = np.zeros(good.shape, np.float32)
    none = np.zeros(good.shape, np.bool_)
    return Pair(mean_1, mean_2, np.nan, 0, np.nan, np.nan, empty, none)


def _clip(pixels: AnyArray) -> Clipped:
    return clipped_statistics(pixels, PAIR_SIGMA, PAIR_PASSES)


def _variance(clipped: Clipped) -> float:
    return 0.5 * clipped.stdev**2 * _TRUNCATION


def _difference(first: FloatArray, second: FloatArray, mean_1: float, mean_2: float) -> FloatArray:
    """Return D in the type of the input: its rounding is a thousandth of the read noise."""
    mean = 0.5 * (mean_1 + mean_2)
    difference: FloatArray = first * first.dtype.type(mean_2 / mean)
    difference -= second * second.dtype.type(mean_1 / mean)
    return difference


def _constant(difference: FloatArray, total: FloatArray, inside: BoolArray) -> float:
    """Return the mean of D²/(I1 + I2) over the pixels inside that have a signal at all."""
    used = inside & (total > 0)
    ratio: AnyArray = np.square(difference)
    ratio = np.divide(ratio, total, out=np.zeros_like(ratio), where=used)
    count = int(np.count_nonzero(used))
    return float(ratio.sum(dtype=np.float64) / count) if count else math.nan


def _row_mean_variance(plane: FloatArray, kept: BoolArray) -> float:
    counts = np.count_nonzero(kept, axis=1)
    rows = counts >= max(LEAST_ROW * kept.shape[1], 1)
    if np.count_nonzero(rows) < 2:
        return math.nan
    means = plane.sum(axis=1, dtype=np.float64)[rows] / counts[rows]
    return float(_clip(means).stdev ** 2)
