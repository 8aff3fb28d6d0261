import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwatch.calibrations.masks import Mask
from calwatch.isr import cosmic_rays
from calwatch.isr.cosmic_rays import (
    TooManyCosmicRaysError,
    cosmic_ray_noise,
    find_cosmic_rays,
    replace_cosmic_rays,
)
from calwatch.isr.cosmic_rays_reference import (
    cosmic_ray_noise_reference,
    find_cosmic_rays_reference,
)
from calwatch.isr.variance_terms import plain_terms


def _frame(seed=0, shape=(60, 70), noise=6.0):
    rng = np.random.default_rng(seed)
    image = rng.normal(0.0, noise, shape).astype(np.float32)
    return image, np.zeros(shape, np.uint16), np.full(shape, noise**2, np.float32)


def _struck_frame(seed, background, fault):
    """Return a frame with tracks that touch, cross and meet the edges, and marked pixels."""
    image, mask, variance = _frame(seed, (25, 31))
    rng = np.random.default_rng(seed)
    for _ in range(12):
        y, x = rng.integers(0, 25), rng.integers(0, 31)
        dy, dx = rng.integers(-1, 2, 2)
        for step in range(rng.integers(1, 8)):
            j, i = y + step * dy, x + step * dx
            if 0 <= j < 25 and 0 <= i < 31:
                image[j, i] += rng.uniform(20.0, 3000.0)
    image += np.float32(background)
    image[rng.integers(0, 25, 3), rng.integers(0, 31, 3)] = fault
    mask[rng.integers(0, 25, 6), rng.integers(0, 31, 6)] = int(Mask.INTRP)
    mask[rng.integers(0, 25, 6), rng.integers(0, 31, 6)] = int(Mask.BAD)
    mask[rng.integers(0, 25, 6), rng.integers(0, 31, 6)] = int(Mask.SUSPECT)
    return image, mask, variance


def _known(frame):
    """Return the frame with its variance in the form that the kernels take."""
    return *frame[:2], plain_terms(frame[2])


STRUCK_FRAMES = st.builds(
    _struck_frame,
    st.integers(0, 2**31),
    st.floats(-50.0, 2000.0) | st.just(3e6),
    st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38]),
)


@given(STRUCK_FRAMES, st.floats(-50.0, 2000.0))
def test_the_kernel_does_what_the_reference_does(frame, background):
    fast = find_cosmic_rays(*_known(frame), background)
    with np.errstate(invalid="ignore", over="ignore"):
        slow = find_cosmic_rays_reference(*frame, background)
    np.testing.assert_array_equal(fast, slow)


@given(STRUCK_FRAMES, st.integers(0, 2**31))
def test_growth_and_noise_are_those_of_the_reference(frame, seed):
    background = cosmic_rays.background_of(frame[0])
    fast = cosmic_ray_noise(*_known(frame), seed, background)
    with np.errstate(invalid="ignore", over="ignore"):
        slow = cosmic_ray_noise_reference(*frame, seed, background)
    np.testing.assert_array_equal(fast[0], slow[0])
    np.testing.assert_array_equal(fast[1], slow[1])


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.floats(0.0, 200.0))
def test_growth_along_wide_rows_is_that_of_the_reference(seed, halo):
    """Growth that goes on for several passes, here and there in the rows."""
    image, mask, variance = _frame(seed, (14, 300))
    rng = np.random.default_rng(seed)
    for x in rng.integers(0, 290, 8):
        image[rng.integers(2, 12), x : x + 8] += 2000.0
        image[:, x : x + 8] += rng.uniform(0.0, halo, (14, 8)).astype(np.float32)
    fast = cosmic_ray_noise(image, mask, plain_terms(variance), seed, 0.0)
    slow = cosmic_ray_noise_reference(image, mask, variance, seed, 0.0)
    np.testing.assert_array_equal(fast[0], slow[0])
    np.testing.assert_array_equal(fast[1], slow[1])


def test_growth_far_apart_copies_only_what_it_needs():
    image, mask, variance = _frame(12, (90, 40))
    for y in (3, 40, 86):
        image[y, 5:20] += 3000.0
        image[y + 1, 5:20] += 100.0
    fast = cosmic_ray_noise(image, mask, plain_terms(variance), 5, 0.0)
    slow = cosmic_ray_noise_reference(image, mask, variance, 5, 0.0)
    np.testing.assert_array_equal(fast[0], slow[0])
    np.testing.assert_array_equal(fast[1], slow[1])


