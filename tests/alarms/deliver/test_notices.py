"""Notices through apprise, whose services are played here."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apprise import NotifyType
from apprise.decorators import notify
from deliveries import NOON, C, N, S, W, alarm, closed, delivery, transition

from calwatch.alarms.deliver.notices import NoticeChannel, notice_channels, notify_type
from calwatch.alarms.deliver.settings import AppriseSettings
from calwatch.alarms.model import Alarm, What
from calwatch.alarms.words import Message
from calwatch.errors import CalwatchError, RecordError, StopError, WaitError

SECRET = "s3cret"


class Played:
    """A service that keeps what it is given, and fails or stops when told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []
        self.problem = ""
        self.go_on = threading.Event()
        self.go_on.set()

    def take(self, body: str, title: str, notify_type: Any) -> bool:
        self.go_on.wait(30)
        if self.problem == "raises":
            raise RuntimeError(f"https://{SECRET}")
        if self.problem:
            logging.getLogger("apprise").warning("%s for %s", self.problem, SECRET)
            return False
        self.heard.append((title, body, str(getattr(notify_type, "value", notify_type))))
        return True


PLAYED: dict[str, Played] = {}


@notify(on="played")
def _take(body: str, title: str, notify_type: Any, meta: Any, *args: Any, **more: Any) -> bool:
    return PLAYED[meta["host"]].take(body, title, notify_type)


@pytest.fixture
def service() -> Iterator[Played]:
    PLAYED["one"] = Played()
    yield PLAYED["one"]
    PLAYED["one"].go_on.set()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What reaches the log, from the finest level on."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def channel(timeout: float = 20.0) -> NoticeChannel:
    return NoticeChannel("slack", f"played://one/{SECRET}", timeout)


def settings(**given: Any) -> AppriseSettings:
    return AppriseSettings(type="apprise", name="slack", **given)


def test_a_notice_has_title_and_body(service: Played) -> None:
    async def run() -> None:
        found = channel()
        await found.open()
        await found.send(delivery())
        await found.resend([])
        await found.tell(Message("LATISS today: 62 exposures", "No problem.", {}))
        await found.close()

    asyncio.run(run())
    assert service.heard == [
        ("[SERIOUS] raised: R22_S11/C05", "Noise in R22_S11/C05\nSee the playbook.", "failure"),
        ("LATISS today: 62 exposures", "No problem.", "info"),
    ]


def test_what_is_over_meanwhile_is_one_line(service: Played) -> None:
    asyncio.run(channel().send(delivery(newest=closed(alarm(), NOON))))
    ((title, body, _),) = service.heard
    assert title == ""
    assert body == "[SERIOUS] raised: R22_S11/C05 (it is over since 2026-11-22 18:00 UTC)"


@pytest.mark.parametrize(
    ("what", "found", "kind"),
    [
        (What.RAISED, alarm(W), NotifyType.WARNING),
        (What.RAISED, alarm(C), NotifyType.FAILURE),
        (What.RECOVERED, alarm(N), NotifyType.SUCCESS),
        (What.CLEARED, closed(alarm(), NOON), NotifyType.SUCCESS),
        (What.DEESCALATED, alarm(S), NotifyType.SUCCESS),
        (What.ACKNOWLEDGED, alarm(S), NotifyType.INFO),
        (What.ESCALATED, alarm(S), NotifyType.FAILURE),
    ],
)
def test_the_colour_of_a_notice(what: What, found: Alarm, kind: NotifyType) -> None:
    assert notify_type(transition(what, found)) is kind


@pytest.mark.parametrize(
    ("problem", "error", "said"),
    [
        ("raises", WaitError, "did not accept the notice|apprise failed"),
        ("Failed, error=503.", WaitError, r"did not accept the notice \(HTTP 503\)"),
        ("Failed, error=403.", WaitError, r"did not accept the notice \(HTTP 403\)"),
        ("Failed, error=400.", RecordError, r"did not accept the notice \(HTTP 400\)"),
        ("Failed.", WaitError, r"did not accept the notice \(failure\)"),
    ],
)
def test_a_failure_is_told_without_the_secret(
    service: Played,
    log: io.StringIO,
    problem: str,
    error: type[CalwatchError],
    said: str,
) -> None:
    service.problem = problem
    with pytest.raises(error, match=said) as caught:
        asyncio.run(channel().send(delivery()))
    assert SECRET not in str(caught.value) + log.getvalue()
    assert str(caught.value).startswith("slack (")


def test_what_is_accepted_after_the_time_is_not_sent_again(service: Played) -> None:
    async def run() -> None:
        found = channel(timeout=0.05)
        service.go_on.clear()
        with pytest.raises(WaitError, match="no answer within"):
            await found.send(delivery())
        with pytest.raises(WaitError, match="no answer within"):
            await found.send(delivery())
        service.go_on.set()
        while not service.heard:
            await asyncio.sleep(0.01)
        found._timeout = 20.0
        await found.send(delivery())
        await found.send(delivery(number=2))

    asyncio.run(run())
    assert len(service.heard) == 2


def test_a_failure_is_tried_again(service: Played) -> None:
    async def run() -> None:
        found = channel()
        service.problem = "Failed, error=500."
        with pytest.raises(WaitError):
            await found.send(delivery())
        service.problem = ""
        await found.send(delivery())

    asyncio.run(run())
    assert len(service.heard) == 1


def test_every_url_is_a_target(
    service: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text("played://one/c\n")
    monkeypatch.setenv("SLACK_URL", " played://one/b\n")
    found = notice_channels(
        settings(urls="played://one/a", url_env="SLACK_URL", url_file=tmp_path / "url")
    )
    assert [one.name for one in found] == ["slack", "slack:2", "slack:3"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url_env": "NO_SUCH_VARIABLE"}, "the environment variable NO_SUCH_VARIABLE is not set"),
        ({"url_file": "/no/such/file"}, "/no/such/file: No such file"),
        ({"urls": f"nosuch://{SECRET}"}, "apprise can do nothing with the nosuch:// URL"),
        ({"urls": f"slack://{SECRET}"}, "apprise can do nothing with the slack:// URL"),
    ],
)
def test_a_url_that_cannot_be_used_stops(
    given: dict[str, Any], said: str, log: io.StringIO
) -> None:
    with pytest.raises(StopError, match=said) as caught:
        notice_channels(settings(**given))
    assert SECRET not in str(caught.value) + log.getvalue()


def test_a_file_holds_one_url(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("json://a\njson://b\n")
    with pytest.raises(StopError, match="holds 2 URLs, and must hold one"):
        notice_channels(settings(url_file=tmp_path / "urls"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(StopError, match="is not text"):
        notice_channels(settings(url_file=tmp_path / "bytes"))
