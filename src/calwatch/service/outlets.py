"""The channels of the settings as outlets: what each is told, how often, and how it is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from calwatch.alarms.deliver.channel import Channel
from calwatch.alarms.deliver.factory import Surroundings, make_channels
from calwatch.alarms.deliver.routing import holds
from calwatch.alarms.deliver.settings import (
    AlertmanagerSettings,
    ChannelSettings,
    SalChannelSettings,
)
from calwatch.alarms.model import Numbered
from calwatch.alarms.rules import Rules
from calwatch.kafka.connection import KafkaConnection
from calwatch.ledger.alarms import AlarmStore
from calwatch.service.delivering import Beater, Outlet, Teller
from calwatch.service.lifecycle import Clock
from calwatch.settings import AlarmSettings


def make_outlets(
    settings: AlarmSettings,
    connection: KafkaConnection | None,
    store: AlarmStore,
    rules: Rules,
    instruments: Sequence[str],
    clock: Clock,
    write: Callable[[str], None] | None = None,
) -> list[Outlet]:
    """Return an outlet for every channel.

    Parameters
    ----------
    settings
        The channels.
    connection
        How to reach Kafka; None where there is none.
    store
        Is asked which alarms are open.
    rules
        Give the words.
    instruments
        Whose alarms these are.
    clock
        The time.
    write
        Takes the lines of a console channel; the standard error stream if None.

    Raises
    ------
    StopError
        If a channel is wrong, or needs Kafka and there is none.
    """

    def sal(one: SalChannelSettings) -> Channel:
        from calwatch.alarms.deliver.sal import SalChannel

        async def held(instrument: str) -> Sequence[Numbered]:
            alarms = await asyncio.to_thread(store.open_alarms, instrument)
            return [alarm for alarm in alarms if holds(one.route, alarm.alarm)]

        assert connection is not None  # noqa: S101 (it is only made where there is one)
        return SalChannel(one, connection, rules, instruments, held, clock.now)

    around = Surroundings(
        rules=rules,
        instruments=instruments,
        now=clock.now,
        page=settings.page,
        playbook=settings.playbook,
        write=write,
        sal=None if connection is None else sal,
    )
    return [_outlet(one, channel) for one, channel in make_channels(settings.channels, around)]


def _outlet(settings: ChannelSettings, channel: Channel) -> Outlet:
    if isinstance(settings, SalChannelSettings):
        return Outlet(
            channel,
            settings.route,
            resend_seconds=settings.resend_seconds,
            beater=cast(Beater, channel),
            beat_seconds=settings.heartbeat_seconds,
            # Whoever listens to the heartbeat should not hear of an outage that is over.
            longest_wait=2 * settings.heartbeat_seconds,
        )
    if isinstance(settings, AlertmanagerSettings):
        return Outlet(channel, settings.route, resend_seconds=settings.resend_seconds)
    return Outlet(
        channel, settings.route, per_minute=settings.per_minute, teller=cast(Teller, channel)
    )
