"""Tells an Alertmanager (API v2) which alarms are open; see `calwatch.alarms.deliver.alerts`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import httpx

from calwatch.alarms.deliver.alerts import PLAYBOOK, Alerts, Changes
from calwatch.alarms.deliver.channel import Delivery, Numbered
from calwatch.alarms.deliver.settings import AlertmanagerSettings
from calwatch.alarms.rules import Rules
from calwatch.errors import RecordError, StopError, WaitError
from calwatch.redaction import keep_secret

AT_ONCE = 500
"""Alerts in one request."""
_REFUSED = (401, 403)
_MALFORMED = (400, 413, 422)


class AlertmanagerChannel:
    """Keeps the alerts of one Alertmanager those of the open alarms.

    Parameters
    ----------
    settings
        Where it is, and of what it is told.
    rules
        The alarm rules.
    instruments
        Whose alarms this calwatch keeps; alerts of other instruments are left alone.
    now
        Returns the time (aware).
    page
        Address of the page; empty if there is none.
    playbook
        Address of the playbook.

    Raises
    ------
    StopError
        If an environment variable with a password is not set.
    """

    def __init__(
        self,
        settings: AlertmanagerSettings,
        rules: Rules,
        instruments: Collection[str],
        now: Callable[[], datetime],
        *,
        page: str = "",
        playbook: str = PLAYBOOK,
    ) -> None:
        self.name = settings.name
        self._settings = settings
        self._alerts = Alerts(settings, rules, instruments, page=page, playbook=playbook)
        self._now = now
        self._login = _login(settings)
        self._opened = False
        self._http: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Ask it for its status, the first time.

        Raises
        ------
        WaitError
            If it is out of reach.
        StopError
            If it lets nobody in by these words, or has no API v2 there.
        """
        if self._opened:
            return
        answer = await self._ask("GET", "/api/v2/status")
        if answer.status_code in _REFUSED or answer.status_code == httpx.codes.NOT_FOUND:
            raise StopError(f"{self._where}: HTTP {answer.status_code} for /api/v2/status")
        self._require(answer)
        self._opened = True

    async def send(self, delivery: Delivery) -> None:
        """Make its alert that of the alarm as it is now.

        Raises
        ------
        WaitError
            If it is out of reach or does not let us in.
        RecordError
            If it does not understand what is sent.
        """
        name = delivery.newest.name
        await self._settle([Numbered(delivery.alarm_id, delivery.newest)], only=name)

    async def resend(self, alarms: Sequence[Numbered]) -> None:
        """Make its alerts exactly those of the open alarms.

        Raises
        ------
        WaitError
            If it is out of reach or does not let us in.
        """
        try:
            await self._settle(alarms)
        except RecordError as error:
            raise WaitError(str(error)) from error

    async def close(self) -> None:
        """End the connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None
        self._opened = False

    async def _settle(self, alarms: Sequence[Numbered], only: str = "") -> None:
        """Compare what it holds with what it should, and send the difference."""
        held = await self._ask(
            "GET", "/api/v2/alerts", params={"filter": self._alerts.filters(only)}
        )
        silences = await self._ask("GET", "/api/v2/silences")
        try:
            found = [self._require(answer).json() for answer in (held, silences)]
            changes = self._alerts.changes(alarms, found[0], found[1], self._now(), only=only)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WaitError(f"{self._where}: what it says is not API v2: {error}") from error
        await self._send(changes)

    async def _send(self, changes: Changes) -> None:
        for silence in changes.silences:
            self._require(await self._ask("POST", "/api/v2/silences", json=silence))
        await self._unsilence(changes.unsilenced)
        for first in range(0, len(changes.alerts), AT_ONCE):
            alerts = changes.alerts[first : first + AT_ONCE]
            self._require(await self._ask("POST", "/api/v2/alerts", json=alerts))
        await self._unsilence(changes.spent)

    async def _unsilence(self, silence_ids: Sequence[str]) -> None:
        for silence_id in silence_ids:
            answer = await self._ask("DELETE", f"/api/v2/silence/{silence_id}")
            if answer.status_code != httpx.codes.NOT_FOUND:
                self._require(answer)

    @property
    def _where(self) -> str:
        return f"Alertmanager {self._settings.url}"

    async def _ask(self, method: str, path: str, **what: Any) -> httpx.Response:
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=self._settings.timeout_seconds, **self._login)
        try:
            return await self._http.request(method, f"{self._settings.url}{path}", **what)
        except httpx.HTTPError as error:
            cause = str(error) or type(error).__name__
            raise WaitError(f"{self._where}: {cause}") from error

    def _require(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        said = " ".join(answer.text.split())[:300]
        problem = f"{self._where}: HTTP {answer.status_code} {said}".rstrip()
        if answer.status_code in _MALFORMED:
            raise RecordError(problem)
        raise WaitError(problem)


def _login(settings: AlertmanagerSettings) -> dict[str, Any]:
    """Return how the client is let in; it holds the password."""
    if settings.user:
        return {"auth": (settings.user, _secret(settings.name, settings.password_env))}
    if settings.token_env:
        token = _secret(settings.name, settings.token_env)
        return {"headers": {"Authorization": f"Bearer {token}"}}
    return {}


def _secret(channel: str, variable: str) -> str:
    """Return what an environment variable holds.

    Raises
    ------
    StopError
        If it is not set or empty.
    """
    found = os.environ.get(variable, "").strip()
    keep_secret(found)
    if not found:
        raise StopError(f"channel {channel}: the environment variable {variable} is not set")
    return found
