"""Sets are judged once, whatever comes late, and again if their members change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import fakes
import pytest
from fakes import FakeRepository, make_result

from calwatch.arrivals.sets import Grouping
from calwatch.butler.model import PhotodiodeDataset
from calwatch.service.judging import JudgeFactory
from calwatch.service.looking_sets import look_for_sets
from calwatch.service.numbers import with_numbers
from calwatch.settings import Settings
from calwatch.verify.model import Verdict, algorithm_of

JUDGING = JudgeFactory(fakes.work, fakes.calib_types, fakes.unknown, fakes.merge)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
FLAT = {"kind": "flat", "observation_reason": "daily_flat", "exposure_time": 10.0}


def settings(*kinds: str, **changes) -> Settings:
    """Return settings that judge some kinds of sets."""
    sets = {"kinds": kinds, **changes}
    return Settings(repo="/repo", instruments=("LATISS",), look_back_days=None, sets=sets)


def look(repository, ledger, given, *, now=NOW, only=None, recheck=True):
    return look_for_sets(
        repository, ledger, JUDGING, given, now, only, recheck_unknown=recheck, rejudge=False
    )


def judge_all(repository, ledger, given, verdict=Verdict.PASS, arrays=None, **more):
    """Judge whatever is found, as the daemon does; return the jobs."""
    done = []
    for hand in look(repository, ledger, given, **more):
        for job in hand.jobs:
            result = make_result(job, verdict, metrics=("PAIR_MEAN", "MEAN"))
            members = [member.exposure.exposure_id for member in job.members]
            result = replace(
                result,
                provenance={**result.provenance, "members": members},
                arrays=arrays or {},
            )
            ledger.record(result, job.exposure, NOW)
            done.append(job)
        ledger.record_exposure(
            fakes.merge(
                ledger.results("LATISS", hand.record.exposure_id, hand.algorithm).results,
                hand.record,
            ),
            hand.record,
            NOW,
            expected=hand.expected,
            last_judgement_id=ledger.results(
                "LATISS", hand.record.exposure_id, hand.algorithm
            ).last_judgement_id,
            algorithm=hand.algorithm,
        )
    return done


def test_a_pair_is_judged_once(ledger):
    repository, given = FakeRepository(), settings("gain", "cti")
    repository.take(1, (0, 1), **FLAT)
    repository.take(2, (0, 1), **FLAT)
    done = judge_all(repository, ledger, given)
    assert [(job.calib_type, job.detector, len(job.members)) for job in done] == [
        ("gain", 0, 2), ("gain", 1, 2), ("cti", 0, 2), ("cti", 1, 2),
    ]  # fmt: skip
    assert {job.exposure.seq_num for job in done} == {2}
    for recheck in (True, False):
        assert look(repository, ledger, given, recheck=recheck) == []
    # A ledger that is opened anew knows as much.
    assert ledger.judged_keys("LATISS", algorithm=algorithm_of("gain")).keys() == {
        (done[0].exposure.exposure_id, 0), (done[0].exposure.exposure_id, 1),
    }  # fmt: skip


def test_a_late_flat_makes_no_second_pair_of_a_judged_one(ledger):
    repository, given = FakeRepository(), settings("gain")
    for number in (2, 3, 4):
        repository.take(number, **FLAT)
    first = judge_all(repository, ledger, given)
    assert [[m.exposure.seq_num for m in job.members] for job in first] == [[2, 3], [4]]
    repository.take(1, **FLAT)
    again = judge_all(repository, ledger, given)
    assert [[m.exposure.seq_num for m in job.members] for job in again] == [[1, 4]]


def test_an_odd_flat_is_unknown_after_the_wait_and_not_asked_again(ledger):
    repository, given = FakeRepository(), settings("gain")
    flat = repository.take(1, **FLAT)
    soon = flat.end_utc + timedelta(minutes=1)
    assert look(repository, ledger, given, now=soon) == []
    [job] = judge_all(repository, ledger, given, Verdict.UNKNOWN)
    assert "no partner" in job.why_not
    assert look(repository, ledger, given) == []
    repository.take(2, **FLAT)
    [late] = judge_all(repository, ledger, given)
    assert [m.exposure.seq_num for m in late.members] == [1, 2]


def test_half_of_a_pair_is_waited_for_and_then_unknown(ledger):
    repository, given = FakeRepository(), settings("gain")
    repository.take(1, (0, 1), **FLAT)
    second = repository.take(2, (0,), **FLAT)
    [hand] = look(repository, ledger, given, now=second.end_utc + timedelta(minutes=1))
    assert [job.detector for job in hand.jobs] == [0]
    [hand] = look(repository, ledger, given)
    assert [(job.detector, bool(job.why_not)) for job in hand.jobs] == [(0, False), (1, True)]
    assert "half of the pair is missing" in hand.jobs[1].why_not


def test_a_curve_waits_for_its_pairs_and_is_given_their_numbers(ledger):
    repository, given = FakeRepository(), settings("gain", "ptc")
    number = 0
    for seconds in (1.0, 2.0, 4.0, 8.0, 16.0):
        for _ in range(2):
            number += 1
            repository.take(number, **{**FLAT, "exposure_time": seconds})
    pairs = judge_all(repository, ledger, given)
    assert [job.calib_type for job in pairs] == ["gain"] * 5
    [curve] = judge_all(repository, ledger, given)
    assert (curve.calib_type, len(curve.members)) == ("ptc", 10)
    assert [point.exposure_time for point in curve.earlier] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert {len(point.amps) for point in curve.earlier} == {0}
    whole = with_numbers(ledger, curve)
    assert [point.exposure_time for point in whole.earlier] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert whole.earlier[0].amps["C11"]["PAIR_MEAN"] == pytest.approx(1.1)
    assert with_numbers(ledger, pairs[0]) is pairs[0]
    assert look(repository, ledger, given) == []


def test_a_set_that_gets_another_member_is_judged_again(ledger):
    repository, given = FakeRepository(), settings("dark_stack")
    for number in (1, 2, 3, 5, 6):
        repository.take(number, kind="dark")
    [first] = judge_all(repository, ledger, given)
    assert len(first.members) == 5
    repository.take(4, kind="dark")
    [second] = judge_all(repository, ledger, given, recheck=False)
    assert len(second.members) == 6
    assert first.chain.fingerprint != second.chain.fingerprint


def test_an_unknown_set_is_judged_again_when_its_chain_changes(ledger):
    repository, given = FakeRepository(), settings("dark_stack")
    for number in range(1, 6):
        repository.take(number, kind="dark")
    judge_all(repository, ledger, given, Verdict.UNKNOWN)
    assert look(repository, ledger, given) == []
    repository.fingerprint = "f1"
    assert len(judge_all(repository, ledger, given)) == 1
    repository.fingerprint = "f2"
    assert look(repository, ledger, given) == []


def test_spots_are_judged_for_crosstalk_and_for_nothing_else(ledger):
    repository, given = FakeRepository(), settings("gain", "defects", "crosstalk")
    repository.take(1, **{**FLAT, "observation_reason": "daily_crosstalk"})
    repository.take(2, kind="spot")
    repository.take(3, kind="science")
    found = judge_all(repository, ledger, given)
    assert [(job.calib_type, job.exposure.seq_num) for job in found] == [
        ("crosstalk", 1), ("crosstalk", 2),
    ]  # fmt: skip
    assert look(repository, ledger, given) == []


def test_names_of_the_configuration_are_those_of_the_rules():
    assert settings().sets.crosstalk_reasons == Grouping().sources


def test_an_event_finds_the_sets_of_its_exposure_alone(ledger):
    repository, given = FakeRepository(), settings("gain")
    taken = [repository.take(number, **FLAT) for number in range(1, 7)]
    [hand] = look(repository, ledger, given, only={"LATISS": {taken[2].exposure_id}})
    assert [m.exposure.seq_num for m in hand.jobs[0].members] == [3, 4]
    assert look(repository, ledger, given, only={"LATISS": set()}) == []


def test_no_kinds_no_questions(ledger):
    repository = FakeRepository()
    repository.take(1, **FLAT)
    assert look(repository, ledger, settings()) == []
    assert repository.looks == 0


def test_pairs_by_light_are_those_of_what_was_measured(ledger):
    repository, given = FakeRepository(), settings("gain", pair_by="flux")
    for number, level in ((1, 1e4), (2, 2e4), (3, 1.005e4)):
        flat = repository.take(number, **{**FLAT, "exposure_time": 1.0 * number})
        merged = replace(fakes.merge([make_result(fakes.make_job(number))], flat),
                         metrics={"EXP_MEAN": level})  # fmt: skip
        ledger.record_exposure(merged, flat, NOW, expected=[0], last_judgement_id=0)
    found = judge_all(repository, ledger, given)
    assert [[m.exposure.seq_num for m in job.members] for job in found] == [[2], [1, 3]]


def test_what_stands_is_not_asked_for_again(ledger):
    repository, given = FakeRepository(), settings("gain", "cti")
    for number in range(1, 5):
        repository.take(number, **FLAT)
    judge_all(repository, ledger, given)
    asked = []
    repository.raws = lambda _instrument, ids: asked.append(ids) or []
    for recheck in (False, True):  # and what is of days ago not even when all is looked through
        assert look(repository, ledger, given, recheck=recheck) == []
    assert asked == []
    soon = NOW.replace(day=20, hour=20)
    look(repository, ledger, given, now=soon, recheck=True)
    assert asked != []


def _photodiode(exposure):
    number = exposure.exposure_id
    return PhotodiodeDataset(number, f"uuid-{number}", "LATISS/calib/photodiode", "file:///pd.fits")


@pytest.mark.parametrize("by", ["auto", "photodiode", "exposure_time"])
def test_linearity_is_given_the_photodiode_if_it_is_wanted(ledger, by):
    repository, given = FakeRepository(), settings("gain", "linearity", linearity_by=by)
    flats = []
    for n, seconds in enumerate((1.0, 2.0, 4.0, 8.0, 16.0)):
        for half in (1, 2):
            flats.append(repository.take(2 * n + half, **{**FLAT, "exposure_time": seconds}))
    repository.photodiode_files += [_photodiode(flat) for flat in flats[:4]]
    now = flats[-1].end_utc + timedelta(hours=1)
    pairs = judge_all(repository, ledger, given, now=now)
    assert all(job.photodiodes == job.pairs == () for job in pairs)
    [curve] = judge_all(repository, ledger, given, now=now)
    ids = [flat.exposure_id for flat in flats]
    assert curve.pairs == tuple(zip(ids[::2], ids[1::2], strict=True))
    wanted = [] if by == "exposure_time" else ids[:4]
    assert [one.exposure_id for one in curve.photodiodes] == wanted
    assert look(repository, ledger, given, now=now) == []
    # Readings that come late have it judged again.
    repository.photodiode_files += [_photodiode(flat) for flat in flats[4:]]
    again = judge_all(repository, ledger, given, now=now)
    assert len(again) == (0 if by == "exposure_time" else 1)
    assert all(len(job.photodiodes) == 10 for job in again)
    assert look(repository, ledger, given, now=now) == []
