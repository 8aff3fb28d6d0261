"""Pixel maps of a simulated detector: response to light, and dark current."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calwatch.arrays import DoubleArray, FloatArray
from calwatch.camera.model import Amplifier, Detector
from calwatch.simulate.truth import AmpTruth, DetectorTruth

_PRNU_STREAM = 2


@dataclass(frozen=True, slots=True, eq=False)
class PixelMaps:
    """Maps over the imaging pixels of each amplifier in readout order.

    Each is a tuple over amplifiers in camera order, with arrays of shape (rows, columns).
    """

    response: tuple[FloatArray, ...]
    """Relative response to the flat lamp, 1 at the centre: PRNU × vignetting × bad columns."""
    dark_rate: tuple[FloatArray, ...]
    """e-/s."""


def make_maps(detector: Detector, truth: DetectorTruth) -> PixelMaps:
    """Make the pixel maps of one detector; a function of its truth alone."""
    response = []
    dark_rate = []
    for index, amp in enumerate(detector.amplifiers):
        amp_truth = truth.amps[amp.name]
        rng = np.random.Generator(
            np.random.SFC64([truth.seed, detector.number, index, _PRNU_STREAM])
        )
        response.append(_response(detector, amp, truth, amp_truth, rng))
        dark_rate.append(_dark_rate(amp, amp_truth))
    return PixelMaps(response=tuple(response), dark_rate=tuple(dark_rate))


def illumination(detector: Detector, amp: Amplifier, vignetting: float) -> DoubleArray:
    """Light falling on each imaging pixel, in readout order, relative to the centre.

    It falls with the square of the distance from the centre, by ``vignetting`` in the corners.
    """
    y = amp.bbox.y0 + np.arange(amp.bbox.height)
    x = amp.bbox.x0 + np.arange(amp.bbox.width)
    y = y[::-1] if amp.flip_y else y
    x = x[::-1] if amp.flip_x else x
    v = (y - (detector.height - 1) / 2) / (detector.height / 2)
    u = (x - (detector.width - 1) / 2) / (detector.width / 2)
    result: DoubleArray = 1.0 - vignetting * (v[:, None] ** 2 + u[None, :] ** 2) / 2.0
    return result


def _response(
    detector: Detector,
    amp: Amplifier,
    truth: DetectorTruth,
    amp_truth: AmpTruth,
    rng: np.random.Generator,
) -> FloatArray:
    shape = (amp.data.height, amp.data.width)
    pixels = rng.standard_normal(shape, dtype=np.float32)
    pixels *= np.float32(truth.prnu)
    pixels += np.float32(1.0)
    pixels *= illumination(detector, amp, truth.vignetting).astype(np.float32)
    for column, remaining in amp_truth.dark_columns:
        pixels[:, column] *= np.float32(remaining)
    return pixels


def _dark_rate(amp: Amplifier, amp_truth: AmpTruth) -> FloatArray:
    rate = np.full((amp.data.height, amp.data.width), amp_truth.dark_current, dtype=np.float32)
    for column, extra in amp_truth.hot_columns:
        rate[:, column] += np.float32(extra)
    for row, column, extra in amp_truth.hot_pixels:
        rate[row, column] += np.float32(extra)
    return rate
