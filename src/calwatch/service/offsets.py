"""Which offsets of a topic may be committed when its messages are done in any order."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Partition = TypeVar("Partition", bound=Hashable)


class Offsets(Generic[Partition]):
    """Messages in hand, by partition.

    An offset may be committed when it and all before it are done: what was in hand when a process
    died is then delivered again.
    """

    def __init__(self) -> None:
        self._open: dict[Partition, dict[int, bool]] = {}

    @property
    def in_hand(self) -> int:
        """Messages begun and not done."""
        return sum(not done for open_ in self._open.values() for done in open_.values())

    def begin(self, partition: Partition, offset: int) -> None:
        """Take a message in hand; messages of a partition come in order."""
        self._open.setdefault(partition, {})[offset] = False

    def done(self, partition: Partition, offset: int) -> None:
        """Note that a message is done; one of a partition that was taken away is forgotten."""
        open_ = self._open.get(partition, {})
        if offset in open_:
            open_[offset] = True

    def forget(self, partition: Partition) -> None:
        """Forget a partition that now belongs to another."""
        self._open.pop(partition, None)

    def take(self) -> dict[Partition, int]:
        """Return, and forget, what may be committed: the next offset to read of each partition."""
        commits: dict[Partition, int] = {}
        for partition, open_ in self._open.items():
            for offset in sorted(open_):
                if not open_[offset]:
                    break
                del open_[offset]
                commits[partition] = offset + 1
        return commits
