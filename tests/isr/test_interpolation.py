"""Interpolation along rows against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.calibrations.masks import Mask
from calwatch.isr.interpolation import interpolate_masked


@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.floats(0, 0.9))
def test_rows_equal_np_interp(seed, columns, share):
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 10, (6, columns)).astype(np.float32)
    bad = rng.random(image.shape) < share
    image[bad & (rng.random(image.shape) < 0.3)] = np.nan
    mask = np.where(bad, rng.choice([Mask.BAD, Mask.UNMASKEDNAN], image.shape), 0).astype(np.uint16)
    filled, marked = interpolate_masked(image, mask)
    x = np.arange(columns)
    for y in range(6):
        good = ~bad[y]
        if not good.any():
            assert np.array_equal(filled[y], image[y], equal_nan=True)
            assert np.array_equal(marked[y], mask[y])
            continue
        expected = np.interp(x, x[good], image[y, good].astype(float))
        assert filled[y] == pytest.approx(expected, abs=1e-4)
        assert np.array_equal(filled[y, good], image[y, good])
        assert np.array_equal(marked[y], np.where(bad[y], mask[y] | Mask.INTRP, mask[y]))


def test_saturation_is_grown_by_one_pixel():
    image = np.zeros((3, 7), np.float32)
    image[1, 2:5] = 1000
    image[0, 3] = image[2, 3] = 500
    mask = np.zeros(image.shape, np.uint16)
    mask[1, 3] = Mask.SAT
    filled, marked = interpolate_masked(image, mask)
    assert not filled.any()
    grown = [[0, 3], [1, 2], [1, 3], [1, 4], [2, 3]]
    assert np.argwhere(marked & Mask.INTRP).tolist() == grown
    assert np.argwhere(marked & Mask.SAT).tolist() == [[1, 3]]


def test_neighbours_that_are_not_finite_do_not_count():
    image = np.array([[1, np.inf, 0, 0, np.nan, 7]], np.float32)
    mask = np.array([[0, 0, 1, 1, 0, 0]], np.uint16)
    filled, marked = interpolate_masked(image, mask)
    assert filled[0, 2:4] == pytest.approx([1 + 6 * 2 / 5, 1 + 6 * 3 / 5])
    assert np.isinf(filled[0, 1])
    assert np.isnan(filled[0, 4])
    assert (marked & Mask.INTRP).astype(bool).tolist() == [[False, False, True, True, False, False]]


def test_other_bits_are_not_interpolated():
    image = np.arange(5, dtype=np.float32)[None]
    mask = np.full((1, 5), Mask.CROSSTALK | Mask.SUSPECT | Mask.NO_DATA, np.uint16)
    filled, marked = interpolate_masked(image, mask)
    assert np.array_equal(filled, image)
    assert np.array_equal(marked, mask)
