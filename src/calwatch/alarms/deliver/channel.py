"""What every channel is asked to do, and what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from calwatch.alarms.model import Alarm, Numbered, Transition
from calwatch.alarms.words import Message

__all__ = ["Channel", "Delivery", "Numbered"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One transition that one channel is to tell of."""

    delivery_id: int
    alarm_id: int
    transition: Transition
    message: Message
    newest: Alarm
    """The alarm as it stands now, which may be later than the transition."""
    repeat: bool = False
    """It was being sent when the daemon was cut off: it may have been sent before."""


class Channel(Protocol):
    """One way to tell of alarms. A channel that is down delays only itself."""

    @property
    def name(self) -> str:
        """What the settings call it."""
        ...

    async def open(self) -> None:
        """Get ready; nothing if it is.

        Raises
        ------
        WaitError
            If it is out of reach now.
        StopError
            If a person must change something first.
        """
        ...

    async def send(self, delivery: Delivery) -> None:
        """Tell of one transition (or, where a channel holds a state, of the alarm as it is now).

        Raises
        ------
        WaitError
            If it is out of reach: the same is sent again later.
        RecordError
            If this will never be accepted: it is written down as failed.
        """
        ...

    async def resend(self, alarms: Sequence[Numbered]) -> None:
        """Say again which alarms are open, where the other end forgets; else do nothing.

        Raises
        ------
        WaitError
            If it is out of reach.
        """
        ...

    async def close(self) -> None:
        """End its connections."""
        ...
