"""Order statistics of many values, without sorting them all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from calwatch.arrays import AnyArray

_SAMPLE = 16384
"""Values of the sample that brackets a rank."""
_MARGIN = 0.02
"""Half width of the bracket, as a share of all ranks: five deviations of the sample's own rank."""
_FEW = 4 * _SAMPLE
"""Fewer values than this are partitioned as a whole."""


def around_ranks(values: AnyArray, fractions: Sequence[float]) -> list[AnyArray]:
    """Return the two sorted values on either side of each rank f·(n−1).

    A sample brackets the rank, so that only the few values inside the bracket are partitioned;
    where the bracket misses, all are. The result is exact either way.

    Parameters
    ----------
    values
        1-D, not empty, without NaN.
    fractions
        Between 0 and 1.

    Returns
    -------
    list of AnyArray
        Per fraction the values at ranks ``floor(f·(n−1))`` and the next (or the same, at the end),
        of the type given.
    """
    n = values.size
    pairs = []
    for fraction in fractions:
        low = int(fraction * (n - 1))
        pairs.append((low, min(low + 1, n - 1)))
    if n < _FEW or values.dtype not in (np.float32, np.float64):
        return _partitioned(values, pairs)
    sample = np.sort(values[:: n // _SAMPLE])
    buffer = np.empty_like(values)
    found = []
    for fraction, (low, high) in zip(fractions, pairs, strict=True):
        least = sample[int(max(fraction - _MARGIN, 0.0) * (sample.size - 1))]
        most = sample[int(min(fraction + _MARGIN, 1.0) * (sample.size - 1))]
        below, inside = _inside(values, least, most, buffer)
        if low < below or high >= below + inside:
            return _partitioned(values, pairs)
        found += _partitioned(buffer[:inside], [(low - below, high - below)])
    return found


def _partitioned(values: AnyArray, pairs: Sequence[tuple[int, int]]) -> list[AnyArray]:
    part = np.partition(values, sorted({rank for pair in pairs for rank in pair}))
    return [part[list(pair)] for pair in pairs]


@njit(cache=True, nogil=True)
def _inside(values: AnyArray, least: float, most: float, buffer: AnyArray) -> tuple[int, int]:
    """Count the values below `least`; put those up to `most` into `buffer`, as large as `values`.

    Every value is written and the place moves on only if it counts: there is no branch to guess.
    """
    below = 0
    inside = 0
    for value in values:
        buffer[inside] = value
        below += int(value < least)
        inside += int((value >= least) & (value <= most))
    return below, inside
