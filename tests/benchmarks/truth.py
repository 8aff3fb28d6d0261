"""Injected against recovered values at full size, over many seeds; false alarms counted.

Usage: python tests/benchmarks/truth.py [--seeds 10] [--first-seed 101] [--dir DIR] [--json FILE]

Each seed is a new LATISS: its certified chain is built from its own simulated frames, and a night
of biases, darks and flats is judged against it. One flat of each night has a known gain step, so
that there is a scatter to recover; all other exposures are fault-free.

Recovered are, for every amplifier:

* ``gain``: s·certified PTC gain / true gain, s the slope of the certified linearizer at zero: its
  line is a chord of the true curve, and a signal s times too high makes a gain s times too low.
  Error: the GAIN_ERR of the certified PTC's own fit.
* ``noise``: NOISE of each bias, brought back to the read noise by the budget of the corrections,
  RN² = (NOISE·g_true/(s·g_certified))² / B − g²/6, B = (1 + c/N_bias)·(1 + π/2·(1/n_s + 1/n_p)):
  row and column medians of n_s and n_p overscan pixels and a certified bias of N frames are
  subtracted; 3 σ clipping costs the mean of few frames a factor c of variance (found by clipping
  Gaussian numbers); quantisation and dither add 1/12 ADU² each. Error: that of the variance of the
  pixels, and of that of the medians of so many rows and columns.
* ``mean``: MEAN of each bias, whose truth is 0. Error: MEAN_ERROR.
* ``dark current``: DARK_CURRENT of each dark against the mean of the true map over the pixels the
  certified defects leave. Error: MEAN_ERROR / exposure time.
* ``scatter``: DET_SCATTER of the flat with the step, against the scatter of the true levels; the
  linearizer then corrects the stepped amplifier for a lower signal than it had. Error: the scatter
  of the fault-free flat beside it, the photon noise of 16 amplifier means and of their flat.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from astropy.io import fits

from calwatch.arrivals.job import Job
from calwatch.butler.files import local_copy
from calwatch.butler.repository import Repository
from calwatch.calibrations.read import read_calibration
from calwatch.camera.loader import load_camera
from calwatch.isr.assembly import orient
from calwatch.isr.linearity import linearize_amplifier
from calwatch.isr.switches import needed_calibrations
from calwatch.offline.combine_stack import clipped_mean
from calwatch.service.judge import start_worker, work
from calwatch.service.judge_settings import JudgeSettings
from calwatch.simulate.maps import make_maps
from calwatch.simulate.plan import DAILY_PROGRAM, SimulationPlan
from calwatch.simulate.repository import simulate
from calwatch.simulate.truth import NONLINEARITY_REFERENCE, detector_truth
from calwatch.verify.model import DetectorResult, Verdict

INSTRUMENT = "LATISS"
STEP_AMP, STEP = "C12", 1.05
CALIB_BIASES = 16
RAMP_PAIRS = 8
EDGE = 6
"""Overscan rows or columns that are not used: three at each side."""


@dataclass
class Pulls:
    """Deviations of one quantity in units of their standard error, and their mean by seed."""

    errors: list[float] = field(default_factory=list)
    deviations: list[float] = field(default_factory=list)
    by_seed: list[float] = field(default_factory=list)

    def add(self, deviations: list[float], errors: list[float]) -> None:
        """Add one seed's values; its mean deviation is compared with the error of that mean."""
        self.deviations += deviations
        self.errors += errors
        error = math.sqrt(sum(e * e for e in errors)) / len(errors)
        self.by_seed.append(sum(deviations) / len(deviations) / error)

    def summary(self) -> dict[str, float]:
        pulls = np.array(self.deviations) / np.array(self.errors)
        return {
            "values": len(pulls),
            "median_error": float(np.median(self.errors)),
            "mean_deviation": float(np.mean(self.deviations)),
            "pull_mean": float(np.mean(pulls)),
            "pull_width": float(np.std(pulls)),
            "beyond_3": int(np.sum(np.abs(pulls) > 3)),
            "largest_pull": float(np.max(np.abs(pulls))),
            "worst_seed_pull": float(np.max(np.abs(self.by_seed))),
        }


