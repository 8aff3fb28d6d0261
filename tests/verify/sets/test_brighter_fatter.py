"""The gain of a pair brought to zero signal."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.verify.sets.brighter_fatter import (
    VENDOR_A00,
    a00_of,
    at_zero_signal,
    vendor_corrected,
)


def _apparent(gain, mean, a00):
    """Return mean over shot variance (Astier et al. 2019, eq. 16)."""
    z = 2 * a00 * mean * gain
    variance = math.expm1(z) / (2 * a00 * gain**2) if abs(z) > 1e-12 else mean / gain
    return mean / variance


@given(st.floats(0.5, 5), st.floats(1, 80_000), st.floats(-5e-6, 1e-6))
def test_it_undoes_the_curve(gain, mean, a00):
    if a00 * mean * gain > 0.1:
        return
    apparent = _apparent(gain, mean, a00)
    found, kept = at_zero_signal(apparent, mean, a00)
    assert found == pytest.approx(gain, rel=1e-6)
    shifted, _ = at_zero_signal(apparent * (1 + 1e-5), mean, a00)
    assert shifted / found - 1 == pytest.approx(kept * 1e-5, rel=1e-3)


@pytest.mark.parametrize("vendor", ["E2V", "e2v", "e2V"])
def test_the_slope_is_found_however_the_vendor_is_written(vendor):
    assert vendor_corrected(1.5, 20_000, vendor) == pytest.approx(1.5 * (1 - 0.092))


def test_slope_and_a00_of_a_vendor_agree():
    """At 20 kADU; LSSTCam's medians of the gain are 1.48 and 1.67 e-/ADU."""
    for vendor, gain in (("E2V", 1.48), ("ITL", 1.67)):
        apparent = _apparent(gain, 20_000, VENDOR_A00[vendor])
        assert vendor_corrected(apparent, 20_000, vendor) == pytest.approx(gain, rel=0.01)


def test_which_a00_is_taken():
    assert a00_of(-2e-6, "E2V") == -2e-6
    assert a00_of(math.nan, "e2v") == VENDOR_A00["E2V"]
    assert a00_of(-3.0, "ITL") == VENDOR_A00["ITL"]
    assert math.isnan(a00_of(math.nan, "Fairchild"))
    assert math.isnan(vendor_corrected(1.5, 20_000, "Fairchild"))


@pytest.mark.parametrize(
    ("gain", "mean", "a00"),
    [
        (math.nan, 1e4, -1e-6),
        (1.5, math.nan, -1e-6),
        (1.5, 1e4, math.nan),
        (math.inf, 1e4, -1e-6),
        (1.5, 1e6, 2e-5),
        (90.0, 1e5, -2e-5),
        (0.0, 1e4, -1e-6),
        (-1.0, 1e4, -1e-6),
    ],
)
def test_what_cannot_be_solved_is_no_number_or_a_finite_one(gain, mean, a00):
    found, kept = at_zero_signal(gain, mean, a00)
    assert math.isnan(found) == math.isnan(kept)
    assert math.isnan(found) or found > 0
