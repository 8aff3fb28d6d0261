"""How a person who waits is told of the work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Follows some work for a person who waits."""

    def __call__(self, work: Sequence[T], words: str) -> Iterable[T]:
        """Give the pieces of the work one after the other."""
        ...


def in_silence(work: Sequence[T], words: str) -> Iterable[T]:  # noqa: ARG001
    """Give the pieces of the work; tell nobody."""
    return work