def plan_of(root: Path, seed: int, processes: int) -> SimulationPlan:
    return SimulationPlan(
        root=str(root),
        instrument=INSTRUMENT,
        nights=1,
        seed=seed,
        biases=4,
        darks=2,
        flats=2,
        calib_biases=CALIB_BIASES,
        calib_darks=8,
        calib_flats=12,
        ramp_pairs=RAMP_PAIRS,
        second_generation=("bias",),
        compress=False,
        faults=(f"gain_step:amp={STEP_AMP},factor={STEP},type=flat,number=2",),
        processes=processes,
    )


def jobs_of(root: Path) -> list[Job]:
    camera = load_camera(INSTRUMENT)
    jobs = []
    with Repository.open(root) as repository:
        exposures = repository.exposures(
            INSTRUMENT, where=f"exposure.science_program = '{DAILY_PROGRAM}'"
        )
        raws = repository.raws(INSTRUMENT, [e.exposure_id for e in exposures])
        for exposure, raw in zip(exposures, raws, strict=True):
            kind = exposure.observation_type
            chain = repository.chains(exposure, needed_calibrations(camera, kind), [raw.detector])
            jobs.append(Job(exposure, kind, raw.detector, raw, chain[raw.detector]))
    return jobs


def dark_truth(seed: int, job: Job) -> dict[str, float]:
    """Mean of the true dark map of each amplifier over what the certified defects leave, e-/s."""
    detector = load_camera(INSTRUMENT).detector(job.detector)
    maps = make_maps(detector, detector_truth(detector, seed))
    with local_copy(job.chain.datasets["defects"].uri) as path:
        defects = read_calibration("defects", path, detector)
    good = np.ones(detector.shape, bool)
    for box in defects.boxes:
        good[box.slices] = False
    return {
        amp.name: float(orient(rate, amp)[good[amp.bbox.slices]].mean(dtype=float))
        for amp, rate in zip(detector.amplifiers, maps.dark_rate, strict=True)
    }


@cache
def clipping_cost(frames: int) -> float:
    """Variance of the clipped mean of so many Gaussian frames over that of their plain mean."""
    rng = np.random.default_rng(1)
    parts = [
        clipped_mean(rng.standard_normal((frames, 512, 1024), dtype=np.float32))[0].var(dtype=float)
        for _ in range(8)
    ]
    return float(np.mean(parts)) * frames


def linearizer_slopes(job: Job) -> dict[str, float]:
    """Slope of the certified linearizer at zero signal, of each amplifier."""
    detector = load_camera(INSTRUMENT).detector(job.detector)
    with local_copy(job.chain.datasets["linearizer"].uri) as path:
        linearizer = read_calibration("linearizer", path, detector)
    ends = np.array([[-10.0, 10.0]], np.float32)
    return {
        name: float(np.diff(linearize_amplifier(ends, linearizer, k, 1.0))[0, 0] / 20.0)
        for k, name in enumerate(linearizer.amp_names)
    }


def ptc_gain_errors(job: Job) -> dict[str, float]:
    """Standard error of the certified gain of each amplifier, e-/ADU, as its PTC states it."""
    with local_copy(job.chain.datasets["ptc"].uri) as path, fits.open(path) as file:
        table = file[1].data
        return dict(zip(table["AMPLIFIER_NAME"], table["GAIN_ERR"].astype(float), strict=True))


def relative_scatter(result: DetectorResult) -> float:
    """DET_SCATTER over DET_MEAN: both are in electrons."""
    scatter, mean = (result.detector_metrics[name] for name in ("DET_SCATTER", "DET_MEAN"))
    return math.nan if scatter is None or mean is None else scatter / mean


