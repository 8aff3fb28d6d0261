"""Hot and odd pixels and columns are found, and covered by boxes exactly."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calwatch.camera.model import Box
from calwatch.offline.combine_defects import boxes_of, hot_pixels, odd_flat_pixels


@given(hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_boxes_cover_the_bad_pixels_once_and_nothing_else(bad) -> None:
    covered = np.zeros(bad.shape, int)
    for box in boxes_of(bad):
        covered[box.slices] += 1
    np.testing.assert_array_equal(covered, bad)


def test_equal_columns_are_one_box() -> None:
    bad = np.zeros((10, 12), bool)
    bad[2:9, 3:7] = True
    assert boxes_of(bad) == (Box(3, 2, 4, 7),)


def test_hot_pixels_and_columns() -> None:
    dark = np.random.default_rng(1).normal(0.02, 0.02, (100, 120)).astype(np.float32)
    dark[10, 20] = 3
    dark[:, 50] += 0.05
    dark[70, 80] = np.nan
    dark[5, 5] = -3
    bad = hot_pixels(dark)
    assert bad[10, 20]
    assert bad[70, 80]
    assert bad[:, 50].all()
    assert bad.sum() == 102


def test_odd_pixels_of_a_vignetted_flat() -> None:
    rng = np.random.default_rng(2)
    falloff = np.linspace(1.0, 0.8, 120)
    flat = (falloff * rng.normal(1, 0.006, (100, 120))).astype(np.float32)
    flat[10, 20] *= 0.5
    flat[30, 40] *= 1.3
    flat[:, 60] *= 0.95
    flat[70, 80] = np.nan
    bad = odd_flat_pixels(flat)
    assert bad[10, 20]
    assert bad[30, 40]
    assert bad[70, 80]
    assert bad[:, 60].all()
    assert bad.sum() == 103


def test_a_dead_amplifier_is_bad_as_a_whole() -> None:
    dead = np.full((40, 40), np.nan, np.float32)
    assert hot_pixels(dead).all()
    assert odd_flat_pixels(dead).all()
    assert odd_flat_pixels(np.zeros((40, 40), np.float32)).all()
