"""The charge of the photodiode, by each of the ways in which cp_pipe forms it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.calibrations.model import PhotodiodeReadings as Readings
from calwatch.verify.sets.photodiode import Integration, charge_of

STEP = 0.05
METHODS = ("TRIMMED_SUM", "CHARGE_SUM", "DIRECT_SUM", "MEAN")


def _readings(seconds=4.0, light=2e-9, dark=3e-12, noise=0.0, seed=1, charges=False):
    """A lamp of `light` A for some seconds, 2 s of darkness before and after; each reading is the
    mean over the interval before it."""
    time = np.arange(0.0, seconds + 4.0 + STEP / 2, STEP)
    lit = np.clip(time, 2.0, 2.0 + seconds) - np.clip(time - STEP, 2.0, 2.0 + seconds)
    current = light * lit / STEP + dark
    current += noise * np.random.default_rng(seed).standard_normal(time.size)
    return Readings(time, -current * (STEP if charges else 1.0))


@pytest.mark.parametrize("seconds", [0.07, 0.5, 4.0, 33.3])
@pytest.mark.parametrize("method", ["TRIMMED_SUM", "CHARGE_SUM"])
def test_a_lamp_of_known_charge(method, seconds):
    readings = _readings(seconds, charges=method == "CHARGE_SUM")
    charge = charge_of(readings, seconds, Integration(method))
    assert charge.value == pytest.approx(2e-9 * seconds, rel=1e-9)
    assert not charge.fault


def test_a_direct_sum_keeps_the_dark_and_a_mean_takes_the_exposure_time():
    readings = _readings()
    direct = charge_of(readings, 4.0, Integration("DIRECT_SUM"))
    assert direct.value == pytest.approx(2e-9 * 4 + 3e-12 * 8, rel=1e-9)
    lit = readings.current[-readings.current > 1e-9]
    steady = Readings(np.arange(lit.size) * STEP, lit)
    mean = charge_of(steady, 4.0, Integration("MEAN"))
    assert mean.value == pytest.approx(4.0 * -lit.mean())
    short = Readings(steady.time[:2], steady.current[:2])
    assert charge_of(short, 0.1, Integration("MEAN")).value == pytest.approx(2e-10, rel=0.01)
    assert "2 of its 2" in charge_of(short, 0.1, Integration()).fault


@pytest.mark.parametrize("method", METHODS)
def test_the_error_is_that_of_the_noise(method):
    charges = method == "CHARGE_SUM"
    noise = 2e-12
    found = [
        charge_of(_readings(noise=noise, seed=seed, charges=charges), 4.0, Integration(method))
        for seed in range(300)
    ]
    values = np.array([one.value for one in found])
    error = np.median([one.error for one in found])
    if method == "MEAN":
        # The lamp went on and off within: its scatter counts as well.
        assert error > values.std()
    else:
        assert error == pytest.approx(values.std(), rel=0.25)


def test_what_is_no_charge_is_said():
    good = _readings()
    how = Integration()
    nothing = np.full(good.time.size, np.nan)
    assert charge_of(Readings(good.time[:0], good.current[:0]), 4.0, how).fault == (
        "it has no reading"
    )
    assert "0 of its 161 readings are numbers" in (
        charge_of(Readings(good.time, nothing), 4.0, how).fault
    )
    some = good.current.copy()
    some[10:40] = np.nan
    assert "30 of its 161 readings" in charge_of(Readings(good.time, some), 4.0, how).fault
    one = good.current.copy()
    one[10] = np.nan
    assert charge_of(Readings(good.time, one), 4.0, how).value == pytest.approx(8e-9)
    assert (
        "1 of its 161" in charge_of(Readings(good.time, one), 4.0, Integration("CHARGE_SUM")).fault
    )
    back = Readings(good.time[::-1], good.current)
    assert "do not increase" in charge_of(back, 4.0, how).fault
    flat = Readings(good.time, np.full(good.time.size, -1e-9))
    for method in ("TRIMMED_SUM", "CHARGE_SUM"):
        assert "is dark" in charge_of(flat, 4.0, Integration(method)).fault
    for method in METHODS:
        charges = method == "CHARGE_SUM"
        upside_down = charge_of(_readings(charges=charges), 4.0, Integration(method, 1.0))
        assert "the scale is 1" in upside_down.fault


@given(
    st.lists(
        st.tuples(st.floats(0.0, 10.0), st.floats(allow_nan=True, allow_infinity=True, width=32)),
        max_size=40,
    ),
    st.sampled_from(METHODS),
)
def test_anything_gives_a_positive_charge_or_a_reason(samples, method):
    time = np.array([t for t, _ in samples])
    current = np.array([c for _, c in samples], dtype=float)
    with np.errstate(all="ignore"):
        charge = charge_of(Readings(time, current), 1.0, Integration(method))
    assert bool(charge.fault) == math.isnan(charge.value)
    assert charge.fault or charge.value > 0
