"""Who is told of what, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from deliveries import NOON, C, N, S, W, alarm, closed, transition
from hypothesis import given
from hypothesis import strategies as st

from calwatch.alarms import machine
from calwatch.alarms.deliver.routing import Route, due, holds, next_digest, quiet_until, wants
from calwatch.alarms.machine import Delays, Escalation, View
from calwatch.alarms.model import Kind, Severity, Transition, What

STATE = Route(state=True)
NIGHT = Route(quiet_hours=(time(22), time(12)))
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("route", "told"),
    [
        (Route(), True),
        (Route(severity=S), True),
        (Route(severity=C), False),
        (Route(instruments=("LSSTCam",)), True),
        (Route(instruments=("LATISS",)), False),
        (Route(kinds=(Kind.FAILURE, Kind.CHAIN)), True),
        (Route(kinds=(Kind.DEADMAN,)), False),
        (Route(alarms=("lsstcam.READOUT.*",)), True),
        (Route(alarms=("LSSTCam.bias.*", "*.R22_S11/*")), True),
        (Route(alarms=("LSSTCam.bias.*",)), False),
        (Route(on=frozenset({What.CLEARED})), False),
    ],
)
def test_a_route_narrows(route: Route, told: bool) -> None:
    assert wants(route, transition()) is told


def test_nobody_is_told_quietly_but_who_holds_the_state() -> None:
    quiet = transition(quiet=True)
    assert not wants(Route(on=frozenset(What)), quiet)
    assert wants(STATE, quiet)


@pytest.mark.parametrize("what", list(What))
def test_a_channel_with_a_state_is_told_of_all_that_concerns_it(what: What) -> None:
    assert wants(STATE, transition(what))
    assert not wants(replace(STATE, severity=C), transition(what))


def test_who_heard_of_an_alarm_hears_that_it_is_over_and_nobody_else() -> None:
    over = transition(What.CLEARED, closed(alarm(S), NOON), before=S)
    assert wants(Route(severity=S), over)
    assert not wants(Route(severity=C), over)
    back = transition(What.RETURNED, alarm(W, max_severity=S))
    assert wants(Route(severity=S), back)


def test_worse_but_not_as_grave_as_asked_for_is_not_told() -> None:
    assert not wants(Route(severity=C), transition(What.WORSE, alarm(S, max_severity=C)))
    assert wants(Route(severity=S), transition(What.WORSE, alarm(S, max_severity=C)))


def _view(severity: Severity) -> View:
    return View(severity, NOON, "words", ("R22_S11/C05",))


def _episode(*, acknowledge_first: bool, escalates: bool) -> list[Transition]:
    """Return what happens to an alarm that is raised, perhaps escalated, and comes to its end."""
    rule = Escalation("*", "camera", timedelta(minutes=1))
    delays = Delays(escalations=(rule,) if escalates else ())
    plain = alarm()
    steps = [machine.begin(plain.key, plain.kind, plain.level, _view(C), NOON, delays, late=False)]

    def go(step: machine.Step) -> None:
        steps.append(step)

    later = [NOON + timedelta(minutes=m) for m in range(10)]
    go(machine.run_timers(steps[-1][0], later[2], delays))
    if acknowledge_first:
        go(machine.acknowledge(steps[-1][0], "ada", "known", later[3], delays))
    go(machine.recover(steps[-1][0], later[4], delays, exposure_id=9, late=False))
    if not acknowledge_first:
        go(machine.acknowledge(steps[-1][0], "ada", "seen", later[5], delays))
    return [one for _, told in steps for one in told]


@pytest.mark.parametrize(
    ("acknowledge_first", "escalates", "told"),
    [
        (True, False, ["raised", "acknowledged", "cleared"]),
        (False, False, ["raised", "recovered", "cleared"]),
        (True, True, ["raised", "escalated", "acknowledged", "cleared"]),
        (False, True, ["raised", "escalated", "recovered", "cleared"]),
    ],
)
def test_what_one_step_says_twice_is_told_once(
    acknowledge_first: bool, escalates: bool, told: list[str]
) -> None:
    happened = _episode(acknowledge_first=acknowledge_first, escalates=escalates)
    assert [one.what.value for one in happened if wants(Route(), one)] == told


def test_who_is_called_hears_of_the_escalated_alarm_and_of_its_end() -> None:
    route = Route(escalations_only=True)
    first = _episode(acknowledge_first=True, escalates=True)
    assert [one.what.value for one in first if wants(route, one)] == ["escalated", "de-escalated"]
    then = _episode(acknowledge_first=False, escalates=True)
    assert [one.what.value for one in then if wants(route, one)] == [
        "escalated", "recovered", "de-escalated",
    ]  # fmt: skip
    assert not [x for x in _episode(acknowledge_first=True, escalates=False) if wants(route, x)]


def test_who_does_not_hear_of_acknowledgements_hears_of_the_escalations_end() -> None:
    route = Route(on=frozenset({What.ESCALATED, What.DEESCALATED}))
    happened = _episode(acknowledge_first=True, escalates=True)
    assert [one.what.value for one in happened if wants(route, one)] == [
        "escalated", "de-escalated",
    ]  # fmt: skip


def test_an_escalation_that_ends_by_absorption_is_told() -> None:
    absorbed = replace(closed(alarm(C), NOON), absorbed_by="LSSTCam.readout.above.R22")
    assert wants(Route(), transition(What.DEESCALATED, absorbed))


def test_a_state_has_the_open_alarms_and_the_escalated_ones_if_asked_for_those() -> None:
    assert holds(STATE, alarm())
    assert holds(STATE, alarm(N, max_severity=S))
    assert not holds(STATE, closed(alarm(), NOON))
    only = replace(STATE, escalations_only=True)
    assert not holds(only, alarm())
    assert holds(only, alarm(escalated_at=NOON))


@pytest.mark.parametrize(
    ("hour", "waits"), [(21, None), (22, 36), (23, 36), (0, 12), (11, 12), (12, None), (18, None)]
)
def test_quiet_hours_over_midnight(hour: int, waits: int | None) -> None:
    now = datetime(2026, 11, 22, hour, tzinfo=UTC)
    expected = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(hours=waits) if waits else now
    assert due(NIGHT, transition(), now) == expected


def test_what_is_grave_or_calls_somebody_waits_for_nothing() -> None:
    night = datetime(2026, 11, 22, 3, tzinfo=UTC)
    assert due(NIGHT, transition(What.RAISED, alarm(C)), night) == night
    assert due(NIGHT, transition(What.RECOVERED, alarm(N, max_severity=C)), night) == night
    assert due(NIGHT, transition(What.ESCALATED, alarm(W)), night) == night
    assert due(replace(NIGHT, state=True), transition(), night) == night
    assert due(NIGHT, transition(), night) > night


@given(times, times, moments)
def test_nothing_is_due_in_quiet_hours_and_all_within_a_day(
    begin: time, end: time, now: datetime
) -> None:
    if begin == end:
        return
    route = Route(quiet_hours=(begin, end))
    at = due(route, transition(), now)
    assert now <= at <= now + timedelta(days=1)
    assert quiet_until(route, at) is None
    if at != now:
        assert at.time() == end
        assert quiet_until(route, at - timedelta(microseconds=1)) == at


@given(times, times, moments)
def test_the_other_hours_are_the_ones_that_are_not_quiet(
    begin: time, end: time, now: datetime
) -> None:
    if begin != end:
        night = quiet_until(Route(quiet_hours=(begin, end)), now)
        day = quiet_until(Route(quiet_hours=(end, begin)), now)
        assert (night is None) is not (day is None)


@given(times, moments)
def test_a_digest_comes_once_a_day(clock: time, after: datetime) -> None:
    route = Route(digest=clock)
    first = next_digest(route, after)
    assert first is not None
    assert after < first <= after + timedelta(days=1)
    assert first.time() == clock
    assert next_digest(route, first) == first + timedelta(days=1)
    assert next_digest(Route(), after) is None


def test_another_time_zone_is_the_same_moment() -> None:
    local = NOON.replace(hour=3).astimezone(tz=None)
    assert due(NIGHT, transition(), local) == NOON.replace(hour=12)
