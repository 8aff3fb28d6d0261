"""What a deployment sets of its channels: who is told of which alarms, how and when.

Secrets stay out of the file: they are read from the environment or from a file of their own when
the channel is made. Which channels there are, and what each is told, can be known without them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from calwatch.alarms.deliver.route_settings import (
    Name,
    NoticeSettings,
    Paths,
    RouteSettings,
    Words,
    one_or_more,
)
from calwatch.alarms.deliver.routing import Route
from calwatch.alarms.deliver.sal_settings import SalSettings

TAKEN_LABELS = frozenset(
    {
        "alertname",
        "alarm",
        "aspect",
        "calwatch",
        "instrument",
        "kind",
        "level",
        "part",
        "receiver",
        "severity",
    }
)
"""Labels that calwatch fills."""


class SalChannelSettings(SalSettings):
    """LOVE and Watcher, which are told of all alarms of the instruments that have an index."""

    name: Name = "love"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the targets."""
        return (self.name,)

    @property
    def route(self) -> Route:
        """What it is told of, as rules."""
        return Route(instruments=tuple(self.index), state=True)


class ConsoleSettings(NoticeSettings):
    """Lines on the terminal."""

    type: Literal["console"]
    name: Name = "console"
    per_minute: int = Field(default=600, ge=1)


class AppriseSettings(NoticeSettings):
    """Slack, e-mail, Teams, webhooks: whatever apprise has a URL for.

    Each URL is told by itself, so that one that fails does not make the others hear it again. One
    URL with several recipients is one: where that matters, give each a URL.
    """

    type: Literal["apprise"]
    name: Name = "apprise"
    urls: Annotated[tuple[SecretStr, ...], one_or_more(SecretStr)] = ()
    """Such as ``slack://…``: they hold passwords, so rather use one of these:"""
    url_env: Words = ()
    """Environment variables, each of which holds one URL."""
    url_file: Paths = ()
    """Files, each of which holds one URL."""
    timeout_seconds: float = Field(default=30.0, gt=0)

    @field_validator("urls")
    @classmethod
    def _have_schemes(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, url in enumerate(value, 1):
            if not re.match(r"^[A-Za-z0-9]+://.", url.get_secret_value()):
                raise ValueError(f"the URL number {number} does not begin like slack://")
        return value

    @model_validator(mode="after")
    def _has_urls(self) -> AppriseSettings:
        if not self.names:
            raise ValueError("one of urls, url_env and url_file must be given")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each URL: ``<name>``, ``<name>:2`` and so on."""
        count = len(self.urls) + len(self.url_env) + len(self.url_file)
        return tuple(f"{self.name}:{n}" if n > 1 else self.name for n in range(1, count + 1))


class AlertmanagerSettings(RouteSettings):
    """A Prometheus Alertmanager, which holds the open alarms as its alerts.

    An alert lasts ``expire_seconds`` unless it is sent again. That is long on purpose: were it the
    usual few minutes, an outage of calwatch would resolve every alarm by silence.
    """

    type: Literal["alertmanager"]
    name: Name = "alertmanager"
    url: str
    """Such as ``http://alertmanager.monitoring:9093``; of a cluster, one channel a member."""
    user: str = ""
    password_env: str = ""
    """Environment variable with the password."""
    token_env: str = ""
    """Environment variable with a bearer token."""
    resend_seconds: float = Field(default=60.0, gt=0)
    """It forgets its alerts when it restarts: all are said again so often."""
    expire_seconds: float = Field(default=86400.0, gt=0)
    timeout_seconds: float = Field(default=10.0, gt=0)
    labels: dict[str, str] = Field(default_factory=dict)
    """More labels to route by, such as ``prod: "true"``."""
    receiver: str = ""
    """Names separated by commas, such as ``slack,squadcast``: the label ``,slack,squadcast,``."""
    page_url: str = ""
    """What an alert links to, where ``{id}`` stands for the alarm's number; the page of all alarms
    if empty."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if not _is_web_address(value):
            raise ValueError("is not a URL such as http://alertmanager:9093")
        parts = urlsplit(value)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("the URL must end with its path and hold no password: see user")
        return value.rstrip("/")

    @field_validator("page_url")
    @classmethod
    def _is_page(cls, value: str) -> str:
        if value and not _is_web_address(value):
            raise ValueError("is not a URL such as https://calwatch.example.org/alarms/{id}")
        return value

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, value: dict[str, str]) -> dict[str, str]:
        for name, content in value.items():
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
                raise ValueError(f"{name!r} cannot be the name of a label")
            if name in TAKEN_LABELS:
                raise ValueError(f"the label {name} is filled by calwatch itself")
            if not content:
                raise ValueError(f"the label {name} is empty, which Alertmanager takes as absent")
        return value

    @model_validator(mode="after")
    def _agree(self) -> AlertmanagerSettings:
        if bool(self.user) != bool(self.password_env):
            raise ValueError("user and password_env: one without the other")
        if self.user and self.token_env:
            raise ValueError("user and token_env: only one can be sent")
        if self.expire_seconds < 3 * self.resend_seconds:
            raise ValueError("expire_seconds must be at least three times resend_seconds")
        return self


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


ChannelSettings = Annotated[
    SalChannelSettings | AlertmanagerSettings | AppriseSettings | ConsoleSettings,
    Field(discriminator="type"),
]


def _distinct(channels: tuple[Any, ...]) -> tuple[Any, ...]:
    """Check that no two channels have one name, by which the ledger knows them."""
    names = [channel.name for channel in channels]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two channels are named {', '.join(twice)}: give each a name of its own")
    return channels


Channels = Annotated[tuple[ChannelSettings, ...], AfterValidator(_distinct)]
"""The field of the whole settings; a channel's ``type`` says which it is."""


def routes(channels: Sequence[ChannelSettings]) -> dict[str, Route]:
    """Return what each target is told of, by its name; no secret and no connection is needed."""
    return {name: channel.route for channel in channels for name in channel.names}
