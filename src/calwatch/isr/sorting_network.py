"""Sorting networks: an order of comparisons that does not depend on the values."""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit

from calwatch.arrays import FloatArray, IntArray


@cache
def sorting_network(size: int) -> IntArray:
    """Return the pairs to compare, in order, that sort so many values.

    Batcher's merge exchange (Knuth, The Art of Computer Programming, vol. 3, §5.2.2 M). The order
    of comparisons does not depend on the values, so many vectors are sorted side by side.

    Returns
    -------
    IntArray
        Shape (n, 2): the smaller value goes to the first place of each pair.
    """
    pairs = []
    top = 1 << max(size - 1, 0).bit_length() >> 1
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(size - d) if i & p == r]
            if q == p:
                break
            q, r, d = q >> 1, p, q - p
        p >>= 1
    return np.array(pairs, np.int32).reshape(-1, 2)


@njit(cache=True, nogil=True)
def sort_lanes(values: FloatArray, network: IntArray) -> None:
    """Sort every column of `values`, shape (n_values, n_lanes), which holds no NaN, in place."""
    for pair in range(network.shape[0]):
        low, high = values[network[pair, 0]], values[network[pair, 1]]
        for lane in range(low.size):
            a, b = low[lane], high[lane]
            low[lane] = a if a < b else b
            high[lane] = b if a < b else a
