"""What the events say of alarms."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from deliveries import NOON, C, N, S, W, alarm, closed
from hypothesis import given
from hypothesis import strategies as st

from calwatch.alarms.deliver.sal_events import (
    ALARMS_BYTES,
    MEMBERS_LENGTH,
    alarm_fields,
    calls,
    summary_fields,
)
from calwatch.alarms.deliver.sal_topics import ALARM, SUMMARY
from calwatch.alarms.model import Alarm, Numbered, Severity

TAI_NOON = NOON.timestamp() + 37
SUMMARY_NAMES = [field.name for field in SUMMARY.fields]


def summary(*alarms: Alarm) -> dict[str, Any]:
    return summary_fields("LSSTCam", [Numbered(n, a) for n, a in enumerate(alarms, 1)])


def flags(*alarms: Alarm) -> list[str]:
    found = summary(*alarms)
    return [name for name in ("warningOpen", "seriousOpen", "criticalOpen") if found[name]]


def test_an_alarm_in_full() -> None:
    found = alarm(
        S, max_severity=C, members=("R22_S11/C05", "R22_S11/C06"), total=16,
        exposure_id=2026112200007,
        acknowledged=True, acknowledged_by="dolores", acknowledged_why="known",
        acknowledged_at=NOON + timedelta(minutes=5), muted_severity=W, muted_by="bernard",
        muted_why="tonight", unmute_at=NOON + timedelta(hours=8), escalate_to="camera",
        escalated_at=NOON + timedelta(minutes=2),
    )  # fmt: skip
    assert alarm_fields(Numbered(7, found), "readout") == {
        "name": "LSSTCam.readout.above.R22_S11/C05",
        "severity": 3,
        "reason": "Noise or gain is above the certified one in R22_S11/C05",
        "maxSeverity": 4,
        "acknowledged": True,
        "acknowledgedBy": "dolores",
        "escalatedId": "calwatch-7",
        "escalateTo": "camera",
        "mutedSeverity": 2,
        "mutedBy": "bernard",
        "timestampSeverityOldest": TAI_NOON,
        "timestampSeverityNewest": TAI_NOON,
        "timestampMaxSeverity": TAI_NOON,
        "timestampAcknowledged": TAI_NOON + 300,
        "timestampAutoAcknowledge": 0.0,
        "timestampAutoUnacknowledge": 0.0,
        "timestampEscalate": TAI_NOON + 120,
        "timestampUnmute": TAI_NOON + 8 * 3600,
        "alarmId": 7,
        "instrument": "LSSTCam",
        "kind": "failure",
        "family": "readout",
        "aspect": "above",
        "part": "R22_S11/C05",
        "level": "amplifier",
        "members": "R22_S11/C05, R22_S11/C06",
        "numMembers": 2,
        "numJudged": 16,
        "exposureId": 2026112200007,
        "clearedBy": 0,
        "playbook": "readout",
        "acknowledgedWhy": "known",
        "mutedWhy": "tonight",
        "announced": True,
        "absorbedBy": "",
        "timestampSince": TAI_NOON - 60,
        "timestampOpened": TAI_NOON,
        "timestampClosed": 0.0,
    }


def test_every_field_of_the_topics_is_filled() -> None:
    assert list(alarm_fields(Numbered(1, alarm()), "")) == [field.name for field in ALARM.fields]
    assert list(summary()) == SUMMARY_NAMES


def test_what_is_over_has_no_severity_however_it_ended() -> None:
    over = closed(alarm(C), NOON + timedelta(hours=1))
    absorbed = replace(alarm(C), closed_at=NOON, absorbed_by="LSSTCam.readout.above.R22")
    for found in (over, absorbed):
        fields = alarm_fields(Numbered(1, found), "readout")
        assert (fields["severity"], fields["maxSeverity"]) == (1, 1)
        assert fields["timestampClosed"] > 0


def test_an_alarm_that_is_to_be_escalated_says_when() -> None:
    waiting = alarm(C, escalate_at=NOON + timedelta(minutes=10), escalate_to="camera")
    fields = alarm_fields(Numbered(1, waiting), "")
    assert (fields["escalatedId"], fields["timestampEscalate"]) == ("", TAI_NOON + 600)


def test_without_alarms_the_summary_says_so() -> None:
    found = summary()
    assert found["alarms"] == "[]"
    assert (found["severity"], found["maxSeverity"]) == (1, 1)
    rest = {"instrument", "alarms", "severity", "maxSeverity"}
    assert not any(value for name, value in found.items() if name not in rest)


@pytest.mark.parametrize(
    ("found", "called"),
    [
        (alarm(W), ["warningOpen"]),
        (alarm(S), ["seriousOpen"]),
        (alarm(C), ["criticalOpen"]),
        (alarm(N, max_severity=S), []),
        (alarm(S, acknowledged=True), []),
        (alarm(S, muted_severity=S), []),
        (alarm(S, muted_severity=W), ["seriousOpen"]),
        (alarm(S, announced=False), []),
    ],
)
def test_which_alarms_call(found: Alarm, called: list[str]) -> None:
    assert flags(found) == called
    assert calls(found) == bool(called)


def test_an_acknowledged_alarm_does_not_hide_the_next() -> None:
    known = alarm(S, acknowledged=True)
    assert flags(known) == []
    assert flags(known, alarm(S, part="R10_S00/C00")) == ["seriousOpen"]


def test_the_counts_are_of_all_open_alarms() -> None:
    found = summary(
        alarm(W), alarm(S, acknowledged=True), alarm(S, muted_severity=C), alarm(N, max_severity=C)
    )
    counts = {name: value for name, value in found.items() if name.startswith("num")}
    assert counts == {
        "numOpen": 4,
        "numWarning": 1,
        "numSerious": 2,
        "numCritical": 0,
        "numStale": 1,
        "numAcknowledged": 1,
        "numMuted": 1,
        "numUnlisted": 0,
    }
    assert (found["severity"], found["maxSeverity"]) == (3, 4)


def test_the_list_has_the_gravest_first() -> None:
    listed = json.loads(summary(alarm(W), alarm(N, max_severity=C), alarm(C), alarm(S))["alarms"])
    assert [entry["severity"] for entry in listed] == [4, 3, 2, 1]
    assert listed[0] == {
        "alarmId": 3,
        "name": "LSSTCam.readout.above.R22_S11/C05",
        "level": "amplifier",
        "severity": 4,
        "maxSeverity": 4,
        "acknowledged": False,
        "acknowledgedBy": "",
        "muted": False,
        "announced": True,
        "since": "2026-11-22T17:59:00+00:00",
        "reason": "Noise or gain is above the certified one in R22_S11/C05",
    }


def test_reasons_are_shortened_before_alarms_are_left_out() -> None:
    found = summary(*(alarm(S, reason="x" * 1000, part=f"R22_S11/C{n:02d}") for n in range(100)))
    listed = json.loads(found["alarms"])
    assert len(listed) == 100
    assert {len(entry["reason"]) for entry in listed} == {200}
    assert listed[0]["reason"].endswith("x…")
    assert found["numUnlisted"] == 0


def test_the_least_grave_are_left_out_and_counted() -> None:
    parts = [f"R{n:05d}" for n in range(1000)]
    found = summary(*(alarm(C if n % 9 == 0 else W, part=part) for n, part in enumerate(parts)))
    listed = json.loads(found["alarms"])
    assert found["numOpen"] == 1000
    assert len(listed) + found["numUnlisted"] == 1000
    assert found["numUnlisted"] > 0
    assert sum(entry["severity"] == 4 for entry in listed) == found["numCritical"]


@given(
    st.lists(
        st.builds(
            alarm,
            st.sampled_from(Severity),
            reason=st.text(st.characters(), max_size=3000),
            acknowledged_by=st.text(max_size=300),
            acknowledged=st.booleans(),
        ),
        max_size=40,
    )
)
def test_any_summary_is_json_of_bounded_size(alarms: list[Alarm]) -> None:
    found = summary(*alarms)
    assert len(found["alarms"].encode()) <= ALARMS_BYTES
    assert len(json.loads(found["alarms"])) == len(alarms) - found["numUnlisted"]
    assert set(flags(*alarms)) == {
        f"{a.severity.name.lower()}Open" for a in alarms if a.active and not a.acknowledged
    }


def test_many_members_are_counted() -> None:
    names = tuple(f"R22_S11/C{n:04d}" for n in range(3000))
    fields = alarm_fields(Numbered(1, alarm(members=names)), "")
    listed, _, rest = fields["members"].rpartition(" and ")
    assert len(listed) <= MEMBERS_LENGTH
    assert rest == f"{3000 - len(listed.split(', '))} more"
    assert fields["numMembers"] == 3000


def test_what_utf_8_has_not_is_replaced() -> None:
    fields = alarm_fields(Numbered(1, alarm(reason="half a character \ud83d")), "")
    assert fields["reason"] == "half a character ?"
