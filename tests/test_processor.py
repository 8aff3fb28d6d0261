from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from calwatch.processor import LANES, append_flagged, leading_zeros, prefetch_row, running_sums


@njit
def _leading_zeros(word):
    return leading_zeros(word)


@given(word=st.integers(0, 2**64 - 1), shift=st.integers(0, 64))
def test_leading_zeros(word, shift):
    word >>= shift
    assert _leading_zeros(np.uint64(word)) == 64 - word.bit_length()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 1000])
@pytest.mark.parametrize("writeable", [True, False])
def test_prefetch_changes_nothing(dtype, size, writeable):
    image = np.arange(3 * size).reshape(3, size).astype(dtype)
    before = image.copy()
    image.flags.writeable = writeable
    prefetch_row(image[1])
    assert np.array_equal(image, before)


@given(
    size=st.integers(0, 5 * LANES),
    first=st.integers(-(2**31), 2**31 - 1),
    seed=st.integers(0, 2**32 - 1),
    bits=st.integers(1, 31),
)
def test_running_sums(size, first, seed, bits):
    numbers = np.random.default_rng(seed).integers(-(2**bits), 2**bits, size)
    guarded = np.full(size + 2 * LANES, 7, np.int32)
    row = guarded[LANES : LANES + size]
    row[:] = numbers
    running_sums(row, first)
    sums = (first + np.cumsum(numbers)) % 2**32
    np.testing.assert_array_equal(row, sums.astype(np.uint32).view(np.int32))
    assert (guarded[:LANES] == 7).all()
    assert (guarded[LANES + size :] == 7).all()


@given(
    size=st.integers(0, 5 * LANES),
    n=st.integers(0, 20),
    fraction=st.sampled_from((0.0, 0.1, 0.9, 1.0)),
    seed=st.integers(0, 2**32 - 1),
)
def test_append_flagged(size, n, fraction, seed):
    random = np.random.default_rng(seed)
    values = random.normal(size=size).astype(np.float32)
    values[random.random(size) < 0.1] = np.nan
    flags = random.random(size) < fraction
    guarded = np.full(n + size + LANES + 5, 7, np.float32)
    to = guarded[: n + size + LANES]
    end = append_flagged(values, flags, to, n)
    assert end == n + flags.sum()
    assert (to[:n] == 7).all()
    np.testing.assert_array_equal(to[n:end], values[flags])
    assert (guarded[to.size :] == 7).all()


def test_nothing_is_appended_where_there_is_no_room():
    values, flags = np.zeros(LANES, np.float32), np.zeros(LANES, bool)
    with pytest.raises(ValueError, match="do not fit"):
        append_flagged(values, flags, np.zeros(2 * LANES - 1, np.float32), 0)
    with pytest.raises(ValueError, match="do not fit"):
        append_flagged(values, flags[1:], np.zeros(2 * LANES, np.float32), 0)
