"""The dead man asks the ledger, and only an exposure that has come answers him."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st
from scenes import RULES

from calwatch.alarms.lateness import Demands, Expected, Facts, Unjudged, days_asked, what_is_late
from calwatch.alarms.model import Kind

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def late(facts: Facts, demands: Demands, now: datetime = NOW):
    return {(c.family, c.aspect): c for c in what_is_late(facts, demands, now, RULES)}


def test_a_type_that_has_not_come_for_too_long_is_late() -> None:
    demands = Demands(cadence={"bias": 36 * HOUR, "dark": 36 * HOUR, "flat": 36 * HOUR})
    facts = Facts(last={"bias": NOW - 37 * HOUR, "dark": NOW - 35 * HOUR})
    found = late(facts, demands)
    assert set(found) == {("cadence", "bias")}  # there never was a flat: nothing is known of flats
    assert found["cadence", "bias"].reason == (
        "No bias has been judged since 2026-11-22 02:00 UTC; one is expected within 36 h"
    )
    assert found["cadence", "bias"].since == NOW - 37 * HOUR


def test_exposures_without_a_verdict_are_one_alarm() -> None:
    waiting = [Unjudged(n, f"MC_O_20261123_{n:06d}", "bias", NOW - HOUR) for n in range(7)]
    fresh = Unjudged(9, "MC_O_20261123_000009", "bias", NOW)
    (condition,) = late(Facts(unjudged=[*waiting, fresh]), Demands()).values()
    assert condition.reason.startswith(
        "7 exposures have files in the Butler and no verdict 30 min after they were due: bias MC_O_"
    )
    assert condition.reason.endswith("and 2 more")
    assert late(Facts(unjudged=[fresh]), Demands()) == {}


def test_a_day_without_its_exposures_is_late_until_a_day_has_them() -> None:
    demands = Demands(expected=[Expected("bias", 10, time(21, 30))])
    facts = Facts(taken={20261122: {"bias": 3}, 20261123: {"bias": 10}})
    assert days_asked(demands, NOW) == [20261122]
    (condition,) = late(facts, demands).values()
    assert condition.reason == (
        "3 of 10 bias exposures of 20261122 were judged by 2026-11-22 21:30 UTC"
    )
    evening = NOW + 7 * HOUR
    assert days_asked(demands, evening) == [20261123]
    assert late(facts, demands, evening) == {}


def test_a_time_after_midnight_belongs_to_the_day_before() -> None:
    demands = Demands(expected=[Expected("bias", 10, time(3, 0))])
    assert days_asked(demands, NOW) == [20261122]
    assert days_asked(demands, NOW - 13 * HOUR) == [20261121]


def test_families_are_dead_man_alarms() -> None:
    from calwatch.alarms.lateness import FAMILIES

    assert {RULES.family(name).kind for name in FAMILIES} == {Kind.DEADMAN}


@given(st.integers(0, 48 * 60), st.integers(0, 23), st.integers(0, 59))
def test_the_day_asked_of_is_always_one_whose_time_has_come(minutes, hour, minute) -> None:
    now = NOW + timedelta(minutes=minutes)
    demands = Demands(expected=[Expected("bias", 1, time(hour, minute))])
    (condition,) = late(Facts(), demands, now).values()
    assert timedelta(0) <= now - condition.since < timedelta(days=1)
    (day,) = days_asked(demands, now)
    noon = datetime.strptime(f"{day} 12", "%Y%m%d %H").replace(tzinfo=UTC)
    assert noon <= condition.since < noon + timedelta(days=1)
