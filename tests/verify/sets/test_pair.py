"""Mean and variance of a pair of flats, by clipping, whatever the pattern and the lamp."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.isr.clipped import clipped_statistics_reference
from calwatch.verify.sets.pair import measure_pair, pair_point, truncation_factor

SHAPE = (120, 100)


def _flats(rng, level=20_000.0, gain=1.5, noise=4.0, drift=1.0, shape=SHAPE):
    """Return two flats with 2 % of pattern, ADU."""
    light = level * (1 + 0.02 * rng.standard_normal(shape))
    frames = (
        rng.poisson(light * factor * gain) / gain + rng.normal(0, noise, shape)
        for factor in (1.0, drift)
    )
    return tuple(frame.astype(np.float32) for frame in frames)


def test_a_pair_gives_mean_and_variance_whatever_the_pattern_and_the_lamp():
    first, second = _flats(np.random.default_rng(7), drift=1.01, shape=(200_000,))
    first[:5] += 30_000
    point = pair_point(first, second)
    assert abs(point.mean - 20_100) < 10
    wanted = 20_100 / 1.5 + 16
    assert abs(point.variance / wanted - 1) < 4 * np.sqrt(2 / first.size) + 1e-3
    assert np.isnan(pair_point(first[:1], second[:1]).mean)
    assert np.isnan(pair_point(first * 0, second * 0).variance)


def test_the_box_gives_what_the_vector_gives():
    first, second = _flats(np.random.default_rng(8), drift=1.02)
    good = np.random.default_rng(9).random(SHAPE) > 0.1
    first[3, 4] += 20_000
    point, pair = pair_point(first[good], second[good]), measure_pair(first, second, good)
    assert (pair.mean, pair.variance, pair.n_pixels) == (
        point.mean,
        point.variance,
        point.n_pixels,
    )
    assert pair.kept.sum() == pair.n_pixels
    assert not pair.kept[~good].any()
    assert not pair.difference[~pair.kept].any()


@given(st.integers(0, 2**32 - 1), st.floats(0.97, 1.03), st.floats(100, 90_000))
def test_in_single_precision_nothing_is_lost(seed, drift, level):
    """D in float32 beside the definition in float64."""
    first, second = _flats(np.random.default_rng(seed), level=level, drift=drift, shape=(30, 40))
    point = pair_point(first.ravel(), second.ravel())
    one, two = (clipped_statistics_reference(f.ravel(), 5.5, 3).mean for f in (first, second))
    mean = (one + two) / 2
    difference = (two * first.astype(float) - one * second.astype(float)) / mean
    kept = clipped_statistics_reference(difference.ravel(), 5.5, 3)
    assert point.mean == pytest.approx(mean, rel=1e-9)
    assert point.variance == pytest.approx(0.5 * kept.stdev**2 * truncation_factor(5.5), rel=3e-5)


def test_a_particle_is_left_out_of_variance_constant_and_rows():
    first, second = _flats(np.random.default_rng(10))
    good = np.ones(SHAPE, bool)
    clean = measure_pair(first, second, good)
    first[50, 10:40] += 20_000
    hit = measure_pair(first, second, good)
    assert hit.n_pixels == clean.n_pixels - 30
    for name in ("variance", "constant", "row_mean_variance"):
        assert getattr(hit, name) == pytest.approx(getattr(clean, name), rel=0.05)


def test_the_variance_of_the_row_means_is_that_of_a_pixel_over_the_columns():
    first, second = _flats(np.random.default_rng(11), shape=(4000, 50))
    pair = measure_pair(first, second, np.ones(first.shape, bool))
    assert pair.row_mean_variance == pytest.approx(
        2 * pair.variance / 50, rel=5 * math.sqrt(2 / 4000)
    )


def test_a_cut_gaussian_is_made_whole():
    x = np.random.default_rng(12).standard_normal(1_000_000)
    for n_sigma in (1.0, 2.0, 3.0):
        kept = x[np.abs(x) <= n_sigma]
        assert kept.var() * truncation_factor(n_sigma) == pytest.approx(1, rel=0.01)
    assert truncation_factor(5.5) == pytest.approx(1 + 1.2e-6, abs=1e-7)


@pytest.mark.parametrize("n_good", [0, 1])
def test_too_few_pixels_give_nothing(n_good):
    first, second = _flats(np.random.default_rng(13))
    good = np.zeros(SHAPE, bool)
    good.ravel()[:n_good] = True
    pair = measure_pair(first, second, good)
    assert np.isnan([pair.mean, pair.variance, pair.constant, pair.row_mean_variance]).all()
    assert pair.n_pixels == 0
    assert not pair.kept.any()


def test_no_light_and_no_noise():
    zero = np.zeros(SHAPE, np.float32)
    good = np.ones(SHAPE, bool)
    dark = measure_pair(zero, zero, good)
    assert dark.mean == 0
    assert math.isnan(dark.variance)
    constant = measure_pair(zero + 1000, zero + 1000, good)
    assert (constant.mean, constant.variance) == (1000, 0)
