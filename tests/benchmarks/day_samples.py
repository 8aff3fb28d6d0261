"""Watching the daemon's processes second by second, and what may grow in them.

A number *grows* if a straight line through the last two thirds of its samples rises by more than
a limit in a day of traffic, and its error (two standard errors) cannot explain that.
"""

from __future__ import annotations

import csv
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from tables import Table

WARM_UP = 1.0 / 3.0
"""Of the run: caches fill, and every type of exposure comes for the first time."""
BLOCKS = 24
"""Samples of a second follow each other too closely to count as independent; means of so many
blocks nearly are."""
MEMORY_LIMIT = 10.0
"""MB in a day of traffic, each process: 300 MB in a month without a restart."""
HANDLE_LIMIT = 3.0
"""Files, sockets and threads in a day, each process."""


@dataclass(frozen=True)
class Slope:
    """How quickly something grows."""

    a_day: float
    """In a day of traffic."""
    error: float
    """One standard error of that."""

    def exceeds(self, limit: float) -> bool:
        """Whether it grows by more than a limit, its error granted."""
        return self.a_day - 2.0 * self.error > limit


def slope(at: Sequence[float], values: Sequence[float], days: float) -> Slope:
    """Return the slope over the last two thirds.

    Parameters
    ----------
    at
        Seconds since the start, rising.
    values
        As many.
    days
        How many days of traffic the whole time stands for.
    """
    times, numbers = np.asarray(at, float), np.asarray(values, float)
    whole = times[-1] - times[0]
    late = times >= times[0] + WARM_UP * whole
    edges = np.array_split(np.flatnonzero(late), BLOCKS)
    edges = [block for block in edges if block.size]
    if len(edges) < 3:
        raise ValueError(f"{len(values)} samples are too few for a slope")
    x = np.array([times[block].mean() for block in edges]) / whole * days
    y = np.array([numbers[block].mean() for block in edges])
    dx = x - x.mean()
    rise = float((dx * y).sum() / (dx**2).sum())
    rest = y - y.mean() - rise * dx
    error = math.sqrt(float((rest**2).sum()) / (len(x) - 2) / float((dx**2).sum()))
    return Slope(rise, error)


Row = dict[str, float]


def workers_of(daemon: psutil.Process) -> list[psutil.Process]:
    """Return the worker processes of a daemon, the oldest first."""
    found = []
    for child in daemon.children():
        with suppress(psutil.Error):
            if any("spawn_main" in word for word in child.cmdline()):
                found.append(child)
    return sorted(found, key=lambda child: child.pid)


def of_process(name: str, process: psutil.Process) -> Row:
    """Return what a process holds: MB, open files and sockets, threads, CPU seconds."""
    with process.oneshot():
        memory, cpu = process.memory_full_info(), process.cpu_times()
        return {
            f"{name} RSS": memory.rss / 1e6,
            f"{name} PSS": memory.pss / 1e6,
            f"{name} USS": memory.uss / 1e6,
            f"{name} handles": float(process.num_fds()),
            f"{name} threads": float(process.num_threads()),
            f"{name} CPU": cpu.user + cpu.system,
        }


class Samples:
    """Rows of one sample each.

    Parameters
    ----------
    daemon
        The process id.
    more
        What else to ask for, by name.
    """

    def __init__(self, daemon: int, more: Callable[[], Mapping[str, float]]) -> None:
        self._daemon = psutil.Process(daemon)
        self._more = more
        self._began = time.monotonic()
        self.rows: list[Row] = []
        self.pids: set[int] = set()
        """Of all workers that were ever seen."""

    def take(self) -> Row:
        """Take one more sample.

        Raises
        ------
        psutil.NoSuchProcess
            If the daemon has ended.
        """
        row: Row = {"seconds": time.monotonic() - self._began} | of_process("daemon", self._daemon)
        workers = workers_of(self._daemon)
        self.pids |= {worker.pid for worker in workers}
        for number, worker in enumerate(workers):
            with suppress(psutil.NoSuchProcess):
                row |= of_process(f"worker {number}", worker)
        row |= {"workers": float(len(workers)), **self._more()}
        self.rows.append(row)
        return row

    @property
    def workers(self) -> int:
        """How many there were at once."""
        return int(max(row["workers"] for row in self.rows))

    def column(self, name: str) -> tuple[list[float], list[float]]:
        """Return the seconds and values of one name, where it is there."""
        rows = [row for row in self.rows if name in row]
        return [row["seconds"] for row in rows], [row[name] for row in rows]

    def write(self, path: Path) -> None:
        """Write all of it as CSV."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows([{n: round(v, 3) for n, v in row.items()} for row in self.rows])


def growth(samples: Samples, days: float) -> tuple[Table, list[str]]:
    """Return a table of all that must stay flat, and what does not.

    Parameters
    ----------
    samples
        Of the whole run.
    days
        Of traffic. In less than one, caches are still being filled: nothing is judged.
    """
    rows, problems = [], []
    processes = ["daemon", *(f"worker {n}" for n in range(samples.workers))]
    watched = [(f"{p} {what}", MEMORY_LIMIT) for p in processes for what in ("RSS", "PSS", "USS")]
    watched += [(f"{p} {what}", HANDLE_LIMIT) for p in processes for what in ("handles", "threads")]
    watched += [("PostgreSQL connections", HANDLE_LIMIT)]
    for name, limit in watched:
        at, values = samples.column(name)
        found = slope(at, values, days)
        middle = statistics.median(values)
        grows = days >= 1.0 and found.exceeds(limit)
        verdict = "GROWS" if grows else "flat" if days >= 1.0 else "too short"
        rows.append([
            name, f"{middle:.1f}", f"{values[-1]:.1f}", f"{max(values):.1f}",
            f"{found.a_day:+.2f} ± {found.error:.2f}", f"{limit:g}", verdict,
        ])  # fmt: skip
        if grows:
            problems.append(f"{name} grows by {found.a_day:.1f} ± {found.error:.1f} a day")
    head = ["", "median", "last", "highest", "growth a day", "limit", ""]
    note = (
        f"{len(samples.rows)} samples; memory in MB. Growth in a day of traffic: a line through "
        f"the last two thirds, its standard error from the means of {BLOCKS} blocks; more than "
        "the limit plus two errors counts."
    )
    return Table("What must stay flat", head, rows, note), problems
