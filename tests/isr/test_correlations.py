"""Correlations against np.corrcoef."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.model import Box
from calwatch.isr.assembly import orient
from calwatch.isr.correlations import (
    correlation_reference,
    image_correlation,
    overscan_correlation,
)

NONE = np.zeros(4, bool)


def common_noise():
    rng = np.random.default_rng(0)
    own, shared = rng.normal(0, 1, (4, 76, 49)), rng.normal(0, 1, (76, 49))
    return (1000 + own + np.array([0, 1, 2, -1])[:, None, None] * shared).astype(np.float32)


def test_equals_corrcoef():
    stack = common_noise()
    got = correlation_reference(list(stack), NONE)
    expected = np.corrcoef(stack.reshape(4, -1).astype(float))
    assert got == pytest.approx(expected, abs=1e-12)
    assert np.array_equal(np.diag(got), np.ones(4))


def test_skipped_constant_and_nan_amplifiers_have_no_correlation():
    stack = common_noise()
    stack[1, 0, 0] = np.nan
    stack[2] = 5
    got = correlation_reference(list(stack), np.array([False, False, False, True]))
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


def _oriented(image, detector):
    return [orient(image[amp.bbox.slices], amp) for amp in detector.amplifiers]


@given(
    seed=st.integers(0, 2**32 - 1),
    level=st.sampled_from([0.0, 3e4, 1e5]),
    gradient=st.sampled_from([0.0, 10.0, 1000.0]),
    skip=st.lists(st.booleans(), min_size=4, max_size=4),
    fault=st.sampled_from([None, np.nan, np.inf, 1e25, 0.0]),
    flip=st.booleans(),
)
def test_the_kernel_correlates_as_numpy_does(detector, seed, level, gradient, skip, fault, flip):
    """To 1e-6, which is what float32 sums of one row leave."""
    rng = np.random.default_rng(seed)
    image = rng.normal(level, 5.0, detector.shape)
    image += gradient * np.arange(detector.shape[0])[:, None]
    image += rng.normal(0.0, 3.0, 60)
    image = image.astype(np.float32)
    if fault is not None:
        image[:64, :30] = fault
    if flip:  # all amplifiers read in the same direction along the rows
        amplifiers = tuple(replace(amp, flip_x=True) for amp in detector.amplifiers)
        detector = replace(detector, amplifiers=amplifiers)
    skip = np.array(skip)
    fast = image_correlation(image, detector, skip)
    plain = correlation_reference(_oriented(image, detector), skip)
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-6)


def test_a_faulty_amplifier_takes_no_other_along(detector):
    image = np.random.default_rng(2).normal(0, 5, detector.shape).astype(np.float32)
    image[70, 10] = np.nan
    got = image_correlation(image, detector, NONE)
    assert np.isnan(got[0]).all()
    assert np.isfinite(got[1:, 1:]).all()


def test_amplifiers_of_unlike_size_are_cut_where_they_are_read_last(detector):
    image = np.random.default_rng(4).normal(0, 5, detector.shape).astype(np.float32)
    first = replace(detector.amplifiers[0], bbox=Box(0, 64, 25, 60), flip_x=True)
    others = (replace(amp, flip_x=True) for amp in detector.amplifiers[1:])
    uneven = replace(detector, amplifiers=(first, *others))
    plain = correlation_reference(_oriented(image, uneven), NONE)
    np.testing.assert_allclose(image_correlation(image, uneven, NONE), plain, atol=1e-6)
