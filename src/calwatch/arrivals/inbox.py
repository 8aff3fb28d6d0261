"""Where events are put down for good before Kafka is told that they were read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from calwatch.arrivals.model import Expectation, Notice


class Inbox(Protocol):
    """A durable place for what events say."""

    def note(self, notices: Sequence[Notice], expectations: Sequence[Expectation]) -> None:
        """Keep all of it or nothing; the same said twice changes nothing.

        Raises
        ------
        WaitError
            If it is out of reach: what was to be kept must be given again later.
        RecordError
            If something in it can never be kept.
        """
        ...
