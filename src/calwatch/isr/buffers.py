"""Where a step writes: by default a new array, or one that the caller hands over."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from calwatch.arrays import AnyArray

A = TypeVar("A", bound=AnyArray)


def copy_into(source: A, out: A | None) -> A:
    """Return a copy of `source`: a new one, or `out` filled with it, which may be `source` itself.

    Memory fresh from the system costs more than the arithmetic of a step, so the chain lets its
    steps write over frames that it owns.
    """
    if out is None:
        return source.copy()
    if out is not source:
        np.copyto(out, source)
    return out
