"""Bias shifts that were put in are found, at their row and height, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import linregress

from calwatch.isr import bias_shift
from calwatch.isr.bias_shift import (
    find_bias_shifts,
    overscan_row_means,
    overscan_row_means_reference,
)


def levels(n=2048, noise=0.5, seed=0):
    return 20000 + np.random.default_rng(seed).normal(0, noise, n)


@pytest.mark.parametrize("height", [5.0, -5.0])
def test_a_step_is_found(height):
    rows = levels()
    rows[900:] += height
    shifts, noise = find_bias_shifts(rows)
    assert len(shifts) == 1
    assert abs(shifts[0].row - 900) <= 2
    assert shifts[0].height == pytest.approx(height, abs=0.5)
    assert shifts[0].first_row <= shifts[0].row < shifts[0].end_row
    assert noise == pytest.approx(0.5, rel=0.15)


def test_the_convolution_is_the_weighted_difference_of_thirty_rows():
    rows = levels(noise=0.01)
    rows[300:] += 1.0
    (shift,), _ = find_bias_shifts(rows)
    weight = np.arange(30)
    after, before = rows[shift.row : shift.row + 30], rows[shift.row - 29 : shift.row]
    literal = (after[::-1] @ weight - before @ weight[1:]) / weight.sum()
    assert shift.height == pytest.approx(literal, rel=1e-9)


def test_noise_alone_has_no_shift():
    assert sum(len(find_bias_shifts(levels(seed=seed))[0]) for seed in range(20)) == 0


def test_a_ramp_is_not_a_shift():
    rows = levels()
    rows[900:960] += np.linspace(0, 20, 60)
    rows[960:] += 20
    assert find_bias_shifts(rows)[0] == ()


def test_the_first_thirty_rows_do_not_count():
    rows = levels()
    rows[15:] += 50
    assert all(shift.row >= 30 for shift in find_bias_shifts(rows)[0])


def test_two_steps():
    rows = levels()
    rows[600:] += 6
    rows[1400:] -= 9
    shifts, _ = find_bias_shifts(rows)
    assert [round(shift.height / 3) for shift in shifts] == [2, -3]


def test_nothing_to_measure():
    rows = levels()
    rows[7] = np.nan
    for unusable in (rows, levels(40)):
        shifts, noise = find_bias_shifts(unusable)
        assert shifts == ()
        assert np.isnan(noise)


def test_constant_levels_have_no_shift():
    assert find_bias_shifts(np.full(200, 7.0))[0] == ()


def test_row_means_run_in_the_focal_planes_orientation(detector):
    """Six columns go at the left end as seen on the focal plane, three at the right."""
    columns = np.arange(49.0)
    pixels = (np.arange(76.0)[:, None] * 100 + columns).astype(np.float32)
    for amp in detector.amplifiers:
        first = amp.serial_overscan.x0
        used = columns[first + 3 : first + 8] if amp.flip_x else columns[first + 6 : first + 11]
        expected = np.arange(76) * 100 + used.mean()
        expected = expected[::-1] if amp.flip_y else expected
        assert overscan_row_means(pixels, amp) == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 2e5), st.integers(0, 2))
def test_the_kernel_averages_as_numpy_does(detector, seed, level, n_missing):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(level, 5.0, (76, 49)).astype(np.float32)
    pixels[rng.integers(0, 76, n_missing), rng.integers(0, 49, n_missing)] = np.nan
    for amp in detector.amplifiers:
        fast, plain = overscan_row_means(pixels, amp), overscan_row_means_reference(pixels, amp)
        np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=1e-9)


@given(arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e5, 1e5)))
def test_the_slope_is_that_of_a_linear_regression(values):
    expected = linregress(np.arange(values.size), values).slope
    assert bias_shift._slope(values) == pytest.approx(expected, rel=1e-9, abs=1e-9)
