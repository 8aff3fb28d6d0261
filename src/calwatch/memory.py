"""How a worker process holds on to memory."""

from __future__ import annotations

import ctypes
import math
import mmap
import sys

import numpy as np
from numpy.typing import DTypeLike

from calwatch.arrays import AnyArray

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Parameters of glibc's ``mallopt`` (malloc.h)."""
_SET_THP_DISABLE = 41
"""``PR_SET_THP_DISABLE`` of Linux's ``prctl`` (linux/prctl.h)."""


def hold_memory() -> bool:
    """Let this process keep the memory of freed frames for the next ones, in small pages.

    By default the system takes every large array back and hands out zeroed pages for the next,
    which costs as much as a fifth of all the work on a detector. A worker calls this once; its
    memory then stays at its peak. Pages of 2 MB, which numpy asks for, would take memory for all
    that an array might hold, where many hold little; they make hardly anything quicker. Only glibc
    and Linux can be told.

    Returns
    -------
    bool
        Whether freed memory is kept.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_THP_DISABLE, 1, 0, 0, 0)
    mallopt = getattr(libc, "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 * 2**20))
    return all(mallopt(name, value) == 1 for name, value in settings)


def untouched(shape: tuple[int, ...], dtype: DTypeLike) -> AnyArray:
    """Return an array of zeros of which only the pages that are written take memory.

    They come from the system, which zeroes each when it is first written and takes it back when the
    array is let go: for what is made seldom and kept.
    """
    size = math.prod(shape)
    pages = mmap.mmap(
        -1, max(size * np.dtype(dtype).itemsize, 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    )
    return np.frombuffer(pages, dtype, size).reshape(shape)


def give_back() -> None:
    """Let the system have what this process has freed, after something large that comes seldom."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
