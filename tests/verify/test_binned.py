"""The small image is the plain one, whatever the frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwatch.calibrations.masks import Mask
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Detector
from calwatch.verify.binned import BLOCK, binned_residual, plain_binned_residual

DETECTORS = [load_camera("LSSTCam").detector(name) for name in ("R22_S11", "R01_S00", "R00_SW0")]


def frame(detector: Detector, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame with defects, holes and an amplifier that is all masked."""
    rng = np.random.default_rng(seed)
    image = rng.normal(1000.0, 5.0, detector.shape).astype(np.float32)
    mask = np.zeros(detector.shape, np.uint16)
    for bit in (Mask.BAD, Mask.NO_DATA, Mask.CROSSTALK):
        rows, columns = rng.integers(0, detector.shape, (50, 2)).T
        mask[rows, columns] |= int(bit)
        image[rows, columns] = rng.choice([np.nan, 1e6], 50)
    mask[detector.amplifiers[3].bbox.slices] = int(Mask.BAD)
    mask[:BLOCK, :BLOCK] = int(Mask.BAD)
    return image, mask


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.kind)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_is_the_plain_one(detector: Detector, seed: int) -> None:
    image, mask = frame(detector, seed)
    found = binned_residual(image, mask, detector)
    assert found.shape == (len(detector.amplifiers), 63, 16)
    for amp, got in zip(detector.amplifiers, found, strict=True):
        plain = plain_binned_residual(image, mask, amp.bbox)
        np.testing.assert_allclose(got[: plain.shape[0], : plain.shape[1]], plain, rtol=0, atol=0.1)
    assert np.isnan(found[3]).all()


def test_what_is_put_in_is_seen_where_it_is() -> None:
    detector = DETECTORS[1]
    image = np.full(detector.shape, 7.0, np.float32)
    amp = detector.amplifiers[5]
    rows, columns = amp.bbox.slices
    image[rows, columns][64:96, 32:64] += 3.0
    found = binned_residual(image, np.zeros(detector.shape, np.uint16), detector)
    expected = np.zeros_like(found)
    expected[5, 2, 1] = 3.0
    np.testing.assert_allclose(found, expected, atol=1e-5)
