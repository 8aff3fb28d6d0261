"""The streaming engine gives what the plain chain gives, whatever the frame."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from calwatch.isr.model import OverscanStatistics
from calwatch.isr.reference import run_reference
from calwatch.isr.steps import amplifier_facts, decide_steps
from calwatch.isr.stream.engine import run_stream
from calwatch.isr.stream.plan import CannotStreamError

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def both(given):
    amps = amplifier_facts(given)
    steps = decide_steps(given, amps)
    return run_stream(given, amps, steps), run_reference(given, amps, steps)


def assert_images_agree(fast, plain, raw):
    """Each step rounds a pixel to float32, and the largest value it has on the way is the raw one.

    A few roundings make 2e-6 of that; it is divided by flats of 0.9 or more and multiplied by gains
    of 2 or less.
    """
    assert np.array_equal(np.isnan(fast), np.isnan(plain))
    tolerance = 2e-6 * max(1.0, float(raw.max()))
    close = np.isclose(fast, plain, rtol=1e-5, atol=tolerance, equal_nan=True)
    assert close.all(), (np.argwhere(~close)[:5], fast[~close][:5], plain[~close][:5])


def assert_statistics_agree(fast, plain, raw):
    """Overscan statistics agree to 1e-6, or to one float32 step of a raw pixel."""
    step = float(np.spacing(np.float32(raw.max())))
    for field in fields(OverscanStatistics) if plain.overscan else ():
        a, b = getattr(fast.overscan, field.name), getattr(plain.overscan, field.name)
        assert a == pytest.approx(b, rel=1e-6, abs=step, nan_ok=True), field.name
    assert fast.bias_shift_noise == pytest.approx(
        plain.bias_shift_noise, rel=1e-3, abs=step, nan_ok=True
    )
    assert fast.row_projection == pytest.approx(
        plain.row_projection, rel=1e-4, abs=2e-6 * max(1.0, float(raw.max())), nan_ok=True
    )


@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_both_engines_agree(isr_inputs, data):
    given = data.draw(isr_inputs)
    try:
        fast, plain = both(given)
    except CannotStreamError as error:
        event(str(error))
        return
    event("streamed")
    assert fast.applied == plain.applied
    assert fast.not_applied == plain.not_applied
    assert fast.bad_amps == plain.bad_amps
    assert np.array_equal(fast.mask, plain.mask)
    assert_images_agree(fast.image, plain.image, given.raw)
    finite = np.isfinite(plain.variance)
    assert fast.variance[finite] == pytest.approx(plain.variance[finite], rel=1e-4, abs=0.2)
    assert_statistics_agree(fast.statistics, plain.statistics, given.raw)
