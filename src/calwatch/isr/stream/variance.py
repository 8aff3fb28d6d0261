"""What the variance of a streamed exposure follows from (see `calwatch.isr.variance_terms`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calwatch.arrays import DoubleArray, FloatArray, IndexArray
from calwatch.calibrations.model import ImageCalibration
from calwatch.camera.model import Detector
from calwatch.isr.corrections import NO_DATA_VARIANCE
from calwatch.isr.interpolation import Replaced
from calwatch.isr.remembered import Remembered
from calwatch.isr.stream.output import read_only, unused_image
from calwatch.isr.variance_terms import VarianceTerms, fill_box


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
        """Return the variance of the corrected image, shape (height, width)."""
        variance, terms = np.empty_like(image), self.terms(image)
        for amp in self.detector.amplifiers:
            box = amp.bbox
            fill_box(terms, box.y0, box.height, box.x0, box.width, variance)
        variance.reshape(-1)[self.without_data] = NO_DATA_VARIANCE
        return variance

    def terms(self, image: FloatArray) -> VarianceTerms:
        """Return what the variance of the corrected image is the sum of.

        It knows nothing of pixels without data, which nobody asks for one by one.
        """
        n_amp, flat, noise = len(self.raw), self.flat, self.read_noise
        planes, factors = {}, {}
        for calibration, factor in self.subtracted:
            planes[calibration.calib_type] = read_only(calibration.variance)
            factors[calibration.calib_type] = (factor**2).astype(np.float32)
        unused = unused_image()
        band, amplifier = _amplifiers(self.detector)
        of_row, x, values = self._replaced(image.shape)
        return VarianceTerms(
            band=band,
            amplifier=amplifier,
            raw=self.raw.astype(np.float32),
            noise=np.zeros(n_amp, np.float32) if noise is None else (noise**2).astype(np.float32),
            with_noise=noise is not None,
            image=read_only(image),
            replaced_of_row=of_row,
            replaced_x=x,
            replaced=values,
            bias=planes.get("bias", unused),
            dark=planes.get("dark", unused),
            bias_factor=factors.get("bias", np.zeros(n_amp, np.float32)),
            dark_factor=factors.get("dark", np.zeros(n_amp, np.float32)),
            flat=read_only(flat.image) if flat is not None else unused,
            flat_variance=read_only(flat.variance) if flat is not None else unused,
            least=read_only(self._least()[amplifier]),
            least_of_row=band,
        )

    def _replaced(self, shape: tuple[int, ...]) -> tuple[IndexArray, IndexArray, FloatArray]:
        """Return the first of each row, the columns and the former values of replaced pixels."""
        if self.replaced is None:
            return np.zeros(shape[0] + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
        y, x = self.replaced.places[:, 0], self.replaced.places[:, 1]
        of_row = np.searchsorted(y, np.arange(shape[0] + 1)).astype(np.int64)
        return of_row, x.astype(np.int64), np.ascontiguousarray(self.replaced.values)

    def _least(self) -> FloatArray:
        """Return what the variance is at least on each amplifier, less the image itself.

        Nothing is said where there is a flat.
        """
        if self.flat is not None:
            return np.full(len(self.raw), -np.inf, np.float32)
        least = np.array(self.raw, np.float64)
        if self.read_noise is not None:
            least += self.read_noise**2
        for calibration, factor in self.subtracted:
            boxes = [amp.bbox for amp in self.detector.amplifiers]
            least += factor**2 * [_smallest(calibration.variance, box) for box in boxes]
        return least.astype(np.float32)


_smallest = Remembered(
    lambda plane, box: float(np.fmin.reduce(plane[box.slices], axis=None, initial=np.inf))
)


def _amplifiers(detector: Detector) -> tuple[IndexArray, IndexArray]:
    """Return the band of each row and the amplifier of each column of each band."""
    boxes = [amp.bbox for amp in detector.amplifiers]
    edges = np.unique([y for box in boxes for y in (box.y0, box.y0 + box.height)])
    band = np.searchsorted(edges, np.arange(detector.height), "right") - 1
    amplifier = np.zeros((edges.size - 1, detector.width), np.int64)
    for k, box in enumerate(boxes):
        first, last = np.searchsorted(edges, (box.y0, box.y0 + box.height))
        amplifier[first:last, box.x0 : box.x0 + box.width] = k
    return band.astype(np.int64), amplifier
