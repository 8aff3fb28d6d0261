"""Gains from the continuity of a flat over the boundaries of amplifiers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwatch.camera.model import Box, Detector
from calwatch.verify.sets.boundaries import (
    Boundary,
    Step,
    boundaries,
    measure_step,
    relative_gains,
    solve,
)

WIDTH, HEIGHT, COLUMNS = 120, 150, 4


@pytest.fixture(scope="module")
def wide(detector) -> Detector:
    """Eight amplifiers in two rows."""
    first = detector.amplifiers[0]
    amps = tuple(
        replace(
            first,
            name=f"C{i // COLUMNS}{i % COLUMNS}",
            bbox=Box(WIDTH * (i % COLUMNS), HEIGHT * (i // COLUMNS), WIDTH, HEIGHT),
        )
        for i in range(2 * COLUMNS)
    )
    return replace(detector, width=COLUMNS * WIDTH, height=2 * HEIGHT, amplifiers=amps)


def _flat(detector, rng, factors, level=30_000.0):
    """Return a vignetted flat in e-, falsified by factors on the gains."""
    y, x = np.mgrid[: detector.height, : detector.width]
    light = level * (1 - 0.1 * ((x / detector.width) ** 2 + (y / detector.height - 0.3) ** 2))
    image = rng.normal(light, np.sqrt(light + 36))
    for amp, factor in zip(detector.amplifiers, factors, strict=True):
        image[amp.bbox.slices] *= factor
    return image.astype(np.float32)


def _solve(detector, image, good=None, usable=None):
    n = len(detector.amplifiers)
    good = np.ones(image.shape, bool) if good is None else good
    return relative_gains(detector, image, good, usable or [True] * n)


def test_every_boundary_is_found(wide):
    found = boundaries(wide)
    assert len(found) == 2 * (COLUMNS - 1) + COLUMNS
    assert Boundary(0, 1, True, WIDTH, 0, HEIGHT) in found
    assert Boundary(1, 5, False, HEIGHT, WIDTH, 2 * WIDTH) in found


def test_factors_come_back_within_their_errors(wide):
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(60):
        factors = 1 + 0.02 * rng.standard_normal(8)
        found = _solve(wide, _flat(wide, rng, factors))
        wanted = np.median(found.ratio * factors)
        pulls.append((found.ratio * factors / wanted - 1) / found.error)
    pulls = np.concatenate(pulls)
    assert abs(pulls.mean()) < 0.2
    assert 0.85 < pulls.std() < 1.15
    assert found.error.max() < 2e-3


def _steps(detector, images):
    """Return steps and errors of every boundary of flats without one."""
    boxes = [amp.bbox for amp in detector.amplifiers]
    steps = [
        measure_step(b, (boxes[b.before], boxes[b.after]), image, np.ones(image.shape, bool))
        for image in images
        for b in boundaries(detector)
    ]
    return np.array([(step.step, step.error) for step in steps]).T


def test_errors_of_steps_are_those_of_the_pixels(wide):
    rng = np.random.default_rng(6)
    response = 1 + 0.006 * rng.standard_normal((60, wide.height, wide.width))
    step, error = _steps(wide, (_flat(wide, rng, np.ones(8)) * r for r in response))
    pulls = step / error
    # So strong a vignetting on so few pixels is not quite a line.
    assert abs(pulls.mean()) < 0.2
    assert 0.9 < pulls.std() < 1.1
    # Brighter, they are better known: there is no floor.
    _, brighter = _steps(wide, [_flat(wide, rng, np.ones(8), 3e6)])
    assert brighter.max() < 2e-4


def test_columns_that_are_alike_count_for_fewer(wide):
    rng = np.random.default_rng(7)

    def flat():
        line = np.zeros(wide.width)
        for k in range(1, wide.width):
            line[k] = 0.7 * line[k - 1] + 1e-3 * rng.standard_normal()
        return _flat(wide, rng, np.ones(8), 3e6) * (1 + line)

    vertical = [b.vertical for b in boundaries(wide)]
    step, error = (
        part.reshape(-1, len(vertical))[:, vertical]
        for part in _steps(wide, (flat() for _ in range(80)))
    )
    # Taken for independent their errors would be too small by 2.4.
    assert 0.7 < (step / error).std() < 1.6


def test_an_edge_that_reaches_into_the_band_makes_an_error(wide):
    rng = np.random.default_rng(8)
    plain, bent = (_flat(wide, rng, np.ones(8), 3e6) for _ in range(2))
    edge = 0.01 * np.exp(-np.arange(WIDTH) / 20)
    for amp in wide.amplifiers[1::2]:
        bent[amp.bbox.slices] *= 1 - edge
    (_, usual), (step, error) = (_steps(wide, [image]) for image in (plain, bent))
    touched = [b.vertical and b.after % 2 == 1 for b in boundaries(wide)]
    # By how much the light falls nearer to the edge cannot be known from the band.
    assert np.all(error[touched] > 5 * usual.max())
    assert np.all(np.abs(step[touched]) < 6 * error[touched])
    assert np.abs(step[np.logical_not(touched)]).max() < 1e-3


def test_a_step_of_one_percent_is_told(wide):
    rng = np.random.default_rng(2)
    for wrong in range(8):
        factors = np.ones(8)
        factors[wrong] = 1.01
        found = _solve(wide, _flat(wide, rng, factors))
        assert found.ratio[wrong] == pytest.approx(1 / 1.01, abs=5e-3)
        assert np.abs(np.delete(found.ratio, wrong) - 1).max() < 4e-3
        assert int(np.abs(found.ratio - 1).argmax()) == wrong


def test_one_amplifier_far_off_does_not_make_the_others_wrong(wide):
    factors = np.ones(8)
    factors[2] = 3.0
    found = _solve(wide, _flat(wide, np.random.default_rng(3), factors))
    assert found.ratio[2] == pytest.approx(1 / 3, rel=0.01)
    assert np.abs(np.delete(found.ratio, 2) - 1).max() < 5e-3


def test_bad_columns_particles_and_edges_do_no_harm(wide):
    rng = np.random.default_rng(4)
    image = _flat(wide, rng, np.ones(8))
    clean = _solve(wide, image)
    good = np.ones(image.shape, bool)
    good[:, 100] = False
    image[:, 100] = np.nan
    image[:, 135] *= 0.9
    image[20:24, 90:150] += 50_000
    # The last pixels before a boundary, distorted.
    image[:, WIDTH - 4 : WIDTH] *= 1.05
    found = _solve(wide, image, good)
    assert np.abs(found.ratio - clean.ratio).max() < 2e-3


def test_what_is_not_usable_takes_no_part(wide):
    image = _flat(wide, np.random.default_rng(5), np.ones(8))
    usable = [True] * 8
    usable[1] = False
    image[wide.amplifiers[1].bbox.slices] = 0
    found = _solve(wide, image, usable=usable)
    assert np.isnan(found.ratio[1])
    assert np.isfinite(np.delete(found.ratio, 1)).all()
    # Cut off from the rest: 0 and 4 are one part of two, 2, 3, 6 and 7 the larger one.
    usable[5] = False
    found = _solve(wide, image, usable=usable)
    assert np.flatnonzero(np.isfinite(found.ratio)).tolist() == [2, 3, 6, 7]
    assert np.isnan(_solve(wide, image, usable=[False] * 8).ratio).all()


@pytest.mark.parametrize("value", [0.0, -5.0, np.nan, np.inf])
def test_without_light_there_is_no_ratio(wide, value):
    image = np.full((wide.height, wide.width), value, np.float32)
    found = _solve(wide, image, np.isfinite(image))
    assert np.isnan(found.ratio).all()
    assert np.isnan(found.error).all()


@settings(deadline=None)
@given(st.lists(st.floats(-0.2, 0.2), min_size=8, max_size=8))
def test_exact_steps_give_exact_factors(logs):
    pairs = [(i, i + 1) for i in (0, 1, 2, 4, 5, 6)] + [(i, i + 4) for i in range(4)]
    steps = [
        Step(Boundary(i, j, True, 0, 0, 1), logs[j] - logs[i], 1e-3 * (1 + i)) for i, j in pairs
    ]
    found = solve(steps, 8)
    wanted = np.exp(-np.array(logs))
    np.testing.assert_allclose(found.ratio, wanted / np.median(wanted), rtol=1e-9)
    assert np.median(found.ratio) == pytest.approx(1)
    assert (found.error > 0).all()


def test_no_steps_give_nothing():
    assert np.isnan(solve([], 3).ratio).all()
