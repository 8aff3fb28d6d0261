"""Alarms as Alertmanager's alerts and silences: what it should hold, and what must change for it.

One alarm is one alert. The labels are the alert's identity there; the only one that changes during
an episode is ``severity``, the latched one, so that an alarm that eases or flaps stays the same
alert and one that becomes graver is a new one, which is told anew. The old one is then resolved.

What is to be resolved is not remembered but asked: Alertmanager says what it holds, and whatever of
that is ours and should not be there is resolved. So a restart on either side, or an alarm that
ended during an outage, leaves nothing behind; and nothing is "resolved" that never fired.

A muted alarm stays there, with a silence over it that ends when the muting does: nobody is called,
and nobody hears "resolved" of what is not. An acknowledgement is an annotation, since Alertmanager
has no such thing. Of an alarm that late evidence raised nothing is sent until a fresh exposure
confirms it; if it was there before, it stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from calwatch.alarms.deliver.channel import Numbered
from calwatch.alarms.deliver.routing import holds
from calwatch.alarms.deliver.settings import AlertmanagerSettings
from calwatch.alarms.model import Alarm
from calwatch.alarms.rules import Rules

NUMBER = "calwatch_alarm"
"""Annotation with the number of the alarm in the ledger: which episode an alert is of."""
AUTHOR = "calwatch"
PLAYBOOK = "docs/playbook.md"
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Changes:
    """What must be sent so that Alertmanager holds what it should, in this order."""

    silences: tuple[dict[str, Any], ...]
    """To be made or changed."""
    unsilenced: tuple[str, ...]
    """Ids of silences over alarms that are to be told of again."""
    alerts: tuple[dict[str, Any], ...]
    """Firing and resolved ones."""
    spent: tuple[str, ...]
    """Ids of silences over what is resolved by now."""


class Alerts:
    """Knows how this channel's alerts look.

    Parameters
    ----------
    settings
        Of the channel.
    rules
        Which section of the playbook a problem has.
    instruments
        Whose alarms this calwatch keeps: alerts of others are left alone.
    page
        Address of the page; empty if there is none.
    playbook
        Address of the playbook.
    """

    def __init__(
        self,
        settings: AlertmanagerSettings,
        rules: Rules,
        instruments: Collection[str],
        *,
        page: str = "",
        playbook: str = PLAYBOOK,
    ) -> None:
        self._page = settings.page_url or page
        self._playbook = playbook
        self._route = settings.route
        self._rules = rules
        self._instruments = frozenset(instruments)
        self._expire = timedelta(seconds=settings.expire_seconds)
        self._fixed = {"calwatch": settings.name, **settings.labels}
        receivers = [word.strip() for word in settings.receiver.split(",") if word.strip()]
        if receivers:
            self._fixed["receiver"] = f",{','.join(receivers)},"

    def filters(self, name: str = "") -> list[str]:
        """Return the matchers of the alerts that may be this channel's, or of one alarm's."""
        wanted = self._fixed | ({"alarm": name} if name else {})
        return [f"{label}={json.dumps(value)}" for label, value in wanted.items()]

    def changes(
        self,
        alarms: Sequence[Numbered],
        held: Sequence[Mapping[str, Any]],
        silences: Sequence[Mapping[str, Any]],
        now: datetime,
        *,
        only: str = "",
    ) -> Changes:
        """Return what must be sent.

        Parameters
        ----------
        alarms
            All open alarms; or the newest episode of one, over or not.
        held
            The alerts that Alertmanager has.
        silences
            The silences that it has.
        now
            The time.
        only
            Name of the one alarm that this is about; all alerts of this channel if empty.
        """
        ours = [alert for alert in held if self._is_ours(alert["labels"], only)]
        known = {numbered.alarm.name: numbered for numbered in alarms}
        sent = [
            self.alert(numbered, now)
            for numbered in alarms
            if numbered.alarm.announced and holds(self._route, numbered.alarm)
        ]
        firing = [alert["labels"] for alert in sent]
        for alert in ours:
            if alert["labels"] not in firing:
                sent += self._leftover(alert, known.get(alert["labels"]["alarm"]), now)
        made, over = self._silences(alarms, silences, now, only)
        told = {alert["labels"]["alarm"] for alert in sent[: len(firing)]}
        return Changes(
            silences=made,
            unsilenced=tuple(number for number, name in over if name in told),
            alerts=tuple(sent),
            spent=tuple(number for number, name in over if name not in told),
        )

    def alert(self, numbered: Numbered, now: datetime) -> dict[str, Any]:
        """Return an open alarm as a firing alert."""
        alarm = numbered.alarm
        found = {
            "labels": self.labels(alarm),
            "annotations": self.annotations(numbered),
            "startsAt": stamp(alarm.opened_at),
            "endsAt": stamp(now + self._expire),
        }
        if self._page:
            found["generatorURL"] = self._page.replace("{id}", str(numbered.alarm_id))
        return found

    def labels(self, alarm: Alarm) -> dict[str, str]:
        """Return what an alert is known and routed by."""
        family = "".join(word.capitalize() for word in alarm.key.family.split("-"))
        labels = {
            "alertname": f"Calwatch{family}",
            "alarm": alarm.name,
            "instrument": alarm.key.instrument,
            "aspect": alarm.key.aspect,
            "part": alarm.key.part,
            "level": alarm.level,
            "kind": alarm.kind.value,
            "severity": alarm.max_severity.name.lower(),
        }
        return self._fixed | {name: value for name, value in labels.items() if value}

    def annotations(self, numbered: Numbered) -> dict[str, str]:
        """Return what may change without making it another alert."""
        alarm = numbered.alarm
        key = alarm.key
        words = {
            "summary": " ".join(
                word for word in (key.instrument, f"{key.part}:", key.family, key.aspect) if word
            ),
            "description": alarm.reason,
            "playbook": f"{self._playbook}#{self._rules.family(key.family).playbook}",
            "state": "recovered, waits to be acknowledged" if alarm.stale else "active",
            "severity_now": alarm.severity.name.lower(),
            "since": stamp(alarm.since),
            "parts": f"{len(alarm.members)} of {alarm.total}" if alarm.total else "",
            "acknowledged_by": alarm.acknowledged_by if alarm.acknowledged else "",
            "acknowledged_why": alarm.acknowledged_why if alarm.acknowledged else "",
            "muted_by": alarm.muted_by if alarm.muted else "",
            "escalated_to": alarm.escalate_to if alarm.escalated_at else "",
            NUMBER: str(numbered.alarm_id),
        }
        return {name: value for name, value in words.items() if value}

    def _is_ours(self, labels: Mapping[str, str], only: str) -> bool:
        """Return whether this channel made an alert: another may have these labels and more."""
        return (
            (not only or labels.get("alarm") == only)
            and labels.get("instrument") in self._instruments
            and all(labels.get(name) == value for name, value in self._fixed.items())
        )

    def _leftover(
        self, alert: Mapping[str, Any], numbered: Numbered | None, now: datetime
    ) -> Iterable[dict[str, Any]]:
        """Return what to send for an alert that no open alarm has any more."""
        started = datetime.fromisoformat(alert["startsAt"])
        ended = now
        if numbered is not None:
            alarm = numbered.alarm
            if alarm.closed_at is not None and _number(alert) > numbered.alarm_id:
                return  # A later episode of the same problem: it has word of its own.
            if alarm.open and not alarm.announced and holds(self._route, alarm):
                yield _as_sent(alert, started, now + self._expire)
                return
            ended = alarm.closed_at or now
        yield _as_sent(alert, started, max(ended, started))

    def _silences(
        self,
        alarms: Sequence[Numbered],
        silences: Sequence[Mapping[str, Any]],
        now: datetime,
        only: str,
    ) -> tuple[tuple[dict[str, Any], ...], list[tuple[str, str]]]:
        """Return the silences to make or change; id and alarm's name of those that are over."""
        wanted = {
            n.alarm.name: self._silence(n.alarm, now)
            for n in alarms
            if holds(self._route, n.alarm)
            and n.alarm.muted
            and (n.alarm.unmute_at or now + SECOND) > now
        }
        over: list[tuple[str, str]] = []
        for silence in silences:
            name = self._silenced(silence)
            if not name or (only and name != only):
                continue
            new = wanted.get(name)
            if new is None or "id" in new:
                over.append((silence["id"], name))
            elif _same(silence, new):
                del wanted[name]
            else:
                new |= {"id": silence["id"], "startsAt": silence["startsAt"]}
        return tuple(wanted.values()), over

    def _silence(self, alarm: Alarm, now: datetime) -> dict[str, Any]:
        matchers = self._fixed | {"alarm": alarm.name}
        return {
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True}
                for name, value in matchers.items()
            ],
            "startsAt": stamp(now),
            "endsAt": stamp(alarm.unmute_at or now + self._expire),
            "createdBy": AUTHOR,
            "comment": f"muted by {alarm.muted_by}: {alarm.muted_why}".rstrip(": "),
        }

    def _silenced(self, silence: Mapping[str, Any]) -> str:
        """Return the name of the alarm that a silence of this channel is over; else nothing."""
        if silence["createdBy"] != AUTHOR or silence["status"]["state"] == "expired":
            return ""
        matchers = {matcher["name"]: matcher["value"] for matcher in silence["matchers"]}
        name: str = matchers.pop("alarm", "")
        ours = matchers == self._fixed and name.partition(".")[0] in self._instruments
        return name if ours else ""


def stamp(at: datetime) -> str:
    """Return a time as Alertmanager takes it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _number(alert: Mapping[str, Any]) -> int:
    text = alert.get("annotations", {}).get(NUMBER, "0")
    return int(text) if text.isdecimal() else 0


def _as_sent(alert: Mapping[str, Any], started: datetime, ends: datetime) -> dict[str, Any]:
    """Return an alert that Alertmanager holds as it was sent, but for its end."""
    kept = {
        name: alert[name] for name in ("labels", "annotations", "generatorURL") if name in alert
    }
    return {**kept, "startsAt": stamp(started), "endsAt": stamp(ends)}


def _same(silence: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    ends = datetime.fromisoformat(silence["endsAt"]), datetime.fromisoformat(wanted["endsAt"])
    return silence["comment"] == wanted["comment"] and abs(ends[0] - ends[1]) < SECOND
