"""The fast engine against plain numpy, on frames as they are and as they should not be."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwatch.camera.model import Box
from calwatch.verify import bias, dark, fast_pixels, flat
from calwatch.verify.fast_pixels import FastPixels
from calwatch.verify.good_pixels import PlainPixels

SHAPE = (200, 240)


def _same(fast: float, plain: float, scale: float) -> bool:
    """Compare sums: float64 rounding of values as large as `scale`."""
    return (math.isnan(fast) and math.isnan(plain)) or math.isclose(
        fast, plain, rel_tol=1e-9, abs_tol=1e-12 * scale
    )


def _image(rng: np.random.Generator, kind: str) -> np.ndarray:
    image = rng.normal(rng.choice([0.0, 3e4]), 6.0, SHAPE)
    if kind == "integers":
        image = np.round(image / 4)
    elif kind == "equal":
        image[:] = 7.25
    elif kind == "two values":
        image = rng.integers(0, 2, SHAPE) * 1000.0
    elif kind == "uniform":
        image = rng.uniform(-50, 50, SHAPE)
    elif kind == "wide tails":
        image = rng.standard_t(1.5, SHAPE) * 6.0
    elif kind == "two levels":
        image[:, ::3] += 500.0
    elif kind == "rows":
        image += rng.normal(0, 200.0, (SHAPE[0], 1))
    return image.astype(np.float32)


KINDS = ("noise", "integers", "equal", "two values", "uniform", "wide tails", "two levels", "rows")


def _spoil(rng: np.random.Generator, image, mask, faults) -> None:
    if "hot" in faults:
        image[rng.integers(0, 200, 60), rng.integers(0, 240, 60)] = 1e5
    if "warm column" in faults:
        image[:, 30] += 300.0
    if "nan" in faults:
        image[rng.integers(0, 200, 60), rng.integers(0, 240, 60)] = np.nan
        image[5, 5], image[150, 200] = np.inf, -np.inf
    if "nan amplifier" in faults:
        image[:100, :120] = np.nan
    if "railed amplifier" in faults:
        image[100:, 120:] = 65_535.0
    if "masked pixels" in faults:
        bits = [1, 2, 4, 32, 128, 256]
        mask[rng.integers(0, 200, 300), rng.integers(0, 240, 300)] = rng.choice(bits, 300)
    if "masked amplifier" in faults:
        mask[100:, :120] = 1
    if "almost masked amplifier" in faults:
        mask[100:, :120] = 1
        mask[130, 40], mask[131, 70] = 0, 0


FAULTS = (
    "hot", "warm column", "nan", "nan amplifier", "railed amplifier", "masked pixels",
    "masked amplifier", "almost masked amplifier",
)  # fmt: skip


@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.sets(st.sampled_from(FAULTS)))
def test_both_engines_answer_the_same(detector, seed, kind, faults):
    rng = np.random.default_rng(seed)
    image, mask = _image(rng, kind), np.zeros(SHAPE, np.uint16)
    _spoil(rng, image, mask, faults)
    other = rng.uniform(1, 2, SHAPE).astype(np.float32)
    pixels = np.unique(rng.integers(0, 200, (50, 2)), axis=0).astype(np.int32)
    values = rng.normal(0, 6, len(pixels)).astype(np.float32)
    fast, plain = FastPixels(image, mask, detector), PlainPixels(image, mask, detector)
    scale = float(np.abs(image[np.isfinite(image)]).max(initial=1.0))
    assert fast.background() == plain.background()
    cleaned = zip(
        fast.deviations_with(pixels, values), plain.deviations_with(pixels, values), strict=True
    )
    assert all(_same(a, b, scale) for a, b in cleaned)
    for k in range(4):
        a, b = dataclasses.asdict(fast.statistics(k)), dataclasses.asdict(plain.statistics(k))
        for name in ("mean", "stdev", "noise"):
            assert _same(a.pop(name), b.pop(name), scale), name
        assert {n: v for n, v in a.items() if v == v} == {n: v for n, v in b.items() if v == v}
        assert _same(fast.corner_mean(k), plain.corner_mean(k), scale)
        assert _same(fast.mean_of_certified(other, k), plain.mean_of_certified(other, k), 1.0)


def test_a_sample_that_misleads_costs_no_truth(detector, monkeypatch):
    """Whatever is expected, the answers stay the same."""
    rng = np.random.default_rng(8)
    image, mask = _image(rng, "noise"), np.zeros(SHAPE, np.uint16)
    misleading = np.full(100, 77.0, np.float32)
    monkeypatch.setattr(fast_pixels, "sample_amplifier", lambda *_: misleading)
    fast, plain = FastPixels(image, mask, detector), PlainPixels(image, mask, detector)
    assert fast.background() == plain.background()
    none = np.empty((0, 2), np.int32), np.empty(0, np.float32)
    assert fast.deviations_with(*none) == plain.deviations_with(*none)
    for k in range(4):
        a, b = fast.statistics(k), plain.statistics(k)
        assert (a.median, a.n_clipped, a.minimum, a.maximum) == (
            b.median, b.n_clipped, b.minimum, b.maximum,
        )  # fmt: skip
        assert a.noise == pytest.approx(b.noise, rel=1e-12)


def test_amplifiers_of_unlike_size_and_a_strip_between_them(detector):
    rng = np.random.default_rng(9)
    image, mask = _image(rng, "noise"), np.zeros(SHAPE, np.uint16)
    first = replace(detector.amplifiers[0], bbox=Box(0, 0, 90, 77))
    uneven = replace(detector, amplifiers=(first, *detector.amplifiers[1:]))
    fast, plain = FastPixels(image, mask, uneven), PlainPixels(image, mask, uneven)
    assert fast.background() == plain.background()
    for k in range(4):
        assert fast.statistics(k).median == plain.statistics(k).median
        assert fast.statistics(k).n_good == plain.statistics(k).n_good


def test_pixels_that_hold_nearly_everything_can_be_replaced(detector):
    image = np.random.default_rng(3).normal(0, 6, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint16)
    image[40, 40] = 1e12
    where, value = np.array([[40, 40]], np.int32), np.array([1.0], np.float32)
    fast = FastPixels(image, mask, detector).deviations_with(where, value)
    plain = PlainPixels(image, mask, detector).deviations_with(where, value)
    assert fast == pytest.approx(plain, rel=1e-12)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["bias", "dark", "flat"]))
def test_both_engines_measure_the_same(make_frame, seed, calib_type):
    measure = {"bias": bias.measure, "dark": dark.measure, "flat": flat.measure}[calib_type]
    frame = make_frame(calib_type, seed)
    frame.isr.image[50, 20:40] += 4000.0  # a cosmic ray
    fast, plain = measure(frame), measure(replace(frame, engine="reference"))
    assert fast.warnings == plain.warnings
    for name, numbers in plain.amps.items():
        assert fast.amps[name] == pytest.approx(numbers, rel=1e-9, abs=1e-12, nan_ok=True)
    assert fast.detector == pytest.approx(plain.detector, rel=1e-9)
