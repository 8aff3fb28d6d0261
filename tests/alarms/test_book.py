"""One problem, one alarm: raised by enough evidence, cleared by evidence, and remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from scenes import NOON, RULES, amps, at, book, reopened, seen

from calwatch.alarms.book import Book, Condition
from calwatch.alarms.evidence import ingest_sighting
from calwatch.alarms.machine import AlarmActionError
from calwatch.alarms.model import Key, Kind, Severity, What
from calwatch.alarms.words import message

AMP = "R22_S11/C05"
KEY = Key("LSSTCam", "readout", "above", AMP)


def feed(into: Book, *sightings, delay: float = 0.5) -> list[tuple[What, str]]:
    """Let exposures be seen shortly after they end; return what happened, and to what."""
    first = len(into.transitions)
    for sighting in sightings:
        into.observe(sighting, sighting.end + timedelta(minutes=delay))
    return told(into, first)


def told(into: Book, first: int = 0) -> list[tuple[What, str]]:
    return [(t.what, t.alarm.key.part) for t in into.transitions[first:]]


def test_a_fault_is_one_alarm_from_its_raising_to_its_end() -> None:
    mine = book()
    assert feed(mine, seen(1), seen(2, [AMP])) == []
    assert feed(mine, seen(3, [AMP])) == [(What.RAISED, AMP)]
    alarm = mine.alarms[KEY]
    assert (alarm.kind, alarm.level, alarm.severity) == (
        Kind.FAILURE,
        "amplifier",
        Severity.SERIOUS,
    )
    assert (alarm.since, alarm.exposure_id, alarm.members) == (at(2), 2026112200003, (AMP,))
    assert feed(mine, seen(4, [AMP]), seen(5)) == []
    assert feed(mine, seen(6)) == [(What.RECOVERED, AMP)]
    assert mine.alarms[KEY].cleared_by == 2026112200006
    (symptom,) = mine.alarms[KEY].symptoms
    shown = [(s.exposure_id % 100, s.severity) for s in symptom.samples]
    bad, good = Severity.SERIOUS, Severity.NONE
    assert shown == [(2, bad), (3, bad), (4, bad), (5, good), (6, good)]
    mine.acknowledge(KEY, "ada", "cable reseated", at(7))
    assert mine.alarms == {}
    assert [a.open for a in mine.changed] == [False]


def test_tests_that_tell_of_one_problem_are_one_alarm() -> None:
    mine = book()
    for number in (1, 2):
        feed(mine, seen(number, [AMP], more={"READ_NOISE_CONSISTENT": [AMP]}))
    for number in (3, 4):
        feed(mine, seen(number, [AMP], kind="dark"))
    for number in (5, 6):
        feed(mine, seen(number, [AMP], kind="flat", test="RELATIVE_LEVEL"))
    assert [what for what, _ in told(mine)] == [What.RAISED]
    assert set(mine.alarms[KEY].counts) == {
        "bias NOISE", "bias READ_NOISE_CONSISTENT", "dark NOISE", "flat RELATIVE_LEVEL",
    }  # fmt: skip


def test_each_kind_of_exposure_clears_its_own_part_of_a_problem_only() -> None:
    mine = book()
    feed(mine, seen(1, [AMP]), seen(2, [AMP]))
    feed(mine, seen(3, [AMP], kind="dark"), seen(4, [AMP], kind="dark"))
    feed(mine, seen(5), seen(6))
    assert mine.alarms[KEY].active
    assert feed(mine, seen(7, kind="dark"), seen(8, kind="dark")) == [(What.RECOVERED, AMP)]


def test_light_that_is_wrong_in_one_filter_is_one_alarm_whatever_the_others_say() -> None:
    how = {"kind": "flat", "test": "RELATIVE_LEVEL"}
    mine, number = book(), 0
    for _day in range(4):
        for name, bad in (("i_39", [AMP]), ("r_57", [])):
            for _ in range(3):
                number += 1
                feed(mine, seen(number, bad, physical_filter=name, **how))
    assert told(mine) == [(What.RAISED, AMP)]
    (symptom,) = mine.alarms[KEY].symptoms
    assert symptom.calib_type == "flat i_39"
    for _ in range(2):
        number += 1
        feed(mine, seen(number, physical_filter="i_39", **how))
    assert told(mine)[1:] == [(What.RECOVERED, AMP)]


def test_what_has_to_do_with_no_filter_is_counted_over_all_of_them() -> None:
    how = {"kind": "flat", "test": "OVERSCAN_LEVEL"}
    mine = book()
    feed(mine, seen(1, [AMP], physical_filter="i_39", **how))
    feed(mine, seen(2, [AMP], physical_filter="r_57", **how))
    assert told(mine) == [(What.RAISED, AMP)]


def test_a_late_flat_is_over_only_by_later_flats_of_its_own_filter() -> None:
    how = {"kind": "flat", "test": "LEVEL", "aspect": "below"}
    leak = amps("LSSTCam")
    for name, happened in (("r_57", [What.RAISED]), ("i_39", [])):
        mine = book()
        feed(mine, *(seen(n, physical_filter=name, **how) for n in (2, 3)))
        feed(mine, seen(1, leak, physical_filter="i_39", **how), delay=3)
        assert [what for what, _ in told(mine)] == happened


def test_a_value_that_stays_near_its_limit_keeps_its_alarm_and_says_so() -> None:
    mine = book()
    feed(mine, seen(1, [AMP]), seen(2, [AMP]))
    feed(mine, *(seen(n, near=[AMP]) for n in range(3, 12)))
    assert told(mine) == [(What.RAISED, AMP), (What.EASED, AMP)]
    again = reopened(mine)
    assert again.alarms[KEY].severity is Severity.WARNING
    assert again.state.to_dict() == mine.state.to_dict()
    assert "near its limit" in body_of(mine)
    feed(mine, seen(12), seen(13), seen(14))
    assert told(mine)[2:] == [(What.RECOVERED, AMP)]


def body_of(mine: Book) -> str:
    return message(mine.transitions[-1], RULES).body


def test_too_high_and_too_low_are_two_problems() -> None:
    mine = book()
    feed(mine, seen(1, [AMP]), seen(2, [AMP]))
    feed(mine, seen(3, [AMP], aspect="below"), seen(4, [AMP], aspect="below"))
    assert {key.aspect for key in mine.alarms} == {"above", "below"}


@pytest.mark.parametrize(
    ("part", "number"), [("R22_S11", 16), ("R22_Reb1", 48), ("R22", 144), ("LSSTCam", 3216)]
)
def test_a_part_that_fails_as_a_whole_is_one_alarm(part: str, number: int) -> None:
    mine = book()
    feed(mine, seen(1, amps(part)), seen(2, amps(part)))
    assert told(mine) in ([(What.RAISED, part)], [(What.RAISED, part), (What.MEMBERS, part)])
    (alarm,) = mine.alarms.values()
    assert (len(alarm.members), alarm.total) == (number, number)
    assert (alarm.severity is Severity.CRITICAL) == (part == "LSSTCam")


def test_many_parts_at_once_need_no_second_exposure() -> None:
    mine = book()
    assert feed(mine, seen(1, amps("R22"))) == [(What.RAISED, "R22")]
    assert feed(mine, seen(2), seen(3)) == [(What.RECOVERED, "R22")]


def test_a_light_leak_in_one_exposure_is_told_though_the_next_was_judged_first() -> None:
    mine = book("LATISS")
    leak = seen(2, amps("LATISS", "LATISS"), kind="dark", test="MEAN", instrument="LATISS")
    good = [seen(n, kind="dark", instrument="LATISS") for n in (1, 3, 4)]
    assert feed(mine, good[0], good[1], leak) == [(What.RAISED, "RXX_S00")]
    assert feed(mine, good[2]) == [(What.RECOVERED, "RXX_S00")]


def test_members_join_and_leave_one_alarm() -> None:
    mine = book()
    feed(mine, seen(1, amps("R22")))
    most = amps("R22")[:120]
    feed(mine, seen(2, most), seen(3, most))
    assert len(mine.alarms[replace(KEY, part="R22")].members) == 120
    few = most[:3]
    feed(mine, seen(4, few), seen(5, few))
    assert [what for what, _ in told(mine)] == [What.RAISED, What.MEMBERS, What.MEMBERS]
    assert mine.alarms[replace(KEY, part="R22")].members == few


def test_a_problem_that_grows_is_still_one_alarm() -> None:
    mine = book()
    ccd, raft = amps("R22_S11"), amps("R22")
    feed(mine, seen(1, ccd[:1]), seen(2, ccd[:1]), seen(3, ccd), seen(4, ccd))
    assert list(mine.alarms) == [replace(KEY, part="R22_S11")]
    feed(mine, seen(5, raft))
    assert list(mine.alarms) == [replace(KEY, part="R22")]
    ended = [t.alarm for t in mine.transitions if t.what is What.ABSORBED]
    assert [a.absorbed_by for a in ended] == [
        "LSSTCam.readout.above.R22_S11",
        "LSSTCam.readout.above.R22",
    ]


def test_an_exposure_that_says_nothing_of_a_part_changes_nothing_of_it() -> None:
    mine = book()
    feed(mine, seen(1, [AMP]), seen(2, [AMP]))
    others = amps("R01")
    assert feed(mine, *(seen(n, judged=others) for n in range(3, 20))) == []
    assert mine.alarms[KEY].active


def test_the_same_exposure_again_changes_nothing() -> None:
    mine = book()
    feed(mine, seen(1, [AMP]))
    assert feed(mine, seen(1, [AMP]), seen(1, [AMP])) == []
    feed(mine, seen(2, [AMP]), seen(3), seen(4))
    mine.acknowledge(KEY, "ada", "", at(5))
    assert feed(mine, *(seen(n, [AMP] if n < 3 else []) for n in range(1, 5)), delay=9) == []
    assert feed(mine, seen(14, [AMP]), seen(15)) == []
    assert (mine.alarms, len(mine.transitions)) == ({}, 4)


def test_detectors_that_come_later_count_as_if_they_had_come_with_the_others() -> None:
    mine = book()
    others = [amp for amp in amps("LSSTCam") if not amp.startswith("R22")]
    for number in (1, 2):
        assert feed(mine, seen(number, judged=others)) == []  # R22 has not come yet
    assert feed(mine, seen(1, [AMP])) == []
    assert feed(mine, seen(2, [AMP])) == [(What.RAISED, AMP)]
    # That it was good in an exposure is known, whatever else of that exposure comes later.
    other = "R01_S00/C05"
    assert feed(mine, seen(2, [AMP, other]), seen(3, [AMP, other])) == []


def test_a_camera_that_comes_in_pieces_is_one_alarm_once_most_has_come() -> None:
    mine, whole = book(), amps("LSSTCam")
    first = whole[:1000]
    assert feed(mine, seen(1, first, judged=first)) != [(What.RAISED, "LSSTCam")]
    feed(mine, seen(1, whole))
    (alarm,) = [a for a in mine.alarms.values() if a.active]
    assert (alarm.key.part, alarm.severity) == ("LSSTCam", Severity.CRITICAL)


def test_a_late_bad_exposure_before_good_ones_raises_nothing() -> None:
    mine = book()
    feed(mine, seen(3), seen(4), seen(5))
    assert feed(mine, seen(1, [AMP]), seen(2, [AMP]), delay=9) == []


def test_two_exposures_that_change_places_are_seen_alike() -> None:
    mine = book()
    feed(mine, seen(1, [AMP]), seen(3))
    assert feed(mine, seen(2, [AMP]), delay=5) == []  # the newest exposure is good
    assert feed(mine, seen(4, [AMP])) == [(What.RAISED, AMP)]


def test_long_past_exposures_are_told_of_once_a_fresh_one_confirms_them() -> None:
    mine = book()
    days = timedelta(days=3)
    for number in (1, 2):
        mine.observe(seen(number, [AMP]), at(number) + days)
    assert [t.quiet for t in mine.transitions] == [True]
    fresh = seen(3, [AMP])
    mine.observe(replace(fresh, end=at(1) + days), at(2) + days)
    assert [(t.what, t.quiet) for t in mine.transitions] == [
        (What.RAISED, True),
        (What.CONFIRMED, False),
    ]


def test_a_muted_problem_stays_muted_when_it_comes_back() -> None:
    mine = book()
    feed(mine, seen(1, [AMP]), seen(2, [AMP]))
    mine.mute(KEY, "ada", "work on the cable", at(3), timedelta(hours=2))
    feed(mine, seen(4), seen(5))
    mine.acknowledge(KEY, "ada", "", at(6))
    mine = reopened(mine)
    feed(mine, seen(7, [AMP]), seen(8, [AMP]))
    assert [(t.what, t.quiet) for t in mine.transitions] == [(What.RAISED, True)]
    mine.tick(at(3) + timedelta(hours=3))
    assert (mine.transitions[-1].what, mine.alarms[KEY].muted) == (What.UNMUTED, False)
    assert mine.state.mutes == {}


def test_what_cannot_be_judged_has_an_alarm_of_its_own_and_clears_no_other() -> None:
    mine = book()
    feed(mine, seen(1, [AMP]), seen(2, [AMP]))
    for number in (3, 4, 5):
        found = seen(number, judged=[a for a in amps("LSSTCam") if a != AMP])
        blame_masked(found, AMP)
        feed(mine, found)
    assert mine.alarms[KEY].active
    masked = mine.alarms[Key("LSSTCam", "masked", "", AMP)]
    assert (masked.kind, masked.severity) == (Kind.UNKNOWN, Severity.WARNING)


def blame_masked(found, part: str) -> None:
    from calwatch.alarms.evidence import MASKED, Finding
    from calwatch.alarms.model import Sample

    sample = Sample(found.end, found.exposure_id, Severity.WARNING, reason=f"{part}: dead")
    found.blame(part, MASKED, Finding("masked", "", sample))


def test_what_is_not_ingested_is_grouped_by_the_camera_too() -> None:
    mine = book()
    ccds = tuple(dict.fromkeys(name.partition("/")[0] for name in amps("LSSTCam")))
    lost = {name: f"{name}: not in the Butler" for name in ccds if name.startswith("R22")}
    mine.observe(ingest_sighting("LSSTCam", 1, at(1), ccds, lost), at(5))
    assert told(mine) == [(What.RAISED, "R22")]
    assert mine.alarms[Key("LSSTCam", "ingest", "", "R22")].kind is Kind.DEADMAN
    mine.observe(ingest_sighting("LSSTCam", 2, at(6), ccds, {}), at(9))
    assert mine.transitions[-1].what is What.RECOVERED


def test_what_is_late_is_an_alarm_until_it_is_not() -> None:
    mine = book()
    late = Condition("cadence", "dark", Severity.SERIOUS, "no dark since yesterday", NOON)
    mine.conditions([late], {"cadence"}, at(1))
    mine.conditions([late], {"cadence"}, at(2))
    assert told(mine) == [(What.RAISED, "LSSTCam")]
    assert mine.alarms[Key("LSSTCam", "cadence", "dark", "LSSTCam")].reason == late.reason
    mine.conditions([], {"judging"}, at(3))
    assert len(mine.transitions) == 1
    mine.conditions([], {"cadence"}, at(3), evidence=7)
    assert (mine.transitions[-1].what, mine.transitions[-1].alarm.cleared_by) == (What.RECOVERED, 7)


def test_a_reset_forgets_what_stood_behind_the_alarm() -> None:
    mine = book()
    feed(mine, seen(1, [AMP]), seen(2, [AMP]))
    mine.reset(KEY, "ada", "the board was exchanged", at(3))
    assert (mine.alarms, mine.state.tracks) == ({}, {})
    with pytest.raises(AlarmActionError, match="no such open alarm"):
        mine.acknowledge(KEY, "ada", "", at(4))


def test_no_two_things_happen_at_one_time_and_time_does_not_run_back() -> None:
    mine = book()
    feed(mine, seen(1, ["R22_S11/C05", "R01_S00/C03"]), seen(2, ["R22_S11/C05", "R01_S00/C03"]))
    mine.observe(seen(3), NOON - timedelta(days=1))
    mine.observe(seen(4), NOON - timedelta(days=1))
    times = [t.at for t in mine.transitions]
    assert times == sorted(set(times))
    assert len(times) == 4
