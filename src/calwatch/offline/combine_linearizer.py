"""Fitting a linearizer to a ramp of flats of known exposure time."""

from __future__ import annotations

import numpy as np

from calwatch.arrays import DoubleArray

LOW_SIGNAL = 0.25
"""The straight line is that of the signals below this fraction of the highest."""
SATURATED = 0.1
"""A level this fraction off the line, and all above it, are left out."""
MAX_NODES = 15


def fit_nodes(times: DoubleArray, means: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Return nodes (ADU) and the excess over a straight line at each (ADU), anchored at (0, 0).

    The excess at the nodes is what an Akima spline subtracts (ip_isr ``linearize.py``). Exposures
    of equal time are averaged, and where levels are many neighbours are merged into one node.

    Parameters
    ----------
    times
        Exposure times, s.
    means
        Mean signal of one amplifier in each exposure, ADU.

    Returns
    -------
    nodes, values
        Equally long, at least two; values are zero where nothing could be fitted.
    """
    levels, signals = _averaged(times, means)
    if levels.size < 3:
        return np.array([0.0, max(1.0, float(signals.max(initial=1.0)))]), np.zeros(2)
    low = signals <= max(LOW_SIGNAL * signals.max(), signals[1])
    slope = float(signals[low].sum() / levels[low].sum())
    excess = signals - slope * levels
    kept = _below_saturation(signals, excess)
    groups = np.array_split(np.flatnonzero(kept), min(MAX_NODES, int(kept.sum())))
    nodes = np.array([0.0, *(signals[group].mean() for group in groups)])
    values = np.array([0.0, *(excess[group].mean() for group in groups)])
    return nodes, values


def double_spline(nodes: DoubleArray, values: DoubleArray) -> DoubleArray:
    """Return DoubleSpline coefficients whose first spline does nothing.

    The first spline is common to all amplifiers in cp_pipe; here all is in the second.
    """
    top = float(nodes[-1])
    return np.concatenate(([2.0, nodes.size, 0.0, top, 0.0, 0.0], nodes, values))


def _averaged(times: DoubleArray, means: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Average exposures of equal time (to 5 ms), in order of time; drop what is not finite."""
    good = np.isfinite(means) & np.isfinite(times) & (times > 0) & (means > 0)
    order = np.argsort(times[good], kind="stable")
    times, means = times[good][order], means[good][order]
    starts = np.flatnonzero(np.diff(times, prepend=-np.inf) > 5e-3)
    if starts.size == 0:
        return times, means
    counts = np.diff(np.append(starts, times.size))
    return np.add.reduceat(times, starts) / counts, np.add.reduceat(means, starts) / counts


def _below_saturation(signals: DoubleArray, excess: DoubleArray) -> DoubleArray:
    rising = np.diff(signals, prepend=0.0) > 0
    fine = rising & (np.abs(excess) <= SATURATED * np.abs(signals))
    end = fine.size if fine.all() else int(np.argmin(fine))
    kept = np.zeros(fine.size, bool)
    kept[: max(end, 2)] = True
    return kept
