"""Charge transfer against a literal stack of shifted images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.calibrations.model import ChargeTransfer, SerialTrap
from calwatch.errors import CalibrationError
from calwatch.isr.cti import capture, correct_charge_transfer, remove_drift, remove_trap


def trap(kind="linear", size=5.0, coefficients=(0.01,)):
    return SerialTrap(kind, size, 0.8, 20, np.array(coefficients, float))


def literal_drift(image, scale, decay):
    r = np.exp(-1 / decay)
    offsets = np.zeros((15, *image.shape))
    offsets[0] = scale * np.maximum(0, image)
    for n in range(1, min(15, image.shape[1])):
        offsets[n, :, n:] = scale * np.maximum(0, image[:, :-n]) * r**n
    return image - offsets.max(axis=0)


def literal_trap(image, t, global_cti):
    r = np.exp(-1 / t.emission_time)
    occupied = np.zeros((6, *image.shape))
    for n in range(min(6, image.shape[1] - 1)):
        occupied[n, :, n + 1 :] = capture(t, np.maximum(0, image))[:, : -(n + 1)] * r**n
    occupied = occupied.max(axis=0)
    fresh = np.maximum(capture(t, np.maximum(0, image)) - occupied * r, 0)
    released = np.zeros_like(image)
    released[:, 1:] = occupied[:, 1:] * (1 - r)
    return image - (1 - global_cti) * (released - fresh)


IMAGES = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 40))


def random_image(case):
    seed, rows, columns = case
    return np.random.default_rng(seed).exponential(500, (rows, columns)) - 200


@given(IMAGES, st.floats(1e-6, 1e-2), st.floats(0.3, 30))
def test_drift_equals_the_shifted_images(case, scale, decay):
    image = random_image(case)
    assert remove_drift(image, scale, decay) == pytest.approx(literal_drift(image, scale, decay))


@given(
    IMAGES,
    st.sampled_from(
        [
            trap(),
            trap("logistic", 30.0, (400, 0.01)),
            trap("spline", 0.0, (0, 100, 500, 0, 3, 4)),
        ]
    ),
)
def test_trap_equals_the_shifted_images(case, t):
    image = random_image(case)
    assert remove_trap(image, t, 1e-5) == pytest.approx(literal_trap(image, t, 1e-5))


def test_capture():
    charge = np.array([0.0, 100, 1000])
    assert capture(trap(), charge) == pytest.approx([0, 1, 5])
    assert capture(trap("logistic", 30.0, (100, 0.05)), charge)[1] == pytest.approx(15)
    spline = trap("spline", 0.0, (0, 100, 500, 0, 3, 4))
    assert capture(spline, charge) == pytest.approx([0, 3, 4])


def test_unknown_trap_is_named():
    with pytest.raises(CalibrationError, match="'cubic'"):
        capture(trap("cubic"), np.ones(3))


def test_only_what_is_calibrated_changes(detector):
    rng = np.random.default_rng(0)
    stack = rng.uniform(100, 1000, (4, 76, 49)).astype(np.float32)
    calibration = ChargeTransfer(
        detector.amp_names,
        np.array([1e-3, 0.0, np.nan, 0.0]),
        np.full(4, 2.0),
        np.full(4, 1e-6),
        (None, None, None, trap()),
        {},
    )
    corrected = correct_charge_transfer(stack, detector.amplifiers, calibration)
    for k, amp in enumerate(detector.amplifiers):
        changed = corrected[k] != stack[k]
        assert changed[amp.data.slices].any() == (k in (0, 3))
        changed[amp.data.slices] = False
        assert not changed.any()
    amp = detector.amplifiers[0]
    row = np.zeros((amp.data.height, amp.data.x1))
    row[:, amp.data.x0 :] = stack[0][amp.data.slices]
    expected = literal_drift(row, 1e-3, 2.0)[:, amp.data.x0 :]
    assert corrected[0][amp.data.slices] == pytest.approx(expected, rel=1e-6)
