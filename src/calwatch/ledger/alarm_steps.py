"""One step of an instrument's alarms: what it finds, what it leaves, and how that is written.

The functions here write within the transaction of whoever calls them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from calwatch.alarms.model import ENDS, Alarm, Numbered, Transition
from calwatch.ledger.alarm_rows import alarm_row, delivery_row, transition_row
from calwatch.ledger.inserts import insert_all, insert_once
from calwatch.ledger.tables import alarm, alarm_book, alarm_delivery, alarm_queue, alarm_transition


@dataclass(frozen=True, slots=True)
class Loaded:
    """An instrument's alarms as a step finds them."""

    book: Mapping[str, Any] | None
    """What was remembered; None the first time."""
    alarms: tuple[Numbered, ...]
    """All that are open, in the order in which they were raised."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a step leaves."""

    book: Mapping[str, Any]
    """What is to be remembered: plain data."""
    alarms: Sequence[Alarm] = ()
    """The changed ones; of one name those that have ended come first. The first of a name is the
    one that was open, if one was."""
    transitions: Sequence[Transition] = ()
    """What happened, in order; of each alarm in `alarms`."""
    deliveries: Sequence[tuple[int, str, datetime]] = ()
    """Index of a transition, the channel that is to tell of it, and from when."""
    done: Sequence[int] = ()
    """Queue rows that have been looked at."""
    value: Any = None
    """What the step gives back."""


def lock_book(connection: Connection, instrument: str, now: datetime) -> Mapping[str, Any] | None:
    """Keep all others from the instrument's alarms; return what is remembered of it.

    In SQLite the transaction holds the whole ledger from its beginning.
    """
    new = {"instrument": instrument, "updated_at": now}
    connection.execute(insert_once(connection, alarm_book), new)
    mine = alarm_book.c.instrument == instrument
    ask = select(alarm_book.c.document).where(mine).with_for_update()
    document: Mapping[str, Any] | None = connection.execute(ask).scalar_one()
    return document


def write_step(
    connection: Connection, instrument: str, loaded: Loaded, written: Written, now: datetime
) -> list[int]:
    """Write what a step leaves; return the numbers of its transitions.

    Raises
    ------
    ValueError
        If an alarm is of another instrument, or a transition of no alarm.
    """
    change = update(alarm_book).where(alarm_book.c.instrument == instrument)
    connection.execute(change.values(document=dict(written.book), updated_at=now))
    episodes = _write_alarms(connection, instrument, loaded, written.alarms)
    told = _write_transitions(connection, episodes, written.transitions)
    rows = [delivery_row(*told[place], channel, at) for place, channel, at in written.deliveries]
    insert_all(connection, alarm_delivery, rows)
    if written.done:
        connection.execute(delete(alarm_queue).where(alarm_queue.c.id.in_(written.done)))
    return [transition_id for transition_id, _ in told]


def _write_alarms(
    connection: Connection, instrument: str, loaded: Loaded, alarms: Sequence[Alarm]
) -> dict[str, list[int]]:
    """Write the changed alarms; return the numbers of the episodes of each name, in order."""
    standing = {one.alarm.name: one.alarm_id for one in loaded.alarms}
    episodes: dict[str, list[int]] = {}
    for changed in alarms:
        if changed.key.instrument != instrument:
            raise ValueError(f"alarm {changed.name} is not one of {instrument}")
        row = alarm_row(changed)
        alarm_id = standing.pop(changed.name, None)
        if alarm_id is None:
            alarm_id = connection.execute(insert(alarm).returning(alarm.c.id), row).scalar_one()
        else:
            connection.execute(update(alarm).where(alarm.c.id == alarm_id).values(row))
        if changed.open:
            standing[changed.name] = alarm_id
        episodes.setdefault(changed.name, []).append(alarm_id)
    return episodes


def _write_transitions(
    connection: Connection, episodes: Mapping[str, list[int]], transitions: Sequence[Transition]
) -> list[tuple[int, int]]:
    """Write what happened; return the number of each transition and of its alarm."""
    ahead = {name: list(numbers) for name, numbers in episodes.items()}
    statement = insert(alarm_transition).returning(alarm_transition.c.id)
    written = []
    for transition in transitions:
        mine = ahead.get(transition.alarm.name)
        if not mine:
            raise ValueError(f"{transition.alarm.name} {transition.what}: of no alarm")
        alarm_id = mine[0]
        if transition.what in ENDS:
            mine.pop(0)
        row = transition_row(alarm_id, transition)
        written.append((connection.execute(statement, row).scalar_one(), alarm_id))
    return written
