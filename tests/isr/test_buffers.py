"""A step copies unless it is told where to write."""

from __future__ import annotations

import numpy as np

from calwatch.isr.buffers import copy_into
from calwatch.isr.corrections import Masked, divide_by_flat
from calwatch.isr.interpolation import interpolate_masked
from calwatch.isr.serial_overscan import subtract_serial_overscan


def test_copy_into():
    source, out = np.arange(3), np.zeros(3, int)
    fresh = copy_into(source, None)
    assert fresh is not source
    assert fresh.tolist() == [0, 1, 2]
    assert copy_into(source, out) is out
    assert out.tolist() == [0, 1, 2]
    assert copy_into(source, source) is source


def test_in_place_gives_the_same_numbers(detector):
    stack = np.random.default_rng(0).normal(1000, 5, (4, 76, 49)).astype(np.float32)
    kept = stack.copy()
    skip = np.zeros(4, bool)
    fresh, _ = subtract_serial_overscan(stack, detector.amplifiers, skip)
    assert np.array_equal(stack, kept)
    same, _ = subtract_serial_overscan(stack, detector.amplifiers, skip, out=stack)
    assert same is stack
    assert np.array_equal(same, fresh)


def test_images_in_place(detector, image_calibration):
    rng = np.random.default_rng(0)
    image = rng.normal(100, 5, detector.shape).astype(np.float32)
    mask = (rng.random(detector.shape) < 0.1).astype(np.uint16)
    exposure = Masked(image, mask, np.ones_like(image))
    flat = image_calibration("flat", rng.uniform(0.9, 1.1, detector.shape))
    fresh = divide_by_flat(exposure, flat)
    assert np.array_equal(exposure.image, image)
    other = Masked(*(np.empty_like(a) for a in (image, mask, image)))
    assert divide_by_flat(exposure, flat, out=other).image is other.image
    assert np.array_equal(other.variance, fresh.variance)
    filled, marked = interpolate_masked(image, mask)
    again, _ = interpolate_masked(image, mask, out=(image, mask))
    assert again is image
    assert np.array_equal(image, filled)
    assert np.array_equal(mask, marked)
