"""What it takes to record the judgement of one detector, in both databases."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from costs import Cost, percentile_words
from sqlalchemy import text
from tables import Table

from calwatch.butler.model import ExposureRecord
from calwatch.ledger.store import Ledger
from calwatch.verify.model import DetectorResult

SERVICES = Path(__file__).parents[1] / "services"
sys.path[:0] = [str(SERVICES)]

import postgresql  # noqa: E402  (found only now)

DETECTORS = 205


def measure(result: DetectorResult, exposure: ExposureRecord) -> Table:
    """Record one result as that of every detector of a camera.

    Parameters
    ----------
    result, exposure
        A real one, with all its numbers, tests and arrays.
    """
    rows = []
    for name, place in (("SQLite (WAL)", _sqlite), ("PostgreSQL", _postgresql)):
        with place() as url:
            ledger = Ledger.open(url, publishing=True)
            cost = _record_all(ledger, result, exposure)
            stored = ledger.results(result.instrument, result.exposure_id).results
            kilobytes = _bytes(ledger) / DETECTORS / 1000
            ledger.close()
        assert len(stored) == DETECTORS
        words = percentile_words(cost.wall)
        rows.append([name, *words, f"{cost.cpu_ms:.2f}", f"{kilobytes:.0f}"])
    return Table(
        f"Ledger: recording one {result.calib_type} of one detector",
        ["", "wall ms, median", "p99", "longest", "CPU ms (ours)", "kB on disk"],
        rows,
        f"{DETECTORS} results, each in a transaction of its own with its outbox row. PostgreSQL "
        "runs on this machine with fsync off, as the tests start it. Aim: 3 ms.",
    )


def _record_all(ledger: Ledger, result: DetectorResult, exposure: ExposureRecord) -> Cost:
    cost = Cost()
    ledger.record(replace(result, exposure_id=1), exposure, datetime.now(UTC))
    for number in range(DETECTORS):
        other = replace(result, detector=number)
        cost.add(ledger.record, other, exposure, datetime.now(UTC))
    return cost


def _bytes(ledger: Ledger) -> int:
    """Return the size of all tables and indices."""
    sizes = {
        "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        "postgresql": "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables",
    }
    return ledger.read(lambda c: int(c.execute(text(sizes[c.dialect.name])).scalar_one()))


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="calwatch-ledger-") as scratch:
        yield f"sqlite:///{scratch}/ledger.db"


@contextmanager
def _postgresql() -> Iterator[str]:
    with postgresql.server() as administrative, postgresql.database(administrative) as url:
        yield url
