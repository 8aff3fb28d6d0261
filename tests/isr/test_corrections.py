"""Pixel by pixel corrections and their variances, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import Defects, Units
from calwatch.camera.model import Box
from calwatch.isr.corrections import (
    Masked,
    add_noise_variance,
    apply_gain,
    bad_amplifiers,
    dark_scale,
    divide_by_flat,
    in_electrons,
    mask_defects,
    mask_not_finite,
    subtract_scaled,
)


def exposure(detector, image=100.0, mask=0, variance=4.0):
    return Masked(
        np.full(detector.shape, image, np.float32),
        np.full(detector.shape, mask, np.uint16),
        np.full(detector.shape, variance, np.float32),
    )


def test_gain_leaves_amplifiers_without_one_in_adu():
    stack = np.full((5, 2, 3), 10, np.float32)
    got = apply_gain(stack, np.array([1.5, np.nan, 0.0, -2.0, np.inf]))
    assert got[:, 0, 0].tolist() == [15, 10, 10, 10, 10]


def test_bad_amplifiers(detector):
    whole = Defects((Box(29, 0, 31, 64),), {})
    parts = Defects((Box(30, 0, 30, 32), Box(30, 32, 30, 32)), {})
    gain = np.array([1.0, np.nan, 1.0, 0.0])
    assert bad_amplifiers(detector, None, gain).tolist() == [False, True, False, True]
    assert bad_amplifiers(detector, whole, np.ones(4)).tolist() == [False, False, True, False]
    assert not bad_amplifiers(detector, parts, np.ones(4)).any()


def test_scaled_subtraction_joins_masks_and_variances(detector, image_calibration):
    mask = np.zeros(detector.shape, np.uint16)
    mask[3, 4] = Mask.BAD
    dark = image_calibration(
        "dark", 2.0, mask=mask, variance=np.full(detector.shape, 0.5, np.float32)
    )
    ten = np.full(4, 10.0)
    got = subtract_scaled(exposure(detector, mask=Mask.CROSSTALK), dark, ten, detector)
    assert (got.image == 80).all()
    assert got.variance[0, 0] == pytest.approx(4 + 100 * 0.5)
    assert got.mask[3, 4] == Mask.BAD | Mask.CROSSTALK
    assert got.mask[0, 0] == Mask.CROSSTALK


def test_subtraction_in_the_units_of_the_image(detector, image_calibration):
    bias = image_calibration(
        "bias", 2.0, units=Units.ADU, variance=np.ones(detector.shape, np.float32)
    )
    got = subtract_scaled(exposure(detector), bias, np.array([1.0, 2, 3, 4]), detector)
    assert (got.image[100, 5], got.image[5, 5]) == (98, 92)
    assert (got.variance[100, 5], got.variance[5, 5]) == (5, 20)


@pytest.mark.parametrize(
    ("own", "expected"), [(1.0, 30.0), (15.0, 2.0), (0.0, 30.0), (np.nan, 30.0)]
)
def test_dark_scale(image_calibration, own, expected):
    assert dark_scale(image_calibration("dark", 1.0, dark_time=own), 30.0) == expected


def test_units(image_calibration):
    words = [Units.ELECTRON, Units.ELECTRON_PER_SECOND, Units.ADU, Units.NONE]
    found = [in_electrons(image_calibration("dark", 1.0, units=unit)) for unit in words]
    assert found == [True, True, False, False]


def test_defects_are_cut_at_the_border(detector):
    mask = np.full(detector.shape, int(Mask.SAT), np.uint16)
    got = mask_defects(mask, Defects((Box(-2, -2, 4, 3), Box(58, 100, 10, 1)), {}))
    bad = np.argwhere(got & Mask.BAD).tolist()
    assert bad == [[0, 0], [0, 1], [100, 58], [100, 59]]
    assert (got & Mask.SAT).all()
    assert not (mask & Mask.BAD).any()


def test_nan_mask(detector):
    image = np.zeros(detector.shape, np.float32)
    mask = np.ones(detector.shape, np.uint16)
    assert not (mask_not_finite(image, mask) & Mask.UNMASKEDNAN).any()
    image[1, 2], image[3, 4] = np.nan, np.inf
    got = mask_not_finite(image, mask)
    assert np.argwhere(got & Mask.UNMASKEDNAN).tolist() == [[1, 2], [3, 4]]
    assert (got & 1).all()


def test_variance_adds_image_and_read_noise(detector):
    e = exposure(detector, image=-3.0)
    got = add_noise_variance(e.image, e.variance, np.array([5.0, 6, np.nan, 7]), detector)
    assert got[100, 5] == 4 - 3 + 25
    assert got[100, 50] == 4 - 3 + 36
    assert np.isnan(got[5, 50])
    assert got[5, 5] == 4 - 3 + 49


def test_flat_variance_is_that_of_a_quotient(detector, image_calibration):
    flat = image_calibration(
        "flat", 0.8, units=Units.NONE, variance=np.full(detector.shape, 1e-4, np.float32)
    )
    got = divide_by_flat(exposure(detector), flat)
    assert got.image[0, 0] == pytest.approx(125)
    expected = (4.0 * 0.8**2 + 100.0**2 * 1e-4) / 0.8**4
    assert got.variance[0, 0] == pytest.approx(expected, rel=1e-5)


def test_flat_without_data_or_with_zeros(detector, image_calibration):
    mask = np.zeros(detector.shape, np.uint16)
    mask[0, 0] = Mask.NO_DATA
    flat = image_calibration("flat", 1.0, units=Units.NONE, mask=mask)
    flat.image[0, 0], flat.image[0, 1] = np.nan, 0.0
    got = divide_by_flat(exposure(detector), flat)
    assert (got.image[0, 0], got.variance[0, 0]) == (0.0, np.float32(1e10))
    assert got.mask[0, 0] == Mask.NO_DATA
    assert not np.isfinite(got.image[0, 1])
    assert got.image[0, 2] == 100
