"""Judgements in short, many at once, and never by reading a table through."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fakes import NOON, make_exposure, make_job, make_result, merge
from sqlalchemy import event, text

from calwatch.ledger import nights, trends
from calwatch.ledger.store import Ledger
from calwatch.verify.brief import brief_of
from calwatch.verify.model import Verdict

BEGIN, END = NOON, NOON + timedelta(hours=1)


@pytest.fixture
def ledger(ledger_url: str):
    made = Ledger.open(ledger_url)
    yield made
    made.close()


def record(ledger: Ledger, number: int, detector: int = 0, fingerprint: str = "f0", **changes):
    value = changes.pop("value", 0.1)
    job = make_job(number, detector, fingerprint, **changes)
    result = make_result(job, value=value)
    assert ledger.record(result, job.exposure, NOON)
    return result


def test_an_exposure_in_short_has_every_detector(ledger: Ledger) -> None:
    results = [record(ledger, 1, detector, value=float(detector)) for detector in (1, 0)]
    record(ledger, 2, 0)
    found = trends.briefs_of_exposure(ledger, "LATISS", make_exposure(1).exposure_id)
    assert [one.detector for one in found] == [0, 1]
    assert [one.brief for one in found] == [brief_of(results[1]), brief_of(results[0])]
    assert found[0].verdict is Verdict.PASS
    assert (found[0].calib_type, found[0].day_obs) == ("bias", 20261120)


def test_a_trend_is_of_one_type_filter_and_time_oldest_first(ledger: Ledger) -> None:
    for number in (3, 1, 2, 9):
        record(ledger, number)
    record(ledger, 4, kind="dark")
    record(ledger, 5, 1)
    record(ledger, 6, physical_filter="r")
    at = [make_exposure(number).end_utc for number in range(10)]

    def numbers(since: datetime, until: datetime, physical_filter: str | None = None) -> list[int]:
        found = trends.trend(ledger, "LATISS", 0, "bias", since, until, physical_filter)
        return [one.exposure_id - 2026112000000 for one in found]

    assert numbers(BEGIN, END) == [1, 2, 3, 6, 9]
    assert numbers(at[2], at[6]) == [2, 3, 6]
    assert numbers(BEGIN, END, "r") == [6]


def test_one_test_may_be_asked_for_alone_and_the_newest_judgement(ledger: Ledger) -> None:
    for number in (2, 3, 1):
        record(ledger, number)
    record(ledger, 9, 1)
    found = trends.trend(ledger, "LATISS", 0, "bias", BEGIN, END, only="NONE")
    assert [dict(one.brief.tests) for one in found] == [{}] * 3
    found = trends.briefs_of(ledger, "LATISS", [0], [found[0].exposure_id], "NOISE")
    assert list(found[0].brief.tests) == ["NOISE"]
    last = trends.newest(ledger, "LATISS", 0, "bias")
    assert last is not None
    assert last.exposure_id == make_exposure(3).exposure_id
    assert trends.newest(ledger, "LATISS", 0, "dark") is None


def test_only_the_last_judgement_is_shown(ledger: Ledger) -> None:
    record(ledger, 1, value=1.0)
    record(ledger, 1, fingerprint="f1", value=2.0)
    (only,) = trends.trend(ledger, "LATISS", 0, "bias", BEGIN, END)
    assert (only.fingerprint, only.brief.tests["NOISE"].values[0]) == ("f1", 2.0)
    assert trends.briefs_of_day(ledger, "LATISS", 20261120, "bias") == [only]
    assert trends.briefs_of_day(ledger, "LATISS", 20261120, "dark") == []


def test_chosen_detectors_of_chosen_exposures(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        for detector in (0, 1, 2):
            record(ledger, number, detector)
    ids = [make_exposure(number).exposure_id for number in (1, 3)]
    found = trends.briefs_of(ledger, "LATISS", [0, 2], ids)
    assert {(one.exposure_id, one.detector) for one in found} == {
        (exposure_id, detector) for exposure_id in ids for detector in (0, 2)
    }
    assert trends.briefs_of(ledger, "LATISS", [], []) == []


def test_a_metric_that_no_test_looks_at(ledger: Ledger) -> None:
    record(ledger, 1, 4, value=1.0)
    found = trends.metric_values(ledger, "LATISS", make_exposure(1).exposure_id, "MEAN")
    assert found[4]["C10"] == 1.0
    assert found[4]["C11"] == 2.0
    assert trends.metric_values(ledger, "LATISS", make_exposure(1).exposure_id, "NONE") == {}


def test_a_change_of_the_chain_names_what_changed(ledger: Ledger) -> None:
    for number, fingerprint in enumerate(["f0", "f0", "f1", "f1", "f0"], start=1):
        record(ledger, number, fingerprint=fingerprint)
    first, second = trends.chain_changes(ledger, "LATISS", 0, "bias", BEGIN, END)
    assert first.exposure_id == make_exposure(3).exposure_id
    assert first.at == make_exposure(3).end_utc
    assert (first.before["bias"].uuid, first.after["bias"].uuid) == ("bias-f0", "bias-f1")
    assert first.changed == ("bias",)
    assert second.exposure_id == make_exposure(5).exposure_id


QUESTIONS: dict[str, Callable[[Ledger], object]] = {
    "instruments": nights.instruments,
    "days": lambda ledger: nights.days(ledger, "LATISS"),
    "exposures": lambda ledger: nights.exposures_between(ledger, "LATISS", 20261120, 20261121),
    "exposure": lambda ledger: nights.exposure_line(ledger, "LATISS", 1),
    "last checks": lambda ledger: nights.last_checks(ledger, "LATISS"),
    "neighbours": lambda ledger: nights.neighbours(
        ledger, nights.exposures_between(ledger, "LATISS", 20261120, 20261120)[0]
    ),
    "detectors": lambda ledger: nights.detector_lines(ledger, "LATISS", 1),
    "detector": lambda ledger: nights.detector_result(ledger, "LATISS", 1, 0),
    "newest": nights.newest_judgement,
    "of an exposure": lambda ledger: trends.briefs_of_exposure(ledger, "LATISS", 1),
    "of a day": lambda ledger: trends.briefs_of_day(ledger, "LATISS", 20261120, "bias"),
    "trend": lambda ledger: trends.trend(ledger, "LATISS", 0, "bias", BEGIN, END, "r"),
    "newest of a detector": lambda ledger: trends.newest(ledger, "LATISS", 0, "bias"),
    "chosen": lambda ledger: trends.briefs_of(ledger, "LATISS", [0, 1], [1, 2]),
    "metric": lambda ledger: trends.metric_values(ledger, "LATISS", 1, "MEAN"),
    "chain": lambda ledger: trends.chain_changes(ledger, "LATISS", 0, "bias", BEGIN, END),
    "last values": lambda ledger: ledger.last_values(
        "LATISS", 0, "C00", "bias", "MEAN", 10, since=BEGIN
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_reads_a_table_through(question: str, tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    for number, fingerprint in ((1, "f0"), (2, "f1")):
        job = make_job(number, 0, fingerprint)
        result = make_result(job)
        ledger.record(result, job.exposure, NOON)
        ledger.record_exposure(
            merge([result], job.exposure), job.exposure, NOON, expected=[0],
            last_judgement_id=number,
        )  # fmt: skip
    asked: list[tuple[str, tuple]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        asked.append((statement, parameters))

    event.listen(ledger._engine, "before_cursor_execute", note)
    QUESTIONS[question](ledger)
    event.remove(ledger._engine, "before_cursor_execute", note)
    selects = [one for one in asked if one[0].startswith("SELECT")]
    assert selects
    with ledger._engine.connect() as connection:
        for statement, parameters in selects:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row.detail for row in plan]
            assert not [step for step in steps if re.match(r"SCAN (?!CONSTANT)", step)], steps
    ledger.close()


@pytest.mark.services
def test_postgresql_plans_no_scan_either(postgresql_url: str) -> None:
    """With sequential scans made dear, a plan that still has one has no index to use."""
    ledger = Ledger.open(postgresql_url)
    record(ledger, 1)
    asked: list[tuple[str, dict]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        asked.append((statement, parameters))

    event.listen(ledger._engine, "before_cursor_execute", note)
    for name, question in QUESTIONS.items():
        if name != "neighbours":
            question(ledger)
    event.remove(ledger._engine, "before_cursor_execute", note)
    with ledger._engine.connect() as connection:
        connection.execute(text("SET enable_seqscan = off"))
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
                assert "Seq Scan" not in "\n".join(row[0] for row in plan), statement
    ledger.close()
