import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwatch.isr import selection
from calwatch.isr.selection import around_ranks

FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _sorted_pairs(values):
    ordered, n = np.sort(values), values.size
    low = [int(f * (n - 1)) for f in FRACTIONS]
    return [[ordered[i], ordered[min(i + 1, n - 1)]] for i in low]


@settings(max_examples=60)
@given(
    st.integers(0, 2**31),
    st.integers(1, 3000),
    st.sampled_from([np.float32, np.float64, np.int32]),
    st.integers(0, 2),
)
def test_equals_a_full_sort(seed, n, kind, decimals):
    values = np.round(np.random.default_rng(seed).standard_t(2, n) * 10, decimals).astype(kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_SAMPLE", 64)
        patch.setattr(selection, "_FEW", 256)
        found = around_ranks(values, FRACTIONS)
    assert [list(pair) for pair in found] == _sorted_pairs(values)
    assert all(pair.dtype == kind for pair in found)


def test_a_sample_that_misleads_changes_nothing(monkeypatch):
    monkeypatch.setattr(selection, "_SAMPLE", 64)
    monkeypatch.setattr(selection, "_FEW", 256)
    values = np.arange(640, dtype=np.float32)
    values[::10] += 1e6  # the very pixels of the sample
    assert [list(pair) for pair in around_ranks(values, FRACTIONS)] == _sorted_pairs(values)


def test_the_values_are_left_alone_and_infinities_are_values():
    values = np.random.default_rng(1).normal(size=100_000).astype(np.float32)
    values[:3] = np.inf, -np.inf, np.inf
    before = values.copy()
    assert [list(pair) for pair in around_ranks(values, FRACTIONS)] == _sorted_pairs(values)
    np.testing.assert_array_equal(values, before)
