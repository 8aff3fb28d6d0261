"""What the daemon has been woken for and has not looked at yet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from calwatch.arrivals.source import Arrival


class Wakes:
    """Gathers arrivals between two looks: a thousand events of one exposure are one look at it."""

    def __init__(self) -> None:
        self._all = True
        self._exposures: dict[str, set[int]] = {}
        self._rung = asyncio.Event()

    def add(self, arrival: Arrival) -> None:
        """Wake; an arrival that names no exposure asks to look at everything."""
        if arrival.instrument is None or arrival.exposure_id is None:
            self._all = True
        else:
            self._exposures.setdefault(arrival.instrument, set()).add(arrival.exposure_id)
        self._rung.set()

    def take(self) -> Mapping[str, set[int]] | None:
        """Return the exposures to look at by instrument, None for everything; forget them."""
        everything, exposures = self._all, self._exposures
        self._all, self._exposures = False, {}
        self._rung.clear()
        return None if everything else exposures

    async def wait(self) -> None:
        """Wait until woken."""
        await self._rung.wait()
