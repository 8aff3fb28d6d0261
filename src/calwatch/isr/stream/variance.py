"""The variance of an exposure, made only when somebody asks for it.

It costs as much memory as the image, and most exposures need it at a few pixels or as a mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray
from calwatch.calibrations.model import ImageCalibration
from calwatch.camera.model import Detector
from calwatch.isr.corrections import NO_DATA_VARIANCE
from calwatch.isr.interpolation import Replaced
from calwatch.isr.stream.output import read_only, unused_image
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

        The formulae are those of `calwatch.isr.corrections`. The image before the flat is the
        product of the image and the flat, to float32 rounding.
        """
        before = self._before_interpolation(image)
        variance = np.empty_like(image)
        planes = {calibration.calib_type: calibration for calibration, _ in self.subtracted}
        factors = {calibration.calib_type: factor**2 for calibration, factor in self.subtracted}
        unused = np.zeros(len(self.raw))
        flat, noise = self.flat, self.read_noise
        for k, amp in enumerate(self.detector.amplifiers):
            _fill_amplifier(
                read_only(before),
                variance,
                np.array([amp.bbox.x0, amp.bbox.x1, amp.bbox.y0, amp.bbox.y1]),
                float(self.raw[k]),
                float(noise[k] ** 2) if noise is not None else 0.0,
                noise is not None,
                _plane(planes.get("bias")),
                _plane(planes.get("dark")),
                float(factors.get("bias", unused)[k]),
                float(factors.get("dark", unused)[k]),
                read_only(flat.image) if flat is not None else unused_image(),
                _plane(flat),
            )
        variance.reshape(-1)[self.without_data] = NO_DATA_VARIANCE
        return variance

    def _before_interpolation(self, image: FloatArray) -> FloatArray:
        if self.replaced is None or not self.replaced.values.size:
            return image
        before = image.copy()
        before[self.replaced.places[:, 0], self.replaced.places[:, 1]] = self.replaced.values
        return before


def _plane(calibration: ImageCalibration | None) -> FloatArray:
    return read_only(calibration.variance) if calibration is not None else unused_image()


@njit(cache=True, nogil=True)
def _fill_amplifier(
    image: FloatArray,
    variance: FloatArray,
    box: IndexArray,
    raw: float,
    noise: float,
    with_noise: bool,
    bias: FloatArray,
    dark: FloatArray,
    bias_factor: float,
    dark_factor: float,
    flat: FloatArray,
    flat_variance: FloatArray,
) -> None:
    """Fill in one amplifier; `box` is (x0, x1, y0, y1), planes that are not used are empty."""
    x0, x1, y0, y1 = box
    for y in range(y0, y1):
        pixels, row = image[y, x0:x1], variance[y, x0:x1]
        row[:] = np.float32(raw)
        if bias.size:
            _add_scaled(row, bias[y, x0:x1], bias_factor)
        if dark.size:
            _add_scaled(row, dark[y, x0:x1], dark_factor)
        if with_noise:
            if flat.size:
                _add_product(row, pixels, flat[y, x0:x1])
            else:
                _add_scaled(row, pixels, 1.0)
            row += np.float32(noise)
        if flat.size:
            _divide(row, pixels, flat[y, x0:x1], flat_variance[y, x0:x1])


@njit(cache=True, nogil=True)
def _add_scaled(row: FloatArray, plane: FloatArray, factor: float) -> None:
    scale = np.float32(factor)
    for x in range(row.size):
        row[x] += plane[x] * scale


@njit(cache=True, nogil=True)
def _add_product(row: FloatArray, pixels: FloatArray, flat: FloatArray) -> None:
    for x in range(row.size):
        row[x] += pixels[x] * flat[x]


@njit(cache=True, nogil=True)
def _divide(row: FloatArray, pixels: FloatArray, flat: FloatArray, variance: FloatArray) -> None:
    """Make it the variance of the quotient ``pixels``: ``(v + q²·var(f))/f²``."""
    for x in range(row.size):
        value = row[x] + pixels[x] * pixels[x] * variance[x]
        row[x] = np.divide(value, flat[x] * flat[x])
