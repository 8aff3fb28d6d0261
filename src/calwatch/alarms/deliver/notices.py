"""Slack, e-mail, Teams, webhooks: one target for each of apprise's URLs.

Their URLs hold passwords. No error and no log line of ours holds one; apprise's own lines are kept
out of the log, since nobody can promise that of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apprise import (
    Apprise,
    AppriseAsset,
    AppriseResult,
    AppriseResultStatus,
    NotifyBase,
    NotifyFormat,
    NotifyType,
)

from calwatch.alarms.deliver.channel import Delivery, Numbered
from calwatch.alarms.deliver.settings import AppriseSettings
from calwatch.alarms.deliver.telling import told
from calwatch.alarms.model import Severity, Transition, What
from calwatch.alarms.words import Message
from calwatch.errors import RecordError, StopError, WaitError
from calwatch.redaction import keep_url

_STATUS = re.compile(r"\berror=(\d{3})\b")
_MALFORMED = (400, 413, 422)
_GOOD_NEWS = frozenset({What.RECOVERED, What.CLEARED, What.DEESCALATED})
_NO_NEWS = frozenset({What.ACKNOWLEDGED, What.MUTED})
_HUSHED = logging.NullHandler()


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One call of apprise, which may go on after nobody waits for it."""

    what: object
    """Number of the delivery, or the words of what has none."""
    outcome: asyncio.Future[AppriseResult]


