"""A real Alertmanager holds exactly the open alarms, and tells of each once."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from alertmanager_server import AlertmanagerServer
from webhook_sink import WebhookSink

from calwatch.alarms import machine
from calwatch.alarms.deliver.alertmanager import AlertmanagerChannel
from calwatch.alarms.deliver.channel import Delivery, Numbered
from calwatch.alarms.deliver.settings import AlertmanagerSettings
from calwatch.alarms.machine import AlarmActionError, Delays, View
from calwatch.alarms.model import Alarm, Kind, Severity
from calwatch.alarms.rules import load_rules
from calwatch.alarms.words import Message
from calwatch.errors import WaitError

sys.path.insert(0, str(Path(__file__).parent.parent / "alarms" / "deliver"))

from deliveries import KEY, C, N, S, W

pytestmark = pytest.mark.services
RULES = load_rules()
PARTS = tuple(f"R22_S{n:02}" for n in range(6))


def now() -> datetime:
    return datetime.now(UTC)


class Story:
    """Alarms that live, and a channel that is told of each step as the daemon would."""

    def __init__(self, server: AlertmanagerServer) -> None:
        self.settings = AlertmanagerSettings(
            type="alertmanager", url=server.url, labels={"prod": "true"}, timeout_seconds=10
        )
        self.server = server
        self.open: dict[str, Numbered] = {}
        self.untold: list[tuple[int, Any]] = []
        self.episodes = 0
        self.restart()

    def restart(self) -> None:
        """Begin again with a channel that remembers nothing."""
        self.channel = AlertmanagerChannel(self.settings, RULES, ["LSSTCam"], now)

    def see(self, part: str, severity: Severity, *, late: bool = False) -> None:
        """Let evidence say something of a part."""
        found = self.open.get(part)
        view = View(severity, now(), "words", (part,))
        if found is None:
            if severity is not N:
                self.episodes += 1
                key = replace(KEY, part=part)
                step = machine.begin(key, Kind.FAILURE, "CCD", view, now(), Delays(), late=late)
                self._take(part, self.episodes, step)
        elif severity is N:
            step = machine.recover(found.alarm, now(), Delays(), exposure_id=9, late=late)
            self._take(part, found.alarm_id, step)
        else:
            step = machine.see(found.alarm, view, now(), Delays(), late=late)
            self._take(part, found.alarm_id, step)

    def act(self, part: str, act: Callable[[Alarm], machine.Step]) -> None:
        found = self.open[part]
        self._take(part, found.alarm_id, act(found.alarm))

    def acknowledge(self, part: str) -> None:
        self.act(part, lambda a: machine.acknowledge(a, "ada", "known", now(), Delays()))

    def mute(self, part: str, severity: Severity = C) -> None:
        until = now() + timedelta(hours=1)
        self.act(part, lambda a: machine.mute(a, "ada", "cable", now(), until, severity))

    def unmute(self, part: str) -> None:
        self.act(part, lambda a: machine.unmute(a, "ada", "", now()))

    def _take(self, part: str, alarm_id: int, step: machine.Step) -> None:
        alarm, happened = step
        self.open[part] = Numbered(alarm_id, alarm)
        self.untold += [(alarm_id, one) for one in happened]
        self.newest = {**getattr(self, "newest", {}), alarm_id: alarm}
        if not alarm.open:
            del self.open[part]

    async def tell(self) -> None:
        """Send what has not been told; on an error what is left stays for later."""
        while self.untold:
            alarm_id, happened = self.untold[0]
            words = Message(happened.what.value, "", {})
            await self.channel.send(
                Delivery(self.episodes, alarm_id, happened, words, self.newest[alarm_id])
            )
            del self.untold[0]

    async def resend(self) -> None:
        await self.channel.resend(list(self.open.values()))

    def wanted(self) -> set[tuple[str, str]]:
        return {
            (part, n.alarm.max_severity.name.lower())
            for part, n in self.open.items()
            if n.alarm.announced
        }

    def held(self) -> set[tuple[str, str]]:
        alerts = self.server.alerts()
        found = {(alert["labels"]["part"], alert["labels"]["severity"]) for alert in alerts}
        assert len(found) == len(alerts)
        return found

    def silenced(self) -> set[str]:
        found = [
            matcher["value"]
            for silence in self.server.silences()
            for matcher in silence["matchers"]
            if matcher["name"] == "alarm"
        ]
        assert len(set(found)) == len(found)
        return {name.rpartition(".")[2] for name in found}

    def muted(self) -> set[str]:
        return {part for part, n in self.open.items() if n.alarm.muted}


@pytest.fixture
def story(alertmanager_server: AlertmanagerServer) -> Iterator[Story]:
    with asyncio.Runner() as runner:
        found = Story(alertmanager_server)
        found.run = runner.run  # type: ignore[attr-defined]
        runner.run(found.channel.open())
        yield found
        runner.run(found.channel.close())


def told(webhook: WebhookSink) -> list[tuple[str, str, str]]:
    """Return part, severity and status of all that the people heard, each as often."""
    return [
        (alert["labels"]["part"], alert["labels"]["severity"], alert["status"])
        for post in webhook.posts
        for alert in post.content["alerts"]
    ]


def test_an_alarm_from_its_raising_to_its_end(story: Any, webhook: WebhookSink) -> None:
    story.see("R22_S11", W)
    story.run(story.tell())
    assert story.held() == {("R22_S11", "warning")}
    webhook.wait_for(1)
    story.see("R22_S11", C)
    story.run(story.tell())
    assert story.held() == {("R22_S11", "critical")}
    webhook.wait_for(2)
    story.see("R22_S11", S)
    story.acknowledge("R22_S11")
    story.run(story.tell())
    (alert,) = story.server.alerts()
    assert alert["labels"]["severity"] == "critical"
    assert alert["labels"]["prod"] == "true"
    assert alert["annotations"]["severity_now"] == "serious"
    assert alert["annotations"]["acknowledged_by"] == "ada"
    story.see("R22_S11", N)
    story.run(story.tell())
    assert story.held() == set()
    webhook.wait_for(3)
    assert told(webhook) == [
        ("R22_S11", "warning", "firing"),
        *sorted([("R22_S11", "critical", "firing"), ("R22_S11", "warning", "resolved")]),
        ("R22_S11", "critical", "resolved"),
    ]


def test_what_has_recovered_stays_until_somebody_acknowledges_it(
    story: Any, webhook: WebhookSink
) -> None:
    story.see("R22_S11", S)
    story.see("R22_S11", N)
    story.run(story.tell())
    (alert,) = story.server.alerts()
    assert alert["annotations"]["state"] == "recovered, waits to be acknowledged"
    webhook.wait_for(1)
    story.acknowledge("R22_S11")
    story.run(story.tell())
    assert story.held() == set()
    webhook.wait_for(2)
    assert [status for *_, status in told(webhook)] == ["firing", "resolved"]


def test_muting_calls_nobody_and_resolves_nothing(story: Any, webhook: WebhookSink) -> None:
    story.see("R22_S11", S)
    story.mute("R22_S11")
    story.see("R22_S00", S)
    story.run(story.tell())
    assert story.held() == {("R22_S11", "serious"), ("R22_S00", "serious")}
    assert story.silenced() == {"R22_S11"}
    webhook.wait_for(1)
    story.mute("R22_S00")
    story.see("R22_S01", S)
    story.run(story.tell())
    webhook.wait_for(2)
    assert {part for part, *_ in told(webhook)} == {"R22_S00", "R22_S01"}
    assert {status for *_, status in told(webhook)} == {"firing"}
    story.unmute("R22_S11")
    story.run(story.tell())
    webhook.wait_for(3)
    assert told(webhook)[2] == ("R22_S11", "serious", "firing")
    assert story.silenced() == {"R22_S00"}


def test_what_gets_graver_than_it_was_muted_for_is_told(story: Any, webhook: WebhookSink) -> None:
    story.see("R22_S11", W)
    story.mute("R22_S11", W)
    story.run(story.tell())
    assert story.silenced() == {"R22_S11"}
    story.see("R22_S11", C)
    story.run(story.tell())
    assert story.silenced() == set()
    webhook.wait_for(1)
    assert ("R22_S11", "critical", "firing") in told(webhook)


def wait_until_noted(server: AlertmanagerServer) -> None:
    """Wait until Alertmanager has the answer to what it told."""
    sign = "alertmanager_notification_latency_seconds_count"
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        if any(line.startswith(sign) and not line.endswith(" 0") for line in lines):
            return
        time.sleep(0.05)
    raise AssertionError("Alertmanager has noted no answer")


def test_a_restart_of_alertmanager_loses_nothing(story: Any, webhook: WebhookSink) -> None:
    story.see("R22_S11", S)
    story.see("R22_S00", C)
    story.mute("R22_S00")
    story.run(story.tell())
    webhook.wait_for(1)
    wait_until_noted(story.server)  # else it would rightly tell it again
    story.server.stop()
    story.server.start()
    assert story.held() == set()
    story.run(story.resend())
    assert story.held() == story.wanted() != set()
    assert story.silenced() == {"R22_S00"}
    story.see("R22_S01", S)
    story.run(story.tell())
    webhook.wait_for(2)
    assert [part for part, *_ in told(webhook)] == ["R22_S11", "R22_S01"]


def test_an_outage_is_waited_for(story: Any) -> None:
    story.see("R22_S11", S)
    story.run(story.tell())
    story.server.stop()
    story.see("R22_S11", C)
    for attempt in (story.tell, story.resend):
        with pytest.raises(WaitError, match=r"Alertmanager http://127\.0\.0\.1:\d+: "):
            story.run(attempt())
    story.server.start()
    story.run(story.tell())
    story.run(story.resend())
    assert story.held() == {("R22_S11", "critical")}


def test_what_ended_while_calwatch_was_away_is_resolved(story: Any, webhook: WebhookSink) -> None:
    story.see("R22_S11", S)
    story.see("R22_S00", S)
    story.run(story.tell())
    webhook.wait_for(2)
    story.acknowledge("R22_S11")
    story.see("R22_S11", N)
    story.untold.clear()
    story.restart()
    story.run(story.resend())
    assert story.held() == {("R22_S00", "serious")}
    webhook.wait_for(3)
    assert told(webhook)[2] == ("R22_S11", "serious", "resolved")


def test_late_evidence_calls_nobody_until_it_is_confirmed(story: Any) -> None:
    story.see("R22_S11", S, late=True)
    story.run(story.tell())
    story.run(story.resend())
    assert story.held() == set()
    story.see("R22_S11", S)
    story.run(story.tell())
    assert story.held() == {("R22_S11", "serious")}


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_it_holds_the_open_alarms(story: Any, seed: int) -> None:
    chance = random.Random(seed)

    async def step() -> None:
        part, dice = chance.choice(PARTS), chance.random()
        if dice < 0.6 or part not in story.open:
            story.see(part, chance.choice([N, N, W, S, C]))
        else:
            act = chance.choice([story.acknowledge, story.mute, story.unmute])
            try:
                act(part)
            except AlarmActionError:
                return
        await (story.tell() if chance.random() < 0.7 else story.resend())

    for number in range(120):
        if number in (40, 80):
            chance.choice([story.server.stop, story.server.kill])()
            with pytest.raises(WaitError):
                story.run(story.resend())
            story.server.start()
            story.run(story.resend())
        if chance.random() < 0.05:
            story.run(story.channel.close())
            story.restart()
        story.run(step())
    story.run(story.tell())
    story.run(story.resend())
    assert story.held() == story.wanted()
    assert story.silenced() == story.muted()
