"""Alarms as rows of the ledger, and rows as what the alarms are given. No statements here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calwatch.alarms.codec import (
    alarm_from_dict,
    alarm_to_dict,
    transition_from_dict,
    transition_to_dict,
)
from calwatch.alarms.model import Alarm, Numbered, Transition
from calwatch.errors import RecordError
from calwatch.verify.codec import tests_from_dict
from calwatch.verify.model import TestResult, Verdict

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class QueuedExposure:
    """A merged exposure that the alarms must look at, as it stands now."""

    queue_id: int
    instrument: str
    exposure_id: int
    calib_type: str
    algorithm: str
    verdict: Verdict
    reason: str
    obs_id: str
    physical_filter: str
    day_obs: int
    end_utc: datetime | None
    judged_at: datetime
    document: Mapping[str, Any] | None
    """``metrics``, ``tests``, ``failures`` and ``test_counts``; None if it cannot be read."""

    @property
    def tests(self) -> dict[str, TestResult]:
        """Tests of the exposure as a whole.

        Raises
        ------
        RecordError
            If they cannot be read.
        """
        what = f"{self.instrument} exposure {self.exposure_id}"
        try:
            return tests_from_dict((self.document or {})["tests"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RecordError(f"{what}: its merged verdict cannot be read") from error


@dataclass(frozen=True, slots=True)
class QueuedFinding:
    """What was found missing of an announced exposure, that the alarms must look at."""

    queue_id: int
    instrument: str
    exposure_id: int
    obs_id: str
    calib_type: str
    end_of_readout_utc: datetime
    due_at: datetime
    expected: tuple[int, ...]
    missing: tuple[int, ...]
    """Empty: all have come."""


Queued = QueuedExposure | QueuedFinding


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """What came of telling one channel of one transition."""

    delivery_id: int
    channel: str
    state: str
    """One of `calwatch.ledger.deliveries.State`."""
    due_at: datetime
    attempts: int
    repeat: bool
    """It may have been sent twice."""
    tried_at: datetime | None
    sent_at: datetime | None
    error: str
    """Why it has not been sent, in words."""


@dataclass(frozen=True, slots=True)
class StoredTransition:
    """One entry of the history."""

    transition_id: int
    alarm_id: int
    transition: Transition
    deliveries: tuple[DeliveryState, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """When a process last said that it lives."""

    at: datetime
    document: Mapping[str, Any]


def alarm_row(alarm: Alarm) -> Row:
    """Return the row of ``alarm``."""
    return {
        "instrument": alarm.key.instrument,
        "name": alarm.name,
        "family": alarm.key.family,
        "kind": alarm.kind.value,
        "part": alarm.key.part,
        "severity": alarm.severity.value,
        "max_severity": alarm.max_severity.value,
        "acknowledged": alarm.acknowledged,
        "opened_at": alarm.opened_at,
        "closed_at": alarm.closed_at,
        "document": alarm_to_dict(alarm),
    }


def transition_row(alarm_id: int, transition: Transition) -> Row:
    """Return the row of ``alarm_transition``."""
    return {
        "alarm_id": alarm_id,
        "instrument": transition.alarm.key.instrument,
        "what": transition.what.value,
        "at": transition.at,
        "who": transition.who,
        "quiet": transition.quiet,
        "document": transition_to_dict(transition),
    }


def delivery_row(transition_id: int, alarm_id: int, channel: str, due_at: datetime) -> Row:
    """Return the row of ``alarm_delivery`` of something that nobody has tried to send."""
    return {
        "transition_id": transition_id,
        "alarm_id": alarm_id,
        "channel": channel,
        "state": "waiting",
        "due_at": due_at,
        "attempts": 0,
        "repeat": False,
        "error": "",
    }


def numbered(row: Any) -> Numbered:
    """Read a row of ``alarm``."""
    return Numbered(row.id, alarm_from_dict(row.document))


def stored_transition(row: Any, deliveries: tuple[DeliveryState, ...] = ()) -> StoredTransition:
    """Read a row of ``alarm_transition``."""
    return StoredTransition(row.id, row.alarm_id, transition_from_dict(row.document), deliveries)


def delivery_state(row: Any) -> DeliveryState:
    """Read a row of ``alarm_delivery``."""
    return DeliveryState(
        row.id,
        row.channel,
        row.state,
        row.due_at,
        row.attempts,
        row.repeat,
        row.tried_at,
        row.sent_at,
        row.error,
    )


def queued_exposure(queue_id: int, row: Any, document: Mapping[str, Any] | None) -> QueuedExposure:
    """Read a row of ``exposure_verdict``."""
    return QueuedExposure(
        queue_id=queue_id,
        instrument=row.instrument,
        exposure_id=row.exposure_id,
        calib_type=row.calib_type,
        algorithm=row.algorithm,
        verdict=Verdict(row.verdict),
        reason=row.reason,
        obs_id=row.obs_id,
        physical_filter=row.physical_filter,
        day_obs=row.day_obs,
        end_utc=row.exposure_end_utc,
        judged_at=row.judged_at,
        document=document,
    )


def queued_finding(queue_id: int, row: Any) -> QueuedFinding:
    """Read a row of ``expectation``."""
    return QueuedFinding(
        queue_id=queue_id,
        instrument=row.instrument,
        exposure_id=row.exposure_id,
        obs_id=row.obs_id,
        calib_type=row.calib_type,
        end_of_readout_utc=row.end_of_readout_utc,
        due_at=row.due_at,
        expected=tuple(row.expected),
        missing=tuple(row.missing or ()),
    )
