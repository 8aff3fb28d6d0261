"""One statement writes what the rows say, number for number, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from fakes import NOON, make_job, make_result
from sqlalchemy import Table, func, select

from calwatch.ledger import rows
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import (
    brief,
    judgement,
    measured_array,
    measurement,
    outbox,
    provenance,
    set_member,
)
from calwatch.verify.model import AmpResult, DetectorResult, Verdict

NUMBERS = [1 / 3, 5e-324, -1.7976931348623157e308, 1e22, 2**53 + 1, -0.0, 0, None]
WORDS = 'a "quoted" \\ back, {brace}, [1], é ☂, %s :x, NULL'


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url, publishing=True)
    yield ledger
    ledger.close()


def result(**changes) -> DetectorResult:
    """Return a result with numbers and words that a way to the server may damage."""
    plain = make_result(make_job())
    metrics = {f"M{i}": number for i, number in enumerate(NUMBERS)}
    chain = {
        kind: {"uuid": "u", "run": WORDS, "collection": "", "begin_tai": begin, "end_tai": None}
        for kind, begin in (("bias", "2026-11-22T00:00:00"), ("dark", None))
    }
    return replace(
        plain,
        amps={"C00": AmpResult(metrics, {}, Verdict.PASS)},
        provenance={**plain.provenance, "chain": chain, "members": [7, 2**60, 9]},
        arrays={"one": np.arange(6.0).reshape(2, 3), "two": np.array([np.nan, -0.0])},
        **changes,
    )


def kept(ledger: Ledger, table: Table) -> list[dict[str, object]]:
    """Return the rows of a table in the order of its key."""
    statement = select(table).order_by(*table.primary_key.columns)
    found = ledger.read(lambda c: c.execute(statement).mappings().all())
    return [dict(row) for row in found]


def test_every_row_comes_back_as_it_was_given(ledger) -> None:
    given = result()
    assert ledger.record(given, make_job().exposure, NOON)
    [row] = kept(ledger, judgement)
    number = row["id"]
    assert row["amps"] == ["C00"]
    for table, wanted in (
        (measurement, rows.measurement_rows(number, given)),
        (provenance, rows.provenance_rows(number, given)),
        (set_member, sorted(rows.member_rows(number, given), key=lambda r: r["exposure_id"])),
        (brief, [rows.brief_row(number, given)]),
    ):
        found = kept(ledger, table)
        assert [repr(one) for one in found] == [repr(one) for one in wanted]  # -0.0 is not 0
    arrays = {one["name"]: one["values"] for one in kept(ledger, measured_array)}
    np.testing.assert_array_equal(arrays["one"], given.arrays["one"])
    np.testing.assert_array_equal(arrays["two"], given.arrays["two"])
    assert [one["judgement_id"] for one in kept(ledger, outbox)] == [number]


@pytest.mark.parametrize("arrays", [{}, {"one": np.ones(3)}])
def test_what_has_little_writes_little(ledger, arrays) -> None:
    bare = replace(make_result(make_job()), arrays=arrays, provenance={"fingerprint": "f0"})
    assert ledger.record(bare, make_job().exposure, NOON)
    assert len(kept(ledger, measured_array)) == len(arrays)
    assert kept(ledger, provenance) == kept(ledger, set_member) == []


def test_a_second_time_writes_nothing(ledger) -> None:
    assert ledger.record(result(), make_job().exposure, NOON)
    assert not ledger.record(result(reason="again"), make_job().exposure, NOON)
    for table in (judgement, brief, outbox):
        count = select(func.count()).select_from(table)
        assert ledger.read(lambda c, count=count: c.execute(count).scalar_one()) == 1
    assert len(kept(ledger, measured_array)) == 2
