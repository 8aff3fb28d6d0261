"""The good pixels of a detector measured in one pass (see `calwatch.verify.pixel_kernels`)."""

from __future__ import annotations

import math

import numpy as np

from calwatch.arrays import BoolArray, FloatArray, IntArray, MaskArray
from calwatch.calibrations.masks import EXCLUDED
from calwatch.camera.model import Box, Detector
from calwatch.isr import clipped, cosmic_rays
from calwatch.isr.model import IsrResult
from calwatch.isr.ranks import count_between, ranges_around, values_at_ranks, within
from calwatch.isr.remembered import Remembered
from calwatch.verify.pixel_kernels import (
    QUARTILES,
    Expected,
    mean_by_rows,
    mean_of_good,
    mean_variances,
    measure_amplifiers,
    row_sums,
    sample_amplifier,
)
from calwatch.verify.statistics import (
    CLIP_PASSES,
    CLIP_SIGMA,
    AmpStatistics,
    amp_statistics,
    corner_box,
    good_pixels,
    select,
)
from calwatch.verify.variance import terms_of_variance

CORE_SIGMA = 4.2
"""Half width of the core. It must stay inside the clipping limits, and few pixels outside it."""
FRACTIONS = np.array([0.25, 0.5, 0.75])
MARGIN = 0.012
"""Of the ranges of the quartiles: over four deviations of the rank of 32,000 sampled pixels."""
POOLED_MARGIN = 0.005
"""The same for the median of the whole detector, which has many more sampled pixels."""
_EXCLUDED = int(EXCLUDED)
_MOST_REMOVED = 1e8
"""Replaced pixels may hold so many times the sum of squares of the others."""
_MOST_CANCELLED = 1e3
"""The sum of squares about the expected centre may be so many times that about the mean."""


