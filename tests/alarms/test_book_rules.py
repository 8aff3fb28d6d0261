"""Whatever happens in whatever order, the promises of the alarms hold."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from scenes import NOON, amps, book, reopened, seen

from calwatch.alarms.book import Book, Condition
from calwatch.alarms.machine import AlarmActionError, Delays, Escalation
from calwatch.alarms.model import ENDS, Severity, What

CCD = amps("LATISS", "LATISS")
CALL = Escalation("*", "camera", timedelta(hours=1), Severity.SERIOUS)
DELAYS = Delays(timedelta(hours=2), timedelta(hours=3), (CALL,))
PEOPLE = (What.ACKNOWLEDGED, What.UNACKNOWLEDGED, What.MUTED, What.UNMUTED)

kinds = st.sampled_from([("bias", "NOISE"), ("dark", "MEAN"), ("flat", "LEVEL")])
some = st.sets(st.sampled_from(CCD), max_size=12).map(lambda chosen: tuple(sorted(chosen)))
bad_parts = st.one_of(st.just(()), st.just(CCD), some)
aspects = st.sampled_from(["above", "below"])
commands = st.sampled_from(["acknowledge", "unacknowledge", "unmute", "mute"])
severities = st.sampled_from([Severity.WARNING, Severity.SERIOUS])
waits = st.floats(0.1, 200.0)


class AnyLife(RuleBasedStateMachine):
    """Two books are given the same; the second is written down and read again at any moment."""

    @initialize()
    def begin(self) -> None:
        self.book = book("LATISS", DELAYS)
        self.other = book("LATISS", DELAYS)
        self.other_told: list = []
        self.number = 0
        self.now = NOON
        self.past: list = []

    def both(self, act) -> None:
        for mine in (self.book, self.other):
            try:
                act(mine)
            except AlarmActionError:
                continue

    @rule(
        kind=kinds, bad=bad_parts, severity=severities, wait=waits, aspect=aspects,
        near=some, physical_filter=st.sampled_from(["", "r", "i"]),
    )  # fmt: skip
    def expose(self, kind, bad, severity, wait, aspect, near, physical_filter) -> None:
        self.number += 1
        self.now += timedelta(minutes=wait)
        how = {"kind": kind[0], "test": kind[1], "severity": severity, "aspect": aspect}
        if kind[0] == "flat":
            how["physical_filter"] = physical_filter
        how["near"] = near
        found = seen(self.number, bad, instrument="LATISS", **how)
        found.end = self.now
        self.past.append(found)
        self.both(lambda mine: mine.observe(found, self.now))

    @precondition(lambda self: self.past)
    @rule(which=st.integers(0, 50))
    def say_again(self, which) -> None:
        found = self.past[which % len(self.past)]
        self.both(lambda mine: mine.observe(found, self.now))

    @rule(hours=st.floats(0, 30))
    def wait(self, hours) -> None:
        self.now += timedelta(hours=hours)
        self.both(lambda mine: mine.tick(self.now))

    @rule(hours=st.floats(0, 30))
    def clock_runs_back(self, hours) -> None:
        self.both(lambda mine: mine.tick(self.now - timedelta(hours=hours)))

    @rule(what=commands, which=st.integers(0, 9))
    def person(self, what, which) -> None:
        keys = sorted(self.book.alarms)
        if not keys:
            return
        key = keys[which % len(keys)]
        more = (timedelta(hours=1),) if what == "mute" else ()
        self.both(lambda mine: getattr(mine, what)(key, "ada", "why", self.now, *more))

    @rule(late=st.booleans())
    def look_for_what_is_late(self, late) -> None:
        found = [Condition("cadence", "dark", Severity.SERIOUS, "late", self.now)] if late else []
        self.both(lambda mine: mine.conditions(found, {"cadence"}, self.now, self.number))

    @rule()
    def restart(self) -> None:
        self.other_told += self.other.transitions
        self.other = reopened(self.other)

    @invariant()
    def a_restart_changes_nothing(self) -> None:
        assert self.other.alarms == self.book.alarms
        assert self.other.state.to_dict() == self.book.state.to_dict()
        assert self.other_told + self.other.transitions == self.book.transitions

    @invariant()
    def time_never_runs_back(self) -> None:
        times = [t.at for t in self.book.transitions]
        assert times == sorted(set(times))

    @invariant()
    def the_gravest_severity_never_falls_within_an_episode(self) -> None:
        gravest: dict = {}
        for transition in self.book.transitions:
            name = transition.alarm.name
            assert transition.alarm.max_severity >= gravest.get(name, Severity.NONE)
            assert transition.alarm.severity <= transition.alarm.max_severity
            gravest[name] = transition.alarm.max_severity
            if transition.what in ENDS:
                gravest.pop(name)

    @invariant()
    def what_is_cleared_has_evidence_and_was_acknowledged_or_never_told(self) -> None:
        for transition in self.book.transitions:
            if transition.what in (What.RECOVERED, What.CLEARED):
                assert transition.alarm.cleared_by is not None
            if transition.what is What.CLEARED and transition.alarm.announced:
                assert transition.alarm.acknowledged

    @invariant()
    def an_episode_begins_once_and_ends_once(self) -> None:
        open_names = set()
        for transition in self.book.transitions:
            name = transition.alarm.name
            assert (name in open_names) != (transition.what is What.RAISED)
            open_names.add(name)
            if transition.what in ENDS:
                open_names.discard(name)
                ended = transition
                assert not ended.alarm.open
        # After an end only the end of its escalation may follow.
        assert open_names >= {alarm.name for alarm in self.book.alarms.values()}

    @invariant()
    def every_raised_part_stands_in_one_active_alarm(self) -> None:
        members: dict = {}
        for key, alarm in self.book.alarms.items():
            for member in alarm.members:
                members.setdefault((key.family, key.aspect), []).append(member)
        raised: dict = {}
        for key, track in self.book.state.tracks.items():
            if track.window.severity > Severity.NONE:
                raised.setdefault((track.family, key[3]), set()).add(key[0])
        assert {p: sorted(m) for p, m in members.items() if m} == {
            p: sorted(m) for p, m in raised.items()
        }


def test_any_sequence_of_events_and_commands_keeps_the_promises() -> None:
    run_state_machine_as_test(
        AnyLife, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )


@given(st.lists(st.sampled_from([True, False]), min_size=1, max_size=40))
def test_an_alarm_follows_its_evidence(history) -> None:
    mine: Book = book("LATISS")
    for number, bad in enumerate(history):
        found = seen(number, CCD[:1] if bad else (), instrument="LATISS")
        mine.observe(found, found.end)
    threes = zip([False, *history], history, history[1:], strict=False)
    raised = any(a + b + c >= 2 and c for a, b, c in threes)
    assert bool(mine.transitions) == raised
    if raised and history[-2:] == [False, False]:
        assert all(alarm.stale for alarm in mine.alarms.values())
