"""Alarms as alerts, and what an Alertmanager that misbehaves leads to; see also the real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from deliveries import NOON, C, N, S, W, alarm, closed, delivery

from calwatch.alarms.deliver import alertmanager
from calwatch.alarms.deliver.alertmanager import AlertmanagerChannel
from calwatch.alarms.deliver.alerts import Alerts, Changes, stamp
from calwatch.alarms.deliver.channel import Numbered
from calwatch.alarms.deliver.settings import AlertmanagerSettings
from calwatch.alarms.model import Alarm
from calwatch.alarms.rules import load_rules
from calwatch.errors import CalwatchError, RecordError, StopError, WaitError

RULES = load_rules()
LATER = NOON + timedelta(hours=1)
CLIENT = httpx.AsyncClient


def settings(**given: Any) -> AlertmanagerSettings:
    given.setdefault("url", "http://alertmanager:9093")
    return AlertmanagerSettings(type="alertmanager", **given)


def alerts(*instruments: str, **given: Any) -> Alerts:
    return Alerts(settings(**given), RULES, instruments or ("LSSTCam",), playbook="http://book")


def held(of: Alerts, found: Alarm, number: int = 7) -> dict[str, Any]:
    return of.alert(Numbered(number, found), NOON)


def change(
    of: Alerts, *found: Alarm, holds: Any = (), silences: Any = (), only: str = "", number: int = 7
) -> Changes:
    numbered = [Numbered(number + n, one) for n, one in enumerate(found)]
    return of.changes(numbered, list(holds), list(silences), LATER, only=only)


def firing(changes: Changes) -> list[tuple[str, str]]:
    return [
        (alert["labels"]["part"], alert["labels"]["severity"])
        for alert in changes.alerts
        if datetime.fromisoformat(alert["endsAt"]) > LATER
    ]


def resolved(changes: Changes) -> list[tuple[str, str]]:
    return [
        (alert["labels"]["part"], alert["labels"]["severity"])
        for alert in changes.alerts
        if datetime.fromisoformat(alert["endsAt"]) <= LATER
    ]


def test_an_alarm_as_an_alert() -> None:
    found = alarm(S, acknowledged=True, acknowledged_by="ada", members=("a",), total=16)
    known = alerts(
        labels={"prod": "true"},
        receiver="slack, squadcast",
        page_url="http://page/alarms/{id}",
    )
    assert known.alert(Numbered(7, found), NOON) == {
        "labels": {
            "alertname": "CalwatchReadout",
            "alarm": "LSSTCam.readout.above.R22_S11/C05",
            "calwatch": "alertmanager",
            "instrument": "LSSTCam",
            "aspect": "above",
            "part": "R22_S11/C05",
            "level": "amplifier",
            "kind": "failure",
            "severity": "serious",
            "prod": "true",
            "receiver": ",slack,squadcast,",
        },
        "annotations": {
            "summary": "LSSTCam R22_S11/C05: readout above",
            "description": "Noise or gain is above the certified one in R22_S11/C05",
            "playbook": "http://book#readout",
            "state": "active",
            "severity_now": "serious",
            "since": "2026-11-22T17:59:00Z",
            "parts": "1 of 16",
            "acknowledged_by": "ada",
            "calwatch_alarm": "7",
        },
        "startsAt": "2026-11-22T18:00:00Z",
        "endsAt": "2026-11-23T18:00:00Z",
        "generatorURL": "http://page/alarms/7",
    }


def test_an_alert_links_to_the_page_if_there_is_one() -> None:
    numbered = Numbered(7, alarm())
    assert "generatorURL" not in alerts().alert(numbered, NOON)
    page = Alerts(settings(), RULES, ("LSSTCam",), page="http://page")
    assert page.alert(numbered, NOON)["generatorURL"] == "http://page"


def test_what_changes_during_an_episode_changes_no_label_but_the_latched_severity() -> None:
    known = alerts()
    before = known.labels(alarm(S))
    eased = alarm(W, max_severity=S, acknowledged=True, muted_severity=S, escalated_at=NOON)
    assert known.labels(eased) == before
    assert known.labels(alarm(N, max_severity=S)) == before
    worse = known.labels(alarm(C))
    assert {name for name in worse if worse[name] != before[name]} == {"severity"}


def test_the_summary_does_not_change() -> None:
    known = alerts()
    summaries = {
        known.annotations(Numbered(7, found))["summary"]
        for found in (alarm(S), alarm(C, reason="other"), alarm(N, max_severity=S))
    }
    assert len(summaries) == 1


def test_graver_is_another_alert_and_the_old_one_is_resolved() -> None:
    known = alerts()
    changes = change(known, alarm(C), holds=[held(known, alarm(S))])
    assert firing(changes) == [("R22_S11/C05", "critical")]
    assert resolved(changes) == [("R22_S11/C05", "serious")]


def test_nothing_is_resolved_that_is_not_there() -> None:
    known = alerts()
    assert change(known, closed(alarm(), NOON), only=alarm().name).alerts == ()
    assert resolved(change(known, alarm(C))) == []


def test_an_alarm_that_is_over_is_resolved_as_of_its_end() -> None:
    known = alerts()
    ended = closed(alarm(), NOON + timedelta(minutes=5))
    (alert,) = change(known, ended, holds=[held(known, alarm())], only=ended.name).alerts
    assert (alert["startsAt"], alert["endsAt"]) == (stamp(NOON), "2026-11-22T18:05:00Z")
    assert alert["labels"] == known.labels(alarm())


def test_what_ended_unnoticed_is_resolved_when_all_is_said_again() -> None:
    known = alerts()
    holds = [held(known, alarm(part="R01_S00")), held(known, alarm())]
    changes = change(known, alarm(), holds=holds)
    assert firing(changes) == [("R22_S11/C05", "serious")]
    assert resolved(changes) == [("R01_S00", "serious")]


def test_one_alarm_at_a_time_leaves_the_others_alone() -> None:
    known = alerts()
    changes = change(known, alarm(), holds=[held(known, alarm(part="R01_S00"))], only=alarm().name)
    assert resolved(changes) == []


def test_alerts_of_others_are_left_alone() -> None:
    known = alerts(labels={"prod": "true"})
    others = [
        held(alerts(labels={"prod": "false"}), alarm()),
        held(alerts(name="second", labels={"prod": "true"}), alarm()),
        held(alerts("LATISS", labels={"prod": "true"}), alarm(instrument="LATISS")),
        {"labels": {"alertname": "Watchdog"}, "startsAt": stamp(NOON)},
    ]
    assert change(known, holds=others) == Changes((), (), (), ())


def test_the_late_end_of_an_earlier_episode_does_not_end_the_later_one() -> None:
    known = alerts()
    later = held(known, alarm(opened_at=LATER), number=9)
    early = change(known, closed(alarm(), NOON), holds=[later], only=alarm().name, number=7)
    assert early.alerts == ()


def test_what_late_evidence_raised_is_not_sent_and_what_it_changed_stays() -> None:
    known = alerts()
    hidden = alarm(C, announced=False)
    assert change(known, hidden).alerts == ()
    was = held(known, alarm(S))
    changes = change(known, hidden, holds=[was])
    assert firing(changes) == [("R22_S11/C05", "serious")]
    assert changes.alerts[0]["annotations"] == was["annotations"]


def test_only_what_the_route_has_is_there() -> None:
    known = alerts(escalations_only=True)
    assert firing(change(known, alarm())) == []
    assert firing(change(known, alarm(escalated_at=NOON))) == [("R22_S11/C05", "serious")]
    assert resolved(change(known, alarm(), holds=[held(known, alarm())])) == [
        ("R22_S11/C05", "serious")
    ]


def muted(**given: Any) -> Alarm:
    given.setdefault("unmute_at", LATER + timedelta(hours=2))
    return alarm(S, muted_severity=S, muted_by="ada", muted_why="cable", **given)


def test_a_muted_alarm_is_there_under_a_silence() -> None:
    known = alerts(labels={"prod": "true"})
    changes = change(known, muted())
    assert firing(changes) == [("R22_S11/C05", "serious")]
    (silence,) = changes.silences
    assert {m["name"]: m["value"] for m in silence["matchers"]} == {
        "calwatch": "alertmanager",
        "prod": "true",
        "alarm": "LSSTCam.readout.above.R22_S11/C05",
    }
    assert silence["comment"] == "muted by ada: cable"
    assert silence["endsAt"] == "2026-11-22T21:00:00Z"


def as_held(silence: dict[str, Any], number: str = "s1", **given: Any) -> dict[str, Any]:
    return {**silence, "id": number, "status": {"state": "active"}, **given}


def test_a_silence_is_kept_changed_and_taken_away() -> None:
    known = alerts()
    there = as_held(change(known, muted()).silences[0])
    assert change(known, muted(), silences=[there]).silences == ()
    longer = change(known, muted(unmute_at=LATER + timedelta(hours=9)), silences=[there])
    assert [silence["id"] for silence in longer.silences] == ["s1"]
    assert change(known, alarm(), silences=[there]).unsilenced == ("s1",)
    ended = change(known, closed(muted(), LATER), silences=[there], only=alarm().name)
    assert (ended.unsilenced, ended.spent) == ((), ("s1",))
    twice = change(known, muted(), silences=[there, as_held(there, "s2")])
    assert twice.unsilenced == ("s2",)


def test_silences_of_others_are_left_alone() -> None:
    known = alerts()
    (silence,) = change(known, muted()).silences
    others = [
        as_held(silence, createdBy="ada"),
        as_held(silence, status={"state": "expired"}),
        as_held(silence, matchers=silence["matchers"][:1]),
        as_held(change(alerts(name="second"), muted()).silences[0]),
    ]
    changes = change(known, alarm(), silences=others)
    assert (changes.unsilenced, changes.spent) == ((), ())


def test_a_mute_that_is_over_or_does_not_cover_makes_no_silence() -> None:
    known = alerts()
    assert change(known, muted(unmute_at=LATER)).silences == ()
    assert change(known, alarm(C, muted_severity=S)).silences == ()


Answer = Callable[[httpx.Request], httpx.Response]


def channel(monkeypatch: pytest.MonkeyPatch, answer: Answer, **given: Any) -> AlertmanagerChannel:
    """Return a channel to an Alertmanager that answers as it is told."""
    monkeypatch.setattr(
        alertmanager.httpx,
        "AsyncClient",
        lambda **how: CLIENT(**how, transport=httpx.MockTransport(answer)),
    )
    return AlertmanagerChannel(settings(**given), RULES, ["LSSTCam"], lambda: LATER)


def says(status: int, body: str = "[]") -> Answer:
    return lambda request: httpx.Response(status, text=body)


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("All connection attempts failed", request=request)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (unreachable, WaitError, "All connection attempts failed"),
        (says(503, "starting"), WaitError, "HTTP 503 starting"),
        (says(401), StopError, "HTTP 401"),
        (says(404), StopError, "HTTP 404 for /api/v2/status"),
    ],
)
def test_opening_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, error: type[CalwatchError], said: str
) -> None:
    with pytest.raises(error, match=said):
        asyncio.run(channel(monkeypatch, answer).open())


def test_opening_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, text="{}")

    async def run() -> None:
        found = channel(monkeypatch, answer)
        await found.open()
        await found.open()
        await found.close()
        await found.open()

    asyncio.run(run())
    assert asked == ["/api/v2/status"] * 2


def only_posts(status: int, body: str) -> Answer:
    return lambda request: (
        httpx.Response(status, text=body)
        if request.method == "POST"
        else httpx.Response(200, text="[]")
    )


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (unreachable, WaitError, "All connection attempts failed"),
        (says(200, "<html>"), WaitError, "is not API v2"),
        (says(200, '[{"odd": 1}]'), WaitError, "is not API v2"),
        (only_posts(403, "no"), WaitError, "HTTP 403 no"),
        (only_posts(400, "bad\nlabel"), RecordError, "HTTP 400 bad label"),
        (only_posts(500, ""), WaitError, "HTTP 500$"),
    ],
)
def test_sending_says_whether_to_try_again(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, error: type[CalwatchError], said: str
) -> None:
    with pytest.raises(error, match=said):
        asyncio.run(channel(monkeypatch, answer).send(delivery()))
    with pytest.raises(WaitError, match=said):
        asyncio.run(channel(monkeypatch, answer).resend([Numbered(7, alarm())]))


def test_who_asks_says_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, text="[]")

    monkeypatch.setenv("TOKEN", "s3cret\n")

    async def run() -> None:
        found = channel(monkeypatch, answer, token_env="TOKEN")
        await found.send(delivery())
        await found.close()

    asyncio.run(run())
    assert {request.headers["Authorization"] for request in seen} == {"Bearer s3cret"}
    assert seen[0].url.params.get_list("filter") == [
        'calwatch="alertmanager"', 'alarm="LSSTCam.readout.above.R22_S11/C05"',
    ]  # fmt: skip
    (post,) = [request for request in seen if request.method == "POST"]
    assert len(json.loads(post.content)) == 1


def test_a_password_that_is_not_set_stops() -> None:
    with pytest.raises(StopError, match="the environment variable NO_SUCH_VARIABLE is not set"):
        AlertmanagerChannel(
            settings(user="x", password_env="NO_SUCH_VARIABLE"), RULES, ["LSSTCam"], lambda: NOON
        )


def test_many_alarms_go_in_several_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            sizes.append(len(json.loads(request.content)))
        return httpx.Response(200, text="[]")

    found = [Numbered(n, alarm(part=f"R{n:02}_S00")) for n in range(1100)]
    asyncio.run(channel(monkeypatch, answer).resend(found))
    assert sizes == [500, 500, 100]
