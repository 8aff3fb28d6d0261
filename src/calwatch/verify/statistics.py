"""Per-amplifier statistics of one corrected detector, as cp_verify takes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, FloatArray, MaskArray
from calwatch.calibrations.masks import EXCLUDED
from calwatch.camera.model import Amplifier, Box
from calwatch.isr.clipped import clipped_statistics, plain_statistics

CLIP_SIGMA = 5.0
"""cp_verify ``verifyStats.py``: numSigmaClip."""
CLIP_PASSES = 3
"""cp_verify ``verifyStats.py``: clipMaxIter."""
CORNER_SIZE = 200
"""cp_verify ``verifyBias.py``: ampCornerBoxSize, pixels."""
OVERSCAN_EDGE = 6
"""Columns or rows of an overscan that are not used: 3 at either end (ip_isr ``overscan.py``)."""


@dataclass(frozen=True, slots=True)
class AmpStatistics:
    """Statistics of the good pixels of one box; NaN where there are too few."""

    mean: float
    """MEAN, not clipped."""
    stdev: float
    """STDEV, N−1, not clipped."""
    median: float
    noise: float
    """STDEVCLIP, 5σ in 3 passes."""
    n_good: int
    n_masked: int
    n_clipped: int
    minimum: float
    maximum: float


def good_pixels(image: FloatArray, mask: MaskArray, box: Box) -> BoolArray:
    """Return which pixels of a box enter statistics: finite, and not DETECTED, BAD or NO_DATA."""
    good: BoolArray = np.isfinite(image[box.slices])
    good &= (mask[box.slices] & int(EXCLUDED)) == 0
    return good


def amp_statistics(image: FloatArray, good: BoolArray, box: Box) -> AmpStatistics:
    """Return the statistics of one amplifier (cp_verify ``verifyStats.py``, afw ``Statistics``).

    Parameters
    ----------
    image
        Shape (height, width), of the whole detector.
    good
        Shape of the box, from `good_pixels`.
    box
        The amplifier's place in the assembled detector.
    """
    values = select(image, good, box)
    mean, stdev, n_good = plain_statistics(values)
    kept = clipped_statistics(values, CLIP_SIGMA, CLIP_PASSES)
    return AmpStatistics(
        mean=mean,
        stdev=stdev,
        median=kept.median,
        noise=kept.stdev,
        n_good=n_good,
        n_masked=good.size - n_good,
        n_clipped=n_good - kept.n_kept,
        minimum=float(values.min()) if n_good else math.nan,
        maximum=float(values.max()) if n_good else math.nan,
    )


def select(image: FloatArray, good: BoolArray, box: Box) -> FloatArray:
    """Return the good pixels of a box as a vector, in raster order."""
    part = image[box.slices]
    return part.ravel() if good.all() else part[good]


def corner_box(box: Box) -> Box:
    """Return where AMP_CORNER is averaged: 200×200 pixels at the box's lower left.

    cp_verify ``verifyBias.py`` means the readout corner, but takes this one, because the flips of
    an assembled detector are reset. A smaller amplifier is taken whole.
    """
    return Box(box.x0, box.y0, min(CORNER_SIZE, box.width), min(CORNER_SIZE, box.height))


def mean_error(
    stdev: float, n_good: int, read_noise: float, amp: Amplifier, parallel_applied: bool
) -> float:
    """Return the statistical error of an amplifier's MEAN, e-.

    Each row has had the median of its n_s serial overscan pixels subtracted, each column the
    median of its n_p parallel ones. A median of n Gaussian values has the variance π/2·σ²/n. The
    rows are independent, and so are the columns, except that all columns use the same n_p rows,
    whose own levels are known only from n_s pixels each: that last term is the largest.

        STDEV²/N + π/2·RN²·(1/(n_s·n_y) + 1/(n_p·n_x) + 1/(n_s·n_p))

    Parameters
    ----------
    stdev
        e-, plain deviation of the good pixels.
    n_good
        Good pixels.
    read_noise
        e-, of one overscan pixel.
    amp
        Gives the sizes of data and overscans.
    parallel_applied
        Whether the parallel overscan was subtracted.
    """
    if n_good < 1:
        return math.nan
    n_serial = max(amp.serial_overscan.width - OVERSCAN_EDGE, 0)
    n_parallel = max(amp.parallel_overscan.height - OVERSCAN_EDGE, 0) if parallel_applied else 0
    level = 0.0
    if n_serial:
        level += 1 / (n_serial * amp.data.height)
    if n_parallel:
        level += 1 / (n_parallel * amp.data.width)
    if n_serial and n_parallel:
        level += 1 / (n_serial * n_parallel)
    return math.sqrt(stdev * stdev / n_good + math.pi / 2 * read_noise * read_noise * level)
