from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.signal import correlate2d

from calwatch.simulate.kernels import (
    ADC_MAX,
    NEIGHBOURS,
    _growth,
    digitise,
    flat_charge,
    poisson_charge,
    transfer,
)


@pytest.mark.parametrize("mean", [0.02, 0.7, 12.0, 49.0, 51.0, 4000.0])
def test_poisson_charge_has_the_mean_and_variance_of_its_law(mean: float) -> None:
    field = np.full((300, 300), mean, dtype=np.float32)
    out = np.empty_like(field)
    poisson_charge(field, np.uint64(11), out)
    n = field.size
    assert abs(out.mean() - mean) < 4.5 * np.sqrt(mean / n)
    error = np.sqrt((mean + 2 * mean**2) / n)
    assert abs(out.astype(np.float64).var() - mean) < 4.5 * error
    assert np.array_equal(out, np.rint(out))


def test_poisson_charge_of_nothing_is_nothing() -> None:
    out = np.ones((3, 3), dtype=np.float32)
    poisson_charge(np.zeros((3, 3), dtype=np.float32), np.uint64(1), out)
    assert not out.any()


@pytest.mark.parametrize("t", [-0.7, -0.3, -1e-3, 0.0])
def test_the_variance_of_bright_flats_is_that_of_the_model(t: float) -> None:
    assert _growth(t) == pytest.approx(np.expm1(t) / t if t else 1.0, abs=3e-6)


@pytest.mark.parametrize("a00", [-3.09e-6, -1.7e-6, 0.0])
def test_flat_charge_loses_variance_and_gains_covariance(a00: float) -> None:
    mu = 50_000.0
    normal = np.random.default_rng(3).standard_normal((500, 500), dtype=np.float32)
    field = np.full(normal.shape, mu, dtype=np.float32)
    out = np.empty_like(field)
    flat_charge(field, normal, a00, out)
    noise = out.astype(np.float64)[1:-1, 1:-1] - mu
    expected = np.expm1(2 * a00 * mu) / (2 * a00 * mu) if a00 else 1.0
    assert noise.var() / mu == pytest.approx(expected, abs=4 * np.sqrt(2 / noise.size))
    for lag, covariance in _expected_covariances(expected).items():
        y, x = lag
        measured = np.mean(noise[y:, x:] * noise[: noise.shape[0] - y, : noise.shape[1] - x]) / mu
        assert abs(measured - covariance) < 4.5 / np.sqrt(noise.size)
        assert (covariance > 0) == bool(a00)


def _expected_covariances(variance: float) -> dict[tuple[int, int], float]:
    """Covariances with the upper and right neighbour if the variance is this share of the mean."""
    vertical, horizontal, diagonal = NEIGHBOURS
    around = np.array(
        [
            [diagonal, vertical, diagonal],
            [horizontal, 0.0, horizontal],
            [diagonal, vertical, diagonal],
        ]
    )
    centre = np.zeros((3, 3))
    centre[1, 1] = 1.0

    def kernel(own: float) -> np.ndarray:
        return own * centre + (1 - own) * around

    own = brentq(lambda c: (kernel(c) ** 2).sum() - variance, 0.5, 1.0)
    moved = correlate2d(kernel(own), kernel(own))
    return {(1, 0): float(moved[3, 2]), (0, 1): float(moved[2, 3])}


@given(
    charge=st.floats(0.0, 120_000.0),
    curvature=st.floats(0.0, 1e-7),
    cti=st.floats(0.0, 1e-6),
)
def test_transfer_is_the_inverse_of_the_linearizer(
    charge: float, curvature: float, cti: float
) -> None:
    field = np.full((2, 20), charge, dtype=np.float32)
    out = np.zeros((2, 30), dtype=np.float32)
    transfer(field, 200_000.0, cti, 3, curvature, out)
    linear = out.astype(np.float64) + curvature * out.astype(np.float64) ** 2
    assert not out[:, :3].any()
    assert not out[:, 24:].any()
    np.testing.assert_allclose(linear.sum(axis=1), field.sum(axis=1), rtol=1e-6)
    lost = charge * cti * (np.arange(3, 23) + 1)
    carried = np.concatenate([[0.0], lost[:-1]])
    np.testing.assert_allclose(linear[0, 3:23], charge - lost + carried, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(linear[0, 23], lost[-1], rtol=1e-5, atol=1e-6)


def test_transfer_stops_at_full_well() -> None:
    out = np.zeros((1, 6), dtype=np.float32)
    transfer(np.full((1, 4), 5e5, dtype=np.float32), 1e5, 0.0, 0, 0.0, out)
    assert out[0].tolist() == [1e5] * 4 + [0.0] * 2


def test_digitise_adds_crosstalk_of_the_source_to_the_target_only() -> None:
    signal = np.zeros((3, 4, 5), dtype=np.float32)
    signal[1] = 20_000.0
    linear, quadratic = np.zeros((3, 3)), np.zeros((3, 3))
    linear[1, 2], quadratic[1, 0] = 1e-3, 1e-7
    zero_rows, zero_columns = np.zeros((3, 4)), np.zeros((3, 5))
    out = np.empty(signal.shape, dtype=np.int32)
    digitise(
        signal,
        linear,
        quadratic,
        np.zeros_like(signal),
        np.ones(3),
        np.full(3, 0.1),
        zero_rows + 100.0,
        zero_columns,
        zero_rows,
        zero_columns,
        out,
    )
    assert np.unique(out[0]).tolist() == [100 + 400]
    assert np.unique(out[1]).tolist() == [100 + 200_000]
    assert np.unique(out[2]).tolist() == [100 + 200]


def test_digitise_rails_at_the_ends_of_the_converter() -> None:
    signal = np.array([[[0.0, 1e7]]], dtype=np.float32)
    one = np.ones(1)
    rows, columns = np.full((1, 1), -50.0), np.zeros((1, 2))
    zero = np.zeros((1, 1))
    out = np.empty(signal.shape, dtype=np.int32)
    digitise(signal, zero, zero, np.zeros_like(signal), one, one, rows, columns, zero, columns, out)
    assert out[0, 0].tolist() == [0, ADC_MAX]