def compare(seed: int, jobs: list[Job], results: list[DetectorResult], pulls: dict[str, Pulls]):
    detector = load_camera(INSTRUMENT).detector(0)
    truth = detector_truth(detector, seed)
    dark = dark_truth(seed, jobs[0])
    slopes, gain_errors = linearizer_slopes(jobs[0]), ptc_gain_errors(jobs[0])
    clipped = clipping_cost(CALIB_BIASES)
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in pulls}
    for job, result in zip(jobs, results, strict=True):
        for amp in detector.amplifiers:
            m, t = result.amps[amp.name].metrics, truth.amps[amp.name]
            if job.calib_type == "bias":
                n_s = amp.serial_overscan.width - EDGE
                n_p = amp.parallel_overscan.height - EDGE
                by_row, by_column = math.pi / 2 / n_s, math.pi / 2 / n_p
                budget = (1 + clipped / CALIB_BIASES) * (1 + by_row + by_column)
                noise = m["NOISE"] * t.gain / (m["GAIN"] * slopes[amp.name])
                recovered = math.sqrt(noise**2 / budget - t.gain**2 / 6)
                height, width = amp.bbox.height, amp.bbox.width
                terms = (1 / m["NGOOD"], by_row**2 / height, by_column**2 / width)
                error = recovered * math.sqrt(sum(terms) / 2)
                rows["noise"].append((recovered - t.read_noise, error))
                rows["mean"].append((m["MEAN"], m["MEAN_ERROR"]))
            elif job.calib_type == "dark":
                error = m["MEAN_ERROR"] / job.exposure.dark_time
                rows["dark current"].append((m["DARK_CURRENT"] - dark[amp.name], error))
    for amp in detector.amplifiers:
        m, t = results[0].amps[amp.name].metrics, truth.amps[amp.name]
        gain = m["GAIN"] * slopes[amp.name]
        rows["gain"].append((gain / t.gain - 1, gain_errors[amp.name] / t.gain))
    clean, stepped = [r for j, r in zip(jobs, results, strict=True) if j.calib_type == "flat"]
    m, t = clean.amps[STEP_AMP].metrics, truth.amps[STEP_AMP]
    bend = -t.nonlinearity / NONLINEARITY_REFERENCE * m["MEAN"] / m["GAIN"]
    level = (1 + bend / STEP) / (1 + bend) / STEP
    levels = [level if a == STEP_AMP else 1.0 for a in detector.amp_names]
    true = float(np.std(levels, ddof=1) / np.mean(levels))
    rows["scatter"].append((relative_scatter(stepped) - true, relative_scatter(clean)))
    for name, values in rows.items():
        pulls[name].add([v for v, _ in values], [e for _, e in values])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=101)
    parser.add_argument("--dir", type=Path, help="keep the repositories here")
    parser.add_argument("--json", type=Path, help="write the summary here")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    names = ("gain", "noise", "mean", "dark current", "scatter")
    pulls = {name: Pulls() for name in names}
    verdicts: dict[str, int] = {}
    surprises, missed, identical = [], 0, 0
    with ProcessPoolExecutor(
        given.processes,
        mp_context=get_context("spawn"),
        initializer=start_worker,
        initargs=(JudgeSettings(cache_bytes=10**9),),
    ) as pool:
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            scratch = given.dir or Path(tempfile.mkdtemp(prefix="calwatch-truth-"))
            root = scratch / f"seed{seed}"
            if not (root / "truth.json").exists():
                simulate(plan_of(root, seed, given.processes))
            jobs = jobs_of(root)
            results = list(pool.map(work, jobs))
            identical += results[0] == next(pool.map(work, jobs[:1]))
            for job, result in zip(jobs, results, strict=True):
                faulty = job.calib_type == "flat" and job is jobs[-1]
                if faulty:
                    test = result.amps[STEP_AMP].tests["RELATIVE_LEVEL"]
                    others = [
                        name
                        for name, amp in result.amps.items()
                        if amp.verdict is Verdict.FAIL and name != STEP_AMP
                    ]
                    missed += test.verdict is not Verdict.FAIL or bool(others)
                    continue
                verdicts[result.verdict.value] = verdicts.get(result.verdict.value, 0) + 1
                if result.verdict is not Verdict.PASS:
                    surprises.append(f"seed {seed} {job.exposure.obs_id}: {result.reason}")
            compare(seed, jobs, results, pulls)
            print(f"seed {seed}: {[r.verdict.value for r in results]}", flush=True)
            if given.dir is None:
                shutil.rmtree(scratch)
    report = {name: pull.summary() for name, pull in pulls.items()}
    report["verdicts of fault-free exposures"] = verdicts
    report["not PASS though fault-free"] = surprises
    report["gain steps missed or on the wrong amplifier"] = missed
    report["seeds whose first exposure judged twice is identical"] = identical
    text = json.dumps(report, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
