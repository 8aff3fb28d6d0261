"""The variance of an exposure, made only when somebody asks for it.

It costs as much memory as the image, and most exposures need it at a few pixels or as a mean.
"""

from __future__ import annotations

from dataclasses import dataclass

from calwatch.arrays import DoubleArray, FloatArray
from calwatch.calibrations.model import ImageCalibration
from calwatch.camera.model import Detector
from calwatch.isr.assembly import fill_amplifiers
from calwatch.isr.corrections import (
    NO_DATA_VARIANCE,
    add_noise_variance,
    add_scaled_variance,
    divide_variance,
)
from calwatch.isr.interpolation import Replaced
from calwatch.isr.stream.plan import IndexArray


@dataclass(frozen=True, slots=True, eq=False)
class VarianceParts:
    """Everything the variance of a corrected image follows from."""

    detector: Detector
    raw: DoubleArray
    """Shape (n_amp,), units² of the image: of a count and its dither."""
    read_noise: DoubleArray | None
    """Shape (n_amp,), e-; None if photon and read noise are not to be added."""
    subtracted: tuple[tuple[ImageCalibration, DoubleArray], ...]
    """Bias and dark, with what each was multiplied by on every amplifier."""
    flat: ImageCalibration | None
    without_data: IndexArray
    """Indices of the flattened image where the flat has no data."""
    replaced: Replaced | None
    """Pixels that were interpolated after the flat."""

    def of(self, image: FloatArray) -> FloatArray:
        """Return the variance of the corrected image, shape (height, width).

        The steps are those of `calwatch.isr.corrections`. The image before the flat is the product
        of the image and the flat, to float32 rounding.
        """
        variance = fill_amplifiers(self.raw, self.detector)
        for calibration, factor in self.subtracted:
            add_scaled_variance(variance, calibration, factor, self.detector)
        image = self._before_interpolation(image)
        if self.read_noise is not None:
            before = image if self.flat is None else image * self.flat.image
            add_noise_variance(before, variance, self.read_noise, self.detector, out=variance)
        if self.flat is not None:
            divide_variance(variance, image, self.flat, slice(None))
            variance.reshape(-1)[self.without_data] = NO_DATA_VARIANCE
        return variance

    def _before_interpolation(self, image: FloatArray) -> FloatArray:
        if self.replaced is None or not self.replaced.values.size:
            return image
        before = image.copy()
        before[self.replaced.places[:, 0], self.replaced.places[:, 1]] = self.replaced.values
        return before
