"""What wakes the daemon is gathered until the next look."""

from __future__ import annotations

import asyncio

from calwatch.arrivals.source import Arrival
from calwatch.service.wakes import Wakes


def test_the_first_look_is_at_everything() -> None:
    wakes = Wakes()
    assert wakes.take() is None
    assert wakes.take() == {}


def test_events_of_one_exposure_are_one_look() -> None:
    wakes = Wakes()
    wakes.take()
    for detector in range(205):
        wakes.add(Arrival("LSSTCam", 7, detector))
    wakes.add(Arrival("LATISS", 8, 0))
    assert wakes.take() == {"LSSTCam": {7}, "LATISS": {8}}


def test_an_arrival_without_an_exposure_means_everything() -> None:
    wakes = Wakes()
    wakes.take()
    wakes.add(Arrival("LATISS", 8))
    wakes.add(Arrival("LATISS"))
    assert wakes.take() is None
    assert wakes.take() == {}


def test_waiting_ends_when_woken() -> None:
    async def run() -> None:
        wakes = Wakes()
        wakes.take()
        wakes.add(Arrival())
        await asyncio.wait_for(wakes.wait(), 5)

    asyncio.run(run())
