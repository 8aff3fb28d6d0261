"""What a deployment may say of its channels, and what it hears of its mistakes."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from calwatch.alarms.deliver.routing import USUAL, Route
from calwatch.alarms.deliver.settings import Channels, routes
from calwatch.alarms.model import Kind, Severity, What

EVERYTHING = """
- type: sal
- type: alertmanager
  url: http://alertmanager.monitoring:9093/
  user: calwatch
  password_env: ALERTMANAGER_PASSWORD
  labels: {prod: "true", oncall: "true"}
  receiver: slack,squadcast
- type: apprise
  name: slack
  url_env: SLACK_URL
  urls: [mailto://calwatch:s3cret@example.org, json://example.org/s3cret]
  severity: serious
  instruments: LSSTCam
  kinds: [failure, dead-man]
  alarms: [LSSTCam.readout.*]
  on: [raised, cleared]
  quiet_hours: 22:00-12:00
  digest: "18:00"
- type: console
"""


def channels(content: str | list[Any]) -> Any:
    given = yaml.safe_load(content) if isinstance(content, str) else content
    return TypeAdapter(Channels).validate_python(given)


def mistake(given: dict[str, Any]) -> str:
    """Return what `calwatch.settings.load_settings` would say."""
    with pytest.raises(ValidationError) as caught:
        channels([given])
    return "\n".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in caught.value.errors())


def test_everything_that_can_be_said() -> None:
    sal, alertmanager, slack, console = channels(EVERYTHING)
    assert alertmanager.url == "http://alertmanager.monitoring:9093"
    assert (alertmanager.resend_seconds, alertmanager.expire_seconds) == (60, 86400)
    assert slack.names == ("slack", "slack:2", "slack:3")
    assert slack.route == Route(
        severity=Severity.SERIOUS,
        instruments=("LSSTCam",),
        kinds=(Kind.FAILURE, Kind.DEADMAN),
        alarms=("LSSTCam.readout.*",),
        on=frozenset({What.RAISED, What.CLEARED}),
        quiet_hours=(time(22), time(12)),
        digest=time(18),
    )
    assert sal.route.state
    assert "LATISS" in sal.route.instruments
    assert alertmanager.route.state
    assert console.route == Route()


def test_the_targets_are_known_without_any_secret() -> None:
    assert list(routes(channels(EVERYTHING))) == [
        "love", "alertmanager", "slack", "slack:2", "slack:3", "console",
    ]  # fmt: skip


def test_what_is_usually_told() -> None:
    (console,) = channels([{"type": "console"}])
    assert frozenset(console.on) == USUAL
    assert What.MEMBERS not in USUAL


def test_no_secret_is_shown() -> None:
    assert "s3cret" not in repr(channels(EVERYTHING))
    said = mistake({"type": "apprise", "urls": ["mailto://a:s3cret@b.org", "s3cret"]})
    assert "number 2 does not begin like slack://" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "pager"}, "'sal', 'alertmanager', 'apprise', 'console'"),
        ({}, "Unable to extract tag using discriminator 'type'"),
        ({"type": "console", "colour": "red"}, "Extra inputs are not permitted"),
        ({"type": "console", "name": "a:2"}, "should match pattern"),
        ({"type": "console", "severity": "BAD"}, "'BAD' is no severity: there are WARNING"),
        ({"type": "console", "severity": "NONE"}, "'NONE' is no severity"),
        ({"type": "console", "severity": 3}, "3 is no severity"),
        ({"type": "console", "kinds": ["odd"]}, "'failure', 'unknown', 'dead-man' or 'chain'"),
        ({"type": "console", "on": ["better"]}, "'raised', 'worse'"),
        ({"type": "console", "alarms": [""]}, "at least 1 character"),
        ({"type": "console", "quiet_hours": "22:00"}, "is not a pair of times"),
        ({"type": "console", "quiet_hours": "22:00-24:00"}, "'24:00' is not a time"),
        ({"type": "console", "quiet_hours": "22:00-22:00"}, "that end when they begin"),
        ({"type": "console", "digest": 1080}, "1080 is not a time such as '18:00' (UTC, in quot"),
        ({"type": "console", "digest": "noon"}, "'noon' is not a time"),
        ({"type": "console", "per_minute": 0}, "greater than or equal to 1"),
        ({"type": "apprise"}, "one of urls, url_env and url_file must be given"),
        ({"type": "alertmanager"}, "url: Field required"),
        ({"type": "alertmanager", "url": "am:9093"}, "is not a URL such as"),
        ({"type": "alertmanager", "url": "http://a:b@am"}, "hold no password: see user"),
        ({"type": "alertmanager", "url": "http://am", "page_url": "page"}, "is not a URL such as"),
        ({"type": "alertmanager", "url": "http://am:x"}, "is not a URL such as"),
        ({"type": "alertmanager", "url": "http://am", "user": "x"}, "one without the other"),
        (
            {
                "type": "alertmanager",
                "url": "http://am",
                "user": "x",
                "password_env": "P",
                "token_env": "T",
            },
            "only one can be sent",
        ),
        (
            {"type": "alertmanager", "url": "http://am", "expire_seconds": 100},
            "at least three times",
        ),
        ({"type": "alertmanager", "url": "http://am", "labels": {"a-b": "c"}}, "name of a label"),
        ({"type": "alertmanager", "url": "http://am", "labels": {"part": "c"}}, "filled by calwat"),
        ({"type": "alertmanager", "url": "http://am", "labels": {"prod": ""}}, "prod is empty"),
        ({"type": "sal", "index": {"A": 1, "B": 1}}, "the same SAL index"),
    ],
)
def test_every_mistake_is_named(given: dict[str, Any], said: str) -> None:
    assert said in mistake(given)


def test_two_channels_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two channels are named console"):
        channels([{"type": "console"}, {"type": "console"}])


def test_nothing_can_be_changed_afterwards() -> None:
    (console,) = channels([{"type": "console"}])
    with pytest.raises(ValidationError, match="frozen"):
        console.severity = Severity.CRITICAL
