"""Parallel overscan on both sides of the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calwatch.camera.model import Box
from calwatch.isr.parallel_overscan import fit_box, parallel_levels, subtract_parallel_overscan

OPTIONS = {"absolute_deviation": False, "column_smoothing": True}


def overscan(rows=20, columns=40):
    return np.zeros((rows, columns), np.float32)


def image(level=100.0):
    return np.full((50, 40), level, np.float32)


def test_fit_box_leaves_three_rows_at_either_end(detector):
    after, before = detector.amplifiers[0], detector.amplifiers[2]
    assert fit_box(after) == Box(5, 67, 30, 6)
    assert fit_box(before) == Box(14, 3, 30, 6)
    assert fit_box(replace(after, parallel_overscan=Box(5, 64, 30, 6))) is None


def test_column_levels_are_removed_from_data_only(detector):
    levels = np.linspace(0, 4, 30)
    stack = np.zeros((4, 76, 49), np.float32)
    for pixels, amp in zip(stack, detector.amplifiers, strict=True):
        pixels[:, amp.data.x0 : amp.data.x1] = levels
    corrected, found = subtract_parallel_overscan(
        stack, detector.amplifiers, np.ones(4), np.array([False, False, False, True]), **OPTIONS
    )
    for pixels, before, amp, result in zip(
        corrected[:3], stack[:3], detector.amplifiers[:3], found[:3], strict=True
    ):
        assert np.abs(pixels[amp.data.slices]).max() < 1e-6
        box = amp.parallel_overscan.slices
        assert np.array_equal(pixels[box], before[box])
        assert result.levels == pytest.approx(levels, abs=1e-6)
        assert (result.mean, result.median) == (pytest.approx(2.0), pytest.approx(2.0))
        assert result.applied
    assert found[3] is None
    assert np.array_equal(corrected[3], stack[3])


def test_the_first_and_last_rows_do_not_count():
    values = overscan()
    values[:3], values[-3:] = 70, 70
    assert not parallel_levels(values, image(), 1.0, **OPTIONS).levels.any()


def test_a_bright_column_takes_its_neighbours_level():
    """Its pixels are above 100 ADU × gain, and the column is fully masked."""
    values = overscan()
    values[:, 20] = 250
    assert not parallel_levels(values, image(), 2.0, **OPTIONS).levels.any()
    assert parallel_levels(
        values, image(), 3.0, absolute_deviation=False, column_smoothing=False
    ).levels[20] == pytest.approx(250)


def test_a_warm_column_is_rejected_by_smoothing_only():
    values = overscan()
    values[:, 20] = 12
    with_it = parallel_levels(values, image(), 2.0, **OPTIONS)
    without = parallel_levels(
        values, image(), 2.0, absolute_deviation=False, column_smoothing=False
    )
    assert with_it.levels[20] == 0
    assert without.levels[20] == 12
    assert parallel_levels(values, image(), 2.5, **OPTIONS).levels[20] == 12


def test_columns_at_the_edge_are_not_smoothed():
    values = overscan()
    values[:, 2] = 12
    assert parallel_levels(values, image(), 1.0, **OPTIONS).levels[2] == 12


@pytest.mark.parametrize(("absolute", "expected"), [(False, -300.0), (True, 0.0)])
def test_low_pixels_are_rejected_only_on_request(absolute, expected):
    values = overscan()
    values[:, 20] = -300
    found = parallel_levels(
        values, image(), 1.0, absolute_deviation=absolute, column_smoothing=False
    )
    assert found.levels[20] == expected


def test_saturation_masks_a_diamond_of_seven_pixels():
    """Three columns away it hides four rows on either side, eight columns away none."""
    values = overscan(20, 60)
    values[10, 30] = 30000
    values[6:15, [33, 38]] = 60
    found = parallel_levels(values, image(), 1.0, absolute_deviation=False, column_smoothing=False)
    assert found.levels[33] == 0
    assert found.levels[38] == 60
    assert found.levels[30] == 0


def test_nothing_is_subtracted_when_light_spilled():
    spilled, lit = overscan() + 9000, image(15000)
    assert not parallel_levels(spilled, lit, 1.0, **OPTIONS).applied
    assert parallel_levels(spilled, image(9900), 1.0, **OPTIONS).applied
    assert parallel_levels(overscan() + 7000, lit, 1.0, **OPTIONS).applied


def test_nothing_usable_subtracts_nothing():
    found = parallel_levels(np.full((20, 40), np.nan, np.float32), image(), 1.0, **OPTIONS)
    assert not found.applied
    assert not found.levels.any()
    assert found.stdev == 0
