"""Cameras in small."""

from __future__ import annotations

from pathlib import Path

import pytest

from calwatch.camera.loader import known_instruments, load_camera
from calwatch.simulate.small import COLUMNS, ROWS, small_camera


@pytest.mark.parametrize("instrument", known_instruments())
def test_all_but_the_number_of_pixels_is_the_same(instrument: str, tmp_path: Path) -> None:
    path, chosen = small_camera(instrument, tmp_path)
    small, real = load_camera(path), load_camera(instrument)
    assert (small.isr, small.keywords, small.header_rules) == (
        real.isr, real.keywords, real.header_rules,
    )  # fmt: skip
    assert {real.detector(number).kind for number in chosen} == {d.kind for d in real.detectors}
    for number in chosen:
        mine, its = small.detector(number), real.detector(number)
        assert mine.amp_names == its.amp_names
        for amp, full in zip(mine.amplifiers, its.amplifiers, strict=True):
            assert (amp.data.width, amp.data.height) == (COLUMNS, ROWS)
            assert amp.serial_overscan.width == full.serial_overscan.width
            assert amp.parallel_overscan.height == full.parallel_overscan.height
            assert (amp.flip_x, amp.flip_y) == (full.flip_x, full.flip_y)
            assert amp.bbox.x0 // COLUMNS == full.bbox.x0 // full.data.width
