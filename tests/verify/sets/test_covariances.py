"""Covariances by Fourier transform, held to the sum of products."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.verify.sets.covariances import (
    MAX_LAG,
    covariances,
    covariances_reference,
    pair_counts,
)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, MAX_LAG),
    st.floats(0.0, 1.0),
)
def test_the_transform_gives_the_sum_of_products(seed, rows, columns, max_lag, masked):
    rng = np.random.default_rng(seed)
    kept = rng.random((rows, columns)) >= masked
    difference = np.where(kept, rng.normal(0, 150, kept.shape), 0).astype(np.float32)
    found = covariances(difference, kept, max_lag)
    wanted = covariances_reference(difference, kept, max_lag)
    assert found.shape == (max_lag, max_lag)
    # A sum of n products has the rounding of all of them; few pairs make more of it.
    np.testing.assert_allclose(found, wanted, atol=1e-4 * 150**2, equal_nan=True)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 30), st.floats(0.0, 1.0))
def test_pairs_are_counted(seed, rows, columns, masked):
    kept = np.random.default_rng(seed).random((rows, columns)) >= masked
    found = pair_counts(kept, 4)
    for j in range(-3, 4):
        for i in range(4):
            wanted = 0
            if abs(j) < rows and i < columns:
                here = kept[max(0, -j) : rows - max(0, j), : columns - i]
                there = kept[max(0, j) : rows - max(0, -j), i:]
                wanted = np.count_nonzero(here & there)
            assert found[j + 3, i] == wanted


def test_single_precision_is_exact_enough_for_a_whole_amplifier():
    """An error of a covariance is V/√N, a thousandth of the variance; rounding is far below."""
    rng = np.random.default_rng(3)
    difference = rng.normal(0, 170, (1962, 472)).astype(np.float32)
    kept = np.ones(difference.shape, bool)
    kept[:, 100] = False
    difference *= kept
    found, wanted = covariances(difference, kept), covariances_reference(difference, kept)
    statistical = wanted[0, 0] / np.sqrt(kept.sum())
    assert np.abs(found - wanted).max() < 0.01 * statistical


def test_the_first_axis_is_along_a_row():
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 100, (400, 401)).astype(np.float32)
    difference = noise[:, :-1] + 0.5 * noise[:, 1:]
    kept = np.ones(difference.shape, bool)
    found = covariances(difference, kept)
    error = 100**2 / 400
    assert found[0, 0] == pytest.approx(0.5 * 1.25 * 100**2, abs=4 * error)
    assert found[1, 0] == pytest.approx(0.5 * 0.5 * 100**2, abs=4 * error)
    assert np.abs(found[:, 1:]).max() < 4 * error
    assert np.abs(found[2:, 0]).max() < 4 * error


def test_a_slanted_neighbour_counts_half():
    """Lags (i, j) and (i, −j) are averaged."""
    noise = np.random.default_rng(5).normal(0, 100, (401, 401)).astype(np.float32)
    difference = noise[:-1, :-1] + noise[1:, 1:]
    found = covariances(difference, np.ones(difference.shape, bool))
    assert found[1, 1] == pytest.approx(0.5 * 0.5 * 100**2, abs=4 * 100**2 / 400)


def test_nothing_kept_gives_nothing():
    kept = np.zeros((20, 20), bool)
    assert np.isnan(covariances(np.zeros(kept.shape, np.float32), kept)).all()
