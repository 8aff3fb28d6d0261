"""What a report gathers from a real ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_scene import NOISY, Scene
from sqlalchemy import text, update
from web_scene import make_scene

from calwatch.arrivals.model import Expectation
from calwatch.errors import StopError
from calwatch.ledger.inbox import LedgerInbox
from calwatch.ledger.tables import alarm, exposure_verdict, judgement
from calwatch.report.gather import chosen, noon_of
from calwatch.report.model import Question
from calwatch.verify.model import Verdict

NIGHT = Question("LSSTCam", 20261122, 20261122)


def number(exposure_id: int) -> int:
    return exposure_id % 100000


def test_the_counts_add_up(nights: Scene) -> None:
    report = nights.report()
    lines = chosen(nights.ledger, NIGHT)
    assert len(lines) == 6
    assert sum(sum(run.exposures.values()) for run in report.runs) == len(lines)
    for name in ("PASS", "FAIL", "UNKNOWN"):
        counted = sum(run.detectors[name] for run in report.runs)
        assert counted == sum(line.counts[name] for line in lines)


def test_a_run_is_as_bad_as_its_worst_exposure(nights: Scene) -> None:
    runs = {run.calib_type: run for run in nights.report().runs}
    assert {name: run.verdict for name, run in runs.items()} == {
        "bias": Verdict.FAIL, "dark": Verdict.PASS, "flat": Verdict.PASS,
    }  # fmt: skip
    assert runs["bias"].exposures == {"PASS": 1, "FAIL": 3, "UNKNOWN": 0}
    assert runs["flat"].filters == ("i_39",)


def test_a_failure_names_part_value_limit_and_calibration(nights: Scene) -> None:
    report = nights.report()
    (group,) = [one for one in report.failures if one.test == "NOISE"]
    assert (group.kind, group.section) == ("bias", "4.3")
    (finding,) = group.findings
    results = nights.ledger.results("LSSTCam", finding.worst.exposure_id).results
    (result,) = [one for one in results if one.detector == finding.detector]
    test = result.amps["C05"].tests["NOISE"]
    assert (finding.part, finding.value, finding.limit) == (
        "R22_S11/C05", test.value, test.limit,
    )  # fmt: skip
    assert (finding.crossed, finding.judged) == (3, 4)
    assert finding.distance is not None
    assert finding.distance > 1
    assert finding.reference is not None
    assert finding.reference.uuid == result.provenance["chain"]["ptc"]["uuid"]


def test_a_failure_goes_back_to_the_night_before(nights: Scene) -> None:
    (group,) = [one for one in nights.report().failures if one.test == "NOISE"]
    finding = group.findings[0]
    assert finding.since.exposure_id == 2026112100002
    assert not finding.at_least
    assert finding.first.exposure_id == 2026112200001
    (trend,) = [one for one in nights.report().trends if one.test == "NOISE"]
    assert "".join(point.outcome for point in trend.points) == "PFFFFP"


def test_nothing_good_before_is_said(scene: Scene) -> None:
    scene.take(1, bad=NOISY)
    (group,) = [one for one in scene.report().failures if one.test == "NOISE"]
    assert group.findings[0].at_least


def test_warnings_unknown_and_missing_have_their_places(nights: Scene) -> None:
    report = nights.report()
    (warning,) = report.warnings
    assert (warning.test, [one.part for one in warning.findings]) == (
        "OVERSCAN_LEVEL", ["R22_S12/C10"],
    )  # fmt: skip
    assert [(one.words, one.parts, one.count) for one in report.unknown] == [
        ("HDU Segment06 is truncated <sic>", ("R22_S12",), 1)
    ]
    (missing,) = report.missing
    assert (number(missing.exposure_id), missing.parts) == (4, ("R22_S12",))


def test_a_change_of_the_chain_is_told_once_a_type(nights: Scene) -> None:
    changes = nights.report().changes
    assert {one.name for one in changes} == {"bias", "defects", "ptc"}
    assert {number(one.at.exposure_id) for one in changes} == {2}
    assert {one.detectors for one in changes} == {("R22_S11", "R22_S12")}
    assert [one.exposures for one in nights.report().used if one.name == "bias"] == [1, 5]


def test_a_collection_chooses_what_was_judged_with_it(nights: Scene) -> None:
    older = nights.report(Question("LSSTCam", collection="LSSTCam/calib/DM-1/first/bias.20261101a"))
    assert [one.exposures["PASS"] + one.exposures["FAIL"] for one in older.runs] == [2, 1]
    ticket = nights.report(Question("LSSTCam", collection="LSSTCam/calib/DM-1"))
    assert sum(sum(run.exposures.values()) for run in ticket.runs) == 8
    with pytest.raises(StopError, match=r"first/bias\.20261101a"):
        nights.report(Question("LSSTCam", collection="LSSTCam/calib/DM"))


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (20261120, "nearest night is 20261121"),
        (20261201, "nearest night is 20261122"),
        (20261121, ""),
    ],
)
def test_a_night_without_exposures_names_the_nearest(nights: Scene, day: int, words: str) -> None:
    question = Question("LSSTCam", day, day)
    if not words:
        assert len(chosen(nights.ledger, question)) == 2
        return
    with pytest.raises(StopError, match=words):
        nights.report(question)


def test_both_neighbours_are_named(scene: Scene) -> None:
    for day in (20261101, 20261105):
        scene.take(1, day=day)
    with pytest.raises(StopError, match="20261101 and 20261105"):
        scene.report(Question("LSSTCam", 20261103, 20261103))


def test_the_numbers_are_those_of_the_results(nights: Scene) -> None:
    report = nights.report(Question("LSSTCam", 20261121, 20261121))
    (row,) = [
        one
        for one in report.numbers
        if (one.kind, one.detector, one.name) == ("bias", "R22_S11", "NOISE")
    ]
    found = [
        [amp.tests["NOISE"].value for amp in result.amps.values()]
        for line in chosen(nights.ledger, report.question)
        for result in nights.ledger.results("LSSTCam", line.exposure_id).results
        if result.detector_name == "R22_S11"
    ]
    means = sorted((a + b) / 2 for a, b in zip(*found, strict=True))
    assert row.median == pytest.approx((means[7] + means[8]) / 2)
    assert row.low == min(map(min, found))
    assert (row.high, row.high_part) == (max(map(max, found)), "C05")
    assert (row.worst_part, row.worst_value) == ("C05", row.high)


def test_the_focal_plane_has_the_worst_of_each_amplifier(nights: Scene) -> None:
    readings = nights.report().focal["bias"]
    focal = {f"{one.detector}/{one.amp}": one for one in readings}
    assert len(focal) == len(readings) == 32
    noisy = focal["R22_S11/C05"]
    assert (noisy.outcome, noisy.test) == ("F", "NOISE")
    assert focal["R22_S12/C10"].outcome == "W"
    assert focal["R22_S12/C11"].outcome == "P"


def test_a_damaged_document_costs_its_own_paragraph(scene: Scene) -> None:
    scene.take(1, bad=NOISY)
    scene.take(2)
    whole = scene.report()
    broken = update(judgement).where(
        judgement.c.detector == 94, judgement.c.exposure_id == 2026112200002
    )
    raw = broken.values(document=text("x'00ff'"))
    scene.ledger.write(lambda c: c.execute(raw), "damage")
    report = scene.report()
    (sentence,) = report.damaged
    assert "bias 2026112200002, R22_S11" in sentence
    assert "its verdict is PASS" in sentence
    assert report.runs == whole.runs
    (group,) = [one for one in report.failures if one.test == "NOISE"]
    assert (group.findings[0].crossed, group.findings[0].judged) == (1, 1)


def test_other_damage_is_named_too(scene: Scene) -> None:
    make_scene(scene.ledger).raise_alarm("R22_S11/C05")
    scene.take(1, bad=NOISY)
    for table, column in ((exposure_verdict, "document"), (alarm, "document")):
        change = update(table).values({column: text("x'00ff'")})
        scene.ledger.write(lambda c, change=change: c.execute(change), "damage")
    scene.ledger.write(lambda c: c.execute(text("UPDATE brief SET content = x'00ff'")), "damage")
    told = " ".join(scene.report().damaged)
    for words in ("merged verdict", "the past of detector 94 in bias", "the alarms"):
        assert words in told


def test_alarms_of_the_night_are_told_and_the_new_ones_marked(scene: Scene) -> None:
    number = make_scene(scene.ledger).raise_alarm("R22_S11/C05")
    scene.take(1)
    report = scene.report()
    assert [one.alarm_id for one in report.alarms] == [number]
    assert report.new_alarms == {number}
    scene.take(1, day=20261125)
    later = scene.report(Question("LSSTCam", 20261125, 20261125))
    assert [one.alarm_id for one in later.alarms] == [number]
    assert later.new_alarms == frozenset()


def test_what_was_announced_and_did_not_come_is_missing(scene: Scene) -> None:
    scene.take(1)
    at = noon_of(20261122)
    inbox = LedgerInbox(scene.ledger)
    what = Expectation("LSSTCam", 2026112200009, "MC_9", "dark", at, at, (94, 95))
    inbox.note([], [what])
    (due,) = inbox.due(at, "LSSTCam")
    inbox.close(due.expectation_id, (95,), at)
    (missing,) = scene.report().missing
    assert (missing.exposure_id, missing.kind, missing.parts) == (
        2026112200009, "dark", ("R22_S12",),
    )  # fmt: skip


def test_what_is_not_put_together_yet_is_missing(scene: Scene) -> None:
    scene.take(1)
    exposure = scene.exposure(2, "bias", 20261122, "")
    result = scene.result(exposure, scene.chosen()[0], {}, "a", None)
    scene.ledger.record(result, exposure, exposure.end_utc)
    (missing,) = scene.report().missing
    assert missing.exposure_id == exposure.exposure_id
    assert "not put together yet" in missing.words


def test_the_work_is_told(nights: Scene) -> None:
    told = []

    def follow(work, words):
        told.append((words, len(work)))
        return work

    nights.report(progress=follow)
    assert told[0] == ("reading exposures", 6)
    assert [words for words, _ in told[1:]] == ["reading sets", "reading the past"]


def test_the_same_question_has_the_same_answer(nights: Scene) -> None:
    one, two = nights.report(), nights.report()
    assert replace(one, made=two.made) == two
