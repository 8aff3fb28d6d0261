from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.isr.stream.crosstalk import TARGETS_AT_A_TIME, padded_coefficients, pick_up


@given(
    seed=st.integers(0, 1000),
    n_amp=st.integers(1, 17),
    columns=st.sampled_from([1, 15, 16, 40]),
    dense=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_every_target_picks_up_from_every_source(seed, n_amp, columns, dense):
    rng = np.random.default_rng(seed)
    linear = rng.normal(0, 1e-3, (n_amp, n_amp))
    squared = np.where(rng.random(linear.shape) < dense, rng.normal(0, 1e-8, linear.shape), 0.0)
    coefficients = padded_coefficients(linear, squared)
    pixels = rng.normal(1000, 300, (n_amp, columns))
    block = np.zeros((coefficients.linear.shape[1], 2, columns + 3), np.float32)
    block[:n_amp, 1, :columns] = pixels
    signals = np.empty((TARGETS_AT_A_TIME, columns), np.float32)
    expected = linear.T @ pixels + squared.T @ pixels**2
    for k in range(n_amp):
        place = k % TARGETS_AT_A_TIME
        pick_up(block, 1, coefficients, k - place, signals)
        assert signals[place] == pytest.approx(expected[k], rel=1e-5, abs=1e-5)
