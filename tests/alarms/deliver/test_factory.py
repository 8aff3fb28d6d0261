"""Channels are made of settings."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from deliveries import NOON
from pydantic import TypeAdapter

from calwatch.alarms.deliver.console import ConsoleChannel
from calwatch.alarms.deliver.factory import Surroundings, make_channels
from calwatch.alarms.deliver.settings import Channels, routes
from calwatch.alarms.rules import load_rules
from calwatch.errors import StopError

ALL: list[dict[str, Any]] = [
    {"type": "sal"},
    {"type": "alertmanager", "url": "http://alertmanager:9093"},
    {"type": "apprise", "name": "people", "urls": ["json://a.org", "json://b.org"]},
    {"type": "console"},
]


def made(given: list[dict[str, Any]], **more: Any) -> Any:
    settings = TypeAdapter(Channels).validate_python(given)
    around = Surroundings(load_rules(), ["LSSTCam"], lambda: NOON, **more)
    return settings, make_channels(settings, around)


def test_every_channel_has_the_name_it_is_routed_by() -> None:
    settings, found = made(ALL, sal=lambda one: ConsoleChannel(one.name))
    assert [channel.name for _, channel in found] == list(routes(settings))
    assert [one.type for one, _ in found] == [
        "sal",
        "alertmanager",
        "apprise",
        "apprise",
        "console",
    ]


def test_love_needs_kafka() -> None:
    with pytest.raises(StopError, match="channel love: KAFKA_BOOTSTRAP_SERVERS is not set"):
        made([{"type": "sal"}])


def test_what_is_not_used_is_not_loaded() -> None:
    """The embedded default must start fast and without a library for people."""
    code = (
        "import sys; import calwatch.alarms.deliver.factory;"
        "print([m for m in ('apprise', 'httpx', 'aiokafka') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr
