"""How the bias levels of a raft move together, from the results of all detectors of a camera."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from calwatch.arrays import DoubleArray
from calwatch.verify.model import DetectorResult

LEAST_FRAMES = 5
COMMON_STEP = 1.0
"""ADU: a frame in which the median level of a raft is off by more is a common shift."""


def exposure_metrics(results: Sequence[DetectorResult]) -> dict[str, float | None]:
    """Return what the bias stability of all detectors comes to.

    Parameters
    ----------
    results
        Results of `bias_stability.measure` with their arrays ``level_changes`` and
        ``level_exposures``, which a ledger gives only when they are asked for; a result without
        them counts for nothing.

    Returns
    -------
    dict
        RAFT_CORRELATION_MAX, the largest mean correlation of the levels within a raft, and
        BIAS_SHIFTS_COMMON, the number of frames and rafts whose levels moved together. None where
        no raft has two amplifiers in five frames.
    """
    by_raft: dict[str, list[DetectorResult]] = defaultdict(list)
    for result in results:
        if "level_changes" in result.arrays and "level_exposures" in result.arrays:
            by_raft[result.detector_name.partition("_")[0]].append(result)
    changes = [_changes_of_raft([r.arrays for r in raft]) for raft in by_raft.values()]
    usable = [one for one in changes if one.shape[0] > 1 and one.shape[1] >= LEAST_FRAMES]
    correlations = [mean_correlation(one) for one in usable]
    finite = [value for value in correlations if math.isfinite(value)]
    common = [np.count_nonzero(np.abs(np.median(one, axis=0)) > COMMON_STEP) for one in usable]
    return {
        "RAFT_CORRELATION_MAX": max(finite) if finite else None,
        "BIAS_SHIFTS_COMMON": float(sum(common)) if usable else None,
    }


def mean_correlation(changes: DoubleArray) -> float:
    """Return the mean correlation of all pairs of rows; NaN of fewer than two that move at all.

    Parameters
    ----------
    changes
        Shape (n_amp, n_frames), finite. With the rows made unit vectors z it is
        ``(|Σz|² − n)/(n·(n − 1))``.
    """
    centred = changes - changes.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1))
    moving = length > 0
    n = int(np.count_nonzero(moving))
    if n < 2:
        return math.nan
    total = (centred[moving] / length[moving, np.newaxis]).sum(axis=0)
    return float(((total**2).sum() - n) / (n * (n - 1)))


def _changes_of_raft(arrays: Sequence[Mapping[str, object]]) -> DoubleArray:
    """Return the changes of all amplifiers in the frames that all detectors have."""
    frames = [_doubles(one["level_exposures"]) for one in arrays]
    shared = frames[0]
    for one in frames[1:]:
        shared = np.intersect1d(shared, one)
    parts = [
        _doubles(one["level_changes"])[:, np.isin(exposures, shared)]
        for one, exposures in zip(arrays, frames, strict=True)
    ]
    stacked = np.concatenate(parts)
    return stacked[np.isfinite(stacked).all(axis=1)]


def _doubles(values: object) -> DoubleArray:
    """Return an array, also of lists with None as JSON has them."""
    return np.array(values, dtype=np.float64)
