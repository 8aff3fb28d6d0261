"""The read noise comes back from overscans that were corrected and clipped."""

from dataclasses import replace

import numpy as np
import pytest

from calwatch.camera.model import Box
from calwatch.isr.clipped import clipped_statistics
from calwatch.isr.serial_overscan import serial_levels
from calwatch.verify.sets.read_noise import (
    clipped_deviation,
    overscan_share,
    pixel_share,
    relative_error,
)


def _with_columns(detector, columns, rows=48):
    amp = detector.amplifiers[0]
    return replace(
        amp,
        serial_overscan=Box(0, 0, columns + 6, 120),
        parallel_overscan=Box(0, 0, 120, rows),
    )


@pytest.mark.parametrize("columns", [10, 18, 32, 58, 100])
def test_the_share_is_that_of_overscans(detector, columns):
    values = np.random.default_rng(columns).normal(0, 5, (1_000_000 // columns, columns))
    found = serial_levels(values.astype(np.float32)).residual_stdev / 5
    assert overscan_share(_with_columns(detector, columns)) == pytest.approx(found, abs=2.5e-3)


def test_the_error_is_that_of_overscans(detector):
    rng = np.random.default_rng(2)
    found = [
        serial_levels(rng.normal(0, 5, (120, 18)).astype(np.float32)).residual_stdev
        for _ in range(400)
    ]
    wanted = relative_error(_with_columns(detector, 18), 1)
    assert np.std(found) / np.mean(found) == pytest.approx(wanted, rel=0.15)


def test_what_clipping_leaves():
    x = np.random.default_rng(3).standard_normal(1_000_000)
    assert clipped_deviation(3.0, 3) == pytest.approx(0.9849, abs=1e-4)
    assert clipped_statistics(x, 3.0, 3).stdev == pytest.approx(0.9849, abs=2e-3)


def test_what_lsstcam_loses_and_gains(detector):
    amp = _with_columns(detector, 58)
    assert overscan_share(amp) == pytest.approx(0.979, abs=1e-3)
    assert pixel_share(amp) == pytest.approx(1.032, abs=1e-3)


def test_without_an_overscan_there_is_no_noise(detector):
    amp = _with_columns(detector, -6, rows=0)
    assert np.isnan(overscan_share(amp))
    assert np.isnan(relative_error(amp, 2))
    assert pixel_share(amp) == 1
