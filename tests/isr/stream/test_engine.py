"""The streaming engine gives what the plain chain gives, whatever the frame."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import CalibrationSet, Linearizer, LinearizerType, Units
from calwatch.camera.model import Box
from calwatch.errors import RawError
from calwatch.isr.chain import run_isr
from calwatch.isr.model import OverscanStatistics
from calwatch.isr.reference import run_reference
from calwatch.isr.steps import amplifier_facts, decide_steps
from calwatch.isr.stream import engine, marking
from calwatch.isr.stream.engine import StreamedResult, run_stream
from calwatch.isr.stream.masks import masked_pixels
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


def assert_results_agree(fast, plain, raw):
    assert fast.applied == plain.applied
    assert fast.not_applied == plain.not_applied
    assert fast.bad_amps == plain.bad_amps
    assert np.array_equal(fast.mask, plain.mask)
    assert fast.census == plain.census
    assert_images_agree(fast.image, plain.image, raw)
    finite = np.isfinite(plain.variance)
    assert fast.variance[finite] == pytest.approx(plain.variance[finite], rel=1e-4, abs=0.2)
    assert_statistics_agree(fast.statistics, plain.statistics, raw)


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
    assert_results_agree(fast, plain, given.raw)


@settings(max_examples=30, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_tiles_are_decoded_on_the_way(isr_inputs, tiles_of, data):
    given = data.draw(isr_inputs)
    from_pixels = run_isr(given)
    from_tiles = run_isr(replace(given, raw=tiles_of(given.raw)))
    assert type(from_tiles) is type(from_pixels)
    assert np.array_equal(from_tiles.image, from_pixels.image, equal_nan=True)
    assert np.array_equal(from_tiles.mask, from_pixels.mask)
    assert from_tiles.census == from_pixels.census


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("row", [0, 33, 49, 59])
def test_a_damaged_tile_is_named(bright_input, tiles_of, engine, row):
    tiles = tiles_of(bright_input.raw)
    tiles.data[tiles.offsets[2, row] + 4 :][:9] = 0xFF
    with pytest.raises(RawError, match=rf"raw.fits: HDU Segment02 .* row {row} is damaged"):
        run_isr(replace(bright_input, raw=tiles, engine=engine))


@pytest.fixture
def passes(monkeypatch):
    """Count the passes over the rows."""
    done = []
    one = engine._pass
    monkeypatch.setattr(engine, "_pass", lambda plan: done.append(plan) or one(plan))
    return done


def test_few_bright_pixels_are_listed(bright_input, passes):
    fast, plain = both(bright_input)
    assert_results_agree(fast, plain, bright_input.raw)
    assert (fast.mask & Mask.CROSSTALK != 0).sum() == 9
    assert len(passes) == 1


def test_much_light_keeps_all_signals(bright_input, passes):
    x = np.arange(103)
    raw = bright_input.raw + np.where((x >= 3) & (x < 43), 30000 + 400 * x, 0).astype(np.int32)
    bright = replace(bright_input, raw=raw)
    fast, plain = both(bright)
    assert_results_agree(fast, plain, raw)
    assert (fast.mask & Mask.CROSSTALK != 0).sum() > 1000
    assert len(passes) == 1


@pytest.mark.parametrize(
    "changes",
    [
        # The median is not where it is expected.
        {"_STEPS": (0.5,) * 6, "_LEAST_RANGE": 0.0},
        {"_CAPACITY": 1},
    ],
)
def test_too_few_notes_repeat_the_pass(bright_input, passes, monkeypatch, changes):
    for name, value in changes.items():
        monkeypatch.setattr(marking, name, value)
    fast, plain = both(bright_input)
    assert_results_agree(fast, plain, bright_input.raw)
    assert len(passes) == 2


@pytest.mark.parametrize("rows", [60, 59])
@pytest.mark.parametrize("steps", [marking._STEPS, (0.1,) * 6, (0.49,) * 3 + (0.9,) * 3])
def test_a_mark_that_needs_the_exact_median(bright_input, passes, monkeypatch, rows, steps):
    """Both an even and an odd number of signals, among steps some of which decide nothing."""
    monkeypatch.setattr(marking, "_STEPS", steps)
    monkeypatch.setattr(marking, "_LEAST_RANGE", 100.0)
    detector = bright_input.detector
    amplifiers = tuple(
        replace(
            amp,
            hdu_box=Box(0, 0, 103, rows),
            serial_overscan=Box(43, 0, 60, rows),
            parallel_overscan=Box(3, 50, 40, rows - 50),
        )
        for amp in detector.amplifiers
    )
    given = replace(
        bright_input,
        detector=replace(detector, amplifiers=amplifiers),
        raw=bright_input.raw[:, :rows],
    )
    fast, plain = both(given)
    assert_results_agree(fast, plain, given.raw)
    assert (fast.mask & Mask.CROSSTALK != 0).sum() == 9
    assert len(passes) == 1


@pytest.mark.parametrize("row", [20, 55])
def test_a_wide_row_repeats_the_pass(bright_input, passes, row):
    """A row of data, and one of the parallel overscan on which all columns depend."""
    raw = bright_input.raw.copy()
    raw[2, row, 43:] += (np.random.default_rng(0).exponential(90, 60)).astype(np.int32)
    fast, plain = both(replace(bright_input, raw=raw))
    assert_results_agree(fast, plain, raw)
    assert len(passes) == 2


def without_splines(detector):
    n = len(detector.amplifiers)
    return Linearizer(
        detector.amp_names, (LinearizerType.SQUARED,) * n, (np.array([1e-7]),) * n, None,
        Units.ADU, {},
    )  # fmt: skip


def test_what_cannot_be_streamed_is_left_to_the_plain_chain(bright_input):
    detector, raw = bright_input.detector, bright_input.raw
    first, *others = detector.amplifiers
    narrow = replace(first, serial_overscan=Box(44, 0, 59, 60))
    lit = raw + np.where(np.arange(60) >= 50, 20000 * (np.arange(103) < 43)[:, None], 0).T
    cases = {
        "not int32": replace(bright_input, raw=raw.astype(np.float32)),
        "differ": replace(bright_input, detector=replace(detector, amplifiers=(narrow, *others))),
        "cover the detector": replace(
            bright_input,
            detector=replace(detector, height=detector.height + 1),
            calibrations=CalibrationSet(),
        ),
        "a Squared": replace(
            bright_input,
            calibrations=replace(bright_input.calibrations, linearizer=without_splines(detector)),
        ),
        "light": replace(bright_input, raw=lit.astype(np.int32)),
    }
    for reason, case in cases.items():
        with pytest.raises(CannotStreamError, match=reason):
            both(case)
        result = run_isr(case)
        assert not isinstance(result, StreamedResult)
        assert np.array_equal(result.image, run_isr(replace(case, engine="reference")).image)


def test_the_engine_is_chosen(bright_input):
    assert isinstance(run_isr(bright_input), StreamedResult)
    assert not isinstance(run_isr(replace(bright_input, engine="reference")), StreamedResult)


def test_calibrations_may_be_read_only_and_are_not_written_to(bright_input):
    bias = bright_input.calibrations.bias
    for plane in (bias.image, bias.mask, bias.variance, bright_input.raw):
        plane.flags.writeable = False
    first, second = run_isr(bright_input), run_isr(bright_input)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.variance, second.variance)


def test_masks_are_told_apart_after_they_are_gone():
    for value in range(20):
        mask = np.full((2, 2), value, np.uint16)
        assert masked_pixels(mask).bits.tolist() == [value] * 4 * bool(value)
        del mask
