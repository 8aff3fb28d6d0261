"""The photon-transfer fit recovers what was put in."""

from __future__ import annotations

import numpy as np
import pytest

from calwatch.offline.combine_ptc import difference_noise, fit_ptc
from calwatch.verify.sets.pair import PairPoint
from calwatch.verify.sets.ptc_models import curve

LEVELS = np.geomspace(500, 60_000, 12)
N_PIXELS = 1_000_000


def _points(rng, gain: float, a00: float, noise: float) -> list[PairPoint]:
    variance = curve(LEVELS, gain, a00, noise)
    variance = variance * (1 + np.sqrt(2 / N_PIXELS) * rng.standard_normal(LEVELS.size))
    return [PairPoint(m, v, N_PIXELS) for m, v in zip(LEVELS, variance, strict=True)]


@pytest.mark.parametrize(("gain", "a00"), [(1.5, -3e-6), (0.7, -1.7e-6), (1.1, 0.0), (3.0, 5e-7)])
def test_gain_and_a00_within_their_errors(gain, a00) -> None:
    rng = np.random.default_rng(5)
    fits = [fit_ptc(_points(rng, gain, a00, 6.0), 6.0 / gain) for _ in range(20)]
    gains = np.array([fit.gain for fit in fits])
    error = fits[0].gain_error
    assert 0.5 < gains.std() / error < 1.6
    assert abs(gains.mean() - gain) < 4 * error / np.sqrt(20)
    spread = np.std([fit.a00 for fit in fits])
    assert abs(np.mean([fit.a00 for fit in fits]) - a00) < 4 * spread / np.sqrt(20)
    np.testing.assert_allclose([fit.noise for fit in fits], 6.0, rtol=0.01)


def test_the_curve_is_poisson_without_brighter_fatter() -> None:
    np.testing.assert_allclose(curve(LEVELS, 2.0, 0.0, 6.0), LEVELS / 2 + 9)
    np.testing.assert_allclose(curve(LEVELS, 2.0, 1e-16, 6.0), LEVELS / 2 + 9, rtol=1e-9)
    assert np.all(curve(LEVELS, 2.0, -1e-6, 6.0) < LEVELS / 2 + 9)


def test_points_beyond_the_turnoff_are_left_out() -> None:
    points = _points(np.random.default_rng(6), 1.5, -2e-6, 6.0)
    saturated = [PairPoint(90_000, 3_000, N_PIXELS), PairPoint(95_000, 10.0, N_PIXELS)]
    fit = fit_ptc([saturated[1], *points, saturated[0]], 4.0)
    assert fit.turnoff == LEVELS[-1]
    assert fit.used.tolist() == [False, *[True] * 12, False]
    assert abs(fit.gain - 1.5) < 0.01


def test_one_level_gives_a_gain_but_no_curvature() -> None:
    fit = fit_ptc([PairPoint(10_000, 5_000 + 9, N_PIXELS)], 3.0)
    assert abs(fit.gain - 2.0) < 1e-6
    assert np.isnan(fit.a00)


@pytest.mark.parametrize(
    "points",
    [[], [PairPoint(np.nan, np.nan, 0)], [PairPoint(100, 0, 10)], [PairPoint(-5, 3, 10)]],
)
def test_a_dead_amplifier_has_no_gain(points) -> None:
    fit = fit_ptc(points, 4.0)
    assert np.isnan([fit.gain, fit.a00, fit.noise, fit.turnoff]).all()
    assert not fit.used.any()


def test_noise_of_a_difference() -> None:
    rng = np.random.default_rng(8)
    pattern = rng.normal(0, 50, 100_000)
    first, second = pattern + rng.normal(0, 5, (2, pattern.size))
    first[0] += 1e4
    assert abs(difference_noise(first, second) / 5 - 1) < 4 / np.sqrt(2 * pattern.size)
    assert np.isnan(difference_noise(first[:1], second[:1]))
