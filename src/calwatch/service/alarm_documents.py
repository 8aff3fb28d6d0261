"""Alarms as JSON: what ``--json`` prints and what HTTP answers."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from calwatch.alarms.codec import alarm_to_dict, time_to_text
from calwatch.alarms.model import Numbered
from calwatch.ledger.alarm_rows import DeliveryState, StoredTransition

Document = dict[str, Any]


def alarm_document(numbered: Numbered) -> Document:
    """Return one alarm: its number, name and state, then every field of it."""
    alarm = numbered.alarm
    return {
        "id": numbered.alarm_id,
        "name": alarm.name,
        "open": alarm.open,
        "active": alarm.active,
        "stale": alarm.stale,
        "muted": alarm.muted,
        **alarm_to_dict(alarm),
    }


def transition_document(stored: StoredTransition) -> Document:
    """Return one entry of the history, with what came of telling it."""
    told = stored.transition
    return {
        "id": stored.transition_id,
        "alarm_id": stored.alarm_id,
        "name": told.alarm.name,
        "what": told.what.value,
        "at": time_to_text(told.at),
        "before": told.before.name,
        "severity": told.alarm.severity.name,
        "max_severity": told.alarm.max_severity.name,
        "reason": told.alarm.reason,
        "who": told.who,
        "why": told.why,
        "joined": list(told.joined),
        "left": list(told.left),
        "quiet": told.quiet,
        "exposure_id": told.alarm.exposure_id,
        "deliveries": [_delivery_document(one) for one in stored.deliveries],
    }


def _delivery_document(state: DeliveryState) -> Document:
    return {
        name: time_to_text(value) if isinstance(value, datetime) else value
        for name, value in asdict(state).items()
    }
