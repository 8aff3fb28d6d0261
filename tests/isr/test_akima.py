"""The spline kernel against scipy, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.isr.akima import subtract_spline, subtract_spline_reference


@given(st.integers(0, 2**32 - 1), st.integers(3, 15), st.sampled_from([0.1, 0.01]))
def test_kernel_equals_scipy(seed, n, margin):
    rng = np.random.default_rng(seed)
    nodes = np.concatenate([[0.0], np.cumsum(rng.uniform(10, 9000, n - 1))])
    values = rng.normal(0, 30, n)
    image = rng.uniform(-2000, nodes[-1] * 1.2, (7, 31)).astype(np.float32)
    image[0, :n] = nodes
    image[3, 3] = np.nan
    image[3, 4], image[3, 5] = np.inf, -np.inf
    fast = subtract_spline(image, nodes, values, margin)
    assert np.array_equal(fast, subtract_spline_reference(image, nodes, values, margin), True)


def test_a_view_that_is_not_contiguous():
    nodes, values = np.array([0.0, 10, 20, 30]), np.array([0.0, 1, 3, 2])
    whole = np.arange(40, dtype=np.float32).reshape(5, 8)
    view = whole[1:4, 2:6]
    assert np.array_equal(
        subtract_spline(view, nodes, values, 0.1),
        subtract_spline_reference(view, nodes, values, 0.1),
    )


def test_nodes_out_of_order_are_refused():
    with pytest.raises(ValueError, match="increasing"):
        subtract_spline(np.ones((2, 2), np.float32), np.array([0.0, 5, 3]), np.zeros(3), 0.1)
