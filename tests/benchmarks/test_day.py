"""What a day is made of, when something counts as growing, and what an outcome must be."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "services"), str(HERE)]

from day_outcome import Outcome  # noqa: E402
from day_plan import (  # noqa: E402
    CALIBRATIONS,
    SCIENCE,
    Counts,
    Exposure,
    Fate,
    expected_verdicts,
    make_plan,
    notices,
)
from day_samples import slope  # noqa: E402

DETECTORS = tuple(range(205))
IMAGING = DETECTORS[:197]
FATES = st.dictionaries(st.sampled_from(IMAGING), st.sampled_from(Fate), max_size=30)

FEW = settings(max_examples=25, deadline=None)


def test_a_whole_day_has_the_events_that_the_arithmetic_says() -> None:
    plan = make_plan(CALIBRATIONS, SCIENCE, IMAGING)
    counts = Counts.of(plan, DETECTORS)
    assert counts.exposures == {"bias": 20, "dark": 20, "flat": 20, "science": 1000}
    assert [e.number for e in plan] == list(range(1, 1061))
    plain = 1060 * 206
    assert plain < counts.events < 1.02 * plain
    assert set(counts.fates) == {fate.value for fate in Fate}
    assert sum(e.silent for e in plan) == 3
    assert sum(e.noisy for e in plan) == 4


@FEW
@given(st.integers(1, 12), st.integers(0, 60), st.integers(0, 5))
def test_calibrations_are_spread_over_the_whole_time(of: int, science: int, seed: int) -> None:
    plan = make_plan(of, science, IMAGING, seed)
    at = [e.number for e in plan if e.is_calibration]
    assert len(at) == of
    gaps = np.diff([0, *at, len(plan) + 1])
    assert max(gaps) <= len(plan) / of + 1


@FEW
@given(FATES, st.booleans(), st.integers(0, 5))
def test_every_file_is_announced_unless_its_event_is_lost(
    fates: dict[int, Fate], last: bool, seed: int
) -> None:
    exposure = Exposure(1, "bias", fates, readout_last=last)
    sent = notices(exposure, DETECTORS, random.Random(seed))
    assert [n.detector for n in sent].index(None) == (len(sent) - 1 if last else 0)
    good = Counter(n.detector for n in sent if not n.failed and n.detector is not None)
    for detector in DETECTORS:
        fate = fates.get(detector)
        assert good[detector] == {Fate.LOST: 0, Fate.DOUBLED: 2}.get(fate, 1)
    for detector in (n.detector for n in sent if n.failed):
        mine = [n.failed for n in sent if n.detector == detector]
        assert mine == [True, False]


def test_of_a_silent_exposure_nothing_is_announced() -> None:
    assert notices(Exposure(1, "dark", silent=True), DETECTORS, random.Random(1)) == []


def test_the_right_verdicts() -> None:
    plan = [
        Exposure(1, "science"),
        Exposure(2, "bias", {3: Fate.BROKEN, 4: Fate.LATE}, noisy=True),
        Exposure(3, "dark"),
    ]
    found = dict(expected_verdicts(plan, [3, 4, 5], [3, 4]))
    assert found == {
        (2, 3): "UNKNOWN", (2, 4): "FAIL", (2, 5): "PASS", (3, 3): "PASS", (3, 4): "PASS",
        (3, 5): "PASS",
    }  # fmt: skip


@FEW
@given(st.floats(-50.0, 50.0), st.integers(0, 20))
def test_a_slope_is_found_within_its_error(rise: float, seed: int) -> None:
    at = np.linspace(0.0, 1500.0, 1500)
    noise = np.random.default_rng(seed).normal(0.0, 3.0, at.size)
    found = slope(at, 300.0 + rise * at / 1500.0 + noise, days=1.0)
    assert found.error < 0.7
    assert found.a_day == pytest.approx(rise, abs=5.0 * found.error)
    assert slope(at, 300.0 + rise * at / 1500.0 + noise, days=2.0).a_day == pytest.approx(
        found.a_day / 2.0
    )


def test_what_happens_in_the_first_third_is_no_growth() -> None:
    at = np.arange(900.0)
    found = slope(at, np.minimum(at, 290.0), days=1.0)
    assert found.a_day == pytest.approx(0.0, abs=1e-9)
    assert not found.exceeds(0.001)


def test_growth_counts_only_beyond_its_error() -> None:
    at = np.arange(900.0)
    rough = 40.0 * np.sin(at / 40.0)
    assert slope(at, rough + at / 30.0, days=1.0).exceeds(0.0) is False
    assert slope(at, at / 30.0, days=1.0).exceeds(10.0) is True


def test_too_few_samples_give_no_slope() -> None:
    with pytest.raises(ValueError, match="2 samples are too few"):
        slope([0.0, 1.0], [1.0, 1.0], days=1.0)


@pytest.fixture
def good():
    expected = {(1, 0): "PASS", (1, 1): "FAIL", (2, 0): "PASS"}
    return Outcome(
        expected,
        judged={key: [verdict] for key, verdict in expected.items()},
        told={key: [f"id {key}"] for key in expected},
        merged={1: 2, 2: 1},
        exposures_told={1: 2, 2: 1},
        left={"outbox": 0},
    )


def test_a_good_outcome_has_no_problems(good) -> None:
    assert good.problems() == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda o: o.judged.pop((1, 0)), "1 detectors not judged"),
        (lambda o: o.told.pop((1, 0)), "1 detectors not published"),
        (lambda o: o.told[1, 0].append("other"), "1 detectors published more than once"),
        (lambda o: o.told[1, 0].append("id (1, 0)"), "1 detectors published more than once"),
        (lambda o: o.judged.update({(2, 0): ["UNKNOWN"]}), "1 verdicts are wrong"),
        (lambda o: o.judged.update({(9, 0): ["PASS"]}), "judged that were not taken"),
        (lambda o: o.merged.update({1: 1}), "1 exposures not merged with all detectors"),
        (lambda o: o.exposures_told.pop(2), "1 exposures not published with all detectors"),
        (lambda o: o.left.update(outbox=3), "3 rows are left in outbox"),
        (lambda o: o.alarms.update({"raised": 1}), "1 transitions of alarms, 0 published"),
    ],
)
def test_whatever_is_wrong_is_told(good, spoil, said: str) -> None:
    spoil(good)
    (problem,) = good.problems()
    assert said in problem
