"""Networks sort whatever they are given."""

import numpy as np
import pytest

from calwatch.isr.sorting_network import sort_lanes, sorting_network


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 42, 58])
def test_every_column_is_sorted(size):
    values = np.random.default_rng(size).integers(0, 9, (size, 33)).astype(np.float32)
    ordered = values.copy()
    sort_lanes(ordered, sorting_network(size))
    assert np.array_equal(ordered, np.sort(values, axis=0))
