"""Projections of amplifiers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.model import Box
from calwatch.isr.projections import project, project_reference


def test_means_of_rows_and_columns(detector):
    image = np.add.outer(np.arange(128.0) * 10, np.arange(60.0)).astype(np.float32)
    rows, columns = project(image, detector)
    assert rows.shape == (4, 64)
    assert columns.shape == (4, 30)
    assert rows[0] == pytest.approx(np.arange(64, 128) * 10 + 14.5)
    assert columns[2] == pytest.approx(np.arange(30, 60) + 315.0)


def test_smaller_amplifiers_are_padded(detector):
    first = replace(detector.amplifiers[0], bbox=Box(0, 64, 30, 60))
    uneven = replace(detector, amplifiers=(first, *detector.amplifiers[1:]))
    rows, _ = project(np.ones(detector.shape, np.float32), uneven)
    assert np.isnan(rows[0, 60:]).all()
    assert np.isfinite(rows[1]).all()


@given(st.integers(0, 2**32 - 1), st.floats(-1e5, 1e5), st.integers(0, 3))
def test_the_kernel_averages_as_numpy_does(detector, seed, level, n_missing):
    rng = np.random.default_rng(seed)
    image = rng.normal(level, 100.0, detector.shape).astype(np.float32)
    image[rng.integers(0, 128, n_missing), rng.integers(0, 60, n_missing)] = np.nan
    for fast, plain in zip(
        project(image, detector), project_reference(image, detector), strict=True
    ):
        np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=1e-9)
