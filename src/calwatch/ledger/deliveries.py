"""Which channel has told of what: every transition once to every channel that wants it, in order.

A row is marked before it is sent. If the process dies then, nobody can know whether it arrived: the
row is found marked at the next start, is sent again and says so.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, update

from calwatch.alarms.codec import alarm_from_dict, transition_from_dict
from calwatch.alarms.model import Alarm, Transition
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import alarm, alarm_delivery, alarm_transition
from calwatch.ledger.turn import DELIVER, Turn, take_turn

_BROKEN = (AttributeError, KeyError, TypeError, ValueError, zlib.error)
"""What comes of reading a document that is damaged."""
_LONGEST_ERROR = 500


class State(StrEnum):
    """How far a delivery has come."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    """The channel will never take it."""
    DROPPED = "dropped"
    """The settings no longer have the channel."""


_UNFINISHED = (State.WAITING.value, State.SENDING.value)
_BEYOND = 2**62
"""More than any row's number."""


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """One transition that a channel is to tell of now."""

    delivery_id: int
    alarm_id: int
    transition_id: int
    transition: Transition
    newest: Alarm
    """The alarm as it stands now."""
    repeat: bool
    """It was being sent when the daemon was cut off: it may have been sent before."""
    attempts: int
    """How often it has been tried."""
    due_at: datetime


class Deliveries:
    """The deliveries of all channels; safe to use from several threads.

    Every method may raise LedgerError if the ledger is out of reach.

    Parameters
    ----------
    ledger
        Where they are kept.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def turn(self) -> Turn | None:
        """Take the turn to deliver; None if another process has it."""
        return take_turn(self._ledger._engine, DELIVER)

    def due_deliveries(self, channel: str, now: datetime, most: int) -> list[DueDelivery]:
        """Return what a channel is to tell of, in the order in which it happened.

        What waits for a later hour and has never been tried does not hold up the rest. What is
        being sent, or has been tried and is to be tried again later, does: nothing overtakes it.
        What cannot be read is written down as failed and left out.
        """
        statement = _due_statement(channel, now, most)
        broken: list[tuple[int, str]] = []

        def ask(connection: Connection) -> list[DueDelivery]:
            found, broken[:] = [], []
            for row in connection.execute(statement).all():
                try:
                    found.append(_due(connection, row))
                except _BROKEN as error:
                    broken.append((row.id, f"cannot be read: {type(error).__name__}: {error}"))
            return found

        found = self._ledger.read(ask)
        for delivery_id, error in broken:
            self.failed(delivery_id, now, error)
        return found

    def begin(self, delivery_id: int, at: datetime) -> bool:
        """Mark a row as being sent; False if it does not wait any more."""
        d = alarm_delivery.c
        values = {"state": State.SENDING.value, "attempts": d.attempts + 1, "tried_at": at}
        return bool(self._change([d.id == delivery_id, _is(State.WAITING)], values))

    def sent(self, delivery_id: int, at: datetime) -> None:
        """Write down that a row has been sent."""
        self._set(delivery_id, State.SENT, sent_at=at, error="")

    def try_again(self, delivery_id: int, at: datetime, error: str, due_at: datetime) -> None:
        """Let a row wait again.

        Parameters
        ----------
        delivery_id
            Which.
        at
            When it was tried.
        error
            Why it could not be sent.
        due_at
            When it is to be tried again.
        """
        words = error[:_LONGEST_ERROR]
        self._set(delivery_id, State.WAITING, tried_at=at, error=words, due_at=due_at)

    def failed(self, delivery_id: int, at: datetime, error: str) -> None:
        """Write down that a row never will be sent, and why."""
        self._set(delivery_id, State.FAILED, tried_at=at, error=error[:_LONGEST_ERROR])

    def interrupted(self, channel: str) -> int:
        """Let rows wait again that were being sent when the process was cut off; return how many.

        They may have arrived: they are marked as repeats.
        """
        values = {"state": State.WAITING.value, "repeat": True}
        return self._change([alarm_delivery.c.channel == channel, _is(State.SENDING)], values)

    def waiting(self, channel: str) -> int:
        """Return how many rows of a channel are still to be sent."""
        mine = (alarm_delivery.c.channel == channel, _unfinished())
        statement = select(func.count()).select_from(alarm_delivery).where(*mine)
        return self._ledger.read(lambda c: c.execute(statement).scalar_one())

    def drop_channels_not_in(self, names: Collection[str]) -> int:
        """Give up what waits for channels that there are no more; return how much that was."""
        gone = [_unfinished(), alarm_delivery.c.channel.not_in(sorted(names))]
        values = {"state": State.DROPPED.value, "error": "the settings no longer have the channel"}
        return self._change(gone, values)

    def _set(self, delivery_id: int, state: State, **values: Any) -> None:
        self._change([alarm_delivery.c.id == delivery_id], {"state": state.value, **values})

    def _change(self, chosen: list[ColumnElement[bool]], values: dict[str, Any]) -> int:
        statement = update(alarm_delivery).where(*chosen).values(values)
        return self._ledger.write(lambda c: c.execute(statement).rowcount, "deliveries of alarms")


def _is(state: State) -> ColumnElement[bool]:
    return alarm_delivery.c.state == state.value


def _unfinished() -> ColumnElement[bool]:
    return alarm_delivery.c.state.in_(_UNFINISHED)


def _due_statement(channel: str, now: datetime, most: int) -> Select[Any]:
    """Select what is due and stands behind nothing that must be sent before it."""
    d, before = alarm_delivery.c, alarm_delivery.alias("before")
    tried = and_(before.c.attempts > 0, before.c.due_at > now)
    held = select(func.min(before.c.id)).where(
        before.c.channel == channel,
        before.c.state.in_(_UNFINISHED),
        or_(before.c.state == State.SENDING.value, tried),
    )
    return (
        select(alarm_delivery)
        .where(
            d.channel == channel,
            _is(State.WAITING),
            d.due_at <= now,
            d.id < func.coalesce(held.scalar_subquery(), _BEYOND),
        )
        .order_by(d.id)
        .limit(most)
    )


def _due(connection: Connection, row: Any) -> DueDelivery:
    told = select(alarm_transition.c.document).where(alarm_transition.c.id == row.transition_id)
    newest = select(alarm.c.document).where(alarm.c.id == row.alarm_id)
    return DueDelivery(
        delivery_id=row.id,
        alarm_id=row.alarm_id,
        transition_id=row.transition_id,
        transition=transition_from_dict(connection.execute(told).scalar_one()),
        newest=alarm_from_dict(connection.execute(newest).scalar_one()),
        repeat=row.repeat,
        attempts=row.attempts,
        due_at=row.due_at,
    )
