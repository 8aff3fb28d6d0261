"""What is worked out once of a certified image, and kept as long as the image lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from calwatch.arrays import FloatArray
from calwatch.camera.model import Box

T = TypeVar("T")


class Remembered(Generic[T]):
    """A function of an image and a box, worked out once of each."""

    def __init__(self, function: Callable[[FloatArray, Box], T]) -> None:
        self._function = function
        self._known: dict[tuple[int, Box], tuple[weakref.ref[FloatArray], T]] = {}

    def of(self, image: FloatArray, box: Box) -> T:
        """Return the value of the function."""
        key = (id(image), box)
        known = self._known.get(key)
        if known is None or known[0]() is not image:
            gone = weakref.ref(image, lambda _: self._known.pop(key, None))
            known = self._known[key] = (gone, self._function(image, box))
        return known[1]
