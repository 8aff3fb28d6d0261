"""CPU time, wall time and peak memory of calls that are compared with each other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class Cost:
    """Seconds of each run."""

    cpu: list[float] = field(default_factory=list)
    """User + system time of all threads."""
    wall: list[float] = field(default_factory=list)

    def add(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run once more; return what the work returns."""
        wall, cpu = time.perf_counter(), time.process_time()
        answer = work(*arguments)
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        return answer

    @property
    def cpu_ms(self) -> float:
        """Median, milliseconds."""
        return 1000.0 * statistics.median(self.cpu)

    @property
    def wall_ms(self) -> float:
        """Median, milliseconds."""
        return 1000.0 * statistics.median(self.wall)


def interleaved(contenders: Mapping[str, Callable[[], object]], runs: int) -> dict[str, Cost]:
    """Run all contenders in turn, so often; each must have run before, unmeasured."""
    costs = {name: Cost() for name in contenders}
    for _ in range(runs):
        for name, work in contenders.items():
            costs[name].add(work)
    return costs


def percentile_words(values: list[float], scale: float = 1000.0) -> list[str]:
    """Return median, 99 % point and maximum, as a table shows them."""
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return [f"{scale * v:.2f}" for v in (statistics.median(ordered), p99, ordered[-1])]


def peak_megabytes(work: Callable[..., object], *arguments: Any) -> float:
    """Return the peak resident size of a fresh process that does this, MB."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, work, arguments).result()


def _peak(work: Callable[..., object], arguments: tuple[Any, ...]) -> float:
    work(*arguments)
    # Not ``getrusage``: a process inherits what that says from the one that made it.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) * 1024 / 1e6
