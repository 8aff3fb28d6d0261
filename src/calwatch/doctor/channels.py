"""The channels of the alarms: whether each could be reached. Nothing is sent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

from calwatch.alarms.deliver.alertmanager import AlertmanagerChannel
from calwatch.alarms.deliver.notices import notice_channels
from calwatch.alarms.deliver.settings import (
    AlertmanagerSettings,
    AppriseSettings,
    ChannelSettings,
    ConsoleSettings,
)
from calwatch.alarms.rules import load_rules
from calwatch.doctor.model import Case, Finding, fail, ok, skipped
from calwatch.errors import CalwatchError

CHANNEL = "alarm channel"
_KNOCK_SECONDS = 3.0


def look_at_channels(case: Case) -> Iterator[Finding]:
    """Say of each channel whether its server answers."""
    alarms = case.settings.alarms
    if not alarms.enabled:
        yield skipped(CHANNEL, "alarms are not enabled")
        return
    for channel in alarms.channels:
        try:
            yield from _look(case, channel)
        except CalwatchError as error:
            yield fail(CHANNEL, str(error), "its notices wait until that is mended")


def _look(case: Case, channel: ChannelSettings) -> Iterator[Finding]:
    name = channel.name
    if isinstance(channel, ConsoleSettings):
        yield ok(CHANNEL, f"{name}: the log")
    elif isinstance(channel, AlertmanagerSettings):
        asyncio.run(_ask(case, channel))
        yield ok(CHANNEL, f"{name}: Alertmanager {channel.url} answers and lets us in")
    elif isinstance(channel, AppriseSettings):
        for one in notice_channels(channel):
            yield _knock(one.name, one.address)
    elif case.connection is None:
        says = f"{name}: KAFKA_BOOTSTRAP_SERVERS is not set"
        yield fail(CHANNEL, says, "set it, or leave the channel out")
    else:
        yield ok(CHANNEL, f"{name}: Kafka, see the topics written")


async def _ask(case: Case, settings: AlertmanagerSettings) -> None:
    rules = load_rules(case.settings.alarms.rules)
    channel = AlertmanagerChannel(settings, rules, case.settings.instruments, case.now)
    try:
        await channel.open()
    finally:
        await channel.close()


def _knock(name: str, address: tuple[str, int] | None) -> Finding:
    if address is None:
        return skipped(CHANNEL, f"{name}: cannot be tried without telling something")
    host, port = address
    try:
        socket.create_connection(address, _KNOCK_SECONDS).close()
    except OSError as error:
        says = f"{name}: {host}:{port}: {error.strerror or error}"
        return fail(CHANNEL, says, "is the host right, and does the network let us out?")
    return ok(CHANNEL, f"{name}: {host}:{port} answers (its password is not tried)")