def test_a_pixel_that_stands_out_only_once_its_neighbour_is_replaced_is_found():
    _, mask, variance = _frame(10)
    image = np.zeros(mask.shape, np.float32)
    image[19, 20:23] = image[21, 20:23] = 0.0, 1450.0, 2900.0
    mask[19, 20:23] = mask[21, 20:23] = int(Mask.BAD)
    image[20, 20], image[20, 21] = 3000.0, 1400.0  # 1400 lies below the mean of 3000 and 0
    expected = [[20, 20], [20, 21]]
    np.testing.assert_array_equal(find_cosmic_rays_reference(image, mask, variance, 0.0), expected)
    np.testing.assert_array_equal(
        find_cosmic_rays(image, mask, plain_terms(variance), 0.0), expected
    )


def test_noise_alone_holds_no_cosmic_ray():
    image, mask, variance = _frame(1, (400, 400))
    clean, new_mask = replace_cosmic_rays(image, mask, variance, 7)
    np.testing.assert_array_equal(clean, image)
    assert not new_mask.any()


def test_a_track_is_replaced_by_noise_and_marked():
    image, mask, variance = _frame(2, (200, 200))
    image[100, 50:62] += 2000.0
    image[99, 50:62] += 60.0  # the faint edge is taken in by growth
    dirty = image.std()
    clean, new_mask = replace_cosmic_rays(image, mask, variance, 7)
    marked = new_mask == int(Mask.CR | Mask.INTRP)
    assert marked[100, 50:62].all()
    assert marked.sum() < 60
    assert dirty > 20
    assert clean.std() == pytest.approx(6.0, rel=0.02)
    np.testing.assert_array_equal(clean[~marked], image[~marked])


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    image, mask, variance = _frame(3)
    image[20, 20:25] += 1000.0
    first, _ = replace_cosmic_rays(image, mask, variance, 11)
    again, _ = replace_cosmic_rays(image, mask, variance, 11)
    other, _ = replace_cosmic_rays(image, mask, variance, 12)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_the_input_is_left_alone():
    image, mask, variance = _frame(4)
    image[20, 20] = 5000.0
    before = image.copy()
    replace_cosmic_rays(image, mask, variance, 1)
    np.testing.assert_array_equal(image, before)
    assert not mask.any()


def test_less_than_the_least_charge_is_no_cosmic_ray():
    _, mask, variance = _frame(5)
    image = np.zeros(mask.shape, np.float32)
    image[20, 20] = 149.0
    assert find_cosmic_rays(image, mask, plain_terms(variance), 0.0).shape == (0, 2)
    image[20, 20] = 151.0
    np.testing.assert_array_equal(
        find_cosmic_rays(image, mask, plain_terms(variance), 0.0), [[20, 20]]
    )


def test_a_star_is_no_cosmic_ray():
    image, mask, variance = _frame(6)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    image += (5000 * np.exp(-((y - 30) ** 2 + (x - 35) ** 2) / (2 * 1.9**2))).astype(np.float32)
    assert find_cosmic_rays(image, mask, plain_terms(variance), 0.0).shape == (0, 2)


@pytest.mark.parametrize("bit", [Mask.BAD, Mask.INTRP, Mask.SAT, Mask.NO_DATA])
def test_masked_pixels_are_left_out(bit):
    image, mask, variance = _frame(7)
    image[20, 20] = 5000.0
    mask[20, 20] = int(bit)
    assert find_cosmic_rays(image, mask, plain_terms(variance), 0.0).shape == (0, 2)


def test_frames_without_a_number_or_a_variance_end_quietly():
    image, mask, variance = _frame(8)
    clean, _ = replace_cosmic_rays(np.full_like(image, np.nan), mask, variance, 1)
    assert np.isnan(clean).all()
    image[20, 20] = 5000.0
    clean, new_mask = replace_cosmic_rays(image, mask, np.full_like(image, np.nan), 1)
    assert not new_mask.any()


def test_too_many_are_refused(monkeypatch):
    monkeypatch.setattr(cosmic_rays, "MAX_PIXELS", 5)
    image, mask, variance = _frame(9)
    image[5:50:5, 5:50:5] = 5000.0
    with pytest.raises(TooManyCosmicRaysError, match="given up"):
        replace_cosmic_rays(image, mask, variance, 1)


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 60_000))
def test_the_background_is_the_exact_median(seed, n):
    rng = np.random.default_rng(seed)
    values = np.round(rng.standard_t(2, n) * 10, int(seed % 3)).astype(np.float32)[None, :]
    values[0, : n // 10] = np.nan
    expected = np.median(values[np.isfinite(values)].astype(np.float64))
    assert cosmic_rays.background_of(values) == expected
