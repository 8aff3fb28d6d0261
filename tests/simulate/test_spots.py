"""Spots of light as crosstalk needs them: seen by one amplifier alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from calwatch.camera.model import Detector
from calwatch.simulate.frames import make_frame
from calwatch.simulate.maps import PixelMaps
from calwatch.simulate.model import FrameEffects, SimulatedExposure
from calwatch.simulate.spots import spot_pattern
from calwatch.simulate.truth import DetectorTruth


@pytest.mark.parametrize("shape", [(100, 128), (2000, 509), (2002, 512), (150, 240)])
@pytest.mark.parametrize("shift", [0, 1, 7])
def test_no_two_amplifiers_are_bright_in_one_row(shape: tuple[int, int], shift: int) -> None:
    patterns = [spot_pattern(shape, index, 16, shift) for index in range(16)]
    assert all(pattern.shape == shape and pattern.any() for pattern in patterns)
    bright = np.array([pattern.any(axis=1) for pattern in patterns])
    assert bright.sum(axis=0).max() == 1


def test_spots_have_room_beside_them_and_move_on() -> None:
    pattern = spot_pattern((100, 128), 3, 16, 0)
    columns = np.flatnonzero(pattern.any(axis=0))
    assert 15 <= columns.min() <= columns.max() < 128 - 15
    assert np.diff(columns).max() > 30
    assert not (pattern * spot_pattern((100, 128), 3, 16, 1)).any()


def test_a_fault_of_crosstalk_shows_beside_the_spots_of_its_amplifier(
    detector: Detector,
    truth: DetectorTruth,
    maps: PixelMaps,
    take: Callable[..., SimulatedExposure],
) -> None:
    spots = replace(take("flat", electrons=500.0), spots=60_000.0)
    source, target = detector.amplifiers[2], 5
    faulty = FrameEffects(more_crosstalk={source.name: 1e-2})
    plain, ghosts = (make_frame(detector, truth, maps, spots, e) for e in (FrameEffects(), faulty))
    box = source.data
    shape = (box.y1 - box.y0, box.x1 - box.x0)
    inside = spot_pattern(shape, 2, len(detector.amplifiers), spots.current) > 0
    more = (ghosts[target] - plain[target])[box.slices] * truth.amps[
        detector.amp_names[target]
    ].gain
    assert abs(more[inside].mean() - 605.0) < 15.0
    assert abs(more[~inside].mean() - 5.0) < 1.0
    own = plain[2][box.slices]
    assert own[inside].min() > own[~inside].mean() + 20_000
    assert np.array_equal(ghosts[2], plain[2])
