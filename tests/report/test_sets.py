"""What a report says of exposures that were judged together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from night_scene import DAY
from set_scene import DETECTOR, ODD, PAIRS, SEQUENCE, WHY_ODD, WRONG_GAIN, take_sets
from sqlalchemy import text

from calwatch.alarms.rules import load_rules
from calwatch.camera.loader import load_camera
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import judgement
from calwatch.report.document import to_document
from calwatch.report.gather import gather
from calwatch.report.html import to_html
from calwatch.report.model import JudgedSet, Question, Report, SetDetector
from calwatch.report.pictures import Pictures
from calwatch.report.sets import kind_of_set
from calwatch.report.text import MOST_LINES, to_text
from calwatch.verify.model import Verdict

NIGHT = Question("LSSTCam", DAY, DAY)
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    made = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('sets') / 'ledger.db'}")
    take_sets(made)
    yield made
    made.close()


def ask(ledger: Ledger, question: Question = NIGHT) -> Report:
    return gather(ledger, question, load_camera("LSSTCam"), load_rules(), NOW)


@pytest.fixture(scope="module")
def report(ledger: Ledger) -> Report:
    return ask(ledger)


def one(rows: tuple[SetDetector, ...], kind: str, detector: str) -> SetDetector:
    (found,) = [row for row in rows if (row.kind, row.detector) == (kind, detector)]
    return found


def test_each_set_is_there_with_its_members(report: Report) -> None:
    kinds = [found.kind for found in report.sets]
    assert kinds.count("gain i_39") == PAIRS + 1
    assert kinds == sorted(kinds, key=list(dict.fromkeys(kinds)).index)
    curve: JudgedSet
    (curve,) = [found for found in report.sets if found.calib_type == "ptc"]
    assert (curve.last.exposure_id, len(curve.members)) == (SEQUENCE, 2 * PAIRS)
    assert curve.verdict is Verdict.FAIL
    assert curve.detectors == {"PASS": 1, "FAIL": 1, "UNKNOWN": 0}


def test_each_detector_has_its_worst_number(report: Report) -> None:
    row = one(report.set_detectors, "ptc i_39", DETECTOR)
    assert (row.verdict, row.amp, row.test) == (Verdict.FAIL, WRONG_GAIN, "PTC_GAIN")
    assert row.distance is not None
    assert row.distance > 1
    assert row.exposure_id == SEQUENCE
    of_ptc = [found for found in report.set_detectors if found.kind == "ptc i_39"]
    assert [found.detector for found in of_ptc] == [DETECTOR, "R22_S12"]  # the gravest first


def test_what_is_unknown_has_its_reason(report: Report) -> None:
    row = one(report.set_detectors, "gain i_39", DETECTOR)
    assert row.sets["UNKNOWN"] == 1
    assert row.reasons == (WHY_ODD,)
    (reason,) = [r for r in report.unknown if r.kind == "gain i_39" and r.words == WHY_ODD]
    assert reason.exposures == (DAY * 100000 + ODD,)


def test_a_failed_set_is_a_failure(report: Report) -> None:
    (group,) = [g for g in report.failures if (g.kind, g.test) == ("ptc i_39", "PTC_GAIN")]
    assert group.findings[0].part == f"{DETECTOR}/{WRONG_GAIN}"
    assert report.failed
    alone = replace(report, failures=(), runs=())
    assert alone.failed
    assert not replace(alone, sets=()).failed


def test_pictures_are_of_exposures_alone(report: Report) -> None:
    assert set(report.focal) == {"flat i_39"}
    assert {trend.kind for trend in report.trends} <= {"flat i_39"}
    assert {"flat i_39", "ptc i_39"} <= {number.kind for number in report.numbers}


def test_the_text_has_them_on_its_screen(report: Report) -> None:
    lines = to_text(report).splitlines()
    assert len(lines) <= MOST_LINES
    at = lines.index("SETS NOT PASSED")
    kinds = {line.split()[0] for line in lines[at + 1 : at + 4]}
    assert "ptc" in kinds
    assert any(f"{DETECTOR} {WRONG_GAIN} PTC_GAIN" in line for line in lines[at + 1 : at + 4])
    assert any("ptc i_39 PTC_GAIN" in line and "1 of 1 sets" in line for line in joined(lines))


def joined(lines: list[str]) -> list[str]:
    return [" ".join(pair) for pair in pairwise(lines)]


def test_the_page_has_them_in_a_section(report: Report) -> None:
    html = to_html(report, Pictures())
    assert 'id="sets-ptc-i_39"' in html
    assert WHY_ODD in html
    assert "in the set of" in html
    assert 'id="sets"' not in to_html(replace(report, sets=(), set_detectors=()), Pictures())


def test_the_document_has_them(report: Report) -> None:
    document = to_document(report)
    assert len(document["sets"]) == len(report.sets)
    assert {"kind", "detector", "verdict", "reasons"} <= set(document["set_detectors"][0])


def test_a_damaged_document_costs_its_own_numbers_only(ledger: Ledger) -> None:
    found = judgement.c
    mine = (found.exposure_id == SEQUENCE, found.algorithm == "ptc 1", found.detector == 94)
    kept = ledger.read(lambda c: c.execute(judgement.select().where(*mine)).mappings().one())
    ledger.write(
        lambda c: c.execute(
            text("UPDATE judgement SET document = x'00' WHERE id = :id"), {"id": kept["id"]}
        ),
        "spoil",
    )
    report = ask(ledger)
    assert any("ptc i_39" in sentence for sentence in report.damaged)
    (curve,) = [one for one in report.sets if one.calib_type == "ptc"]
    assert curve.detectors["FAIL"] == 1  # its verdict still counts


@pytest.mark.parametrize(
    ("calib_type", "observation_type", "name"),
    [
        ("ptc", "flat", "ptc i_39"),
        ("defects", "", "defects i_39"),
        ("defects", "dark", "defects dark"),
        ("dark_stack", "dark", "dark_stack"),
        ("bias_stability", "bias", "bias_stability"),
    ],
)
def test_kinds_have_names(
    ledger: Ledger, calib_type: str, observation_type: str, name: str
) -> None:
    from calwatch.report.gather import chosen

    line = replace(chosen(ledger, NIGHT)[0], calib_type=calib_type)
    assert kind_of_set(line, observation_type) == name


def test_a_collection_chooses_sets_by_what_they_used(tmp_path: Path, ledger: Ledger) -> None:
    """The chains of the scene's sets name none."""
    report = ask(ledger, Question("LSSTCam", collection="LSSTCam/calib/DM-1"))
    assert report.sets == ()
