"""The ledger knows which exposures were judged together, and gives back the numbers of pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import fakes
import numpy as np
import pytest
from fakes import NOON, make_exposure, make_job, make_result

from calwatch.ledger import nights, reported
from calwatch.ledger.sets import (
    SetVerdict,
    earlier_numbers,
    judged_pairs,
    light,
    members_of,
    results_with_arrays,
    sets_between,
    sets_of,
)
from calwatch.ledger.store import Ledger
from calwatch.verify.model import Verdict, algorithm_of

FIRST = make_exposure(1).exposure_id


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url)
    yield ledger
    ledger.close()


def put(ledger: Ledger, calib_type: str, *numbers: int, detector: int = 0, value=0.1, **changes):
    """Record the judgement of a set, or of one exposure, and its merged verdict."""
    job = replace(make_job(numbers[-1], detector, kind="flat"), calib_type=calib_type)
    members = [make_exposure(number).exposure_id for number in numbers]
    result = make_result(job, Verdict.PASS, value=value, amps=("C10", "C11"))
    result = replace(
        result, provenance={**result.provenance, "members": members}, **changes
    )  # fmt: skip
    assert ledger.record(result, job.exposure, NOON)
    recorded = ledger.results("LATISS", result.exposure_id, result.algorithm)
    ledger.record_exposure(
        fakes.merge(recorded.results, job.exposure),
        job.exposure,
        NOON,
        expected=[0],
        last_judgement_id=recorded.last_judgement_id,
        algorithm=result.algorithm,
    )
    return result


def test_pairs_are_told_from_odd_flats_and_longer_sets(ledger):
    put(ledger, "gain", 1, 2)
    put(ledger, "cti", 3, 4)
    put(ledger, "gain", 5)
    put(ledger, "ptc", 1, 2, 3, 4)
    assert judged_pairs(ledger, "LATISS") == {(FIRST, FIRST + 1), (FIRST + 2, FIRST + 3)}
    assert judged_pairs(ledger, "LATISS", 20261121) == set()
    assert judged_pairs(ledger, "LSSTCam") == set()


def test_a_set_and_its_last_exposure_stand_beside_each_other(ledger):
    put(ledger, "flat", 2)
    put(ledger, "gain", 1, 2)
    exposure = FIRST + 1
    assert [r.calib_type for r in ledger.results("LATISS", exposure).results] == ["flat"]
    sets = ledger.results("LATISS", exposure, algorithm_of("gain")).results
    assert [r.calib_type for r in sets] == ["gain"]
    assert len(ledger.exposures("LATISS")) == 1


def test_the_sets_of_an_exposure(ledger):
    put(ledger, "gain", 1, 2)
    put(ledger, "ptc", 1, 2, 3, 4)
    assert sets_of(ledger, "LATISS", FIRST) == [
        SetVerdict("gain", FIRST + 1, Verdict.PASS),
        SetVerdict("ptc", FIRST + 3, Verdict.PASS),
    ]
    assert sets_of(ledger, "LATISS", FIRST + 7) == []


def test_numbers_of_pairs_come_back_by_detector_and_in_order(ledger):
    covariances = np.arange(8.0).reshape(2, 2, 2)
    covariances[1, 0, 0] = np.nan
    put(ledger, "gain", 3, 4, arrays={"covariances": covariances, "other": [1.0]})
    put(ledger, "gain", 1, 2, value=5.0)
    put(ledger, "gain", 1, 2, detector=3)
    times = {FIRST + 1: 1.0, FIRST + 3: 2.0, FIRST + 9: 3.0}
    found = earlier_numbers(ledger, "LATISS", times, ["MEAN"], "gain", arrays=["covariances"])
    assert sorted(found) == [0, 3]
    first, second = found[0]
    assert (first.exposure_id, first.exposure_time) == (FIRST + 1, 1.0)
    assert first.amps == {"C10": {"MEAN": 5.0}, "C11": {"MEAN": 6.0}}
    assert first.arrays == {}
    np.testing.assert_array_equal(np.array(second.arrays["covariances"]), covariances)
    assert "other" not in second.arrays


def test_results_come_back_with_their_arrays(ledger):
    put(ledger, "bias_stability", 1, 2, arrays={"level_changes": np.ones((2, 2))})
    algorithm = algorithm_of("bias_stability")
    recorded = results_with_arrays(ledger, "LATISS", FIRST + 1, algorithm)
    assert recorded.last_judgement_id == 1
    np.testing.assert_array_equal(recorded.results[0].arrays["level_changes"], np.ones((2, 2)))
    assert results_with_arrays(ledger, "LATISS", FIRST, algorithm).results == ()


def test_the_light_of_judged_flats(ledger):
    job = make_job(1, kind="flat")
    ledger.record(make_result(job), job.exposure, NOON)
    merged = replace(fakes.merge([make_result(job)], job.exposure), metrics={"EXP_MEAN": 5e4})
    ledger.record_exposure(merged, job.exposure, NOON, expected=[0], last_judgement_id=1)
    assert light(ledger, "LATISS", [FIRST, FIRST + 1]) == {FIRST: 5e4}


def test_numbers_of_chosen_detectors_only(ledger):
    put(ledger, "gain", 1, 2)
    put(ledger, "gain", 1, 2, detector=3)
    times = {FIRST + 1: 0.0}
    found = earlier_numbers(ledger, "LATISS", times, ["MEAN"], "gain", detectors=[3])
    assert list(found) == [3]
    assert earlier_numbers(ledger, "LATISS", times, ["MEAN"], "gain", detectors=[]) == {}


def test_the_sets_of_a_day_come_by_type_with_their_members(ledger):
    put(ledger, "ptc", 1, 2, 3, 4)
    put(ledger, "gain", 3, 4)
    put(ledger, "gain", 1, 2)
    put(ledger, "flat", 4)
    found = sets_between(ledger, "LATISS", 20261120, 20261120)
    assert [(one.line.calib_type, one.members) for one in found] == [
        ("gain", (FIRST, FIRST + 1)),
        ("gain", (FIRST + 2, FIRST + 3)),
        ("ptc", tuple(range(FIRST, FIRST + 4))),
    ]
    assert found[2].line == nights.exposure_line(ledger, "LATISS", FIRST + 3, algorithm_of("ptc"))
    assert sets_between(ledger, "LATISS", 20261121, 20261121) == []
    assert sets_between(ledger, "LSSTCam", 20261120, 20261120) == []


def test_the_members_are_those_of_the_newest_judgement(ledger):
    put(ledger, "bias_stability", 1, 3)
    provenance = {"fingerprint": "later", "members": [FIRST, FIRST + 1, FIRST + 2]}
    job = replace(make_job(3, kind="flat"), calib_type="bias_stability")
    assert ledger.record(replace(make_result(job), provenance=provenance), job.exposure, NOON)
    members = (FIRST, FIRST + 1, FIRST + 2)
    assert members_of(ledger, "LATISS", FIRST + 2, "bias_stability") == members
    assert members_of(ledger, "LATISS", FIRST + 2, "flat") == ()


def test_sets_and_exposures_do_not_follow_each_other(ledger):
    for number in (1, 2, 3):
        put(ledger, "flat", number)
    put(ledger, "gain", 1, 2)
    put(ledger, "gain", 3)
    flat = nights.exposure_line(ledger, "LATISS", FIRST + 1)
    pair = nights.exposure_line(ledger, "LATISS", FIRST + 1, algorithm_of("gain"))
    assert flat.calib_type == "flat"
    assert nights.neighbours(ledger, flat) == (FIRST, FIRST + 2)
    assert nights.neighbours(ledger, pair) == (None, FIRST + 2)
    lines = nights.exposure_lines(ledger, "LATISS", [FIRST, FIRST + 2, FIRST + 9])
    assert [(one.exposure_id, one.calib_type) for one in lines] == [
        (FIRST, "flat"),
        (FIRST + 2, "flat"),
    ]


def test_the_last_checks_tell_sets_from_exposures(ledger):
    put(ledger, "flat", 1)
    put(ledger, "gain", 1, 2)
    checks = {one.calib_type: one for one in nights.last_checks(ledger, "LATISS")}
    assert checks["flat"].last.exposure_id == FIRST
    assert checks["gain"].last_pass.exposure_id == FIRST + 1


def test_a_report_is_of_nights_with_exposures(ledger):
    put(ledger, "gain", 1, 2)
    assert reported.nights_beside(ledger, "LATISS", 20261121) == (None, None)
    assert reported.judged_with(ledger, "LATISS", "certified") == {(FIRST + 1, "gain 1")}
    assert reported.collections_of(ledger, "LATISS") == []
    put(ledger, "flat", 1)
    assert reported.nights_beside(ledger, "LATISS", 20261121) == (20261120, None)
    found = {(FIRST + 1, "gain 1"), (FIRST, "1")}
    assert reported.judged_with(ledger, "LATISS", "certified") == found
