"""CPU time of one full-size bias verification, beside a bare fitsio read of the same HDUs.

Usage: python tests/benchmarks/bias_verify.py [--repo DIR] [--type bias] [--runs 7]

DIR is a simulated repository (made by ``calwatch demo`` or ``calwatch simulate``); without it a
small one is simulated first. Both are timed in turn in one process, files in the page cache,
kernels compiled, calibrations warm. CPU seconds are user + system of all threads.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fitsio

from calwatch.arrivals.job import Job
from calwatch.butler.files import local_copy
from calwatch.butler.repository import Repository
from calwatch.camera.loader import load_camera
from calwatch.isr.switches import needed_calibrations
from calwatch.memory import keep_freed_memory
from calwatch.service.judge import Judge, JudgeSettings
from calwatch.simulate.plan import DAILY_PROGRAM, SimulationPlan
from calwatch.simulate.repository import simulate

INSTRUMENT = "LATISS"


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU milliseconds of one call."""
    began = time.process_time()
    work()
    return 1000.0 * (time.process_time() - began)


def first_job(root: str, calib_type: str) -> Job:
    """Return the job of the first daily exposure of a type."""
    needed = needed_calibrations(load_camera(INSTRUMENT), calib_type)
    with Repository.open(root) as repository:
        exposure = repository.exposures(
            INSTRUMENT,
            where=f"exposure.science_program = '{DAILY_PROGRAM}'",
            observation_types=[calib_type],
        )[0]
        raw = repository.raws(INSTRUMENT, [exposure.exposure_id])[0]
        chain = repository.chains(exposure, needed, [raw.detector])[raw.detector]
    return Job(exposure, calib_type, raw.detector, raw, chain)


def read_bare(path: Path) -> None:
    """Read every amplifier HDU with fitsio and throw it away."""
    with fitsio.FITS(str(path)) as file:
        for hdu in file[1:17]:
            hdu.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", help="simulated repository")
    parser.add_argument("--type", default="bias", choices=("bias", "dark", "flat"))
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = given.repo
        if root is None:
            root = f"{scratch}/repo"
            simulate(
                SimulationPlan(
                    root,
                    INSTRUMENT,
                    nights=1,
                    calib_biases=3,
                    calib_darks=3,
                    calib_flats=3,
                    ramp_pairs=4,
                )
            )
        job = first_job(root, given.type)
        keep_freed_memory()  # as every worker does
        judge = Judge(JudgeSettings())
        with local_copy(job.raw.uri) as path:
            for _ in range(2):
                judge(job)
                read_bare(path)
            ours, bare = [], []
            for _ in range(given.runs):
                ours.append(cpu(lambda: judge(job)))
                bare.append(cpu(lambda: read_bare(path)))
    a, b = statistics.median(ours), statistics.median(bare)
    print(f"{given.type} verify: {a:.0f} ms CPU (min {min(ours):.0f}, max {max(ours):.0f})")
    print(f"fitsio read:  {b:.0f} ms CPU (min {min(bare):.0f}, max {max(bare):.0f})")
    print(f"ratio {a / b:.2f}, medians of {given.runs} runs in turn")


if __name__ == "__main__":
    main()
