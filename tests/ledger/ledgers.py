"""Ledgers that have lived: a bit of everything that a daemon writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from episodes import make_alarm, make_transition
from fakes import NOON, make_exposure, make_job, make_result, merge
from sqlalchemy import insert, select

from calwatch.alarms.model import What
from calwatch.ledger import plain_rows
from calwatch.ledger.alarms import AlarmStore, Written
from calwatch.ledger.outbox import Outbox
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import expectation, notice

Number = int


class Life:
    """What can happen to a ledger, one method each."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._alarms = AlarmStore(ledger)

    def judge(self, number: Number, detector: int = 0, value: float = 0.1, **changes: Any) -> None:
        """Record a judgement with an array."""
        job = make_job(number, detector, **changes)
        image = np.linspace(0.0, value, 12).reshape(3, 4)
        result = replace(make_result(job, value=value), arrays={"IMAGE": image})
        self.ledger.record(result, job.exposure, NOON + timedelta(microseconds=number))

    def merge(self, number: Number) -> None:
        """Record the verdict of an exposure, if any detector of it has been judged."""
        exposure = make_exposure(number)
        recorded = self.ledger.results(exposure.instrument, exposure.exposure_id)
        if recorded.results:
            self.ledger.record_exposure(
                merge(recorded.results, exposure),
                exposure,
                NOON,
                expected=[0, 1],
                last_judgement_id=recorded.last_judgement_id,
            )

    def expect(self, number: Number, missing: list[int] | None) -> None:
        """Announce an exposure."""
        exposure = make_exposure(number)
        row = {
            "instrument": "LATISS", "exposure_id": exposure.exposure_id,
            "obs_id": exposure.obs_id, "calib_type": "bias", "end_of_readout_utc": NOON,
            "due_at": NOON, "expected": [0, 1], "missing": missing, "checked_at": None,
        }  # fmt: skip

        def write(connection: Any) -> None:
            there = select(expectation.c.id).where(expectation.c.exposure_id == row["exposure_id"])
            if connection.execute(there).first() is None:
                connection.execute(insert(expectation), row)
                new = {"instrument": "LATISS", "exposure_id": row["exposure_id"], "detector": 0}
                new |= {"status": 1, "text": "disk “full”\n✗", "noticed_at": NOON}
                connection.execute(insert(notice), new)

        self.ledger.write(write, "test")

    def raise_alarm(self, number: Number) -> None:
        """Raise an alarm of its own name."""
        alarm = make_alarm(f"R00_S{number:02d}", "LATISS")
        told = [make_transition(alarm, What.RAISED)]
        if all(one.alarm.name != alarm.name for one in self._alarms.open_alarms("LATISS")):
            self._alarms.step("LATISS", lambda _: Written({"n": number}, [alarm], told), "test")

    def publish(self, most: int) -> None:
        """Let go of what waits in the outbox."""
        box = Outbox(self.ledger)
        box.done([row.outbox_id for row in box.pending(most)])

    def beat(self, at: datetime = NOON) -> None:
        """Say that the daemon lives."""
        self._alarms.beat("daemon", at, {"publishing": True})


def lived(ledger: Ledger, exposures: int = 3) -> None:
    """Let a bit of everything happen."""
    life = Life(ledger)
    for number in range(1, exposures + 1):
        life.judge(number)
        life.judge(number, 1, value=1 / 3)
        life.merge(number)
    life.expect(1, None)
    life.expect(2, [])
    life.expect(3, [1])
    life.raise_alarm(1)
    life.beat()
    life.publish(2)


def everything(ledger: Ledger) -> Mapping[str, list[tuple[Any, ...]]]:
    """Return every row of every table, as the columns' own types read them."""

    def ask(connection: Any) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table.name: sorted(
                (tuple(map(_comparable, row)) for row in connection.execute(select(table))),
                key=repr,
            )
            for table in plain_rows.tables()
        }

    return ledger.read(ask)


def _comparable(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
