"""What is asked of the good pixels of a corrected detector, and the plain answer to it."""

from __future__ import annotations

from typing import Protocol

from calwatch.arrays import BoolArray, FloatArray, IntArray, MaskArray
from calwatch.camera.model import Detector
from calwatch.isr import clipped, cosmic_rays
from calwatch.isr.model import IsrResult
from calwatch.verify.statistics import (
    AmpStatistics,
    amp_statistics,
    corner_box,
    good_pixels,
    select,
)


class GoodPixels(Protocol):
    """The good pixels of every amplifier of one frame; `k` counts in camera order."""

    def statistics(self, k: int) -> AmpStatistics:
        """Return the statistics of one amplifier."""

    def corner_mean(self, k: int) -> float:
        """Return AMP_CORNER (see `calwatch.verify.statistics.corner_box`)."""

    def mean_of_certified(self, plane: FloatArray, k: int) -> float:
        """Return the mean of a plane of a calibration over the good pixels; NaN of none."""

    def mean_variances(self, isr: IsrResult) -> list[float]:
        """Return the mean of the ISR's variance over the good pixels of each amplifier."""

    def background(self) -> float:
        """Return the median of all finite pixels of the detector, masked or not (0 of none)."""

    def deviations_with(self, pixels: IntArray, values: FloatArray) -> list[float]:
        """Return STDEV of each amplifier if pixels (y, x), shape (n, 2), had other values."""


class PlainPixels:
    """Plain numpy: the definition that the fast engine is held to."""

    def __init__(self, image: FloatArray, mask: MaskArray, detector: Detector) -> None:
        self._image = image
        self._boxes = [amp.bbox for amp in detector.amplifiers]
        self._good: list[BoolArray] = [good_pixels(image, mask, box) for box in self._boxes]

    def statistics(self, k: int) -> AmpStatistics:
        """Return the statistics of one amplifier."""
        return amp_statistics(self._image, self._good[k], self._boxes[k])

    def corner_mean(self, k: int) -> float:
        """Return AMP_CORNER."""
        corner = corner_box(self._boxes[k])
        good = self._good[k][: corner.height, : corner.width]
        return clipped.plain_mean(select(self._image, good, corner))

    def mean_of_certified(self, plane: FloatArray, k: int) -> float:
        """Return the mean of a plane of a calibration over the good pixels."""
        return clipped.plain_mean(select(plane, self._good[k], self._boxes[k]))

    def mean_variances(self, isr: IsrResult) -> list[float]:
        """Return the mean of the ISR's variance over the good pixels of each amplifier."""
        return [self.mean_of_certified(isr.variance, k) for k in range(len(self._boxes))]

    def background(self) -> float:
        """Return the median of all finite pixels of the detector."""
        return cosmic_rays.background_of(self._image)

    def deviations_with(self, pixels: IntArray, values: FloatArray) -> list[float]:
        """Return STDEV of each amplifier if some pixels had other values."""
        image = self._image.copy()
        image[pixels[:, 0], pixels[:, 1]] = values
        chosen = (select(image, *pair) for pair in zip(self._good, self._boxes, strict=True))
        return [clipped.plain_statistics(amp)[1] for amp in chosen]
