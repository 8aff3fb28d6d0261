"""Most of a part is the part, at every level of the tree; what is left stands for itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import RULES, amps, parts

from calwatch.alarms.grouping import cover, group_severity, is_group, together
from calwatch.alarms.model import Severity

ALL = amps("LSSTCam")
LEVELS = {"CCD": "R22_S11", "REB": "R22_Reb1", "raft": "R22", "focal plane": "LSSTCam"}


def found(bad, judged=ALL, standing=None):
    return cover(bad, judged, parts(), RULES, standing)


@pytest.mark.parametrize("level", LEVELS)
def test_a_part_that_is_bad_as_a_whole_is_one_problem(level: str) -> None:
    part = LEVELS[level]
    assert found(amps(part)) == {part: amps(part)}


@pytest.mark.parametrize("level", LEVELS)
def test_most_of_a_part_is_the_part_and_less_is_not(level: str) -> None:
    part, rule = LEVELS[level], RULES.group(level)
    mine = amps(part)
    # Spread evenly, so that no smaller part has most of its own.
    enough = -(-len(mine) * 6 // 10)
    stride = [mine[(i * 7) % len(mine)] for i in range(len(mine))]
    assert len(set(stride)) == len(mine)
    assert rule is not None
    assert part in found(stride[:enough])
    assert rule.many is not None
    assert part not in found(stride[: rule.many - 1])
    node = parts().find(part)
    assert node is not None
    assert is_group(node, enough, node.amps, rule)
    assert not is_group(node, enough - 1, node.amps, rule)
    assert not is_group(node, node.amps // 3, node.amps // 3, rule)  # too few were judged


def test_single_amplifiers_stand_for_themselves() -> None:
    bad = ("R22_S11/C05", "R10_S00/C17", "R44_SW0/C10")
    assert found(bad) == {name: (name,) for name in bad}


def test_a_whole_detector_and_an_amplifier_elsewhere_are_two_problems() -> None:
    bad = (*amps("R22_S11"), "R01_S00/C05")
    assert set(found(bad)) == {"R22_S11", "R01_S00/C05"}


def test_what_was_not_judged_is_no_evidence() -> None:
    few = amps("R22_S11")
    # Three of 205 detectors in the exposure: whatever they say is not said of the camera.
    judged = (*amps("R22_S11"), *amps("R22_S12"), *amps("R01_S00"))
    assert set(found(judged, judged)) == {"R22_S11", "R22_S12", "R01_S00"} or set(
        found(judged, judged)
    ) == {"R22_Reb1", "R01_S00"}
    assert set(found(few, few)) == {"R22_S11"}


def test_a_part_with_an_alarm_keeps_what_is_left_of_it() -> None:
    left = amps("R22")[:5]
    most = amps("R22")[:50]
    assert found(most, standing={"R22": ()}) == {"R22": most}  # half of what it takes to begin
    assert found(left, standing={"R22": left}) == {"R22": left}
    assert set(found(left[::4])) == set(left[::4])


def test_a_larger_problem_takes_the_place_of_a_smaller_one() -> None:
    assert set(found(ALL, standing={"R22": amps("R22"), "R01_S00": ()})) == {"LSSTCam"}


def test_a_camera_with_one_detector_has_no_empty_levels_above_it() -> None:
    mine = amps("LATISS", "LATISS")
    assert set(cover(mine, mine, parts("LATISS"), RULES)) == {"RXX_S00"}


def test_the_only_detector_of_a_camera_is_the_camera() -> None:
    mine, latiss = amps("LATISS", "LATISS"), parts("LATISS")
    assert together(mine, mine, latiss, RULES) == set(mine)
    serious = dict.fromkeys(mine, Severity.SERIOUS)
    assert group_severity("RXX_S00", serious, mine, latiss, RULES) is Severity.CRITICAL


def test_one_bad_file_is_not_many_parts_at_once() -> None:
    latiss = parts("LATISS")
    assert together(["RXX_S00"], ["RXX_S00"], latiss, RULES) == set()
    serious = {"RXX_S00": Severity.SERIOUS}
    assert group_severity("RXX_S00", serious, ["RXX_S00"], latiss, RULES) is Severity.SERIOUS


def test_detectors_and_the_camera_itself_may_be_bad_too() -> None:
    ccds = tuple(dict.fromkeys(name.partition("/")[0] for name in amps("R22")))
    assert set(found(ccds, ccds)) == {"R22"}
    assert set(found(ccds[:1], ccds)) == {"R22_S00"}
    assert found(("LSSTCam", "R22_S00"), ("LSSTCam", *ccds)) == {"LSSTCam": ("LSSTCam", "R22_S00")}


def test_one_exposure_is_enough_only_for_rafts_and_the_camera() -> None:
    for bad, at_once in ((amps("R22_S11"), ()), (amps("R22"), amps("R22")), (ALL[:1], ())):
        assert together(bad, ALL, parts(), RULES) == set(at_once)


def test_a_crowd_is_one_problem_of_the_smallest_part_that_has_most_of_it() -> None:
    in_ccd = amps("R22_S11")[:4]
    in_raft = amps("R22")[::16][:8]
    in_camera = ALL[::200][:13]
    assert found(in_ccd) == {"R22_S11": in_ccd}
    assert set(found(in_raft)) == {"R22"}
    assert set(found(in_camera)) == {"LSSTCam"}
    assert set(found(in_camera[:5])) == set(in_camera[:5])


def test_what_is_left_of_a_camera_stays_with_its_alarm_and_a_raft_of_its_own_does_not() -> None:
    left, other = amps("R22"), amps("R01")
    standing = {"LSSTCam": {*left, *amps("R10")}}
    assert found(left, standing=standing) == {"LSSTCam": left}
    assert found((*other, *left), standing=standing) == {"LSSTCam": left, "R01": other}


def test_what_comes_later_into_a_part_with_a_small_alarm_stands_for_itself() -> None:
    first, later = amps("R22_S11")[:3], amps("R22_S11")[9]
    standing = {"R22_S11": first}
    assert found((*first, later), standing=standing) == {"R22_S11": first, later: (later,)}


def test_most_of_the_camera_being_serious_is_critical() -> None:
    serious = dict.fromkeys(ALL, Severity.SERIOUS)
    warning = dict.fromkeys(ALL, Severity.WARNING)
    few = warning | dict.fromkeys(ALL[:9], Severity.SERIOUS)
    for severities, expected in ((serious, "CRITICAL"), (warning, "WARNING"), (few, "SERIOUS")):
        assert group_severity("LSSTCam", severities, ALL, parts(), RULES).name == expected


@given(st.sets(st.sampled_from(ALL), max_size=400), st.data())
def test_every_bad_part_stands_in_exactly_one_place(bad, data) -> None:
    some = st.sets(st.sampled_from(ALL), max_size=30)
    standing = data.draw(st.dictionaries(st.sampled_from([*LEVELS.values(), *ALL[:3]]), some))
    result = found(bad, standing=standing)
    members = [name for names in result.values() for name in names]
    assert sorted(members) == sorted(bad)
    for part, names in result.items():
        assert all(parts().within(name, part) for name in names)
