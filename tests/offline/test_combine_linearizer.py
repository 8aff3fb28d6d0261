"""The ramp fit: what is subtracted makes the signal straight again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import Akima1DInterpolator

from calwatch.offline.combine_linearizer import MAX_NODES, double_spline, fit_nodes

TIMES = np.repeat(np.geomspace(0.3, 60, 14), 2)


def _bent(true: np.ndarray) -> np.ndarray:
    return true - 3e-7 * true**2


def test_the_corrected_ramp_is_straight() -> None:
    true = 1000.0 * TIMES
    nodes, values = fit_nodes(TIMES, _bent(true))
    assert (nodes[0], values[0]) == (0, 0)
    assert np.all(np.diff(nodes) > 0)
    levels = np.linspace(500, nodes[-1] * 0.99, 200)
    straight = levels - Akima1DInterpolator(nodes, values)(levels)
    expected = (1 - np.sqrt(1 - 4 * 3e-7 * levels)) / (2 * 3e-7)
    ratio = straight / expected
    assert np.ptp(ratio) < 2e-3
    assert abs(ratio.mean() - 1) < 0.01


def test_saturated_levels_are_left_out() -> None:
    signal = np.minimum(1000.0 * TIMES, 40_000)
    nodes, values = fit_nodes(TIMES, signal)
    assert nodes[-1] < 40_001
    assert np.abs(values).max() < 0.1 * nodes[-1]


def test_many_levels_become_few_nodes() -> None:
    times = np.linspace(1, 60, 100)
    nodes, values = fit_nodes(times, 1000 * times)
    assert nodes.size == MAX_NODES + 1
    np.testing.assert_allclose(values, 0, atol=1e-6)


@pytest.mark.parametrize("means", [[], [np.nan, np.nan, np.nan], [0.0, 0.0, 0.0], [5.0, 6.0]])
def test_without_signal_nothing_is_corrected(means) -> None:
    nodes, values = fit_nodes(np.arange(1.0, len(means) + 1), np.array(means))
    assert nodes.size == 2
    assert nodes[1] > nodes[0]
    np.testing.assert_array_equal(values, 0)


def test_double_spline_layout() -> None:
    coefficients = double_spline(np.array([0.0, 10.0, 20.0]), np.array([0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(coefficients, [2, 3, 0, 20, 0, 0, 0, 10, 20, 0, 1, 2])
