from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from calwatch.errors import CalwatchError, StopError
from calwatch.simulate.plan import (
    SimulationPlan,
    first_session,
    night_exposures,
    second_session,
    set_up,
)


@pytest.fixture
def plan(mini_path: str) -> SimulationPlan:
    return SimulationPlan(root="/nowhere/repo", instrument="MiniCam", camera=mini_path)


def test_exposures_are_numbered_once_and_in_order_of_time(plan: SimulationPlan) -> None:
    setup = set_up(replace(plan, nights=3))
    nights = [e for night in (1, 2, 3) for e in night_exposures(setup, night)]
    everything = [*first_session(setup), *second_session(setup), *nights]
    assert len({e.exposure_id for e in everything}) == len(everything)
    in_time = sorted(everything, key=lambda e: e.begin_mjd)
    assert in_time == sorted(everything, key=lambda e: e.exposure_id)
    for before, after in pairwise(in_time):
        assert before.end_mjd < after.begin_mjd


@pytest.mark.parametrize("nights", [1, 2, 5])
def test_the_second_generation_is_taken_between_two_nights(
    plan: SimulationPlan, nights: int
) -> None:
    setup = set_up(replace(plan, nights=nights))
    switch = setup.plan.switch_night
    session = second_session(setup)
    assert session[-1].end_mjd < night_exposures(setup, switch)[0].begin_mjd
    if switch > 1:
        assert session[0].begin_mjd > night_exposures(setup, switch - 1)[-1].end_mjd
    assert {e.night for e in session} == {0}


def test_reasons_tell_building_sequences_from_daily_ones(plan: SimulationPlan) -> None:
    setup = set_up(plan)
    assert {e.reason for e in night_exposures(setup, 1)} == {
        "daily_bias",
        "daily_dark",
        "daily_flat",
    }
    session = first_session(setup)
    assert {e.reason for e in session} == {"build_bias", "build_dark", "build_flat", "build_ptc"}
    ramp = [e for e in session if e.reason == "build_ptc"]
    assert len(ramp) == 2 * plan.ramp_pairs
    assert all(
        a.exposure_time == b.exposure_time for a, b in zip(ramp[::2], ramp[1::2], strict=True)
    )


def test_a_plan_survives_json(plan: SimulationPlan) -> None:
    full = replace(plan, detectors=(0, "R00_S01"), faults=("lamp_off",), filters=("g_6",))
    assert SimulationPlan.from_dict(json.loads(json.dumps(full.to_dict()))) == full


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instrument": "LATISS"}, "describes MiniCam"),
        ({"instrument": "Nope", "camera": ""}, "Nope"),
        ({"instrument": "LSSTCam", "camera": ""}, "205 detectors"),
        ({"detectors": (9,)}, "no detector 9"),
        ({"filters": ("z_99",)}, "no filter 'z_99'"),
        ({"calib_biases": 1}, "calib-biases must be at least 2"),
        ({"nights": -1}, "nights must be at least 0"),
        ({"processes": 0}, "processes must be at least 1"),
        ({"dark_time": float("nan")}, "dark-time"),
        ({"faults": ("ghost",)}, "unknown kind"),
        ({"root": "/"}, "directory"),
    ],
)
def test_an_impossible_plan_is_refused(
    plan: SimulationPlan, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(CalwatchError, match=message) as caught:
        set_up(replace(plan, **changes))
    assert isinstance(caught.value, StopError)


def test_the_second_session_takes_only_what_it_makes_anew(plan: SimulationPlan) -> None:
    setup = set_up(replace(plan, second_generation=("bias",)))
    assert {e.reason for e in second_session(setup)} == {"build_bias"}
    assert len(second_session(setup)) == plan.calib_biases
    everything = {"build_bias", "build_dark", "build_flat"}
    assert {e.reason for e in second_session(set_up(plan))} == everything


@pytest.mark.parametrize("types", [(), ("bias", "ptc")])
def test_a_second_session_of_other_types_is_refused(
    plan: SimulationPlan, types: tuple[str, ...]
) -> None:
    with pytest.raises(StopError, match="second-generation"):
        replace(plan, second_generation=types).check()


def test_the_ramp_ends_below_the_rail_of_the_converter(
    plan: SimulationPlan, stand_path: str
) -> None:
    stand = set_up(replace(plan, instrument="TestStand", camera=stand_path))
    brightest = max(e.electrons for e in first_session(stand))
    assert 60_000 < brightest < 2.0 * (2**16 - 30_000)
    assert max(e.electrons for e in first_session(set_up(plan))) == pytest.approx(110_000)
