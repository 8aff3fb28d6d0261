"""The interval source says *look now* again and again."""

from __future__ import annotations

import asyncio

from calwatch.arrivals.interval import IntervalSource
from calwatch.arrivals.source import Arrival


def test_it_says_look_now_for_ever() -> None:
    async def take() -> list[Arrival]:
        found = []
        async for arrival in IntervalSource(0.001).arrivals():
            found.append(arrival)
            if len(found) == 3:
                break
        return found

    assert asyncio.run(take()) == [Arrival()] * 3
