"""Arrays are kept apart from the result, in single precision, and only for a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from fakes import NOON, make_job, make_result

from calwatch.errors import RecordError
from calwatch.ledger.arrays import drop_arrays, measured_arrays
from calwatch.ledger.store import Ledger

PROJECTION = [[1.5, None, -2.0], [0.1, 3e30, 4.0]]


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url)
    yield ledger
    ledger.close()


def put(ledger: Ledger, number: int = 1, fingerprint: str = "f0", **arrays: object) -> bool:
    job = make_job(number, fingerprint=fingerprint)
    result = replace(make_result(job), arrays=arrays)
    return ledger.record(result, job.exposure, NOON + number * timedelta(days=1))


def arrays(ledger: Ledger, number: int = 1) -> dict[str, np.ndarray]:
    return measured_arrays(ledger, "LATISS", make_job(number).exposure.exposure_id, 0)


def test_arrays_come_back_in_single_precision(ledger) -> None:
    assert put(ledger, row_projection=PROJECTION, correlation=np.eye(3))
    found = arrays(ledger)
    assert set(found) == {"row_projection", "correlation"}
    wanted = np.array(PROJECTION, dtype=float).astype(np.float32)
    np.testing.assert_array_equal(found["row_projection"], wanted)
    assert found["row_projection"].dtype == np.float32
    np.testing.assert_array_equal(found["correlation"], np.eye(3))


def test_the_result_is_read_without_them(ledger) -> None:
    put(ledger, row_projection=PROJECTION)
    (result,) = ledger.results("LATISS", make_job().exposure.exposure_id).results
    assert result == make_result(make_job())


def test_those_of_the_last_judgement_count(ledger) -> None:
    put(ledger, row_projection=PROJECTION)
    put(ledger, fingerprint="f1", row_projection=[[7.0]])
    np.testing.assert_array_equal(arrays(ledger)["row_projection"], [[7.0]])


def test_a_result_without_arrays_has_none(ledger) -> None:
    put(ledger)
    assert arrays(ledger) == arrays(ledger, 2) == {}


def test_what_is_no_array_is_refused_as_a_whole(ledger) -> None:
    for wrong in ([[1.0], [2.0, 3.0]], "words", {1, 2}):
        with pytest.raises(RecordError, match="cannot be kept"):
            put(ledger, row_projection=wrong)
    assert ledger.results("LATISS", make_job().exposure.exposure_id).results == ()


def test_old_arrays_are_dropped_and_their_results_stay(ledger) -> None:
    for number in (1, 2, 3):
        put(ledger, number, row_projection=PROJECTION, correlation=np.eye(2))
    assert drop_arrays(ledger, NOON + timedelta(days=3), most=9) == 4
    assert arrays(ledger, 1) == arrays(ledger, 2) == {}
    assert len(arrays(ledger, 3)) == 2
    assert len(ledger.results("LATISS", make_job(1).exposure.exposure_id).results) == 1


def test_arrays_are_dropped_in_portions_the_oldest_first(ledger) -> None:
    for number in (1, 2, 3, 4):
        put(ledger, number, row_projection=PROJECTION, correlation=np.eye(2))
    before = NOON + timedelta(days=4)
    assert drop_arrays(ledger, before, most=2) == 4
    assert [number for number in (1, 2, 3, 4) if arrays(ledger, number)] == [3, 4]
    assert drop_arrays(ledger, before, most=2) == 2
    assert drop_arrays(ledger, before, most=2) == 0
    assert len(arrays(ledger, 4)) == 2
