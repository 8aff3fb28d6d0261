"""Crosstalk against a loop over sources and targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.calibrations.model import Crosstalk, Units
from calwatch.isr import crosstalk as module
from calwatch.isr.crosstalk import (
    coefficients,
    crosstalk_signal,
    marked_pixels,
    subtract_crosstalk,
)

NONE = np.zeros(4, bool)


def calibration(c, c2=None, *, valid=None, units=Units.ADU):
    c = np.array(c, float)
    c2 = np.zeros_like(c) if c2 is None else np.array(c2, float)
    valid = np.ones(c.shape, bool) if valid is None else valid
    return Crosstalk(c, c2, valid, units, {})


def random_case(seed):
    rng = np.random.default_rng(seed)
    c = rng.normal(0, 1e-3, (4, 4)) * (1 - np.eye(4))
    c2 = rng.normal(0, 1e-8, (4, 4)) * (1 - np.eye(4))
    stack = rng.normal(500, 300, (4, 76, 49)).astype(np.float32)
    return c, c2, stack


@given(st.integers(0, 2**32 - 1))
def test_signal_equals_the_loop(seed):
    c, c2, stack = random_case(seed)
    expected = np.zeros(stack.shape)
    for target in range(4):
        for source in range(4):
            pixels = stack[source].astype(float)
            expected[target] += c[source, target] * pixels + c2[source, target] * pixels**2
    assert crosstalk_signal(stack, c, c2) == pytest.approx(expected, abs=1e-4)


def test_block_size_does_not_matter(monkeypatch):
    c, c2, stack = random_case(1)
    before = crosstalk_signal(stack, c, c2)
    monkeypatch.setattr(module, "_BLOCK", 100)
    assert crosstalk_signal(stack, c, c2) == pytest.approx(before, abs=1e-4)


def test_one_source_one_target(detector):
    """A bright pixel of amplifier 0 shows in amplifier 2 only, where it is read just then."""
    c = np.zeros((4, 4))
    c[0, 2] = 0.001
    stack = np.zeros((4, 76, 49), np.float32)
    stack[0, 20, 30] = 50000
    corrected, marked = subtract_crosstalk(
        stack, detector.amplifiers, calibration(c), None, NONE, quadratic=True
    )
    assert corrected[2, 20, 30] == pytest.approx(-50)
    assert np.count_nonzero(corrected) == 2
    assert np.argwhere(marked).tolist() == [[2, 20, 30]]
    assert stack[2, 20, 30] == 0


def test_adu_coefficients_act_as_if_the_image_were_divided_by_the_gains():
    c, c2, stack = random_case(2)
    gain = np.array([1.1, 1.5, 0.9, 2.0])
    linear, squared, threshold = coefficients(calibration(c, c2), gain, NONE, quadratic=True)
    in_adu = (stack / gain[:, None, None]).astype(np.float32)
    expected = crosstalk_signal(in_adu, c, c2) * gain[:, None, None]
    assert crosstalk_signal(stack, linear, squared) == pytest.approx(expected, abs=1e-3)
    assert threshold == pytest.approx(gain)


def test_electron_coefficients_are_taken_as_they_are():
    c, c2, _ = random_case(3)
    ct = calibration(c, c2, units=Units.ELECTRON)
    linear, squared, threshold = coefficients(ct, np.full(4, 1.7), NONE, quadratic=True)
    assert np.array_equal(linear, c)
    assert np.array_equal(squared, c2)
    assert np.array_equal(threshold, np.ones(4))


def test_a_missing_gain_is_replaced_by_the_median():
    c = np.full((4, 4), 1e-3)
    gain = np.array([np.nan, 1.0, 2.0, 3.0])
    linear, _, _ = coefficients(calibration(c), gain, NONE, quadratic=False)
    assert linear[1, 0] == pytest.approx(1e-3 * 2.0)
    assert linear[0, 3] == pytest.approx(1e-3 * 1.5)


def test_unusable_coefficients_count_as_zero():
    c = np.full((4, 4), 1e-3)
    c[0, 1] = np.nan
    valid = np.ones((4, 4), bool)
    valid[2, 3] = False
    skip = np.array([False, True, False, False])
    linear, squared, _ = coefficients(calibration(c, c, valid=valid), None, skip, quadratic=True)
    for matrix in (linear, squared):
        assert matrix[0, 1] == matrix[2, 3] == 0
        assert not matrix[1].any()
        assert not matrix[:, 1].any()
        assert matrix[0, 2] == 1e-3


def test_the_quadratic_term_can_be_switched_off():
    c, c2, _ = random_case(4)
    assert not coefficients(calibration(c, c2), None, NONE, quadratic=False)[1].any()


def test_a_dead_source_spares_its_neighbours():
    c, c2, stack = random_case(5)
    stack[1] = np.nan
    signal = crosstalk_signal(stack, c, c2)
    assert np.isfinite(signal).all()
    stack[1] = 0
    assert np.array_equal(signal, crosstalk_signal(stack, c, c2))


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.0))
def test_marks_equal_the_definition(detector, seed, spread):
    rng = np.random.default_rng(seed)
    signal = rng.normal(3, spread, (4, 76, 49)).astype(np.float32)
    threshold = np.array([1.0, 1.5, 1.0, 2.0])
    marked = marked_pixels(signal, detector.amplifiers, threshold)
    for pixels, flags, amp, limit in zip(
        signal, marked, detector.amplifiers, threshold, strict=True
    ):
        far = np.abs(pixels.astype(float) - float(np.median(pixels))) >= limit
        assert np.array_equal(flags[amp.data.slices], far[amp.data.slices])
        outside = flags.copy()
        outside[amp.data.slices] = False
        assert not outside.any()
