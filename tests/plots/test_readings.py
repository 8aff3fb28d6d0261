"""What a focal plane is coloured by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.plots.readings import Reading, gravity, readings, worst
from calwatch.verify.brief import Brief, BriefTest


def make_reading(outcome: str = "P", value: float | None = 1.0, exposure_id: int = 1) -> Reading:
    return Reading(exposure_id, "R22_S11", "C05", "NOISE", value, None, 2.0, "e-", outcome)


def test_a_reading_is_of_one_test_or_of_each() -> None:
    noise = BriefTest("e-", "4.3", (1.0, 3.0), (None, None), (2.0, 2.0), "PF")
    mean = BriefTest("e-", "4.2", (0.0, None), (-1.0, -1.0), (1.0, 1.0), "PU")
    brief = Brief("", ("C10", "C11"), {"NOISE": noise, "MEAN": mean}, {})
    (first, second) = readings(7, "R22_S11", brief, "NOISE")
    assert (first.amp, first.value, first.outcome, first.distance) == ("C10", 1.0, "P", 0.5)
    assert (second.amp, second.distance, second.exposure_id) == ("C11", 1.5, 7)
    assert [r.test for r in readings(7, "R22_S11", brief, None)] == ["NOISE"] * 2 + ["MEAN"] * 2
    assert list(readings(7, "R22_S11", brief, "NONE")) == []


@pytest.mark.parametrize(
    ("better", "graver"),
    [
        (make_reading("P", 1.9), make_reading("W", 0.1)),
        (make_reading("W"), make_reading("U", None)),
        (make_reading("U", None), make_reading("F", 2.1)),
        (make_reading("F", 2.1), make_reading("F", 2.2)),
        (make_reading("P", 1.0), make_reading("P", 1.1)),
        (make_reading("f", 9.0), make_reading("P", 0.1)),
        (make_reading("-", None), make_reading("P", 0.1)),
    ],
)
def test_what_is_graver(better: Reading, graver: Reading) -> None:
    assert gravity(graver) > gravity(better)
    assert worst([better, graver]) == [graver]
    assert worst([graver, better]) == [graver]


def test_a_count_that_passes_on_its_limit_is_as_good_as_can_be() -> None:
    done = Reading(1, "A", "C0", "PROCESSING", 1.0, 1.0, None, "", "P")
    assert done.distance == 0.0
    assert worst([done, make_reading("P", 0.2)])[0].test == "PROCESSING"  # another amplifier
    warned = Reading(1, "A", "C0", "NOISE", 2.0, None, 2.0, "e-", "W")
    assert warned.distance == 1.0


outcomes = st.sampled_from("PWFU-pf")
made = st.builds(
    Reading, st.integers(1, 3), st.sampled_from(["A", "B"]), st.sampled_from(["C0", "C1"]),
    st.just("NOISE"), st.none() | st.floats(-5, 5), st.none() | st.just(-1.0),
    st.none() | st.just(1.0), st.just("e-"), outcomes,
)  # fmt: skip


@given(st.lists(made))
def test_the_worst_of_each_amplifier_is_one_of_them_and_none_is_worse(found: list[Reading]) -> None:
    kept = worst(found)
    places = [(one.detector, one.amp) for one in kept]
    assert places == list(dict.fromkeys((one.detector, one.amp) for one in found))
    for one in kept:
        mine = [r for r in found if (r.detector, r.amp) == (one.detector, one.amp)]
        assert one in mine
        assert gravity(one) == max(gravity(r) for r in mine)
