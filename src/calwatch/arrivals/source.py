"""What may wake the daemon.

A wake-up carries no work. Whatever is missing is found by comparing the Butler with the ledger, so
that a lost, doubled, late or reordered wake-up changes nothing but how soon the work is done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something may have arrived; every field left None widens it, all None is *look now*."""

    instrument: str | None = None
    exposure_id: int | None = None
    detector: int | None = None


class ArrivalSource(Protocol):
    """Anything that tells of arrivals for as long as the daemon runs.

    The daemon cancels the iteration when it stops. A source that ends or fails is started again
    after a pause.
    """

    @property
    def name(self) -> str:
        """A word for the log, such as ``interval``."""
        ...

    def arrivals(self) -> AsyncIterator[Arrival]:
        """Yield an arrival whenever there is one."""
        ...
