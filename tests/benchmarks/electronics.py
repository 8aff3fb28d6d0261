"""What charge transfer of a pair of flats and crosstalk of a frame cost.

    python tests/benchmarks/electronics.py [--runs 5] [--detector R22_S11]

CPU seconds of all threads, in one process, of a whole LSSTCam detector whose frames are in memory.
Beside the charge transfer stands the same EPER in plain numpy and `astropy.stats.sigma_clip`,
without tearing.
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
from astropy.stats import sigma_clip
from machine import description
from pairs import cpu_seconds
from tables import Table

from calwatch.arrays import DoubleArray
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Detector
from calwatch.isr.assembly import orient
from calwatch.verify.sets import crosstalk, cti
from calwatch.verify.sets.eper import EDGE, GUARD, TRAIL
from calwatch.verify.sets.model import CorrectedFrame, RawFrame

GAIN, NOISE, LEVEL, BIAS = 1.5, 6.0, 30_000.0, 25_000.0
"""e-/ADU, e-, e-, ADU."""
CTI = 1e-6
SPOTS = 20
"""Of 40 × 40 pixels, in every amplifier."""


def make_raw(detector: Detector, seed: int) -> RawFrame:
    """Make a raw flat with deferred charge in both directions."""
    rng = np.random.default_rng(seed)
    amps = detector.amplifiers
    pixels = np.empty((len(amps), *amps[0].raw_shape), np.int32)
    for i, amp in enumerate(amps):
        data = amp.data
        charge = np.zeros(amp.raw_shape)
        charge[data.slices] = rng.normal(LEVEL, np.sqrt(LEVEL), (data.height, data.width))
        charge[: data.y1, data.x1] = CTI * data.x1 * charge[: data.y1, data.x1 - 1]
        charge[data.y1, : data.x1] = CTI * data.y1 * charge[data.y1 - 1, : data.x1]
        pixels[i] = BIAS + (charge + NOISE * rng.standard_normal(amp.raw_shape)) / GAIN
    return RawFrame(seed, 10.0, pixels, ("",) * len(amps))


def make_spots(detector: Detector, seed: int) -> CorrectedFrame:
    """Make a corrected frame with bright spots in every amplifier."""
    rng = np.random.default_rng(seed)
    image = rng.normal(1000, 33, detector.shape).astype(np.float32)
    for amp in detector.amplifiers:
        pixels = orient(image[amp.bbox.slices], amp)
        for _ in range(SPOTS):
            y, x = rng.integers(0, amp.bbox.height - 40), rng.integers(20, amp.bbox.width - 60)
            pixels[y : y + 40, x : x + 40] += 80_000
    n = len(detector.amplifiers)
    return CorrectedFrame(
        seed, 10.0, 10.0, image, np.zeros(detector.shape, np.uint16), np.full(n, GAIN),
        np.full(n, NOISE / GAIN), ("",) * n,
    )  # fmt: skip


def eper_plainly(detector: Detector, frames: list[RawFrame]) -> DoubleArray:
    """Return serial and parallel CTI of each amplifier, shape (n_amp, 2), as one writes it down."""
    found = []
    for i, amp in enumerate(detector.amplifiers):
        data, serial, parallel = amp.data, amp.serial_overscan, amp.parallel_overscan
        sums = np.zeros((2, 2))
        for frame in frames:
            pixels = frame.pixels[i].astype(np.float64)
            pixels -= pixels[:, serial.x0 + GUARD : serial.x1 - EDGE].mean(axis=1)[:, None]
            image, below = pixels[: data.y1], pixels[parallel.y0 :, data.x0 : data.x1]
            lagging = image[:, serial.x0 : serial.x0 + TRAIL].sum(axis=1)
            behind = below[:TRAIL].sum(axis=0) - TRAIL * below[GUARD:].mean(axis=0)
            sums[0] += _mean(lagging), _mean(image[:, data.x1 - 1])
            sums[1] += _mean(behind), _mean(pixels[data.y1 - 1, data.x0 : data.x1])
        found.append(sums[:, 0] / sums[:, 1] / (data.x1, data.y1))
    return np.array(found)


def _mean(values: DoubleArray) -> float:
    return float(sigma_clip(values, sigma=5, maxiters=3).mean())


def main() -> None:
    """Measure both, compare the charge transfer with the plain one, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--detector", default="R22_S11")
    options = parser.parse_args()
    detector = load_camera("LSSTCam").detector(options.detector)
    pair = [make_raw(detector, 1), make_raw(detector, 2)]
    spots = make_spots(detector, 3)
    nothing = CalibrationSet()
    found = cti.measure(detector, pair[0], pair[1], nothing)
    ours = np.array([[n["SERIAL_CTI"], n["PARALLEL_CTI"]] for n in found.amps.values()])
    error = np.array([n["SERIAL_CTI_ERROR"] for n in found.amps.values()]).mean()
    differ = float(np.abs(ours - eper_plainly(detector, pair)).max() / error)
    pixels = sum(
        n["CROSSTALK_PIXELS"] for n in crosstalk.measure(detector, [spots], nothing).amps.values()
    )
    rows = []
    for name, work in (
        ("charge transfer, pair", lambda: cti.measure(detector, pair[0], pair[1], nothing)),
        ("the same plainly", lambda: eper_plainly(detector, pair)),
        ("crosstalk, frame", lambda: crosstalk.measure(detector, [spots], nothing)),
    ):
        seconds = cpu_seconds(work, options.runs)
        spread = f"{min(seconds):.3f}–{max(seconds):.3f}"
        rows.append([name, f"{statistics.median(seconds):.3f}", spread])
    note = (
        f"{detector.shape[1]} × {detector.shape[0]} pixels, {detector.vendor}. Charge transfer of "
        f"{CTI:g} comes back as {ours[:, 0].mean():.3g} and {ours[:, 1].mean():.3g}, ± {error:.1g} "
        f"an amplifier; the plain one differs by {differ:.2g} of that. Crosstalk with "
        f"{pixels:.0f} bright pixels."
    )
    print(description())
    print(Table("Charge transfer and crosstalk", ["", "CPU s", "range"], rows, note).text())


if __name__ == "__main__":
    main()