class NoticeChannel:
    """Gives notices through one URL.

    Parameters
    ----------
    name
        Of the target.
    url
        What apprise is given; a secret.
    timeout
        Seconds after which a call counts as failed. If it comes to an end later all the same, that
        is found before the notice is sent again.

    Raises
    ------
    StopError
        If apprise can do nothing with the URL.
    """

    def __init__(self, name: str, url: str, timeout: float) -> None:
        self.name = name
        self._timeout = timeout
        keep_url(url, whole=True)
        _hush()
        service = _service(name, url)
        self._service_name = str(service.service_name)
        self._apprise = Apprise(asset=service.asset)
        self._apprise.add(service)
        self._running: _Attempt | None = None

    async def open(self) -> None:
        """Nothing is held open between two notices."""

    async def send(self, delivery: Delivery) -> None:
        """Give one notice.

        Raises
        ------
        WaitError
            If it was not accepted, or not in time.
        RecordError
            If the other side says that it is malformed.
        """
        kind = notify_type(delivery.transition)
        await self._call(delivery.delivery_id, told(delivery), kind)

    async def tell(self, message: Message) -> None:
        """Give a notice of something that is no transition, such as the daily summary.

        Raises
        ------
        WaitError
            If it was not accepted, or not in time.
        RecordError
            If the other side says that it is malformed.
        """
        await self._call(message.subject, message, NotifyType.INFO)

    async def resend(self, alarms: Sequence[Numbered]) -> None:
        """Do nothing: what was told is not told again."""

    async def close(self) -> None:
        """Do nothing: what still runs in its thread ends by itself."""

    async def _call(self, what: object, message: Message, kind: NotifyType) -> None:
        attempt = self._running
        if attempt is None or attempt.what != what:
            if attempt is not None:
                await self._ended(attempt)
            attempt = self._running = _Attempt(what, self._start(message, kind))
        outcome = await self._ended(attempt)
        self._running = None
        with outcome.result() as result:
            self._require(result)

    async def _ended(self, attempt: _Attempt) -> asyncio.Future[AppriseResult]:
        """Wait until an attempt has ended, one way or the other."""
        done, _ = await asyncio.wait({attempt.outcome}, timeout=self._timeout)
        if not done:
            raise WaitError(f"{self._where}: no answer within {self._timeout:g} s")
        return attempt.outcome

    def _start(self, message: Message, kind: NotifyType) -> asyncio.Future[AppriseResult]:
        """Begin a call in a thread, which keeps nobody from ending."""

        def work() -> AppriseResult:
            return self._apprise.notify(
                body=message.body or message.subject,
                title=message.subject if message.body else "",
                notify_type=kind,
                body_format=NotifyFormat.TEXT,
            )

        return _in_thread(work, self._where)

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port that it calls, as far as apprise tells; None if it does not."""
        service: Any = self._apprise[0]
        fixed = (getattr(service, name, None) for name in ("notify_url", "webhook_url"))
        called = urlsplit(next((url for url in fixed if isinstance(url, str)), ""))
        if called.hostname:
            return called.hostname, called.port or (80 if called.scheme == "http" else 443)
        host = getattr(service, "smtp_host", None) or service.host
        return (str(host), int(service.port or (443 if service.secure else 80))) if host else None

    @property
    def _where(self) -> str:
        return f"{self.name} ({self._service_name})"

    def _require(self, result: AppriseResult) -> None:
        if result.status is AppriseResultStatus.SUCCESS:
            return
        found = [_STATUS.search(str(entry.message)) for entry in result.logs()]
        codes = [int(match[1]) for match in found if match]
        said = f"HTTP {codes[-1]}" if codes else result.status.name.lower()
        problem = f"{self._where}: did not accept the notice ({said})"
        if codes and codes[-1] in _MALFORMED:
            raise RecordError(problem)
        raise WaitError(problem)


def notify_type(transition: Transition) -> NotifyType:
    """Return the colour of a notice."""
    severity = transition.alarm.severity
    if transition.what in _GOOD_NEWS or severity is Severity.NONE:
        return NotifyType.SUCCESS
    if transition.what in _NO_NEWS:
        return NotifyType.INFO
    return NotifyType.WARNING if severity is Severity.WARNING else NotifyType.FAILURE


def notice_channels(settings: AppriseSettings) -> list[NoticeChannel]:
    """Return a channel for each URL, under the names that the settings give them.

    Raises
    ------
    StopError
        If a URL is not to be had or is none; the message does not hold it.
    """
    urls = [url.get_secret_value() for url in settings.urls]
    urls += [_from_variable(settings.name, variable) for variable in settings.url_env]
    urls += [_from_file(settings.name, path) for path in settings.url_file]
    return [
        NoticeChannel(name, url, settings.timeout_seconds)
        for name, url in zip(settings.names, urls, strict=True)
    ]


def _from_variable(channel: str, variable: str) -> str:
    found = os.environ.get(variable, "").strip()
    if not found:
        raise StopError(f"channel {channel}: the environment variable {variable} is not set")
    return found


def _from_file(channel: str, path: Path) -> str:
    try:
        found = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "is not text"
        raise StopError(f"channel {channel}: {path}: {cause}") from error
    if len(found) != 1:
        raise StopError(f"channel {channel}: {path}: holds {len(found)} URLs, and must hold one")
    return found[0]


def _service(name: str, url: str) -> NotifyBase:
    """Return apprise's service for a URL.

    Raises
    ------
    StopError
        Without the URL.
    """
    asset = AppriseAsset(app_id="calwatch", app_desc="calwatch", app_url="", async_mode=False)
    service = Apprise.instantiate(url, asset=asset)
    if service is None:
        scheme = re.match(r"[A-Za-z0-9]+(?=://)", url)
        what = f"the {scheme[0].lower()}:// URL" if scheme else "what should be a URL"
        raise StopError(f"channel {name}: apprise can do nothing with {what}")
    return service


def _in_thread(work: Callable[[], AppriseResult], where: str) -> asyncio.Future[AppriseResult]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[AppriseResult] = loop.create_future()

    def end(result: AppriseResult | None) -> None:
        if not future.done():
            if result is None:
                future.set_exception(WaitError(f"{where}: apprise failed"))
            else:
                future.set_result(result)

    def run() -> None:
        result = None
        # A plugin may fail in any way, and its words may hold the URL.
        with suppress(Exception):
            result = work()
        with suppress(RuntimeError):  # The loop has ended: nobody waits any more.
            loop.call_soon_threadsafe(end, result)

    threading.Thread(target=run, name=f"notice {where}", daemon=True).start()
    return future


def _hush() -> None:
    """Keep apprise's own words out of the log."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if _HUSHED not in logger.handlers:
        logger.addHandler(_HUSHED)
