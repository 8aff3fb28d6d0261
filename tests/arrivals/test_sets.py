"""Exposures find their sets whatever comes late, twice or never."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.arrivals.sets import Grouping, SetKind, find_sets
from calwatch.butler.model import ExposureRecord

BEGIN = datetime(2026, 11, 20, 19, 0, tzinfo=UTC)
LATER = BEGIN + timedelta(days=1)
GROUPING = Grouping()


def exposure(number: int, seconds: float = 10.0, kind: str = "flat", **changes) -> ExposureRecord:
    """Return one exposure; one is taken every 30 s."""
    end = BEGIN + timedelta(seconds=30 * number + seconds)
    mjd = 61000.0 + 30 * number / 86400
    fields = {
        "instrument": "LATISS",
        "exposure_id": 2026112000000 + number,
        "obs_id": f"AT_O_20261120_{number:06d}",
        "observation_type": kind,
        "observation_reason": f"daily_{kind}",
        "physical_filter": "r",
        "band": "r",
        "day_obs": 20261120,
        "seq_num": number,
        "exposure_time": seconds,
        "dark_time": seconds,
        "science_program": "BLOCK-295",
        "begin_tai": mjd,
        "end_tai": mjd + seconds / 86400,
        "end_utc": end,
    }
    return ExposureRecord(**{**fields, **changes})


def pairs(exposures, now=LATER, grouping=GROUPING, **more):
    """Return the numbers of each pair, and of each flat that stays alone."""
    found = find_sets(exposures, now, grouping, **more)
    return [tuple(m.seq_num for m in one.members) for one in found if one.kind is SetKind.PAIR]


def test_neighbours_of_equal_time_are_pairs_and_the_odd_one_waits_in_vain():
    flats = [exposure(n, s) for n, s in enumerate((1, 1, 2, 2, 5), start=1)]
    found = find_sets(flats, LATER, GROUPING)
    assert pairs(flats) == [(1, 2), (3, 4), (5,)]
    odd = found[2]
    assert all(words in odd.why_not for words in ("no partner", "5 s", "15 min"))


def test_an_odd_flat_is_waited_for():
    flats = [exposure(1), exposure(2), exposure(3)]
    assert pairs(flats, now=flats[2].end_utc + timedelta(minutes=14)) == [(1, 2)]
    assert pairs(flats, now=flats[2].end_utc + timedelta(minutes=16)) == [(1, 2), (3,)]


def test_nothing_is_paired_over_a_gap_before_the_wait_is_over():
    flats = [exposure(1), exposure(3)]
    assert pairs(flats, now=flats[1].end_utc + timedelta(minutes=1)) == []
    assert pairs(flats) == [(1, 3)]
    between = exposure(2, kind="dark")
    assert pairs([*flats, between], now=flats[1].end_utc + timedelta(minutes=1)) == [(1, 3)]


def test_a_judged_pair_stays_a_pair_when_a_flat_comes_late():
    late, others = exposure(1), [exposure(2), exposure(3), exposure(4)]
    assert pairs(others) == [(2, 3), (4,)]
    judged = {(others[0].exposure_id, others[1].exposure_id)}
    assert pairs([late, *others], paired=judged) == [(2, 3), (1, 4)]


def test_pairing_by_number_wants_neighbours():
    grouping = Grouping(pair_by="exposure_id")
    flats = [exposure(1, 10), exposure(2, 12), exposure(4, 10)]
    assert pairs(flats, grouping=grouping) == [(1, 2), (4,)]


def test_pairing_by_light_takes_what_was_measured():
    grouping = Grouping(pair_by="flux", flux_tolerance=0.02)
    flats = [exposure(n, 10.0 + n) for n in range(1, 6)]
    levels = dict(
        zip((f.exposure_id for f in flats), (1e4, 2e4, 1.01e4, 2.01e4, 1.0e4), strict=True)
    )
    assert pairs(flats, grouping=grouping, light=levels) == [(1, 3), (2, 4), (5,)]
    assert pairs(flats, now=flats[-1].end_utc, grouping=grouping, light={}) == []


@pytest.mark.parametrize("change", [{"physical_filter": "i"}, {"observation_reason": "other"}])
def test_other_filters_and_purposes_are_no_partners(change):
    assert pairs([exposure(1), exposure(2, **change)]) == [(1,), (2,)]


def ramp(first=1, seconds=(1, 2, 4, 8, 16)):
    """Return pairs of flats at several levels."""
    times = [s for s in seconds for _ in range(2)]
    return [exposure(first + i, s, observation_reason="daily_ptc") for i, s in enumerate(times)]


def sequences(exposures, now=LATER, grouping=GROUPING):
    return [s for s in find_sets(exposures, now, grouping) if s.kind is SetKind.SEQUENCE]


def test_pairs_at_several_levels_are_a_sequence_when_it_has_ended():
    flats = ramp()
    soon = flats[-1].end_utc + timedelta(minutes=1)
    assert sequences(flats, now=soon) == []
    [one] = sequences(flats)
    assert [m.seq_num for m in one.members] == list(range(1, 11))
    assert [m.seq_num for m in one.pairs] == [2, 4, 6, 8, 10]
    next_script = exposure(11, kind="bias", science_program="BLOCK-1")
    assert len(sequences([*flats, next_script], now=soon)) == 1


def test_four_levels_are_no_sequence():
    assert sequences(ramp(seconds=(1, 2, 4, 8))) == []


def test_few_levels_are_no_set_of_flats_either():
    found = find_sets(ramp(seconds=(1, 2, 4)), LATER, GROUPING)
    assert {one.kind for one in found} == {SetKind.PAIR}


def test_an_odd_flat_is_no_part_of_a_sequence():
    [one] = sequences([*ramp(), exposure(11, 32, observation_reason="daily_ptc")])
    assert one.last.seq_num == 10


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("dark", SetKind.DARKS), ("bias", SetKind.BIASES), ("flat", SetKind.FLATS)],
)
def test_sets_of_a_day(kind, expected):
    exposures = [exposure(n, kind=kind) for n in range(1, 7)]
    found = [s for s in find_sets(exposures, LATER, GROUPING) if s.kind is not SetKind.PAIR]
    assert [(s.kind, len(s.members)) for s in found] == [(expected, 6)]
    few = exposures[:3]
    assert all(s.kind is SetKind.PAIR for s in find_sets(few, LATER, GROUPING))


def kinds(exposures, **grouping):
    """Return kind and members of every set."""
    found = find_sets(exposures, LATER, Grouping(**grouping))
    return sorted((str(one.kind), len(one.members)) for one in found)


SPOTS = [exposure(n, n, observation_reason="Daily_Crosstalk") for n in (1, 2, 3)]
PLAIN = [exposure(n) for n in (11, 12, 13, 14)]
OF_PLAIN = [("flats", 4), ("pair", 2), ("pair", 2)]


def test_flats_with_sources_are_no_pairs_nor_flats_of_one_level():
    assert kinds([*SPOTS, *PLAIN]) == [*OF_PLAIN, ("sources", 3)]
    assert kinds(SPOTS[:1]) == [("sources", 1)]
    soon = SPOTS[-1].end_utc + timedelta(minutes=1)
    assert find_sets(SPOTS, soon, GROUPING) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"observation_reason": "xtalk_scan"}, True),
        ({"science_program": "BLOCK-SPOTS"}, True),
        ({"observation_type": "SPOT "}, True),
        ({"observation_type": "cbp", "observation_reason": "scan"}, True),
        ({"observation_type": "cwfs", "observation_reason": "crosstalk"}, False),
        ({"observation_type": "dark", "observation_reason": "crosstalk"}, False),
        ({"observation_reason": "ccob_flat"}, False),
    ],
)
def test_what_an_exposure_with_sources_is_called(change, found):
    assert (kinds([exposure(1, **change)]) == [("sources", 1)]) is found


def test_no_name_is_no_crosstalk_and_a_star_is_all_flats():
    assert kinds([*SPOTS, *PLAIN], sources=()) == sorted([*OF_PLAIN, *[("pair", 1)] * 3])
    assert kinds(PLAIN, sources=("*",)) == [*OF_PLAIN, ("sources", 4)]
    assert kinds([*SPOTS, *PLAIN], sources=("*", "*crosstalk")) == [
        *OF_PLAIN, ("sources", 3), ("sources", 4),
    ]  # fmt: skip
    darks = [exposure(n, kind="dark") for n in range(1, 5)]
    assert kinds(darks, sources=("*",)) == [("darks", 4)]


def test_afternoon_and_morning_are_two_sets():
    evening = [exposure(n, kind="dark") for n in range(1, 6)]
    morning = [exposure(n, kind="dark") for n in range(1201, 1206)]
    found = find_sets([*evening, *morning], LATER, GROUPING)
    assert [len(s.members) for s in found] == [5, 5]


def test_exposures_without_a_time_are_not_waited_for():
    lost = replace(exposure(1), end_utc=None, begin_tai=float("nan"), end_tai=float("nan"))
    assert pairs([lost], now=BEGIN) == [(1,)]


@given(
    st.lists(st.sampled_from([1.0, 2.0, 5.0]), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
    st.integers(0, 12),
)
def test_no_flat_is_lost_or_taken_twice_whatever_the_order(times, shuffle, missing):
    flats = [exposure(n, s) for n, s in enumerate(times, start=1)]
    come = [f for f in flats if f.seq_num != missing]
    shuffled = list(come)
    shuffle.shuffle(shuffled)
    found = pairs(shuffled)
    assert found == pairs(come)
    numbers = [number for pair in found for number in pair]
    assert sorted(numbers) == [f.seq_num for f in come]
    assert all(
        len(pair) == 1 or flats[pair[0] - 1].exposure_time == flats[pair[1] - 1].exposure_time
        for pair in found
    )


@given(st.lists(st.sampled_from([1.0, 2.0]), min_size=2, max_size=10), st.integers(1, 10))
def test_what_was_judged_before_a_late_flat_is_never_judged_again(times, late):
    flats = [exposure(n, s) for n, s in enumerate(times, start=1)]
    before = [f for f in flats if f.seq_num != late]
    by_number = {f.seq_num: f.exposure_id for f in flats}
    first = [pair for pair in pairs(before) if len(pair) == 2]
    judged = {(by_number[a], by_number[b]) for a, b in first}
    after = pairs(flats, paired=judged)
    assert set(first) <= set(after)
