"""Dither against a literal assembly of the untrimmed mosaic."""

from __future__ import annotations

import numpy as np

from calwatch.isr import dither as module
from calwatch.isr.dither import dither


def literal(raw, detector, seed):
    rows, columns = raw.shape[1:]
    mosaic = np.zeros((2 * rows, 2 * columns), np.float32)
    places = {"C10": (0, 1), "C11": (1, 1), "C01": (1, 0), "C00": (0, 0)}
    flips = {"C10": (-1, -1), "C11": (1, -1), "C01": (1, 1), "C00": (-1, 1)}
    for pixels, name in zip(raw, detector.amp_names, strict=True):
        x, y = places[name]
        fx, fy = flips[name]
        mosaic[y * rows : (y + 1) * rows, x * columns : (x + 1) * columns] = pixels[::fy, ::fx]
    mosaic += np.random.RandomState(seed).uniform(-0.5, 0.5, size=mosaic.shape)
    dithered = np.empty(raw.shape, np.float32)
    for k, name in enumerate(detector.amp_names):
        x, y = places[name]
        fx, fy = flips[name]
        part = mosaic[y * rows : (y + 1) * rows, x * columns : (x + 1) * columns]
        dithered[k] = part[::fy, ::fx]
    return dithered


def raw_counts():
    return np.random.default_rng(0).integers(20000, 30000, (4, 76, 49), dtype=np.int32)


def test_equals_the_dithered_mosaic(detector):
    raw = raw_counts()
    assert np.array_equal(dither(raw, detector, 4294967295), literal(raw, detector, 4294967295))


def test_block_size_changes_nothing(detector, monkeypatch):
    raw = raw_counts()
    before = dither(raw, detector, 7)
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 5)
    assert np.array_equal(dither(raw, detector, 7), before)


def test_stays_within_half_a_count_and_does_not_touch_the_raw(detector):
    raw = raw_counts()
    kept = raw.copy()
    noise = dither(raw, detector, 3) - raw
    assert np.abs(noise).max() <= 0.5
    assert abs(noise.mean()) < 0.02
    assert noise.std() > 0.28
    assert np.array_equal(raw, kept)


def test_other_seed_other_noise(detector):
    raw = raw_counts()
    assert not np.array_equal(dither(raw, detector, 1), dither(raw, detector, 2))
