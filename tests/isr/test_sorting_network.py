"""Networks sort whatever they are given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.isr.sorting_network import sort_lanes, sorting_network


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 42, 58])
def test_every_column_is_sorted(size):
    values = np.random.default_rng(size).integers(0, 9, (size, 33)).astype(np.float32)
    ordered = values.copy()
    sort_lanes(ordered, sorting_network(size))
    assert np.array_equal(ordered, np.sort(values, axis=0))


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_network_sorts_any_values(size: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, size, size)
    wanted = np.sort(values)
    for low, high in sorting_network(size):
        assert low < high
        values[[low, high]] = sorted(values[[low, high]])
    np.testing.assert_array_equal(values, wanted)
