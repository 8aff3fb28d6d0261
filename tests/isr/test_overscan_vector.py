"""Levels of vectors against a loop over numpy's masked arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.isr.overscan_vector import fill_gaps, runs, vector_levels


def literal_levels(values, masked):
    values = values.astype(np.float64)
    quantiles = [
        np.percentile(row[np.isfinite(row)], [25, 50, 75])
        if np.isfinite(row).any()
        else [np.nan] * 3
        for row in values
    ]
    q25, q50, q75 = np.array(quantiles).T
    sigma = 0.74 * (q75 - q25)
    usual = np.nanmedian(sigma)
    levels = []
    for row, out, middle, width in zip(values, masked, q50, sigma, strict=True):
        width = usual if width > 2 * usual else width
        kept = np.isfinite(row) & ~out & ~(np.abs(row - middle) > 3 * width)
        levels.append(np.median(row[kept]) if kept.any() else np.nan)
    return np.array(levels)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.integers(1, 20),
    st.floats(0, 0.4),
    st.floats(0, 0.3),
)
def test_levels_equal_the_loop(seed, rows, columns, wild, hidden):
    rng = np.random.default_rng(seed)
    values = rng.normal(100, 5, (rows, columns)).astype(np.float32)
    values[rng.random(values.shape) < wild] += 300
    values[rng.random(values.shape) < hidden / 3] = np.nan
    values[0, 0] = 101.0
    masked = rng.random(values.shape) < hidden
    got = vector_levels(values, masked)
    assert got == pytest.approx(literal_levels(values, masked), nan_ok=True, abs=1e-4)


def test_outliers_do_not_move_a_level():
    values = np.tile(np.arange(10, dtype=np.float32), (4, 1))
    wild = values.copy()
    wild[2, 9] = 1e6
    nothing = np.zeros(values.shape, bool)
    assert vector_levels(values, nothing) == pytest.approx([4.5] * 4)
    assert vector_levels(wild, nothing) == pytest.approx([4.5, 4.5, 4.0, 4.5])


def test_a_wide_vector_is_judged_by_the_usual_width():
    values = np.tile(np.arange(11, dtype=np.float32), (5, 1))
    values[0] = [0, 0, 0, 0, 0, 5, 100, 100, 100, 100, 100]
    assert vector_levels(values, np.zeros(values.shape, bool))[0] == pytest.approx(0.0)


def test_gaps_take_the_median_of_five_on_either_side():
    levels = np.arange(30.0)
    levels[10:12] = np.nan
    expected = np.median([5, 6, 7, 8, 9, 12, 13, 14, 15, 16])
    assert fill_gaps(levels)[10:12] == pytest.approx([expected] * 2)


def test_gaps_near_an_end_look_to_the_other_side():
    levels = np.arange(30.0)
    levels[3] = np.nan
    assert fill_gaps(levels)[3] == np.median([4, 5, 6, 7, 8])
    levels = np.arange(30.0)
    levels[27] = np.nan
    assert fill_gaps(levels)[27] == np.median([22, 23, 24, 25, 26])


def test_gaps_without_neighbours_take_the_median_of_all():
    levels = np.full(8, np.nan)
    levels[0], levels[7] = 1.0, 5.0
    assert fill_gaps(levels)[3] == 3.0


def test_nothing_to_fill_from():
    assert np.isnan(fill_gaps(np.full(5, np.nan))).all()


def test_runs():
    assert runs(np.array([True, False, True, True])) == [(0, 1), (2, 4)]
    assert runs(np.zeros(3, bool)) == []
