"""Frames added up one at a time."""

from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwatch.calibrations.masks import Mask
from calwatch.camera.model import Box
from calwatch.verify.sets.model import CorrectedFrame
from calwatch.verify.sets.stack import MOST_FRAMES, Stack
from calwatch.verify.sets.stack_kernels import (
    Frames,
    Planes,
    add_frame,
    boxes_of,
    plain_add_frame,
    plain_settle,
    settle,
)

NOISE = 6.0


@pytest.fixture(scope="module")
def make_dark(detector):
    """Return a function of (number, seconds, **changes) that makes a dark of 0.5 e-/s."""

    def make(number, seconds=30.0, **changes):
        rng = np.random.default_rng(number)
        image = rng.normal(0.5 * seconds, NOISE, detector.shape).astype(np.float32)
        usual = {
            "exposure_id": number,
            "exposure_time": seconds,
            "dark_time": seconds,
            "image": image,
            "mask": np.zeros(detector.shape, np.uint16),
            "gain": np.full(4, 1.5),
            "overscan_noise": np.full(4, NOISE / 1.5),
            "faults": ("",) * 4,
        }
        return CorrectedFrame(**(usual | changes))

    return make


def _random_planes(seed, parts, scatter, n_frames, add):
    """Add frames with holes, cosmic rays and a defect, of unequal weight."""
    rng = np.random.default_rng(seed)
    shape = (12, 20)
    boxes = [Box(0, 0, 9, 12), Box(9, 0, 11, 12)]
    tau = rng.uniform(0.5, 6, n_frames).astype(np.float32)
    planes = Planes.of(shape, parts, scatter)
    for k in range(n_frames):
        image = rng.normal(3, 6, shape).astype(np.float32)
        image[rng.integers(12), rng.integers(20)] += 900
        image[4, 4] += 40 * tau[k]
        if k == 2:
            image[1, 2] = np.nan
            image[2, 2] = np.inf
        terms = np.array([[3, 1 / 6, tau[k], -np.inf, 4], [2, 0.2, tau[k], -3, 3]], np.float32)
        if k == 3:
            terms[1] = 0
        add(planes, image, boxes_of(boxes), terms, k % parts, k)
    return planes, boxes, tau.astype(float)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([1, 2]), st.booleans(), st.integers(6, 12))
def test_kernels_agree_with_plain_numpy(seed, parts, scatter, n_frames):
    fast, boxes, tau = _random_planes(seed, parts, scatter, n_frames, add_frame)
    with np.errstate(invalid="ignore"):
        plain, _, _ = _random_planes(seed, parts, scatter, n_frames, plain_add_frame)
    for name in ("sums", "squares", "largest"):
        np.testing.assert_allclose(getattr(fast, name), getattr(plain, name), rtol=2e-5, atol=1e-3)
    np.testing.assert_array_equal(fast.which, plain.which)
    np.testing.assert_array_equal(fast.beyond, plain.beyond)
    part = np.arange(n_frames, dtype=np.int32) % parts
    for k, box in enumerate(boxes):
        used = np.where((np.arange(n_frames) == 3) & (k == 1), 0.0, tau)
        frames = Frames(used, used / 36, part)
        both = deepcopy(fast)
        settle(fast, box, frames, (30.0, 28.0))
        plain_settle(both, box, frames, (30.0, 28.0))
        for name in ("sums", "squares"):
            np.testing.assert_allclose(
                getattr(fast, name), getattr(both, name), rtol=1e-4, atol=1e-4
            )


def test_a_cosmic_ray_leaves_no_trace_and_a_hot_pixel_stays(detector, make_dark):
    stack = Stack(detector, "dark", parts=2, threshold=5.0, scatter=True)
    clean = Stack(detector, "dark", parts=2, threshold=5.0, scatter=True)
    for n in range(8):
        frame = make_dark(n)
        frame.image[30, 30] += 300
        clean.add(frame)
        struck = deepcopy(frame)
        struck.image[n, 10:20] += 2000
        stack.add(struck)
    for each in (stack, clean):
        assert each.settle(0).all()
    rate = stack.planes.sums[0]
    assert rate[30, 30] == pytest.approx(10, abs=0.5)
    # Seven frames in place of eight, and no more.
    change = (rate - clean.planes.sums[0])[:8, 10:20]
    assert np.abs(change).max() < 4 * 0.2 / np.sqrt(8 * 7) * 8
    assert stack.planes.beyond[30, 30] == 8
    assert (stack.planes.beyond[:8, 10:20] == 1).all()


def test_unequal_times_give_one_rate(detector, make_dark):
    stack = Stack(detector, "dark")
    for n, seconds in enumerate([5.0] * 5 + [15.0] * 2 + [30.0] * 16):
        frame = make_dark(n, seconds)
        frame.image[50, 50] += 20 * seconds
        stack.add(frame)
    stack.settle(1)
    stack.settle(0)
    weight = stack.frames(0).weight(0)
    assert 1 / np.sqrt(weight) == pytest.approx(
        NOISE / np.sqrt(5 * 25 + 2 * 225 + 16 * 900), rel=0.02
    )
    assert stack.planes.sums[0][50, 50] == pytest.approx(20, abs=0.5)
    rates = stack.planes.sums[0][:40, 120:240]
    assert rates.std() * np.sqrt(stack.frames(1).weight(0)) == pytest.approx(1, rel=0.05)


def test_what_cannot_be_used_is_said(detector, make_dark):
    stack = Stack(detector, "dark", parts=2)
    first = make_dark(0, faults=("", "not read out", "", ""))
    assert stack.add(first) == [0, 2, 3]
    holes = make_dark(1)
    holes.image[100:, :120] = np.nan
    holes.mask[100:, 120:] = int(Mask.BAD)
    assert stack.add(holes) == [1]
    dead = make_dark(2)
    dead.image[:100, :120] = 7.0
    stack.add(dead)
    stack.add(make_dark(3, dark_time=np.nan, exposure_time=0.0))
    assert [stack.frames(i).count for i in range(4)] == [2, 2, 2, 2]
    assert stack.fault(0) == "only 2 darks of at least 4 (there is no dark time)"
    said = "\n".join(stack.warnings())
    assert "exposure 0: 1 of 4 amplifiers left out: not read out" in said
    assert "masked or no numbers: 0 % of its pixels can be used" in said
    assert "no noise at all" in said


def test_a_half_needs_two(detector, make_dark):
    stack = Stack(detector, "dark", parts=2)
    for n in range(9):
        bad = n % 2 == 1 and n > 1
        stack.add(make_dark(n, faults=("no clock" if bad else "", "", "", "")))
    assert stack.fault(0) == "only 1 dark in the odd half (no clock)"
    assert not stack.fault(1)
    assert Stack(detector, "flat").fault(0) == "only 0 flats of at least 4"


def test_there_is_an_end_to_frames(detector, make_dark):
    stack = Stack(detector, "dark")
    frame = make_dark(0)
    for _ in range(MOST_FRAMES + 2):
        stack.add(frame)
    assert stack.frames(0).count == MOST_FRAMES
    assert stack.warnings() == (f"2 frames beyond {MOST_FRAMES} left out",)
