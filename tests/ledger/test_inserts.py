"""Rows that come as one document are the rows that come one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fakes import NOON, make_job, make_result
from sqlalchemy import Connection, delete, select

from calwatch.ledger.inserts import insert_all, insert_all_plain
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import measurement, provenance

NUMBERS = [1 / 3, 5e-324, -1.7976931348623157e308, 1e22, 2**53 + 1, -0.0, 0, None]
WORDS = 'a "quoted" \\ back, {brace}, [1], é ☂, %s :x, NULL'


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url)
    job = make_job()
    ledger.record(replace(make_result(job), provenance={}), job.exposure, NOON)
    yield ledger
    ledger.close()


MEASURED = [
    {"judgement_id": 1, "level": "amp", "metric": f"M{i}", "values": [number, *NUMBERS]}
    for i, number in enumerate(NUMBERS)
]
CERTIFIED = [
    {
        "judgement_id": 1, "calib_type": kind, "uuid": "u", "run": WORDS, "collection": "",
        "begin": begin, "end": None,
    }
    for kind, begin in (("bias", "2026-11-22T00:00:00"), ("dark", None))
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "new"), [(measurement, MEASURED), (provenance, CERTIFIED)], ids=["numbers", "words"]
)
def test_both_ways_write_the_same_rows(ledger, table, new) -> None:
    def written(insert_rows) -> list[tuple[object, ...]]:
        def write(connection: Connection) -> list[tuple[object, ...]]:
            connection.execute(delete(table))
            insert_rows(connection, table, new)
            kept = connection.execute(select(table).order_by(table.c[1], table.c[2])).all()
            return [tuple(row) for row in kept]

        return ledger.write(write, "rows")

    found = written(insert_all_plain)
    assert found == written(insert_all) == [tuple(row.values()) for row in new]
    assert repr(found) == repr([tuple(row.values()) for row in new])  # -0.0 and 0 are not the same


def test_no_rows_are_no_statement(ledger) -> None:
    ledger.write(lambda c: insert_all_plain(c, provenance, []), "rows")
    assert ledger.read(lambda c: c.execute(select(provenance)).all()) == []
