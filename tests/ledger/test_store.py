"""What is recorded comes back exactly, once, on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest
from fakes import AMPS, NOON, make_exposure, make_job, make_result, merge
from sqlalchemy import func, select, text

from calwatch.errors import RecordError
from calwatch.ledger import queries
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import judgement, measurement, provenance
from calwatch.verify.model import ALGORITHM, Verdict


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url)
    yield ledger
    ledger.close()


def put(ledger: Ledger, number: int = 1, detector: int = 0, fingerprint: str = "f0", **result):
    job = make_job(number, detector, fingerprint)
    return ledger.record(make_result(job, **result), job.exposure, NOON)


def count(ledger: Ledger, table) -> int:
    with ledger._engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_result_comes_back_as_it_was(ledger: Ledger) -> None:
    job = make_job()
    value = 0.1 + 0.2  # not a short decimal
    result = make_result(job, Verdict.FAIL, "σ too high", value=value)
    assert ledger.record(result, job.exposure, NOON)
    recorded = ledger.results("LATISS", job.exposure.exposure_id)
    assert recorded.results == (result,)
    assert recorded.last_judgement_id > 0
    assert recorded.results[0].amps["C10"].metrics["MEAN"] == value


def test_provenance_keeps_the_validity_range(ledger: Ledger) -> None:
    assert put(ledger)
    (row,) = ledger.read(lambda c: c.execute(select(provenance)).all())
    assert (row.uuid, row.collection) == ("bias-f0", "certified")
    assert (row.begin, row.end) == ("60000.0", None)


def test_a_second_time_is_no_news(ledger: Ledger) -> None:
    assert put(ledger, verdict=Verdict.PASS)
    assert not put(ledger, verdict=Verdict.FAIL)
    assert count(ledger, judgement) == 1
    assert count(ledger, measurement) == 3  # MEAN and NOISE of the amplifiers, SHIFTS
    assert count(ledger, provenance) == 1
    assert ledger.judged_keys("LATISS")[make_exposure(1).exposure_id, 0].verdict is Verdict.PASS


@pytest.mark.parametrize(
    "change",
    [{"number": 2}, {"detector": 1}, {"fingerprint": "f1"}],
    ids=["exposure", "detector", "fingerprint"],
)
def test_any_part_of_the_key_makes_it_new(ledger: Ledger, change: dict) -> None:
    assert put(ledger)
    assert put(ledger, **change)


def test_the_last_judgement_counts(ledger: Ledger) -> None:
    put(ledger, fingerprint="f0", verdict=Verdict.UNKNOWN, amps=())
    put(ledger, fingerprint="f1", verdict=Verdict.PASS, value=7.0)
    exposure_id = make_exposure(1).exposure_id
    assert ledger.judged_keys("LATISS") == {(exposure_id, 0): queries.Judged("f1", Verdict.PASS)}
    assert [r.verdict for r in ledger.results("LATISS", exposure_id).results] == [Verdict.PASS]
    past = ledger.last_values("LATISS", 0, "C10", "bias", "MEAN", 5)
    assert [(p.value, p.fingerprint) for p in past] == [(7.0, "f1")]


def test_judged_keys_keep_to_the_days_asked_for(ledger: Ledger) -> None:
    for number, day in enumerate((20261118, 20261119, 20261120)):
        job = make_job(number, day_obs=day)
        ledger.record(make_result(job), job.exposure, NOON)
    days = ledger.judged_keys("LATISS", 20261119, 20261119)
    assert [key[0] for key in days] == [make_exposure(1).exposure_id]
    assert len(ledger.judged_keys("LATISS", 20261119)) == 2
    assert len(ledger.judged_keys("LATISS")) == 3
    assert ledger.judged_keys("LSSTCam") == {}
    assert ledger.judged_keys("LATISS", algorithm="other") == {}


def test_last_values_are_newest_first_for_one_amplifier(ledger: Ledger) -> None:
    for number in (3, 1, 2):
        put(ledger, number, value=float(number))
    put(ledger, 4, detector=1, value=99.0)
    past = ledger.last_values("LATISS", 0, "C11", "bias", "NOISE", 2)
    assert [p.value for p in past] == [3.0 + 1, 2.0 + 1]
    assert past[0].end_utc == make_exposure(3).end_utc
    before = ledger.last_values(
        "LATISS", 0, "C11", "bias", "NOISE", 9, before=make_exposure(2).end_utc
    )
    assert [p.value for p in before] == [2.0]
    assert [p.value for p in ledger.last_values("LATISS", 0, None, "bias", "SHIFTS", 1)] == [3.0]
    assert ledger.last_values("LATISS", 0, "C11", "dark", "NOISE", 2) == []


def test_last_values_through_one_filter(ledger: Ledger) -> None:
    for number, band in enumerate(("g", "r", "g")):
        job = make_job(number, physical_filter=band)
        ledger.record(make_result(job, value=float(number)), job.exposure, NOON)
    past = ledger.last_values("LATISS", 0, "C10", "bias", "MEAN", 9, physical_filter="g")
    assert [p.value for p in past] == [2.0, 0.0]


def test_an_amplifier_without_a_number_has_none(ledger: Ledger) -> None:
    put(ledger, amps=AMPS[:2])
    past = ledger.last_values("LATISS", 0, AMPS[5], "bias", "MEAN", 1)
    assert [p.value for p in past] == [None]


def test_an_exposure_without_a_time_is_kept_but_is_no_trend(ledger: Ledger) -> None:
    job = make_job(end_utc=None, end_tai=math.nan)
    assert ledger.record(make_result(job), job.exposure, NOON)
    assert ledger.last_values("LATISS", 0, "C10", "bias", "MEAN", 1) == []


def test_last_values_go_through_the_index(ledger: Ledger) -> None:
    statement = queries.last_values_statement(
        "LATISS",
        0,
        "bias",
        "MEAN",
        10,
        level="amp",
        algorithm=ALGORITHM,
        before=NOON,
        physical_filter=None,
    )
    engine = ledger._engine
    written = statement.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {written}")).all()
            lines = [row.detail for row in plan]
            assert any("judgement USING INDEX ix_judgement_trend" in line for line in lines)
            assert not any("SCAN" in line or "TEMP B-TREE" in line for line in lines), lines
        else:
            # An empty table is scanned whatever its indices: show that the index can serve.
            connection.execute(text("SET enable_seqscan = off"))
            connection.execute(text("SET enable_bitmapscan = off"))
            plan = connection.execute(text(f"EXPLAIN {written}")).all()
            lines = [row[0] for row in plan]
            assert any("ix_judgement_trend" in line for line in lines), lines


def test_a_merged_exposure_and_when_it_is_out_of_date(ledger: Ledger) -> None:
    exposure = make_exposure(1)
    assert put(ledger, 1, 0)
    assert ledger.unmerged("LATISS") == [exposure.exposure_id]

    def finish() -> bool:
        recorded = ledger.results("LATISS", exposure.exposure_id)
        return ledger.record_exposure(
            merge(recorded.results, exposure),
            exposure,
            NOON,
            expected=[1, 0],
            last_judgement_id=recorded.last_judgement_id,
        )

    assert finish()
    assert not finish()
    assert ledger.unmerged("LATISS") == []
    put(ledger, 1, 1, verdict=Verdict.FAIL)
    assert ledger.unmerged("LATISS") == [exposure.exposure_id]
    assert finish()
    (summary,) = ledger.exposures("LATISS", 20261120, 20261120)
    assert summary.verdict is Verdict.FAIL
    assert summary.counts == {"PASS": 1, "FAIL": 1, "UNKNOWN": 0}
    assert summary.expected == (0, 1)
    assert summary.end_utc == exposure.end_utc
    assert summary.document["failures"] == ["R00_S01 C00 NOISE"]
    (run,) = ledger.runs("LATISS")
    assert (run.day_obs, run.calib_type, run.verdict) == (20261120, "bias", Verdict.FAIL)


def test_which_exposures_stood_on_a_calibration(ledger: Ledger) -> None:
    put(ledger, 1, fingerprint="old")
    put(ledger, 2, fingerprint="new")
    assert ledger.exposures_judged_with("bias-old") == [("LATISS", make_exposure(1).exposure_id, 0)]


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_not_finite_does_not_exist(ledger: Ledger, number: float) -> None:
    assert put(ledger, value=number)
    assert ledger.last_values("LATISS", 0, "C10", "bias", "MEAN", 1)[0].value is None
    (result,) = ledger.results("LATISS", make_exposure(1).exposure_id).results
    assert result.amps["C10"].metrics["MEAN"] is None


def test_what_is_no_plain_data_is_refused_whole(ledger: Ledger) -> None:
    job = make_job()
    result = replace(make_result(job), provenance={"fingerprint": "f0", "odd": {1, 2}})
    with pytest.raises(RecordError, match=r"exposure 2026112000001 detector 0: cannot be kept"):
        ledger.record(result, job.exposure, NOON)
    assert count(ledger, judgement) == 0


def test_a_failure_half_way_leaves_nothing(ledger: Ledger, monkeypatch) -> None:
    def broken(*_args: object) -> list:
        raise RuntimeError("half way")

    monkeypatch.setattr("calwatch.ledger.rows.provenance_rows", broken)
    with pytest.raises(RuntimeError):
        put(ledger)
    assert count(ledger, judgement) == 0
    assert count(ledger, measurement) == 0


def test_writers_at_once_never_double(ledger: Ledger, ledger_url: str) -> None:
    others = [ledger, Ledger.open(ledger_url), Ledger.open(ledger_url)]
    news: list[bool] = []

    def write(own: Ledger, first: int) -> None:
        for step in range(12):
            news.append(put(own, (first + step) % 12))

    threads = [
        threading.Thread(target=write, args=(own, 4 * place)) for place, own in enumerate(others)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own in others[1:]:
        own.close()
    assert len(news) == 36
    assert sum(news) == 12
    assert count(ledger, judgement) == 12
    assert count(ledger, measurement) == 36


def test_times_need_a_zone(ledger: Ledger) -> None:
    job = make_job()
    naive = datetime(2026, 11, 20)
    with pytest.raises(RecordError, match="time zone"):
        ledger.record(make_result(job), job.exposure, naive)
