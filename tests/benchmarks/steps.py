"""Where the CPU time of one verification goes: the tree of our own functions, as profiled."""

from __future__ import annotations

import cProfile
import pstats
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from tables import Table

import calwatch

SOURCE = str(Path(calwatch.__file__).parent)
LEAST_SHARE = 0.01
"""Functions with less of the whole are left out."""
DEEPEST = 6

_Function = tuple[str, int, str]


def profile(title: str, work: Callable[[], object], runs: int) -> Table:
    """Profile some work and return a table of its functions.

    Parameters
    ----------
    title
        Of the table.
    work
        What is done; it has run before.
    runs
        How often; the median of each function is shown.
    """
    found = [_tree(work) for _ in range(runs)]
    whole = statistics.median(run[()] for run in found)
    rows = []
    for path in found[0]:
        milliseconds = statistics.median(run.get(path, 0.0) for run in found)
        if milliseconds >= LEAST_SHARE * whole:
            name = "· " * (len(path) - 1) + path[-1] if path else "all"
            rows.append([name, f"{milliseconds:.1f}", f"{100 * milliseconds / whole:.0f} %"])
    return Table(
        title,
        ["step", "CPU ms", "share"],
        rows,
        f"Medians of {runs} profiled runs. A step contains those below it; what a compiled kernel "
        "does within one call is not divided.",
    )


def _tree(work: Callable[[], object]) -> dict[tuple[str, ...], float]:
    """Return the CPU milliseconds of each path of calls through our own functions, in order."""
    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    work()
    profiler.disable()
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    callees: dict[_Function, list[tuple[float, _Function]]] = {}
    called: set[_Function] = set()
    for function, (_, _, _, _, callers) in stats.items():
        for caller, (_, _, _, cumulative) in callers.items():
            if _ours(function) and _ours(caller) and function != caller:
                callees.setdefault(caller, []).append((cumulative, function))
                called.add(function)
    roots = [f for f in stats if _ours(f) and f not in called]
    top = [(stats[f][3], f) for f in roots]
    paths: dict[tuple[str, ...], float] = {(): 1000.0 * sum(seconds for seconds, _ in top)}
    _descend(top, (), callees, paths)
    return paths


def _descend(
    functions: list[tuple[float, _Function]],
    above: tuple[str, ...],
    callees: dict[_Function, list[tuple[float, _Function]]],
    paths: dict[tuple[str, ...], float],
) -> None:
    """Add the paths below one; comprehensions and lambdas belong to the function they stand in."""
    for seconds, function in sorted(functions, reverse=True):
        below = callees.get(function, [])
        if function[2].startswith("<"):
            _descend(below, above, callees, paths)
            continue
        path = (*above, _name(function))
        if _name(function) in above:  # it calls itself: its time is in the first call
            continue
        paths[path] = paths.get(path, 0.0) + 1000.0 * seconds
        if len(path) < DEEPEST:
            _descend(below, path, callees, paths)


def _ours(function: _Function) -> bool:
    return function[0].startswith(SOURCE)


def _name(function: _Function) -> str:
    return f"{Path(function[0]).stem}.{function[2]}"
