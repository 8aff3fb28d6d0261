"""What is worked out once of an array of a calibration, and kept as long as that lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from calwatch.arrays import AnyArray

T = TypeVar("T")


class Remembered(Generic[T]):
    """A function of an array, and perhaps of a part of it, worked out once of each.

    Parameters
    ----------
    function
        Takes the array, and then what can be compared and hashed, such as a box.
    """

    def __init__(self, function: Callable[..., T]) -> None:
        self._function = function
        self._known: dict[tuple[Any, ...], tuple[weakref.ref[AnyArray], T]] = {}

    def __call__(self, array: AnyArray, *part: Hashable) -> T:
        """Return the value of the function."""
        key = (id(array), *part)
        known = self._known.get(key)
        if known is None or known[0]() is not array:
            gone = weakref.ref(array, lambda _: self._known.pop(key, None))
            known = self._known[key] = (gone, self._function(array, *part))
        return known[1]
