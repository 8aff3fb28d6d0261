"""Serial overscan on both sides of the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calwatch.camera.model import Box
from calwatch.isr.clipped import clipped_statistics
from calwatch.isr.serial_overscan import fit_box, serial_levels, subtract_serial_overscan


def stack_with_rows(noise=0.0):
    rng = np.random.default_rng(5)
    levels = 1000 + rng.normal(0, 20, (4, 76))
    stack = levels[:, :, None] + rng.normal(0, noise, (4, 76, 49)) if noise else levels[:, :, None]
    return np.broadcast_to(stack, (4, 76, 49)).astype(np.float32), levels


def test_fit_box_leaves_three_columns_at_either_end(detector):
    after, before = detector.amplifiers[0], detector.amplifiers[2]
    assert fit_box(after) == Box(38, 0, 8, 76)
    assert fit_box(before) == Box(3, 0, 8, 76)
    assert fit_box(replace(after, serial_overscan=Box(35, 0, 6, 76))) is None
    assert fit_box(replace(after, serial_overscan=Box(35, 0, 0, 0))) is None


def test_row_levels_are_removed_from_data_and_fit_box_only(detector):
    stack, _ = stack_with_rows()
    corrected, found = subtract_serial_overscan(stack, detector.amplifiers, np.zeros(4, bool))
    for pixels, before, amp, result in zip(
        corrected, stack, detector.amplifiers, found, strict=True
    ):
        touched = np.zeros(pixels.shape, bool)
        touched[:, amp.data.x0 : amp.data.x1] = True
        touched[fit_box(amp).slices] = True
        assert np.abs(pixels[touched]).max() == 0
        assert np.array_equal(pixels[~touched], before[~touched])
        assert result.levels == pytest.approx(before[:, 0])


def test_statistics_are_those_of_levels_and_residuals(detector):
    stack, _ = stack_with_rows(noise=4.0)
    corrected, found = subtract_serial_overscan(stack, detector.amplifiers, np.zeros(4, bool))
    for pixels, amp, result in zip(corrected, detector.amplifiers, found, strict=True):
        residual = pixels[fit_box(amp).slices].ravel()
        assert result.residual_stdev == clipped_statistics(residual, 3.0, 3).stdev
        assert result.residual_mean == pytest.approx(residual.mean(dtype=float))
        assert result.stdev == clipped_statistics(result.levels, 3.0, 3).stdev
        assert result.mean == pytest.approx(result.levels.mean())
        assert result.median == pytest.approx(np.median(result.levels))
        assert 3.0 < result.residual_stdev < 4.5


def test_a_bright_streak_in_the_overscan_is_left_out():
    values = np.full((20, 8), 500, np.float32)
    values[:, 3] = 5000
    values[4] = 9000
    found = serial_levels(values)
    assert found.levels == pytest.approx([500] * 20)
    assert found.residual_stdev == 0
    assert found.residual_median == 0


def test_skipped_amplifiers_are_left_alone(detector):
    stack, _ = stack_with_rows()
    skip = np.array([False, True, False, False])
    corrected, found = subtract_serial_overscan(stack, detector.amplifiers, skip)
    assert found[1] is None
    assert np.array_equal(corrected[1], stack[1])


def test_nothing_usable_subtracts_nothing():
    found = serial_levels(np.full((10, 8), np.nan, np.float32))
    assert not found.levels.any()
    assert found.residual_stdev == found.mean == 0
    far_apart = np.repeat([[0.0], [9000.0]], 5, axis=0) * np.ones(8)
    assert not serial_levels(far_apart.astype(np.float32)).levels.any()


def test_a_row_of_nan_takes_its_neighbours_level():
    values = np.repeat(np.arange(30.0)[:, None], 8, axis=1).astype(np.float32)
    values[15] = np.nan
    assert serial_levels(values).levels[15] == pytest.approx(15.0)
