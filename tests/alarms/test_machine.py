"""The life of an alarm, where it is ts_watcher's and where it is better."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from scenes import NOON

from calwatch.alarms import machine
from calwatch.alarms.machine import AlarmActionError, Delays, Escalation, View
from calwatch.alarms.model import Key, Kind, Severity, What

N, W, S, C = Severity
KEY = Key("LSSTCam", "readout", "above", "R22_S11/C05")
ESCALATING = Delays(escalations=(Escalation("lsstcam.*", "camera", timedelta(minutes=10)),))


def after(minutes: float):
    return NOON + timedelta(minutes=minutes)


def view(severity: Severity, *members: str) -> View:
    return View(severity, NOON, "words", members or ("R22_S11/C05",), 16, exposure_id=7)


def begin(severity: Severity = S, delays: Delays = Delays(), *, late: bool = False):  # noqa: B008
    return machine.begin(KEY, Kind.FAILURE, "amplifier", view(severity), NOON, delays, late=late)[0]


def see(alarm, severity: Severity, minutes: float, delays: Delays = Delays(), **how):  # noqa: B008
    how.setdefault("late", False)
    if severity is N:
        return machine.recover(alarm, after(minutes), delays, exposure_id=9, **how)
    return machine.see(alarm, view(severity), after(minutes), delays, **how)


def whats(told) -> list[What]:
    return [transition.what for transition in told]


def test_severities_have_the_numbers_of_the_watcher() -> None:
    assert [(s.name, s.value) for s in Severity] == [
        ("NONE", 1), ("WARNING", 2), ("SERIOUS", 3), ("CRITICAL", 4),
    ]  # fmt: skip


def test_the_gravest_severity_is_latched() -> None:
    alarm, told = see(begin(W), S, 1)
    assert whats(told) == [What.WORSE]
    alarm, told = see(alarm, W, 2)
    assert whats(told) == [What.EASED]
    assert (alarm.severity, alarm.max_severity, alarm.max_severity_at) == (W, S, after(1))
    assert (alarm.severity_oldest, alarm.severity_newest) == (after(2), after(2))
    alarm, told = see(alarm, W, 3)
    assert told == ()
    assert (alarm.severity_oldest, alarm.severity_newest) == (after(2), after(3))


def test_a_recovered_alarm_waits_for_somebody_and_then_ends() -> None:
    alarm, told = see(begin(), N, 1)
    assert (whats(told), alarm.stale, alarm.max_severity) == ([What.RECOVERED], True, S)
    assert (alarm.cleared_by, alarm.reason) == (9, "words")
    alarm, told = machine.acknowledge(alarm, "ada", "cable", after(2), Delays())
    assert whats(told) == [What.ACKNOWLEDGED, What.CLEARED]
    assert (alarm.open, told[1].who, told[1].why) == (False, "ada", "cable")


def test_an_acknowledged_alarm_ends_when_it_is_good_again() -> None:
    alarm, _ = machine.acknowledge(begin(), "ada", "known", after(1), Delays())
    alarm, told = see(alarm, N, 2)
    assert (whats(told), alarm.open, alarm.acknowledged_by) == ([What.CLEARED], False, "ada")


def test_a_recovered_alarm_that_is_back_is_the_same_alarm() -> None:
    alarm, _ = see(begin(), N, 1)
    alarm, told = see(alarm, W, 2)
    assert (whats(told), alarm.max_severity, alarm.cleared_by) == ([What.RETURNED], S, None)


def test_a_graver_problem_takes_an_acknowledgement_back() -> None:
    alarm, _ = machine.acknowledge(begin(W), "ada", "known", after(1), Delays())
    alarm, told = see(alarm, S, 2)
    assert (whats(told), alarm.acknowledged) == ([What.WORSE], False)


def test_an_acknowledgement_cannot_mask_what_has_not_happened_yet() -> None:
    alarm, _ = machine.acknowledge(begin(W), "ada", "known", after(1), Delays(), C)
    assert alarm.acknowledged_severity is W
    assert not see(alarm, S, 2)[0].acknowledged


def test_an_acknowledgement_must_cover_what_there_is() -> None:
    with pytest.raises(AlarmActionError, match="is SERIOUS, which WARNING does not cover"):
        machine.acknowledge(begin(S), "ada", "", after(1), Delays(), W)
    alarm, _ = see(begin(S), W, 1)
    alarm, _ = machine.acknowledge(alarm, "ada", "", after(2), Delays(), W)
    assert not see(alarm, S, 3)[0].acknowledged


def test_somebody_must_have_a_name_and_a_reset_a_reason() -> None:
    with pytest.raises(AlarmActionError, match="give a name"):
        machine.acknowledge(begin(), " ", "", after(1), Delays())
    with pytest.raises(AlarmActionError, match="needs a reason"):
        machine.reset(begin(), "ada", "", after(1))
    ended, told = machine.reset(begin(), "ada", "exchanged", after(1))
    assert (ended.open, whats(told)) == (False, [What.CLEARED])
    with pytest.raises(AlarmActionError, match="is over since 2026-11-22 18:01"):
        machine.acknowledge(ended, "ada", "", after(2), Delays())


def test_alarms_are_acknowledged_and_brought_back_by_themselves_where_that_is_wanted() -> None:
    delays = Delays(timedelta(minutes=5), timedelta(minutes=5))
    alarm, _ = see(begin(delays=delays), N, 1, delays)
    assert machine.next_due(alarm) == after(6)
    ended, told = machine.run_timers(alarm, after(60), delays)
    assert (whats(told), told[0].at) == ([What.ACKNOWLEDGED, What.CLEARED], after(6))
    assert not ended.open
    alarm, _ = machine.acknowledge(begin(delays=delays), "ada", "", after(1), delays)
    alarm, told = machine.run_timers(alarm, after(60), delays)
    assert (whats(told), alarm.acknowledged) == ([What.UNACKNOWLEDGED], False)


def test_nothing_happens_by_itself_unless_asked_for() -> None:
    alarm, _ = see(begin(C), N, 1)
    assert machine.next_due(alarm) is None


def test_nobody_acknowledging_is_escalated_once_and_ended_by_acknowledging() -> None:
    alarm = begin(C, ESCALATING)
    assert (alarm.escalate_at, alarm.escalate_to) == (after(10), "camera")
    assert machine.run_timers(alarm, after(9), ESCALATING)[1] == ()
    alarm, told = machine.run_timers(alarm, after(11), ESCALATING)
    assert whats(told) == [What.ESCALATED]
    assert machine.run_timers(alarm, after(99), ESCALATING)[1] == ()
    alarm, told = machine.acknowledge(alarm, "ada", "", after(12), ESCALATING)
    assert whats(told) == [What.ACKNOWLEDGED, What.DEESCALATED]
    alarm, _ = machine.unacknowledge(alarm, "bob", "", after(13), ESCALATING)
    assert alarm.escalate_at == after(23)


def test_a_flapping_alarm_is_escalated_all_the_same() -> None:
    alarm = begin(C, ESCALATING)
    alarm, _ = see(alarm, W, 5, ESCALATING)
    assert whats(machine.run_timers(alarm, after(11), ESCALATING)[1]) == [What.ESCALATED]
    alarm, _ = see(begin(C, ESCALATING), N, 5, ESCALATING)
    assert machine.run_timers(alarm, after(11), ESCALATING)[1] == ()
    alarm, _ = see(alarm, W, 12, ESCALATING)
    assert whats(machine.run_timers(alarm, after(12), ESCALATING)[1]) == [What.ESCALATED]


def test_bringing_an_alarm_back_by_itself_brings_escalation_back() -> None:
    delays = replace(ESCALATING, auto_unacknowledge=timedelta(minutes=5))
    alarm, _ = machine.acknowledge(begin(C, delays), "ada", "", after(1), delays)
    alarm, told = machine.run_timers(alarm, after(16), delays)
    assert whats(told) == [What.UNACKNOWLEDGED, What.ESCALATED]


def test_a_mute_holds_for_its_severity_and_below_and_ends_by_itself() -> None:
    alarm, told = machine.mute(begin(W), "ada", "work", after(1), after(60), W)
    assert (whats(told), alarm.muted, alarm.muted_why) == ([What.MUTED], True, "work")
    _, told = see(alarm, N, 2)
    assert told[0].quiet
    graver, told = see(alarm, S, 2)
    assert (graver.muted, told[0].quiet) == (False, False)
    alarm, told = machine.run_timers(alarm, after(61), Delays())
    assert (whats(told), told[0].at, alarm.muted) == ([What.UNMUTED], after(60), False)
    for until, severity, words in ((after(1), W, "in the future"), (after(60), N, "above NONE")):
        with pytest.raises(AlarmActionError, match=words):
            machine.mute(begin(), "ada", "", after(1), until, severity)


def test_a_muted_alarm_is_not_escalated_before_the_mute_ends() -> None:
    alarm, _ = machine.mute(begin(C, ESCALATING), "ada", "", after(1), after(60), C)
    assert machine.run_timers(alarm, after(30), ESCALATING)[1] == ()
    _, told = machine.run_timers(alarm, after(60), ESCALATING)
    assert whats(told) == [What.UNMUTED, What.ESCALATED]


def test_late_evidence_is_told_only_when_a_fresh_exposure_confirms_it() -> None:
    alarm = begin(late=True)
    assert not alarm.announced
    alarm, told = see(alarm, S, 1, late=True)
    assert told == ()
    confirmed, told = see(alarm, S, 2)
    assert (whats(told), told[0].quiet, confirmed.announced) == ([What.CONFIRMED], False, True)
    ended, told = see(alarm, N, 2)
    assert (whats(told), told[0].quiet, ended.open) == ([What.CLEARED], True, False)


def test_members_that_join_or_leave_are_news_of_the_same_alarm() -> None:
    _, told = machine.see(begin(), view(S, "a", "b"), after(1), Delays(), late=False)
    assert (whats(told), told[0].joined, told[0].left) == (
        [What.MEMBERS], ("a", "b"), ("R22_S11/C05",),
    )  # fmt: skip


def test_an_acknowledged_alarm_that_grows_again_is_news() -> None:
    alarm, _ = machine.see(begin(), view(S, *"abcd"), after(1), Delays(), late=False)
    alarm, _ = machine.acknowledge(alarm, "ada", "known", after(2), Delays())
    alarm, told = machine.see(alarm, view(S, *"abcdefgh"), after(3), Delays(), late=False)
    assert (whats(told), alarm.acknowledged) == ([What.MEMBERS], True)
    alarm, _ = machine.see(alarm, view(S, "a"), after(4), Delays(), late=False)
    alarm, told = machine.see(alarm, view(S, *"abcd"), after(5), Delays(), late=False)
    assert (whats(told), alarm.acknowledged, told[0].quiet) == ([What.WORSE], False, False)


def test_an_absorbed_alarm_ends_and_says_in_what() -> None:
    by = replace(KEY, part="R22")
    alarm, told = machine.absorb(begin(), by, after(1))
    assert (alarm.open, alarm.absorbed_by) == (False, "LSSTCam.readout.above.R22")
    assert (whats(told), told[0].quiet) == ([What.ABSORBED], True)
