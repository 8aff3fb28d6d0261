"""How a worker process holds on to memory."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Parameters of glibc's ``mallopt`` (malloc.h)."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed frames for the next ones.

    By default the system takes every large array back and hands out zeroed pages for the next,
    which costs as much as a fifth of all the work on a detector. A worker calls this once; its
    memory then stays at its peak. Only glibc can be told.

    Returns
    -------
    bool
        Whether it could be told.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 * 2**20))
    return all(mallopt(name, value) == 1 for name, value in settings)
