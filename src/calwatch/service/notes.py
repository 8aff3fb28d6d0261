"""What a worker notes of a job beside its result: how long each step took, and what went wrong.

The notes of a process are taken after each job and travel to the daemon with the answer, because a
worker shows no metrics of its own.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

READ, CERTIFIED, ISR, MEASURE = "read", "certified", "isr", "measure"
WORKER_STEPS = (READ, CERTIFIED, ISR, MEASURE)
"""Reading the raw file, having the certified calibrations, instrument signature removal,
measuring and judging: the steps of one detector."""


@dataclass(slots=True)
class Notes:
    """The notes of one job."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by step."""
    failures: Counter[str] = field(default_factory=Counter)
    """How often something went wrong, by the name of the error's class."""


_notes = Notes()


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Note how long the block takes, also if it fails."""
    began = time.perf_counter()
    try:
        yield
    finally:
        _notes.seconds[step] = _notes.seconds.get(step, 0.0) + time.perf_counter() - began


def note_failure(error: Exception) -> None:
    """Note an error that ends in the verdict UNKNOWN instead of being raised."""
    _notes.failures[type(error).__name__] += 1


def take_notes() -> Notes:
    """Return what was noted since this was last called."""
    global _notes
    taken, _notes = _notes, Notes()
    return taken
