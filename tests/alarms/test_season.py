"""Six days of two rafts in numbers: every known problem is one alarm, in time, and nothing else is.

The whole season is `tests/benchmarks/season.py`; the model and its terms are described there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from season import season
from season_run import Setup

from calwatch.alarms.model import Severity


@pytest.fixture(scope="module")
def passed():
    setup = Setup(("R22", "R34"), days=6, seed=3, plan="short_plan", known=True)
    return season(setup, processes=1)


def test_every_problem_is_found_in_its_window(passed):
    _keeper, found, _judge = passed
    beyond = [case for case in found.cases if case.expected]
    assert len(beyond) >= 15
    assert [case.fault for case in beyond if case.missed or case.late] == []


def test_no_alarm_is_false(passed):
    keeper, found, _judge = passed
    assert keeper.amp_tests > 250_000
    assert sum(not case.expected for case in found.cases) >= 4
    assert [episode.raised.reason for episode in found.all_false] == []


def test_one_problem_is_one_alarm(passed):
    _keeper, found, _judge = passed
    beyond = [case for case in found.cases if case.expected]
    assert {case.fault.part: len(case.standing) for case in beyond if case.duplicates} == {}


def test_a_raft_is_one_alarm_at_once_and_the_whole_camera_is_critical(passed):
    _keeper, found, judge = passed
    level = judge.layout.parts.level
    raft = [c for c in found.cases if c.expected and level(c.fault.part) == "raft"]
    camera = [c for c in found.cases if c.expected and level(c.fault.part) == "focal plane"]
    assert len(raft) >= 2
    assert len(camera) >= 2
    for case in (*raft, *camera):
        (episode,) = case.episodes
        assert episode.key.part == case.fault.part
        assert case.delay == 1
    for case in camera:
        assert case.episodes[0].raised.severity is Severity.CRITICAL


def test_restarts_and_repeats_change_nothing(passed):
    trouble = passed[0].trouble
    assert min(trouble.restarted, trouble.doubled, trouble.replayed, trouble.swapped) > 0
    assert trouble.unequal == []
    assert trouble.told_by_repeats == []


def test_all_is_over_when_it_is_good_and_acknowledged(passed):
    keeper, found, _judge = passed
    assert keeper.open == []
    assert all(episode.closed for case in found.cases for episode in case.episodes)
