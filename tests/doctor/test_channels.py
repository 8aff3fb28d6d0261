"""Each channel is reached, or it is said why not; none hears anything."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from calwatch.alarms.deliver.notices import NoticeChannel
from calwatch.doctor.channels import look_at_channels
from calwatch.doctor.model import Status


def look(new_case, **channel: Any) -> list[tuple[Status, str]]:
    case = new_case(alarms={"channels": (channel,)})
    return [(one.status, one.says) for one in look_at_channels(case)]


def test_the_log_and_none_at_all(new_case) -> None:
    assert look(new_case, type="console") == [(Status.OK, "console: the log")]
    ((status, says),) = look(new_case, type="sal")
    assert (status, says) == (Status.FAIL, "love: KAFKA_BOOTSTRAP_SERVERS is not set")
    (off,) = look_at_channels(new_case(alarms={"enabled": False}))
    assert off.status is Status.SKIPPED


def test_a_mail_server_that_answers_hears_nothing(new_case) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        url = f"mailto://ada:lovelace@example.org:{port}?to=b@example.org&smtp=127.0.0.1"
        ((status, says),) = look(new_case, type="apprise", urls=(url,))
        server.settimeout(5)
        taken, _ = server.accept()
        assert taken.recv(10) == b""
        taken.close()
    assert status is Status.OK
    assert f"127.0.0.1:{port} answers (its password is not tried)" in says
    ((status, says),) = look(new_case, type="apprise", urls=(url,))
    assert (status, says) == (Status.FAIL, f"apprise: 127.0.0.1:{port}: Connection refused")


def test_what_is_not_set_is_named(new_case) -> None:
    ((status, says),) = look(new_case, type="apprise", url_env=("NO_SUCH_URL",))
    assert (status, says) == (
        Status.FAIL,
        "channel apprise: the environment variable NO_SUCH_URL is not set",
    )


def test_an_alertmanager_that_is_away(new_case) -> None:
    ((status, says),) = look(new_case, type="alertmanager", url="http://127.0.0.1:9")
    assert status is Status.FAIL
    assert says.startswith("Alertmanager http://127.0.0.1:9: ")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/", ("hooks.slack.com", 443)),
        ("mailtos://u:p@gmail.com", ("smtp.gmail.com", 587)),
        ("json://example.org:999/x", ("example.org", 999)),
        ("jsons://example.org/x", ("example.org", 443)),
        ("discord://1234/abcdefghi", ("discord.com", 443)),
    ],
)
def test_whom_a_url_calls(url: str, address: tuple[str, int]) -> None:
    assert NoticeChannel("x", url, 1.0).address == address