class FastPixels:
    """What `calwatch.verify.good_pixels.PlainPixels` answers, from sums of one pass.

    Counts, median and extremes are the same, sums agree to float64 rounding. Where the sample
    expected the pixels to lie elsewhere than they do, the plain functions answer.
    """

    def __init__(self, image: FloatArray, mask: MaskArray, detector: Detector) -> None:
        self._image, self._mask = image, mask
        self._boxes = [amp.bbox for amp in detector.amplifiers]
        self._places = np.array([_place(box) for box in self._boxes], np.int32)
        samples = [sample_amplifier(image, place) for place in self._places]
        self._pooled = _pooled_range(samples)
        self._expected = [_expected(sample, self._pooled) for sample in samples]
        self._found = measure_amplifiers(image, mask, self._places, _EXCLUDED, self._expected)

    def statistics(self, k: int) -> AmpStatistics:
        """Return the statistics of one amplifier."""
        n = self._found[k].n_good
        total, squares = self._sums(k)
        if n == 0 or _is_far_off(total, squares, n):
            return amp_statistics(self._image, self._good(k), self._boxes[k])
        quartiles = self._quartiles(k)
        noise, n_kept = self._clipped(k, quartiles)
        low, high = self._extremes(k)
        return AmpStatistics(
            mean=self._expected[k].centre + total / n,
            stdev=_deviation(total, squares, n),
            median=quartiles[1],
            noise=noise,
            n_good=n,
            n_masked=self._boxes[k].area - n,
            n_clipped=n - n_kept,
            minimum=low,
            maximum=high,
        )

    def corner_mean(self, k: int) -> float:
        """Return AMP_CORNER."""
        corner = np.array(_place(corner_box(self._boxes[k])), np.int32)
        return mean_of_good(self._image, self._image, self._mask, corner, _EXCLUDED)

    def mean_of_certified(self, plane: FloatArray, k: int) -> float:
        """Return the mean of a plane of a calibration over the good pixels."""
        return mean_by_rows(
            plane, self._image, self._mask, self._places[k], _EXCLUDED,
            self._found[k].good_in_row, _row_sums(plane, self._boxes[k]),
        )  # fmt: skip

    def mean_variances(self, isr: IsrResult) -> list[float]:
        """Return the mean of the ISR's variance over the good pixels of each amplifier."""
        terms = terms_of_variance(isr)
        good_in_row = np.array([found.good_in_row for found in self._found])
        means: list[float] = mean_variances(
            terms, self._image, self._mask, self._places, _EXCLUDED, good_in_row
        ).tolist()
        return means

    def background(self) -> float:
        """Return the median of all finite pixels of the detector."""
        n = sum(found.n_good + found.masked.size for found in self._found)
        if sum(box.area for box in self._boxes) != self._image.size or n == 0:
            return cosmic_rays.background_of(self._image)
        low, high = self._pooled.tolist()
        below, inside = 0, []
        for found, expected in zip(self._found, self._expected, strict=True):
            below += int(found.below[1])
            below += count_between(found.near, float(expected.ranges[1, 0]), low)
            below += count_between(found.masked, -math.inf, low)
            inside += [within(found.near, low, high), within(found.masked, low, high)]
        first, last = (n - 1) // 2 - below, n // 2 - below
        a, b, known = values_at_ranks(np.concatenate(inside), low, high, first, last)
        return (a + b) / 2 if known else cosmic_rays.background_of(self._image)

    def deviations_with(self, pixels: IntArray, values: FloatArray) -> list[float]:
        """Return STDEV of each amplifier if some pixels had other values."""
        return [self._deviation_with(k, pixels, values) for k in range(len(self._boxes))]

    def _deviation_with(self, k: int, pixels: IntArray, values: FloatArray) -> float:
        """Exchange the replaced pixels in the sums that are known."""
        box, n = self._boxes[k], self._found[k].n_good
        y, x = pixels[:, 0], pixels[:, 1]
        inside = (y >= box.y0) & (y < box.y0 + box.height)
        inside &= (x >= box.x0) & (x < box.x0 + box.width)
        y, x, values = y[inside], x[inside], values[inside]
        old = self._image[y, x]
        good = np.isfinite(old) & ((self._mask[y, x] & _EXCLUDED) == 0)
        centre = np.float64(self._expected[k].centre)  # float32 would round the offsets
        removed, added = old[good] - centre, values[good] - centre
        total, squares = self._sums(k)
        total += float(added.sum() - removed.sum())
        squares += float(added @ added - removed @ removed)
        if removed @ removed > _MOST_REMOVED * squares or _is_far_off(total, squares, n):
            part = self._image[box.slices].copy()
            part[y - box.y0, x - box.x0] = values
            return clipped.plain_statistics(part[self._good(k)])[1]
        return _deviation(total, squares, n)

    def _sums(self, k: int) -> tuple[float, float]:
        """Return Σ(x − centre) and Σ(x − centre)² of all good pixels."""
        found = self._found[k]
        offsets = found.tail.astype(np.float64) - self._expected[k].centre
        return found.total + float(offsets.sum()), found.squares + float(offsets @ offsets)

    def _good(self, k: int) -> BoolArray:
        return good_pixels(self._image, self._mask, self._boxes[k])

    def _values(self, k: int) -> FloatArray:
        return select(self._image, self._good(k), self._boxes[k])

    def _extremes(self, k: int) -> tuple[float, float]:
        """Return minimum and maximum: of the tail if it lies on both sides of the core."""
        tail = self._found[k].tail
        if not (tail.size and tail.min() < self._expected[k].centre < tail.max()):
            tail = self._values(k)
        return float(tail.min()), float(tail.max())

    def _quartiles(self, k: int) -> tuple[float, float, float]:
        """Return the quartiles as `calwatch.isr.clipped.quartiles` defines them."""
        found, n = self._found[k], self._found[k].n_good
        quartiles = []
        for q, fraction in enumerate(FRACTIONS.tolist()):
            low, high = self._expected[k].ranges[q].tolist()
            first = int(fraction * (n - 1))
            last = min(first + 1, n - 1)
            below = int(found.below[q])
            a, b, known = values_at_ranks(found.near, low, high, first - below, last - below)
            if not known:
                return clipped.quartiles(self._values(k))
            quartiles.append(clipped.at_fraction(fraction, n, a, b))
        q25, median, q75 = quartiles
        return q25, median, q75

    def _clipped(self, k: int, quartiles: tuple[float, float, float]) -> tuple[float, int]:
        """Return STDEVCLIP and the number kept, as `calwatch.isr.clipped` defines them.

        As long as the limits lie outside the core, only the tail has to be looked at.
        """
        found, expected = self._found[k], self._expected[k]
        tail = found.tail.astype(np.float64)
        q25, centre, q75 = quartiles
        limit = CLIP_SIGMA * clipped.IQR_TO_SIGMA * (q75 - q25)
        stdev, n_kept = math.nan, 0
        for _ in range(CLIP_PASSES):
            if found.n_core and not abs(centre - expected.centre) + expected.reach <= limit:
                kept = clipped.clipped_statistics(self._values(k), CLIP_SIGMA, CLIP_PASSES)
                return kept.stdev, kept.n_kept
            offsets = tail[np.abs(tail - centre) <= limit] - expected.centre
            n_kept = found.n_core + offsets.size
            total = found.total + float(offsets.sum())
            squares = found.squares + float(offsets @ offsets)
            centre = expected.centre + total / n_kept if n_kept else math.nan
            stdev = _deviation(total, squares, n_kept)
            limit = CLIP_SIGMA * stdev
        return stdev, n_kept


def _place(box: Box) -> tuple[int, int, int, int]:
    return box.y0, box.height, box.x0, box.width


def _deviation(total: float, squares: float, n: int) -> float:
    """Return the standard deviation (N−1) from sums about any centre near the mean."""
    return math.sqrt(max(squares - total * total / n, 0.0) / (n - 1)) if n > 1 else math.nan


def _is_far_off(total: float, squares: float, n: int) -> bool:
    """Tell whether the sums were taken so far from the mean that their digits cancel."""
    return squares - total * total / n < squares / _MOST_CANCELLED if n else False


def _pooled_range(samples: list[FloatArray]) -> FloatArray:
    """Return where the median of all finite pixels is expected."""
    pooled = np.concatenate(samples)
    if not pooled.size:
        return np.array([np.inf, -np.inf], np.float32)
    pooled_range: FloatArray = ranges_around(pooled, FRACTIONS[1:2], POOLED_MARGIN)[0]
    return pooled_range


def _expected(sample: FloatArray, pooled: FloatArray) -> Expected:
    """Expect the pixels where those of the sample lie; the second range also holds `pooled`."""
    if not sample.size:
        return Expected(0.0, -1.0, np.array([pooled] * QUARTILES, np.float32))
    ranges = ranges_around(sample, FRACTIONS, MARGIN)
    q25, centre, q75 = ranges.mean(axis=1, dtype=np.float64).tolist()
    ranges[1] = min(ranges[1, 0], pooled[0]), max(ranges[1, 1], pooled[1])
    return Expected(centre, CORE_SIGMA * clipped.IQR_TO_SIGMA * (q75 - q25), ranges)


_row_sums = Remembered(lambda plane, box: row_sums(plane, np.array(_place(box), np.int32)))
