"""The machine and its physical limits: what no program can be quicker than."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tables import Table

_MEGABYTES = 512
_RUNS = 5


def limits(folder: Path) -> Table:
    """Measure memory bandwidth and the disk under a folder.

    Parameters
    ----------
    folder
        Where half a gigabyte is written for a moment.
    """
    path = folder / "limits.tmp"
    try:
        write = _seconds(lambda: _write(path), runs=1)
        read = _seconds(lambda: _read_uncached(path), runs=3)
        cached = _seconds(path.read_bytes, runs=3)
    finally:
        path.unlink(missing_ok=True)
    values = np.zeros(_MEGABYTES * 1_000_000 // 8)
    other = np.empty_like(values)
    copy = _seconds(lambda: np.copyto(other, values), runs=_RUNS)
    total = _seconds(values.sum, runs=_RUNS)
    rows = [
        ["memory, read (sum of float64, one core)", _rate(1, total)],
        ["memory, copy (read + write, one core)", _rate(2, copy)],
        ["disk, read with an empty page cache", _rate(1, read)],
        ["disk, read from the page cache", _rate(1, cached)],
        ["disk, write with fsync", _rate(1, write)],
    ]
    return Table("Physical limits of this machine", ["", "GB/s"], rows)


def description() -> str:
    """Return one line about the machine and the moment."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    load = os.getloadavg()[0]
    return (
        f"{when}; {model}, {os.cpu_count()} cores, {memory:.0f} GB of memory, load {load:.1f} at "
        f"the start; Python {platform.python_version()}, numpy {np.__version__}"
    )


def _seconds(work: Callable[[], object], runs: int) -> float:
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def _rate(passes: int, seconds: float) -> str:
    return f"{passes * _MEGABYTES / 1000 / seconds:.1f}"


def _write(path: Path) -> None:
    content = os.urandom(1_000_000)
    with path.open("wb") as file:
        for _ in range(_MEGABYTES):
            file.write(content)
        os.fsync(file.fileno())


def _read_uncached(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(8_000_000):
            pass
