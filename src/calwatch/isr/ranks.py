"""Order statistics of very many values: a range found from a sample, then one exact look inside.

`ranges_around` says between which values a rank most likely lies; whoever counts the values below
such a range and keeps those inside has the exact value of the rank by `values_at_ranks`. A range
that misses is noticed by the counts.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray, IndexArray, IntArray
from calwatch.processor import LANES, append_flagged

_KEYS = 1 << 16
"""Float32 values are told apart by their upper 16 bits, counted from the middle of the sample."""
_BINS = 2048


@njit(cache=True, nogil=True)
def ranges_around(sample: FloatArray, fractions: DoubleArray, margin: float) -> FloatArray:
    """Return values between which the ranks f ± margin of a sample lie, and hardly more.

    Parameters
    ----------
    sample
        1-D, finite, not empty.
    fractions
        Between 0 and 1.
    margin
        Of the fractions, to either side.

    Returns
    -------
    FloatArray
        Shape (fractions, 2): lower and upper end, both included.
    """
    last = sample.size - 1
    pivot = sample[last // 2]
    counts = np.zeros(_KEYS, np.int32)
    for key in _keys(sample - pivot):
        counts[key] += 1
    ends = np.empty((fractions.size, 2), np.float32)
    for k in range(fractions.size):
        below = int(max(fractions[k] - margin, 0.0) * last)
        above = int(np.ceil(min(fractions[k] + margin, 1.0) * last))
        ends[k, 0] = pivot + _least_of_key(bin_of_rank(counts, below))
        ends[k, 1] = pivot + _least_of_key(bin_of_rank(counts, above) + 1)
    return ends


@njit(cache=True, nogil=True)
def _keys(offsets: FloatArray) -> IntArray:
    """Return numbers from 0 to 65535 in the order of the values."""
    bits = offsets.view(np.int32)
    keys = np.empty(bits.size, np.int32)
    for i in range(bits.size):
        # Negative numbers have the sign bit set and their other bits grow downwards.
        ordered = bits[i] ^ ((bits[i] >> 31) & 0x7FFFFFFF)
        keys[i] = (ordered >> 16) + _KEYS // 2
    return keys


@njit(cache=True, nogil=True)
def _least_of_key(key: int) -> float:
    """Return the smallest value of a key: the inverse of `_keys`."""
    ordered = np.empty(1, np.int32)
    ordered[0] = np.int32((key - _KEYS // 2) << 16)
    ordered[0] ^= (ordered[0] >> 31) & 0x7FFFFFFF
    return ordered.view(np.float32)[0]  # type: ignore[no-any-return]  # numpy's stubs


@njit(cache=True, nogil=True)
def bin_of_rank(counts: IntArray | IndexArray, rank: int) -> int:
    """Return the first bin up to which more values lie than the rank; the last if none is."""
    total = 0
    for bin_ in range(counts.size):
        total += counts[bin_]
        if total > rank:
            return bin_
    return counts.size - 1


@njit(cache=True, nogil=True)
def values_at_ranks(
    values: FloatArray, low: float, high: float, first: int, last: int
) -> tuple[float, float, bool]:
    """Return the values at two neighbouring ranks, of those values that lie in a range.

    Parameters
    ----------
    values
        1-D, in any order; those outside the range are passed over.
    low, high
        The range, its ends included.
    first, last
        Ranks, counted from the lowest value inside the range; the same or one apart.

    Returns
    -------
    float, float
        The two values.
    bool
        Whether there are so many values; else both are NaN.
    """
    inside = within(values, low, high)
    if not (0 <= first <= last < inside.size and np.isfinite(low) and np.isfinite(high)):
        return np.nan, np.nan, False
    scale = _scale(low, high)
    counts = np.zeros(_BINS, np.int32)
    for value in inside:
        counts[_bin(value, low, scale)] += 1
    first_bin, below = _bin_at(counts, first)
    last_bin, _ = _bin_at(counts, last)
    chosen = _sorted_bins(inside, low, scale, first_bin, last_bin)
    return chosen[first - below], chosen[last - below], True


@njit(cache=True, nogil=True)
def within(values: FloatArray, low: float, high: float) -> FloatArray:
    """Return those values that lie in a range, its ends included, in their order."""
    flags = np.empty(values.size, np.bool_)
    for i in range(values.size):
        flags[i] = (values[i] >= low) & (values[i] <= high)
    inside = np.empty(values.size + LANES, np.float32)
    return inside[: append_flagged(values, flags, inside, 0)]


@njit(cache=True, nogil=True)
def _scale(low: float, high: float) -> float:
    width = np.float64(high) - np.float64(low)
    return _BINS / width if width > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _bin(value: float, low: float, scale: float) -> int:
    """Return the bin of a value in the range; higher values never have lower bins."""
    place = int((np.float64(value) - np.float64(low)) * scale)
    return place if place < _BINS else _BINS - 1


@njit(cache=True, nogil=True)
def _bin_at(counts: IntArray, rank: int) -> tuple[int, int]:
    """Return the bin that holds a rank, and the number of values in the bins before it."""
    below = 0
    for place in range(counts.size):
        if below + counts[place] > rank:
            return place, below
        below += counts[place]
    return counts.size - 1, below


@njit(cache=True, nogil=True)
def _sorted_bins(values: FloatArray, low: float, scale: float, first: int, last: int) -> FloatArray:
    """Return the sorted values of two bins and of the empty ones between them."""
    chosen = np.empty(values.size, np.float32)
    n = 0
    ties = True
    for value in values:
        if first <= _bin(value, low, scale) <= last:
            chosen[n] = value
            n += 1
            ties &= value == chosen[0]
    return chosen[:n] if ties else np.sort(chosen[:n])


@njit(cache=True, nogil=True)
def count_between(values: FloatArray, low: float, high: float) -> int:
    """Return how many values are at least `low` and less than `high`."""
    n = 0
    for value in values:
        n += int((value >= low) & (value < high))
    return n
