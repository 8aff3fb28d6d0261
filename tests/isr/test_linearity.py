"""Every form of linearizer against its formula."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import Akima1DInterpolator

from calwatch.calibrations.model import Linearizer, LinearizerType, Units
from calwatch.errors import CalibrationError
from calwatch.isr.linearity import linearize, linearize_amplifier

IMAGE = np.linspace(-50, 9000, 300, dtype=np.float32).reshape(20, 15)
GAIN = 1.6


def linearizer(kind, coefficients, table=None, n=1):
    names = ("C10", "C11", "C01", "C00")[:n]
    return Linearizer(
        names, (kind,) * n, (np.array(coefficients, float),) * n, table, Units.ADU, {}
    )


def apply(kind, coefficients, scale=1.0, table=None):
    return linearize_amplifier(IMAGE, linearizer(kind, coefficients, table), 0, scale)


def akima(nodes, values, x, margin):
    return Akima1DInterpolator(nodes, values, method="akima")(
        np.clip(x, nodes[0], nodes[-1] - margin)
    )


def test_spline_is_anchored_at_zero():
    """A first value that is not 0 is taken off, and a node at 0 is added."""
    nodes, values = np.array([100.0, 2000, 4000, 6000]), np.array([3.0, 10, 30, 20])
    got = apply(LinearizerType.SPLINE, [*nodes, *values], GAIN)
    anchored = np.array([0, *nodes]) * GAIN
    expected = IMAGE - akima(anchored, np.array([0, 0, 7, 27, 17.0]) * GAIN, IMAGE, 0.1)
    assert got == pytest.approx(expected, abs=1e-3)


def test_double_spline_subtracts_one_after_the_other():
    n1, v1 = np.array([0.0, 2000, 4000, 8000]), np.array([0.0, 10, 30, 20])
    n2, v2 = np.array([0.0, 1000, 9000]), np.array([0.0, -5, 40])
    got = apply(LinearizerType.DOUBLE_SPLINE, [4, 3, *n1, *v1, *n2, *v2], GAIN)
    once = IMAGE - akima(n1 * GAIN, v1 * GAIN, IMAGE, 0.01)
    expected = once - akima(n2 * GAIN, v2 * GAIN, once, 0.01)
    assert got == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("kind", [LinearizerType.SPLINE, LinearizerType.DOUBLE_SPLINE])
def test_a_node_that_is_not_finite_makes_the_amplifier_nan(kind):
    spline = [0.0, 1000, 2000, 0, np.nan, 2]
    head = [3, 3, *spline] if kind is LinearizerType.DOUBLE_SPLINE else []
    assert np.isnan(apply(kind, [*head, *spline])).all()


def test_squared_and_polynomial():
    x = IMAGE.astype(float)
    assert apply(LinearizerType.SQUARED, [1e-6, 99]) == pytest.approx(x * (1 + 1e-6 * x), rel=1e-6)
    got = apply(LinearizerType.POLYNOMIAL, [1e-6, -2e-11])
    assert got == pytest.approx(x + 1e-6 * x**2 - 2e-11 * x**3, rel=1e-6)


@pytest.mark.parametrize("kind", [LinearizerType.SQUARED, LinearizerType.POLYNOMIAL])
def test_adu_coefficients_on_electrons(kind):
    """The same as going to ADU, correcting, and coming back."""
    c = [1e-6] if kind is LinearizerType.SQUARED else [1e-6, -2e-11]
    adu = (IMAGE / GAIN).astype(np.float32)
    expected = linearize_amplifier(adu, linearizer(kind, c), 0, 1.0) * GAIN
    assert apply(kind, c, GAIN) == pytest.approx(expected, rel=1e-5)


def test_lookup_table_adds_the_entry_of_each_pixel():
    table = np.array([np.zeros(100), np.arange(100) / 10], np.float32)
    got = apply(LinearizerType.LOOKUP_TABLE, [1, 20], table=table)
    index = np.clip(np.trunc(IMAGE + 20), 0, 99)
    assert got == pytest.approx(IMAGE + index / 10, abs=1e-3)


@pytest.mark.parametrize("kind", [LinearizerType.PROPORTIONAL, LinearizerType.NONE])
def test_forms_that_change_nothing(kind):
    assert np.array_equal(apply(kind, [1.0, 2.0]), IMAGE)


@pytest.mark.parametrize(
    ("kind", "coefficients"),
    [
        (LinearizerType.SPLINE, [0, 1, 2, 3, 4]),
        (LinearizerType.SPLINE, [0, 2, 1, 0, 1, 2]),
        (LinearizerType.DOUBLE_SPLINE, [4, 4, 1, 2]),
        (LinearizerType.DOUBLE_SPLINE, []),
        (LinearizerType.LOOKUP_TABLE, [0, 0]),
    ],
)
def test_malformed_coefficients_name_the_amplifier(kind, coefficients):
    with pytest.raises(CalibrationError, match=f"linearizer: amplifier C10.*{kind}"):
        apply(kind, coefficients)


def test_only_data_pixels_of_amplifiers_with_a_gain(detector):
    stack = np.full((4, 76, 49), 1000, np.float32)
    calibration = linearizer(LinearizerType.SQUARED, [1e-4], n=4)
    scale = np.array([1.0, np.nan, 1.0, 1.0])
    corrected = linearize(stack, detector.amplifiers, calibration, scale)
    for k, amp in enumerate(detector.amplifiers):
        changed = corrected[k] != stack[k]
        assert changed.sum() == (0 if k == 1 else amp.data.area)
        assert changed[amp.data.slices].all() == (k != 1)
