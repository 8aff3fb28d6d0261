"""The clipped mean: kernel and reference agree, and outliers do not count."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calwatch.offline.combine_stack import clipped_mean, clipped_mean_reference

VALUES = st.one_of(
    st.floats(-1000, 1000, width=32).map(lambda value: round(value, 1)), st.just(float("nan"))
)


@settings(max_examples=60, deadline=None)
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
