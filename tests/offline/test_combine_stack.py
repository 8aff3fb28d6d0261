"""The clipped mean: kernel and reference agree, and outliers do not count."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from calwatch.offline.combine_stack import (
    BAD_PIXEL,
    COSMIC_RAY,
    clipped_mean,
    clipped_mean_reference,
    flag_frame,
    prepare_stack,
)

VALUES = st.one_of(
    st.floats(-1000, 1000, width=32).map(lambda value: round(value, 1)), st.just(float("nan"))
)


@settings(max_examples=60)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 12), st.just(2), st.just(3)), elements=VALUES)
)
def test_the_kernel_does_what_the_reference_does(stack) -> None:
    mean, variance, kept = clipped_mean(stack)
    wanted_mean, wanted_variance, wanted_kept = clipped_mean_reference(stack)
    np.testing.assert_array_equal(kept, wanted_kept)
    np.testing.assert_allclose(mean, wanted_mean, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(variance, wanted_variance, rtol=1e-4, atol=1e-3)


def test_an_outlier_does_not_count() -> None:
    rng = np.random.default_rng(4)
    stack = rng.normal(100, 2, (20, 30, 40)).astype(np.float32)
    clean, _, _ = clipped_mean(stack)
    stack[7] += 5000
    dirty, variance, kept = clipped_mean(stack)
    assert kept.max() <= 19
    assert np.abs(dirty - clean).mean() < 0.2
    assert abs(dirty.mean() - 100) < 4 * 2 / np.sqrt(stack.size)
    assert abs(np.sqrt(np.median(variance)) - 2 / np.sqrt(19)) < 0.03


def test_pixels_without_values_are_nan() -> None:
    stack = np.full((5, 2, 2), np.nan, np.float32)
    stack[0, 0, 0] = 3
    stack[1:3, 1, 1] = (1, 2)
    mean, variance, kept = clipped_mean(stack)
    np.testing.assert_array_equal(kept, [[1, 0], [0, 2]])
    np.testing.assert_array_equal(mean, [[3, np.nan], [np.nan, 1.5]])
    np.testing.assert_array_equal(variance, [[np.nan, np.nan], [np.nan, 0.25]])


@given(
    hnp.arrays(np.uint16, (9, 11), elements=st.sampled_from([0, 0, 0, 0, 1, 2, 4, 6])),
    st.integers(0, 3),
)
def test_cosmic_rays_grow_as_by_dilation_and_bad_pixels_do_not(mask, reach: int) -> None:
    image = np.zeros(mask.shape, np.float32)
    image[3, 4] = np.nan
    flags = np.full(mask.shape, 255, np.uint8)
    flag_frame(image, mask, 1, 2, reach, flags)
    square = np.ones((2 * reach + 1, 2 * reach + 1), bool)
    grown = ndimage.binary_dilation(mask & 2 != 0, square)
    np.testing.assert_array_equal(flags & COSMIC_RAY != 0, grown)
    np.testing.assert_array_equal(flags & BAD_PIXEL != 0, (mask & 1 != 0) | np.isnan(image))


def test_a_pixel_struck_in_most_frames_is_hot_and_stays() -> None:
    values = np.full((4, 1, 3), 6, np.float32)
    marks = np.zeros(values.shape, np.uint8)
    marks[:2, 0, 0] = COSMIC_RAY
    marks[:3, 0, 1] = COSMIC_RAY
    marks[3, 0, 2] = BAD_PIXEL
    prepare_stack(values, marks, np.array([1, 2, 3, 6], np.float32))
    nan = np.nan
    np.testing.assert_array_equal(values[:, 0, 0], [nan, nan, 2, 1])
    np.testing.assert_array_equal(values[:, 0, 1], [6, 3, 2, 1])
    np.testing.assert_array_equal(values[:, 0, 2], [6, 3, 2, nan])
