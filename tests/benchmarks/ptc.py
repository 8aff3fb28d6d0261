"""CPU time of both fits of a photon transfer curve, and how well they recover the truth.

Beside them a plain `scipy.optimize.curve_fit` of the same models, with numeric slopes, from the
same data, which rejects no pair and takes care of no bias.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.optimize import curve_fit
from tables import Table

from calwatch.arrays import DoubleArray
from calwatch.verify.sets.ptc_fit import select_and_fit
from calwatch.verify.sets.ptc_full import fit_full
from calwatch.verify.sets.ptc_models import curve, full_covariances

GAIN, A00, NOISE, COUNT = 1.5, -3e-6, 6.0, 900_000.0
AMPLIFIERS = 16


def covariances(rng: np.random.Generator, points: int) -> tuple[DoubleArray, DoubleArray]:
    """Return means and covariances of one amplifier, with what the counted pixels scatter."""
    i, j = np.mgrid[:8, :8]
    a = 4e-7 * np.exp(-np.hypot(i, j))
    a[0, 0] = A00
    noise = np.zeros((8, 8))
    noise[0, 0] = NOISE**2
    mean = np.geomspace(600, 60_000, points)
    model = full_covariances(mean, GAIN, a, -2e-6 * a, noise)
    relative = np.full((8, 8), 0.5)
    relative[0, :] = relative[:, 0] = 1.0
    relative[0, 0] = 2.0
    error = np.sqrt(relative / COUNT) * model[:, :1, :1]
    return mean, model + error * rng.standard_normal(model.shape)


def ours_curve(mean: DoubleArray, lags: DoubleArray) -> float:
    """Select the pairs and fit the variance."""
    return select_and_fit(mean, lags[:, 0, 0], np.full(mean.size, COUNT), 16.0).fit.gain


def ours_full(mean: DoubleArray, lags: DoubleArray) -> float:
    """Fit all covariances."""
    found = fit_full(mean, lags, lags[:, 0, 0], np.full(mean.size, COUNT), (GAIN, A00))
    return found.gain if found else np.nan


def plain_curve(mean: DoubleArray, lags: DoubleArray) -> float:
    """Fit the variance, no pair rejected."""
    variance = lags[:, 0, 0]
    found, _ = curve_fit(
        lambda mu, gain, a00, noise: curve(mu, gain, a00 * 1e-6, noise),
        mean,
        variance,
        p0=[GAIN, -1.0, 5.0],
        sigma=variance * np.sqrt(2 / COUNT),
    )
    return float(found[0])


def plain_full(mean: DoubleArray, lags: DoubleArray) -> float:
    """Fit all covariances with numeric slopes."""
    relative = np.full((8, 8), 0.5)
    relative[0, :] = relative[:, 0] = 1.0
    relative[0, 0] = 2.0
    sigma = (np.sqrt(relative / COUNT) * lags[:, :1, :1]).ravel()

    def model(mu: DoubleArray, *p: float) -> DoubleArray:
        a, c, n = np.array(p[1:]).reshape(3, 8, 8)
        return full_covariances(mu, p[0], a * 1e-6, c * 1e-12, n).ravel()

    start = np.zeros(193)
    start[0], start[1], start[129] = GAIN, -2.0, 36.0
    found, _ = curve_fit(model, mean, lags.ravel(), p0=start, sigma=sigma)
    return float(found[0])


def cpu(work: Callable[[DoubleArray, DoubleArray], float], points: int, amplifiers: int) -> float:
    """Return the median CPU time of one amplifier, s."""
    rng = np.random.default_rng(2)
    spent = []
    for _ in range(amplifiers + 1):
        mean, lags = covariances(rng, points)
        begin = time.process_time()
        gain = work(mean, lags)
        spent.append(time.process_time() - begin)
        if not abs(gain / GAIN - 1) < 0.02:
            raise ValueError(f"{work.__name__} gives a gain of {gain}")
    # The first call builds what the others find.
    return statistics.median(spent[1:])


def measure(amplifiers: int) -> Table:
    """Time every fit at the lengths of the sequences of LSSTCam, LATISS and a long one."""
    rows = []
    contenders: tuple[tuple[str, Callable[[DoubleArray, DoubleArray], float], int], ...] = (
        ("curve: calwatch, outliers rejected", ours_curve, amplifiers),
        ("curve: curve_fit", plain_curve, amplifiers),
        ("all covariances: calwatch", ours_full, amplifiers),
        ("all covariances: curve_fit", plain_full, 1),
    )
    for name, work, count in contenders:
        times = [cpu(work, points, count) for points in (15, 30, 200)]
        rows.append([name, *(f"{1000 * t:.2f}" for t in times), f"{AMPLIFIERS * times[0]:.3f}"])
    return Table(
        "Fits of a photon transfer curve, CPU",
        ["fit", "15 pairs (ms)", "30 pairs (ms)", "200 pairs (ms)", "16 amps, 15 pairs (s)"],
        rows,
        f"Median of {amplifiers} amplifiers (of 1 for the last), one thread.",
    )


def pulls(amplifiers: int) -> Table:
    """Return the pulls of gain, a00 and noise of both fits."""
    rng = np.random.default_rng(3)
    found: list[list[float]] = []
    for _ in range(amplifiers):
        mean, lags = covariances(rng, 15)
        count = np.full(mean.size, COUNT)
        variance = curve(mean, GAIN, A00, NOISE)
        variance *= 1 + np.sqrt(2 / COUNT) * rng.standard_normal(mean.size)
        fit = select_and_fit(mean, variance, count, 16.0).fit
        noise, error = fit.noise()
        row = [(fit.gain - GAIN) / fit.error(0), (fit.a00 - A00) / fit.error(1)]
        row.append((noise - NOISE) / error)
        full = fit_full(mean, lags, lags[:, 0, 0], count, (GAIN, A00))
        if full is None:
            raise ValueError("no fit of all covariances")
        row += [(full.gain - GAIN) / full.gain_error, (full.a[0, 0] - A00) / full.a_error[0, 0]]
        found.append([*row, (full.noise - NOISE) / full.noise_error])
    numbers = np.array(found)
    names = [f"{fit}: {what}" for fit in ("curve", "all") for what in ("gain", "a00", "noise")]
    rows = [
        [name, f"{m:+.3f}", f"{w:.3f}"]
        for name, m, w in zip(names, numbers.mean(axis=0), numbers.std(axis=0), strict=True)
    ]
    note = f"{amplifiers} amplifiers, 15 pairs; the means are known to {amplifiers**-0.5:.3f}."
    return Table("Pulls", ["number", "mean", "width"], rows, note)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--amplifiers", type=int, default=16)
    parser.add_argument("--pulls", type=int, default=1000)
    given = parser.parse_args()
    print(measure(given.amplifiers).text())
    print(pulls(given.pulls).text())


if __name__ == "__main__":
    main()
