"""The models of the photon transfer curve agree with their definitions and with each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.signal import convolve2d

from calwatch.verify.sets.ptc_models import (
    convolution,
    curve,
    curve_slopes,
    full_coefficients,
    full_covariances,
    full_slopes,
    trace_of_convolution,
)

SIDE = 4
LAGS = SIDE * SIDE
MEAN = np.geomspace(300, 80_000, 9)
SEEDS = st.integers(0, 2**32 - 1)


def _on_all_sides(lags):
    quadrant = lags.reshape(SIDE, SIDE)
    half = np.concatenate([quadrant[:0:-1], quadrant])
    return np.concatenate([half[:, :0:-1], half], axis=1)


@given(SEEDS)
def test_the_matrix_convolves_as_scipy_does(seed):
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=(2, LAGS))
    whole = convolve2d(_on_all_sides(one), _on_all_sides(two), mode="same")
    expected = whole[SIDE - 1 :, SIDE - 1 :].ravel()
    np.testing.assert_allclose(convolution(one, SIDE) @ two, expected, atol=1e-12)
    np.testing.assert_allclose(convolution(two, SIDE) @ one, expected, atol=1e-12)


@given(SEEDS)
def test_scatter_raises_a_convolution_by_its_trace(seed):
    """Of a sum of outer products the trace is the sum of the convolutions."""
    rng = np.random.default_rng(seed)
    ones, twos = rng.normal(size=(2, 3, LAGS))
    expected = sum(convolution(one, SIDE) @ two for one, two in zip(ones, twos, strict=True))
    np.testing.assert_allclose(trace_of_convolution(ones.T @ twos, SIDE), expected, atol=1e-12)


@given(st.floats(0.3, 5), st.floats(-6e-6, 2e-6))
def test_the_slopes_of_the_curve(gain, a00):
    found = curve_slopes(MEAN, gain, a00)
    h = 1e-6 * gain
    by_gain = (curve(MEAN, gain + h, a00, 0) - curve(MEAN, gain - h, a00, 0)) / (2 * h)
    h = 1e-10
    by_a00 = (curve(MEAN, gain, a00 + h, 0) - curve(MEAN, gain, a00 - h, 0)) / (2 * h)
    np.testing.assert_allclose(found[:, 0], by_gain, rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], by_a00, rtol=1e-4)
    np.testing.assert_array_equal(found[:, 2], 1)


def test_the_slopes_of_the_full_model():
    rng = np.random.default_rng(1)
    a, c = 1e-7 * rng.normal(size=LAGS), 1e-12 * rng.normal(size=LAGS)
    at = np.concatenate([[1.5], a, c, rng.normal(size=LAGS)])

    def model(p):
        return full_coefficients(
            p[0], p[1 : 1 + LAGS], p[1 + LAGS : 1 + 2 * LAGS], p[1 + 2 * LAGS :], SIDE
        )

    found = full_slopes(1.5, a, c, SIDE)
    steps = np.concatenate([[1e-4], np.full(LAGS, 1e-9), np.full(2 * LAGS, 1e-3)])
    for k, h in enumerate(steps):
        ahead, behind = at.copy(), at.copy()
        ahead[k] += h
        behind[k] -= h
        numeric = (model(ahead) - model(behind)) / (2 * h)
        scale = np.abs(numeric).max(axis=1, keepdims=True)
        assert np.all(np.abs(found[:, :, k] - numeric) <= 1e-5 * scale + 1e-30), k


def test_both_models_are_the_same_where_neighbours_do_nothing():
    """Up to the power that the full one is cut off at."""
    a = np.zeros((SIDE, SIDE))
    noise = np.zeros_like(a)
    a[0, 0], noise[0, 0] = -1e-6, 36.0
    mean = np.geomspace(300, 30_000, 9)
    found = full_covariances(mean, 1.5, a, np.zeros_like(a), noise)
    np.testing.assert_allclose(found[:, 0, 0], curve(mean, 1.5, -1e-6, 6.0), rtol=1e-5)
    assert np.all(found[:, 1:, 1:] == 0)


def test_the_full_model_solves_its_equation():
    """dC/dx = δ + 2·(a·(1 + b·x)) ⊗ C, integrated; what differs is of the fourth order in a·x."""
    i, j = np.mgrid[:SIDE, :SIDE]
    a = 4e-7 * np.exp(-(i + j))
    a[0, 0] = -2e-6
    b = -1e-6
    one = np.zeros(LAGS)
    one[0] = 1.0
    by_a = convolution(a.ravel(), SIDE)

    def grows(x, covariances):
        return one + 2.0 * (1.0 + b * x) * (by_a @ covariances)

    for top, order in ((20_000.0, 1e-4), (40_000.0, 1e-3)):
        solved = solve_ivp(grows, (0, top), np.zeros(LAGS), rtol=1e-10, atol=1e-8).y[:, -1]
        found = full_covariances(np.array([top]), 1.0, a, a * b, np.zeros_like(a))[0].ravel()
        np.testing.assert_allclose(found, solved, rtol=0, atol=order * solved[0])


@pytest.mark.parametrize("a00", [0.0, 1e-16, -1e-12])
def test_the_curve_is_poisson_without_brighter_fatter(a00):
    np.testing.assert_allclose(curve(MEAN, 2.0, a00, 6.0), MEAN / 2 + 9, rtol=1e-6)
