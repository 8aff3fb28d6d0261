"""The simplest source of arrivals: look again every so often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from calwatch.arrivals.source import Arrival


@dataclass(frozen=True, slots=True)
class IntervalSource:
    """Says *look now* at a fixed interval.

    Parameters
    ----------
    seconds
        The interval; the first *look now* comes after one interval.
    """

    seconds: float
    name: str = "interval"

    async def arrivals(self) -> AsyncIterator[Arrival]:
        """Yield *look now*, for ever."""
        while True:
            await asyncio.sleep(self.seconds)
            yield Arrival()
