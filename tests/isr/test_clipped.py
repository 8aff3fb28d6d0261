"""Clipped statistics against a literal reading of the definition, and kernel against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calwatch.isr.clipped import (
    IQR_TO_SIGMA,
    clipped_statistics,
    clipped_statistics_reference,
    plain_mean,
    plain_statistics,
    plain_statistics_reference,
    quartiles,
)

VALUES = st.one_of(
    arrays(np.float32, st.integers(0, 60), elements=st.floats(-1e4, 1e4, width=32)),
    arrays(np.float64, st.integers(0, 60), elements=st.floats(-1e6, 1e6)),
    arrays(np.int32, st.integers(0, 60), elements=st.integers(-1000, 1000)),
)


def same(a: float, b: float) -> bool:
    return a == b or (np.isnan(a) and np.isnan(b))


@given(VALUES, st.sampled_from([1.0, 3.0, 5.0]), st.integers(1, 4))
def test_kernel_equals_reference_to_the_bit(values, n_sigma, passes):
    fast = clipped_statistics(values, n_sigma, passes)
    slow = clipped_statistics_reference(values, n_sigma, passes)
    assert same(fast.mean, slow.mean)
    assert same(fast.stdev, slow.stdev)
    assert same(fast.median, slow.median)
    assert (fast.n_kept, fast.n_total) == (slow.n_kept, slow.n_total)


@given(VALUES)
def test_plain_kernel_equals_reference_to_the_bit(values):
    assert all(
        same(a, b)
        for a, b in zip(plain_statistics(values), plain_statistics_reference(values), strict=True)
    )


@given(VALUES)
def test_the_mean_alone_is_the_same_mean(values):
    assert same(plain_mean(values), plain_statistics_reference(values)[0])


@given(VALUES.filter(lambda v: v.size > 0))
def test_quartiles_are_numpys(values):
    expected = np.percentile(values.astype(np.float64), [25, 50, 75])
    assert quartiles(values) == tuple(expected)


@given(arrays(np.float64, st.integers(2, 50), elements=st.floats(-1e3, 1e3)))
def test_plain_is_mean_and_sample_deviation(values):
    mean, stdev, n = plain_statistics(values)
    assert mean == pytest.approx(np.mean(values), abs=1e-9)
    assert stdev == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    assert n == values.size


def test_literal_definition():
    """Three passes, spelt out with numpy's own mean and std."""
    rng = np.random.default_rng(3)
    values = rng.normal(10, 5, 5000)
    values[:50] += 400
    q25, q50, q75 = np.percentile(values, [25, 50, 75])
    keep = np.abs(values - q50) <= 3 * IQR_TO_SIGMA * (q75 - q25)
    for _ in range(2):
        mean, stdev = values[keep].mean(), values[keep].std(ddof=1)
        keep = np.abs(values - mean) <= 3 * stdev
    got = clipped_statistics(values, 3.0, 3)
    assert got.n_kept == keep.sum() <= 4950
    assert got.mean == pytest.approx(values[keep].mean(), rel=1e-12)
    assert got.stdev == pytest.approx(values[keep].std(ddof=1), rel=1e-12)


def test_the_first_pass_uses_the_quartiles_not_the_deviation():
    values = np.concatenate([np.linspace(-1, 1, 101), [2.2, 1e6]])
    assert clipped_statistics(values, 3.0, 1).n_kept == 102
    assert clipped_statistics(values, 3.0, 2).n_kept == 101


def test_too_few_values():
    nothing = clipped_statistics(np.empty(0, np.float32), 3.0, 3)
    assert np.isnan([nothing.mean, nothing.stdev, nothing.median]).all()
    assert nothing.n_kept == nothing.n_total == 0
    one = clipped_statistics(np.array([7.0]), 3.0, 1)
    assert one.mean == 7.0
    assert np.isnan(one.stdev)


def test_no_pass_is_refused():
    with pytest.raises(ValueError, match="at least one pass"):
        clipped_statistics(np.ones(3), 3.0, 0)
