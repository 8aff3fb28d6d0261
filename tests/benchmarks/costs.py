"""CPU time, wall time and peak memory of calls that are compared with each other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
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


class Apart:
    """Something that is measured, in a process of its own, which the others cannot disturb.

    Parameters
    ----------
    make
        Called in that process, with the arguments; returns what is measured.
    """

    def __init__(self, make: Callable[..., Callable[[], object]], *arguments: Any) -> None:
        context = get_context("spawn")
        self._pool = ProcessPoolExecutor(
            1, mp_context=context, initializer=_begin, initargs=(make, arguments)
        )
        self.cost = Cost()

    def answer(self) -> Any:
        """Run once, unmeasured, and return what it returns."""
        return self._pool.submit(_answer).result()

    def run(self) -> None:
        """Run once more, measured."""
        cpu, wall = self._pool.submit(_run).result()
        self.cost.cpu.append(cpu)
        self.cost.wall.append(wall)

    def end(self) -> float:
        """End the process; return its peak resident size, MB."""
        peak = self._pool.submit(_peak).result()
        self._pool.shutdown()
        return peak


def percentile_words(values: list[float], scale: float = 1000.0) -> list[str]:
    """Return median, 99 % point and maximum, as a table shows them."""
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return [f"{scale * v:.2f}" for v in (statistics.median(ordered), p99, ordered[-1])]


_work: Callable[[], object]
"""What this process measures, where it is one of `Apart`."""


def _begin(make: Callable[..., Callable[[], object]], arguments: tuple[Any, ...]) -> None:
    global _work
    _work = make(*arguments)


def _answer() -> object:
    return _work()


def _run() -> tuple[float, float]:
    cost = Cost()
    cost.add(_work)
    return cost.cpu[0], cost.wall[0]


def _peak() -> float:
    # Not ``getrusage``: a process inherits what that says from the one that made it.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) * 1024 / 1e6
