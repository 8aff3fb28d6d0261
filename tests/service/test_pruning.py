"""Arrays are dropped when they are old, at the start and again every day."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from fakes import NOON, make_job, make_result

from calwatch.errors import LedgerError
from calwatch.ledger.arrays import measured_arrays
from calwatch.ledger.store import Ledger
from calwatch.service import pruning

DAY = timedelta(days=1)


class DayByDay:
    """A clock on which every look is a day later; ends the daemon after so many."""

    def __init__(self, begin: datetime, looks: int, ending: asyncio.Event) -> None:
        self._now, self._left, self._ending = begin, looks, ending

    def now(self) -> datetime:
        now, self._now = self._now, self._now + DAY
        self._left -= 1
        if not self._left:
            self._ending.set()
        return now

    def monotonic(self) -> float:
        return self._now.timestamp()


@pytest.mark.parametrize(("looks", "kept"), [(1, [2, 3, 4]), (3, [4])])
def test_old_arrays_go_day_by_day(tmp_path: Path, monkeypatch, looks: int, kept: list[int]) -> None:
    monkeypatch.setattr(pruning, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(pruning, "PAUSE_SECONDS", 0.0)
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    jobs = {number: make_job(number) for number in (1, 2, 3, 4)}
    for number, job in jobs.items():
        result = replace(make_result(job), arrays={"row_projection": np.ones((2, 3))})
        ledger.record(result, job.exposure, NOON + number * DAY)

    async def prune() -> None:
        ending = asyncio.Event()
        clock = DayByDay(NOON + 92 * DAY, looks, ending)
        await pruning.prune_arrays(ledger, 90, clock, ending)

    asyncio.run(prune())
    exposures = {number: job.exposure.exposure_id for number, job in jobs.items()}
    assert [n for n, e in exposures.items() if measured_arrays(ledger, "LATISS", e, 0)] == kept
    assert all(len(ledger.results("LATISS", e).results) == 1 for e in exposures.values())
    ledger.close()


def test_a_ledger_out_of_reach_is_asked_again_the_next_day(monkeypatch) -> None:
    monkeypatch.setattr(pruning, "EVERY_SECONDS", 0.0)
    asked = []

    def drop(_ledger: Ledger, before: datetime, _most: int) -> int:
        asked.append(before)
        raise LedgerError("ledger: is locked")

    monkeypatch.setattr(pruning, "drop_arrays", drop)

    async def prune() -> None:
        ending = asyncio.Event()
        clock = DayByDay(NOON, 3, ending)
        await pruning.prune_arrays(cast(Ledger, None), 1, clock, ending)

    asyncio.run(prune())
    assert asked == [NOON - DAY, NOON, NOON + DAY]


@pytest.mark.parametrize(("ends", "portions"), [(False, 3), (True, 1)])
def test_a_portion_at_a_time_until_none_is_left_or_the_daemon_ends(
    monkeypatch, ends: bool, portions: int
) -> None:
    monkeypatch.setattr(pruning, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(pruning, "PAUSE_SECONDS", 0.0)
    ending = asyncio.Event()
    left = [8, 8, 5]
    asked = []

    def drop(_ledger: Ledger, before: datetime, most: int) -> int:
        asked.append((before, most))
        if ends or not left[1:]:
            ending.set()
        return left.pop(0)

    monkeypatch.setattr(pruning, "drop_arrays", drop)
    clock = DayByDay(NOON, 9, ending)
    asyncio.run(pruning.prune_arrays(cast(Ledger, None), 1, clock, ending))
    assert asked == [(NOON - DAY, pruning.PORTION)] * portions
