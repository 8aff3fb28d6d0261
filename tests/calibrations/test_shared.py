"""Certified images through the store are those of their files, bit for bit."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from calwatch.calibrations.array_store import ArrayStore
from calwatch.calibrations.cache import CalibrationCache, array_bytes
from calwatch.calibrations.images import read_image_calibration
from calwatch.calibrations.shared import PLANES, from_entry, shared_image, to_entry
from calwatch.errors import CalibrationError
from calwatch.offline.formats import write_image_calibration


@pytest.fixture
def store(tmp_path) -> ArrayStore:
    return ArrayStore(tmp_path / "store", 10**8)


def never():
    pytest.fail("read again")


def assert_equal(found, wanted) -> None:
    for field in fields(wanted):
        a, b = getattr(found, field.name), getattr(wanted, field.name)
        if field.name in PLANES:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b, field.name
            assert type(a) is type(b)


def test_a_file_through_the_store_is_what_the_file_gives(store, tmp_path, detector, bias) -> None:
    path = tmp_path / "bias.fits"
    write_image_calibration(path, bias, {"SEQNAME": "FP_2s"})

    def read():
        return read_image_calibration("bias", path, detector)

    assert_equal(shared_image(store, "u1", detector, read), read())
    assert_equal(shared_image(store, "u1", detector, never), read())
    assert_equal(from_entry(to_entry(bias)), bias)


def test_a_kept_image_is_refused_to_another_detector(store, detector, bias) -> None:
    shared_image(store, "u1", detector, lambda: bias)
    with pytest.raises(CalibrationError, match="made for another detector: DETNAME"):
        shared_image(store, "u1", replace(detector, name="R22_S12"), never)
    with pytest.raises(CalibrationError, match=r"u1 \(image\) has shape \(50, 60\)"):
        shared_image(store, "u1", replace(detector, height=51), never)


def test_a_file_that_cannot_be_read_is_not_kept(store, detector, bias) -> None:
    def fail():
        raise CalibrationError("bias.fits: cannot be read")

    with pytest.raises(CalibrationError, match="cannot be read"):
        shared_image(store, "u1", detector, fail)
    assert_equal(shared_image(store, "u1", detector, lambda: bias), bias)


def test_mapped_images_take_nothing_of_the_memory_s_share(store, detector, bias) -> None:
    cache = CalibrationCache(10, store)
    first = cache.calibration("u1", "bias", detector, lambda: bias)
    assert cache.calibration("u1", "bias", detector, never) is first
    assert array_bytes(first) == cache.nbytes == 0


def test_tables_and_caches_without_a_store_stay_in_memory(store, tmp_path, detector, bias) -> None:
    table = object()
    cache = CalibrationCache(10**8, store)
    assert cache.calibration("u2", "ptc", detector, lambda: table) is table
    assert not [path for path in (tmp_path / "store").iterdir() if path.is_dir()]
    cache = CalibrationCache(10**8)
    assert cache.calibration("u1", "bias", detector, lambda: bias) is bias
