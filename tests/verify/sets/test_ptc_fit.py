"""The fits of the photon transfer curve recover what was put in, and leave out what is off it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from calwatch.verify.sets.ptc_fit import before_turnoff, fit_curve, select_and_fit
from calwatch.verify.sets.ptc_full import LEAST_PIXELS, MAX_GROWTH, fit_full
from calwatch.verify.sets.ptc_models import curve, full_covariances

GAIN, A00, NOISE = 1.5, -3e-6, 6.0
MEAN = np.geomspace(600, 60_000, 15)
COUNT = np.full(MEAN.size, 900_000.0)
OFFSET = (NOISE / GAIN) ** 2
AMPLIFIERS = 250


def _variance(rng, mean=MEAN, gain=GAIN, count=900_000):
    model = curve(mean, gain, A00, NOISE)
    return model * (1 + math.sqrt(2 / count) * rng.standard_normal(mean.size))


def _check_pulls(pulls):
    pulls = np.asarray(pulls)
    assert np.all(np.abs(pulls.mean(axis=0)) < 0.1 + 2 / math.sqrt(len(pulls)))
    assert np.all(np.abs(pulls.std(axis=0) - 1) < 0.15)


def test_pulls_of_the_curve():
    rng = np.random.default_rng(11)
    pulls, kept = [], 0
    for _ in range(AMPLIFIERS):
        gain = rng.uniform(0.7, 2.0)
        variance = _variance(rng, gain=gain)
        found = select_and_fit(MEAN, variance, COUNT, (NOISE / gain) ** 2)
        noise, noise_error = found.fit.noise()
        fit = found.fit
        pulls.append(
            [
                (fit.gain - gain) / fit.error(0),
                (fit.a00 - A00) / fit.error(1),
                (noise - NOISE) / noise_error,
            ]
        )
        kept += int(found.used.sum())
        assert math.isnan(found.beyond)
    _check_pulls(pulls)
    # One point in two million is 5σ off; with few of them σ is sometimes taken too small.
    assert kept > 0.999 * AMPLIFIERS * MEAN.size


def _lags():
    i, j = np.mgrid[:8, :8]
    a = 4e-7 * np.exp(-np.hypot(i, j))
    a[0, 0] = A00
    noise = np.zeros((8, 8))
    noise[0, 0], noise[1, 0] = NOISE**2, 0.5
    return a, -2e-6 * a, noise


def _measured(rng, model, count):
    """Add what the counted pixels scatter: twice var²/N on the variance, half off the axes."""
    relative = np.full((8, 8), 0.5)
    relative[0, :] = relative[:, 0] = 1.0
    relative[0, 0] = 2.0
    error = np.sqrt(relative / count) * model[:, 0, 0][:, None, None]
    return model + error * rng.standard_normal(model.shape)


@pytest.mark.parametrize(("count", "highest"), [(900_000, 60_000), (450_000, 75_000)])
def test_pulls_of_all_covariances(count, highest):
    rng = np.random.default_rng(12)
    a, c, noise = _lags()
    mean = np.geomspace(600, highest, 15)
    counts = np.full(mean.size, float(count))
    model = full_covariances(mean, GAIN, a, c, noise)
    pulls, chi2 = [], []
    for _ in range(AMPLIFIERS):
        found = fit_full(
            mean, _measured(rng, model, count), model[:, 0, 0], counts, (GAIN * 0.98, A00)
        )
        pulls.append(
            [
                (found.gain - GAIN) / found.gain_error,
                (found.a[0, 0] - A00) / found.a_error[0, 0],
                (found.noise - NOISE) / found.noise_error,
                (found.a[1, 0] - a[1, 0]) / found.a_error[1, 0],
                (found.a[2, 3] - a[2, 3]) / found.a_error[2, 3],
            ]
        )
        chi2.append(found.chi2)
    _check_pulls(pulls)
    assert np.mean(chi2) == pytest.approx(1.0, abs=0.02)


def test_all_covariances_without_errors_give_back_all_there_is():
    a, c, noise = _lags()
    model = full_covariances(MEAN, GAIN, a, c, noise)
    found = fit_full(MEAN, model, model[:, 0, 0], np.full(MEAN.size, 1e14), (1.6, -2e-6))
    assert found.gain == pytest.approx(GAIN, rel=1e-6)
    np.testing.assert_allclose(found.a, a, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(found.b[:2, :2], -2e-6, rtol=1e-2)
    np.testing.assert_allclose(found.noise_matrix, noise, atol=1e-3)
    assert found.chi2 < 1e-2


def test_pairs_that_the_powers_do_not_reach_take_no_part():
    a, c, noise = _lags()
    model = full_covariances(MEAN, GAIN, a, c, noise)
    measured = _measured(np.random.default_rng(13), model, 900_000)
    reached = np.abs(2 * A00 * GAIN * MEAN) <= MAX_GROWTH
    far = MEAN.copy()
    far[-1] = 1.5 * MAX_GROWTH / abs(2 * A00 * GAIN)
    assert reached.all()
    spoilt = measured.copy()
    spoilt[-1] *= 1.1
    found = fit_full(far, spoilt, model[:, 0, 0], COUNT, (GAIN, A00))
    wanted = fit_full(MEAN[:-1], measured[:-1], model[:-1, 0, 0], COUNT[:-1], (GAIN, A00))
    assert found.gain == wanted.gain
    np.testing.assert_array_equal(found.a, wanted.a)


def test_amplifiers_with_few_pixels_are_left_out_without_looking_at_them():
    a, c, noise = _lags()
    model = full_covariances(MEAN, GAIN, a, c, noise)
    for seed in range(5):
        measured = _measured(np.random.default_rng(seed), model, LEAST_PIXELS)
        few, enough = (np.full(MEAN.size, LEAST_PIXELS - lost) for lost in (1.0, 0.0))
        assert fit_full(MEAN, measured, model[:, 0, 0], few, (GAIN, A00)) is None
        assert fit_full(MEAN, measured, model[:, 0, 0], enough, (GAIN, A00)) is not None


@given(st.floats(0.4, 4), st.floats(-5e-6, 1e-6), st.integers(0, 2**32 - 1))
def test_the_curve_is_that_of_scipy(gain, a00, seed):
    rng = np.random.default_rng(seed)
    mean = MEAN / gain
    variance = curve(mean, gain, a00, NOISE) * (1 + 1e-3 * rng.standard_normal(mean.size))
    error = variance * 1e-3
    found = fit_curve(mean, variance, error)

    def residual(p):
        return (curve(mean, p[0], p[1] * 1e-6, 0) + p[2] - variance) / error

    expected = least_squares(residual, [gain, a00 * 1e6, (NOISE / gain) ** 2], xtol=1e-14)
    assert found.gain == pytest.approx(expected.x[0], rel=1e-6)
    assert found.a00 == pytest.approx(expected.x[1] * 1e-6, abs=1e-10)
    assert found.constant == pytest.approx(expected.x[2], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("place", range(MEAN.size))
@pytest.mark.parametrize("factor", [0.0, 0.5, 0.97, 1.03, 1.5, 10.0])
def test_one_outlying_pair_does_no_harm(place, factor):
    variance = _variance(np.random.default_rng(place))
    variance[place] *= factor
    found = select_and_fit(MEAN, variance, COUNT, OFFSET)
    assert not found.fault
    assert not found.used[place]
    assert found.used.sum() >= MEAN.size - 2
    assert found.fit.gain == pytest.approx(GAIN, rel=0.006)
    assert math.isnan(found.beyond) or place == MEAN.size - 1


@pytest.mark.parametrize("tail", [[0.9, 0.5, 0.1], [0.97, 0.7], [0.5], [0.02, 0.01, 0.01, 0.01]])
def test_the_end_of_the_curve_is_found(tail):
    top = 62_000 + 4_000 * np.arange(len(tail))
    mean = np.concatenate([MEAN, top])
    variance = _variance(np.random.default_rng(3), mean)
    variance[MEAN.size :] *= tail
    order = np.random.default_rng(4).permutation(mean.size)
    count = np.full(mean.size, 900_000.0)
    found = select_and_fit(mean[order], variance[order], count, OFFSET)
    assert found.end == MEAN[-1]
    assert found.beyond == top[0]
    assert found.fit.gain == pytest.approx(GAIN, rel=0.006)
    assert found.used.tolist() == (order < MEAN.size).tolist()


@pytest.mark.parametrize(
    ("mean", "word"),
    [
        (MEAN[:4], "4 pairs"),
        (np.linspace(20_000, 40_000, 9), "factor of 3"),
        (np.full(9, np.nan), "0 pairs"),
        (np.zeros(9), "0 pairs"),
        (np.array([]), "0 pairs"),
    ],
)
def test_too_little_is_said(mean, word):
    safe = np.where(np.isfinite(mean) & (mean > 0), mean, 1.0)
    variance = _variance(np.random.default_rng(5), safe)
    found = select_and_fit(mean, variance, np.full(mean.size, 1e6), OFFSET)
    assert word in found.fault
    assert not found.fit.found
    assert math.isnan(found.fit.error(0))


def test_five_pairs_are_enough():
    mean = np.geomspace(1_000, 50_000, 5)
    found = select_and_fit(mean, _variance(np.random.default_rng(6), mean), COUNT[:5], OFFSET)
    assert not found.fault
    assert found.fit.gain == pytest.approx(GAIN, rel=0.01)


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(allow_nan=True, allow_infinity=True),
            st.floats(0, 1e7),
        ),
        max_size=12,
    )
)
def test_nonsense_gives_a_fault_or_a_finite_curve(rows):
    mean, variance, count = np.array(rows, dtype=float).reshape(-1, 3).T
    with np.errstate(all="ignore"):
        found = select_and_fit(mean, variance, count, 16.0)
    assert found.fault or (found.fit.gain > 0 and math.isfinite(found.fit.error(0)))


def test_before_the_turnoff_one_low_pair_is_no_turnoff():
    mean = np.arange(1.0, 8.0)
    fallen = before_turnoff(mean, np.array([1, 2, 3, 2, 5, 1, 0.5]))
    assert fallen.tolist() == [True] * 5 + [False] * 2
