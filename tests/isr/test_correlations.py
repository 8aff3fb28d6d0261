"""Correlations against np.corrcoef."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calwatch.camera.model import Box
from calwatch.isr.correlations import correlation, image_correlation, overscan_correlation

NONE = np.zeros(4, bool)


def common_noise():
    rng = np.random.default_rng(0)
    own, shared = rng.normal(0, 1, (4, 76, 49)), rng.normal(0, 1, (76, 49))
    return (1000 + own + np.array([0, 1, 2, -1])[:, None, None] * shared).astype(np.float32)


def test_equals_corrcoef():
    stack = common_noise()
    got = correlation(list(stack), NONE)
    expected = np.corrcoef(stack.reshape(4, -1).astype(float))
    assert got == pytest.approx(expected, abs=1e-12)
    assert np.array_equal(np.diag(got), np.ones(4))


def test_skipped_constant_and_nan_amplifiers_have_no_correlation():
    stack = common_noise()
    stack[1, 0, 0] = np.nan
    stack[2] = 5
    got = correlation(list(stack), np.array([False, False, False, True]))
    assert got[0, 0] == 1
    assert np.isnan(np.delete(got.ravel(), 0)).all()


def test_overscan_correlation_sees_the_fit_box(detector):
    same_side = tuple(replace(detector.amplifiers[0], name=n) for n in detector.amp_names)
    stack = common_noise()
    got = overscan_correlation(stack, same_side, NONE)
    assert got == pytest.approx(np.corrcoef(stack[:, :, 38:46].reshape(4, -1)), abs=1e-6)
    none = (*same_side[:3], replace(same_side[0], serial_overscan=Box(35, 0, 0, 76)))
    assert overscan_correlation(stack, none, NONE) is None


def test_image_correlation_follows_the_readout(detector):
    """Noise common to pixels read together, though they lie mirrored on the focal plane."""
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 1, (64, 30)).astype(np.float32)
    image = np.zeros(detector.shape, np.float32)
    image[64:, :30] = shared[::-1, ::-1]
    image[64:, 30:] = shared[::-1]
    image[:64, 30:] = shared
    image[:64, :30] = shared[:, ::-1]
    assert image_correlation(image, detector, NONE) == pytest.approx(np.ones((4, 4)))
