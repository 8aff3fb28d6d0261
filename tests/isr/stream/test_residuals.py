"""Statistics of the serial overscan's residual are those of the plain chain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.isr.serial_overscan import overscan_statistics
from calwatch.isr.stream.residuals import residual_statistics


@given(
    seed=st.integers(0, 1000),
    rows=st.integers(1, 60),
    noise=st.sampled_from([0.0, 0.3, 5.0, 400.0]),
    expected=st.sampled_from([0.0, 0.1, 5.0]),
    outliers=st.integers(0, 9),
)
def test_equal_to_plain_statistics(seed, rows, noise, expected, outliers):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(1000, noise, (rows, 11)).round(1).astype(np.float32)
    pixels.reshape(-1)[rng.integers(0, pixels.size, outliers)] += 300
    levels = np.median(pixels, axis=1).astype(np.float64)
    found = residual_statistics(pixels, levels, expected)
    residual = (pixels - levels.astype(np.float32)[:, None]).ravel()
    assert found == pytest.approx(overscan_statistics(residual), rel=1e-9, abs=1e-9, nan_ok=True)
