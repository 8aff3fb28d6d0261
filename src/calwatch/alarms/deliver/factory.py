"""Makes the channels that the settings name; a library is loaded only where a channel needs it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from calwatch.alarms.deliver.channel import Channel
from calwatch.alarms.deliver.console import ConsoleChannel
from calwatch.alarms.deliver.settings import (
    AlertmanagerSettings,
    AppriseSettings,
    ChannelSettings,
    ConsoleSettings,
    SalChannelSettings,
)
from calwatch.alarms.rules import Rules
from calwatch.errors import StopError


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What channels are made with, beside their own settings."""

    rules: Rules
    instruments: Collection[str]
    """Whose alarms this calwatch keeps."""
    now: Callable[[], datetime]
    """Returns the time (aware)."""
    page: str = ""
    """Address of the page; empty if there is none."""
    playbook: str = "docs/playbook.md"
    """Address of the playbook."""
    write: Callable[[str], None] | None = None
    """Takes the lines of a console channel; the standard error stream if None."""
    sal: Callable[[SalChannelSettings], Channel] | None = None
    """Makes the channel to LOVE and Watcher; None where there is no Kafka."""


def make_channels(
    settings: Sequence[ChannelSettings], around: Surroundings
) -> list[tuple[ChannelSettings, Channel]]:
    """Return every channel with its settings, in their order; one of apprise for each URL.

    Their names are those of `calwatch.alarms.deliver.settings.routes`.

    Raises
    ------
    StopError
        If a password or URL is not to be had or is none, or Kafka is needed and there is none.
    """
    return [(one, channel) for one in settings for channel in _channels(one, around)]


def _channels(settings: ChannelSettings, around: Surroundings) -> Sequence[Channel]:
    if isinstance(settings, ConsoleSettings):
        return [ConsoleChannel(settings.name, around.write)]
    if isinstance(settings, AppriseSettings):
        return _apprise(settings)
    if isinstance(settings, AlertmanagerSettings):
        return [_alertmanager(settings, around)]
    if around.sal is None:
        raise StopError(f"channel {settings.name}: KAFKA_BOOTSTRAP_SERVERS is not set")
    return [around.sal(settings)]


def _apprise(settings: AppriseSettings) -> Sequence[Channel]:
    from calwatch.alarms.deliver.notices import notice_channels

    return notice_channels(settings)


def _alertmanager(settings: AlertmanagerSettings, around: Surroundings) -> Channel:
    from calwatch.alarms.deliver.alertmanager import AlertmanagerChannel

    return AlertmanagerChannel(
        settings,
        around.rules,
        around.instruments,
        around.now,
        page=around.page,
        playbook=around.playbook,
    )
