"""Several worker processes side by side, and one over many exposures."""

from __future__ import annotations

import json
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Queue

from tables import Table

from calwatch.arrivals.job import Job
from calwatch.service import judge
from calwatch.service.judge_settings import JudgeSettings

FRAMES_EACH = 12
"""Frames a worker does in one run of the scaling."""
REPORTS = 10


def scaling(job: Job, most: int, runs: int) -> Table:
    """Return how many frames a second one, two, … workers do."""
    counts = [2**n for n in range(most.bit_length()) if 2**n <= most]
    rates: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(runs):
        for count in counts:
            rates[count].append(_rate(job, count))
    middle = {count: statistics.median(found) for count, found in rates.items()}
    rows = [
        [str(count), f"{rate:.2f}", f"{rate / middle[1]:.2f}"] for count, rate in middle.items()
    ]
    return Table(
        f"Worker processes, {job.calib_type} of one CCD",
        ["workers", "frames a second", "times one worker"],
        rows,
        f"Medians of {runs} runs in turn, {FRAMES_EACH} frames a worker, begun at the same time.",
    )


def memory(jobs: Sequence[Job], exposures: int, folder: str = "") -> Table:
    """Return the memory of one worker over many exposures, the jobs in turn.

    Parameters
    ----------
    jobs
        Of one detector.
    exposures
        How many.
    folder
        Shares certified images; empty: they are in the worker's own memory.
    """
    # A process of multiprocessing would import all that the benchmarks do, which no worker has.
    command = [sys.executable, __file__, str(exposures), folder]
    given = pickle.dumps(list(jobs))
    answer = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True).stdout
    sizes = json.loads(answer.splitlines()[-1])
    rows = [[f"{done}", *(f"{size:.0f}" for size in found)] for done, *found in sizes]
    where = "shared in calibration_folder" if folder else "in the worker's own memory"
    return Table(
        f"Memory of one worker over {exposures} exposures",
        ["exposures", "own MB", "mapped files MB", "resident peak MB"],
        rows,
        f"Biases, darks and flats of one CCD in turn, certified images {where}. Mapped files are "
        "libraries and shared images: of all workers together there is one copy.",
    )


def _rate(job: Job, workers: int) -> float:
    """Return frames a second of all workers together."""
    context = get_context("spawn")
    barrier, answers = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=_judge_many, args=(job, barrier, answers)) for _ in range(workers)
    ]
    for process in processes:
        process.start()
    times = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    span = max(end for _, end in times) - min(begin for begin, _ in times)
    return workers * FRAMES_EACH / span


def _judge_many(job: Job, barrier: Barrier, answers: Queue[tuple[float, float]]) -> None:
    judge.start_worker(JudgeSettings())
    judge.work(job)
    barrier.wait()
    began = time.time()  # of the machine, so that processes can be compared
    for _ in range(FRAMES_EACH):
        judge.work(job)
    answers.put((began, time.time()))


def _remember(jobs: Sequence[Job], exposures: int, folder: str) -> list[tuple[float, ...]]:
    judge.start_worker(JudgeSettings(calibration_folder=folder))
    sizes = []
    for done in range(1, exposures + 1):
        judge.work(jobs[done % len(jobs)])
        if done % max(exposures // REPORTS, 1) == 0:
            sizes.append((done, *_resident()))
    return sizes


def _resident() -> tuple[float, float, float]:
    """Return what this process has for itself, what it has mapped, and its peak in all, MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    found = dict(line.split(":", 1) for line in lines)
    own, mapped, peak = (
        int(found[name].split()[0]) * 1024 / 1e6 for name in ("RssAnon", "RssFile", "VmHWM")
    )
    return own, mapped, peak


if __name__ == "__main__":
    print(json.dumps(_remember(pickle.load(sys.stdin.buffer), int(sys.argv[1]), sys.argv[2])))
