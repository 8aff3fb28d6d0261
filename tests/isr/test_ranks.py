"""Ranks found in a range against sorting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calwatch.isr.ranks import count_between, ranges_around, values_at_ranks

VALUES = arrays(
    np.float32,
    st.integers(1, 300),
    elements=st.floats(-(2.0**100), 2.0**100, width=32) | st.integers(-5, 5).map(float),
)


@given(VALUES, st.floats(0, 1), st.floats(0, 0.2))
def test_a_range_holds_its_ranks(sample, fraction, margin):
    ((low, high),) = ranges_around(sample, np.array([fraction]), margin)
    ordered = np.sort(sample)
    wanted = ordered[int(fraction * (sample.size - 1))]
    slack = 1e-5 * np.abs(ordered - sample[(sample.size - 1) // 2]).max() + 1e-5 * abs(wanted)
    assert low - slack <= wanted <= high + slack


def test_a_range_is_narrow():
    sample = np.random.default_rng(0).normal(1e4, 6.0, 30_000).astype(np.float32)
    ((low, high),) = ranges_around(sample, np.array([0.25]), 0.02)
    share = ((sample >= low) & (sample <= high)).mean()
    assert share == pytest.approx(0.04, abs=0.005)


@given(VALUES, st.data())
def test_the_pair_is_that_of_the_sorted_values(values, data):
    low, high = sorted(data.draw(st.tuples(*[st.sampled_from(values.tolist())] * 2)))
    ordered = np.sort(values[(values >= low) & (values <= high)])
    rank = data.draw(st.integers(0, ordered.size - 1))
    last = min(rank + 1, ordered.size - 1)
    first, second, found = values_at_ranks(values, np.float32(low), np.float32(high), rank, last)
    assert found
    assert (first, second) == (ordered[rank], ordered[last])


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(0, 9_999))
def test_many_values_with_ties(seed, decimals, rank):
    values = np.random.default_rng(seed).normal(0, 1, 10_000).round(decimals).astype(np.float32)
    ordered = np.sort(values)
    last = min(rank + 1, 9_999)
    first, second, _ = values_at_ranks(values, ordered[0], ordered[-1], rank, last)
    assert (first, second) == (ordered[rank], ordered[last])


def test_a_rank_outside_is_noticed():
    values = np.arange(10, dtype=np.float32)
    low, high = np.float32(2), np.float32(5)
    assert not values_at_ranks(values, low, high, 3, 4)[2]
    assert not values_at_ranks(values, low, high, -1, 0)[2]
    assert values_at_ranks(values, low, high, 2, 3) == (4.0, 5.0, True)
    assert count_between(values, low, high) == 3
