"""What a pair of flats costs, beside the same measured with numpy, scipy and astropy.

    python tests/benchmarks/pairs.py [--runs 5] [--detector R22_S11]

CPU seconds of all threads, in one process, of a whole LSSTCam detector whose frames are in memory.
The plain version clips with `astropy.stats.sigma_clip`, about the median and the deviation, and
correlates with `scipy.signal.fftconvolve`, once the difference and once the weights. It leaves out
boundaries, row means and all corrections.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from astropy.stats import sigma_clip
from machine import description
from scipy.signal import fftconvolve
from tables import Table

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Detector
from calwatch.verify.sets.covariances import MAX_LAG
from calwatch.verify.sets.gain import LEFT_OUT, measure
from calwatch.verify.sets.model import CorrectedFrame
from calwatch.verify.sets.pair import inner_box

GAIN, NOISE, LEVEL = 1.5, 6.0, 30_000.0
"""e-/ADU, e-, e-."""
BAD_COLUMNS, BAD_PIXELS, PARTICLES = 3, 2_000, 500


def make_flat(detector: Detector, seed: int) -> CorrectedFrame:
    """Make a flat with bad columns, bad pixels and particles."""
    rng = np.random.default_rng(seed)
    n_amp = len(detector.amplifiers)
    image = rng.standard_normal(detector.shape, dtype=np.float32)
    image *= np.float32(np.sqrt(LEVEL + NOISE**2))
    image += np.float32(LEVEL)
    height, width = detector.shape
    image[rng.integers(0, height, PARTICLES), rng.integers(0, width, PARTICLES)] += 5_000
    same = np.random.default_rng(0)
    mask = np.zeros(detector.shape, np.uint16)
    mask[:, same.integers(0, width, BAD_COLUMNS)] |= int(Mask.BAD)
    places = same.integers(0, height, BAD_PIXELS), same.integers(0, width, BAD_PIXELS)
    mask[places] |= int(Mask.BAD)
    return CorrectedFrame(
        seed,
        10.0,
        10.0,
        image,
        mask,
        np.full(n_amp, GAIN),
        np.full(n_amp, NOISE / GAIN),
        ("",) * n_amp,
    )


def measure_plainly(
    detector: Detector, first: CorrectedFrame, second: CorrectedFrame
) -> list[tuple[float, float, DoubleArray]]:
    """Return gain, variance and covariances of each amplifier, as one would write them down."""
    found = []
    for i, amp in enumerate(detector.amplifiers):
        box = inner_box(amp.bbox).slices
        bad = ((first.mask[box] | second.mask[box]) & int(LEFT_OUT)) != 0
        one, two = (f.image[box] / np.float32(f.gain[i]) for f in (first, second))
        mean_1, mean_2 = (_clipped(flat, bad).mean() for flat in (one, two))
        mean = (mean_1 + mean_2) / 2
        difference = _clipped((mean_2 * one - mean_1 * two) / mean, bad)
        variance = float(difference.var()) / 2
        noise = (first.overscan_noise[i] + second.overscan_noise[i]) / 2
        found.append((mean / (variance - noise**2), variance, _correlate(difference)))
    return found


def _clipped(values: FloatArray, bad: BoolArray) -> np.ma.MaskedArray:  # type: ignore[type-arg]
    return sigma_clip(np.ma.array(values, mask=bad), sigma=5.5, maxiters=3)


def _correlate(difference: np.ma.MaskedArray) -> DoubleArray:  # type: ignore[type-arg]
    weights = (~difference.mask).astype(np.float64)
    values = (difference.filled(0.0) - difference.mean()) * weights
    sums, pairs = (fftconvolve(a, a[::-1, ::-1]) for a in (values, weights))
    y, x = values.shape[0] - 1, values.shape[1] - 1
    lags = 0.5 * sums[y - MAX_LAG + 1 : y + MAX_LAG, x : x + MAX_LAG]
    lags /= pairs[y - MAX_LAG + 1 : y + MAX_LAG, x : x + MAX_LAG]
    return np.asarray(0.5 * (lags[MAX_LAG - 1 :] + lags[MAX_LAG - 1 :: -1]).T)


def cpu_seconds(work: Callable[[], object], runs: int) -> list[float]:
    """Return the CPU seconds of each run, after one that is not counted."""
    work()
    found = []
    for _ in range(runs):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return found


def main() -> None:
    """Measure both, compare their numbers, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--detector", default="R22_S11")
    options = parser.parse_args()
    detector = load_camera("LSSTCam").detector(options.detector)
    pair = make_flat(detector, 1), make_flat(detector, 2)
    ours = cpu_seconds(lambda: measure(detector, *pair, CalibrationSet()), options.runs)
    plain = cpu_seconds(lambda: measure_plainly(detector, *pair), max(options.runs // 2, 1))
    found = measure(detector, *pair, CalibrationSet())
    wanted = measure_plainly(detector, *pair)
    variances = np.array([numbers["PAIR_VARIANCE"] for numbers in found.amps.values()])
    others = np.array([variance for _, variance, _ in wanted])
    matrix = np.array([covariances for *_, covariances in wanted])
    statistical = variances[0] / np.sqrt(found.amps[detector.amp_names[0]]["PAIR_NPIXELS"])
    rows = [
        ["calwatch", f"{statistics.median(ours):.2f}", f"{min(ours):.2f}–{max(ours):.2f}"],
        ["plain", f"{statistics.median(plain):.2f}", f"{min(plain):.2f}–{max(plain):.2f}"],
    ]
    difference = np.abs(found.arrays["covariances"] - matrix).max() / statistical
    note = (
        f"{detector.shape[1]} × {detector.shape[0]} pixels, {len(variances)} amplifiers. Variances "
        f"differ by {np.abs(variances / others - 1).max():.1g} of their value at most, covariances "
        f"by {difference:.2g} of their statistical errors."
    )
    print(description())
    print(Table("A pair of flats", ["", "CPU s", "range"], rows, note).text())


if __name__ == "__main__":
    main()
