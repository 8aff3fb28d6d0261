import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calwatch.calibrations.masks import Mask
from calwatch.camera.model import Box
from calwatch.verify.statistics import amp_statistics, corner_box, good_pixels, mean_error

BOX = Box(2, 1, 8, 9)
VALUES = st.floats(-1000, 1000, width=32)
IMAGES = hnp.arrays(np.float32, (12, 11), elements=VALUES)
MASKS = hnp.arrays(np.uint16, (12, 11), elements=st.sampled_from([0, 0, 0, 1, 2, 8, 32, 256]))


def _measure(image, mask=None, box=BOX):
    mask = np.zeros(image.shape, np.uint16) if mask is None else mask
    good = good_pixels(image, mask, box)
    return amp_statistics(image, good, box)


def _reference(values):
    """Clip at 5σ three times, written from the definition of afw."""
    x = values.astype(np.float64)
    q25, median, q75 = np.percentile(x, [25, 50, 75])
    keep = np.abs(x - median) <= 5 * 0.741301109252802 * (q75 - q25)
    for _ in range(2):
        keep = np.abs(x - x[keep].mean()) <= 5 * x[keep].std(ddof=1)
    return x[keep]


@given(IMAGES, MASKS)
def test_only_good_pixels_of_the_box_count(image, mask):
    found = _measure(image, mask)
    part = image[BOX.slices]
    values = part[(mask[BOX.slices] & (1 | 32 | 256)) == 0].astype(np.float64)
    assert found.n_good == values.size
    assert found.n_masked == BOX.area - values.size
    if values.size > 1:
        assert found.mean == pytest.approx(values.mean(), abs=1e-6)
        assert found.stdev == pytest.approx(values.std(ddof=1), abs=1e-6)
        assert found.median == pytest.approx(np.median(values), abs=1e-6)
        assert found.minimum == values.min()
        assert found.maximum == values.max()


@given(st.integers(0, 2**32 - 1), st.integers(0, 10), st.floats(1.0, 1e4))
def test_noise_is_the_clipped_deviation(seed, n_outliers, size):
    rng = np.random.default_rng(seed)
    image = rng.normal(3.0, 6.0, (12, 11)).astype(np.float32)
    image[rng.integers(0, 12, n_outliers), rng.integers(0, 11, n_outliers)] += np.float32(size)
    found = _measure(image)
    kept = _reference(image[BOX.slices].ravel())
    assert found.n_clipped == BOX.area - kept.size
    assert found.noise == pytest.approx(kept.std(ddof=1), rel=1e-9)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 2.0, 8.0]), st.integers(-64, 64))
def test_shift_and_scale(seed, scale, shift):
    rng = np.random.default_rng(seed)
    image = np.round(rng.normal(0.0, 600.0, (12, 11))).astype(np.float32)
    one, other = _measure(image), _measure(image * np.float32(scale) + np.float32(shift))
    assert other.mean == pytest.approx(one.mean * scale + shift, abs=1e-6)
    assert other.median == pytest.approx(one.median * scale + shift, abs=1e-6)
    assert other.stdev == pytest.approx(one.stdev * scale, rel=1e-9)
    assert other.noise == pytest.approx(one.noise * scale, rel=1e-9)
    assert other.n_clipped == one.n_clipped


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_pixels_is_of_no_account(seed):
    rng = np.random.default_rng(seed)
    image = rng.standard_t(2, (12, 11)).astype(np.float32)
    one = _measure(image, box=Box(0, 0, 11, 12))
    other = _measure(rng.permutation(image.ravel()).reshape(12, 11), box=Box(0, 0, 11, 12))
    assert other.noise == pytest.approx(one.noise, rel=1e-9)
    assert other.mean == pytest.approx(one.mean, abs=1e-9)
    assert (other.median, other.n_clipped) == (one.median, one.n_clipped)


def test_noise_recovers_the_truth_despite_particle_hits():
    rng = np.random.default_rng(5)
    image = rng.normal(0.0, 6.2, (2000, 509)).astype(np.float32)
    image[1000, 200:220] += 20_000.0
    found = _measure(image, box=Box(0, 0, 509, 2000))
    assert found.noise == pytest.approx(6.2, abs=3 * 6.2 / math.sqrt(2 * image.size))
    assert found.stdev > 80
    assert found.n_clipped >= 20


@pytest.mark.parametrize("bit", list(Mask))
def test_which_planes_are_left_out(bit):
    image = np.arange(132, dtype=np.float32).reshape(12, 11)
    found = _measure(image, np.full(image.shape, int(bit), np.uint16))
    left_out = bit in (Mask.DETECTED, Mask.BAD, Mask.NO_DATA)
    assert found.n_good == (0 if left_out else BOX.area)


def test_nothing_good_gives_no_numbers():
    found = _measure(np.full((12, 11), np.nan, np.float32))
    assert found.n_good == 0
    numbers = (found.mean, found.stdev, found.median, found.noise, found.minimum, found.maximum)
    assert all(math.isnan(number) for number in numbers)


def test_the_corner_is_the_lower_left_one():
    assert corner_box(Box(100, 300, 300, 400)) == Box(100, 300, 200, 200)
    assert corner_box(Box(100, 300, 60, 50)) == Box(100, 300, 60, 50)


@pytest.mark.parametrize("parallel", [True, False])
def test_mean_error_is_that_of_simulated_frames(detector, parallel):
    amp = detector.amplifiers[0]
    rng = np.random.default_rng(3)
    means, noises = [], []
    for _ in range(400):
        frame = rng.normal(0.0, 6.0, (120, WIDTH := amp.data.width + 18))
        n = amp.data.width
        frame -= np.median(frame[:, n:WIDTH], axis=1)[:, None]
        image = frame[: amp.data.height, :n]
        if parallel:  # 20 rows, 3 at either end unused
            image = image - np.median(frame[103:117, :n], axis=0)
        means.append(image.mean())
        noises.append(image.std())
    stated = mean_error(np.mean(noises), amp.data.area, 6.0, amp, parallel)
    assert stated == pytest.approx(np.std(means), rel=0.15)
