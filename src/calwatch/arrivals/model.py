"""What an event says, once it is read: a file was announced, or an exposure is coming."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """One file of one detector was announced: ingested, or failed to be."""

    instrument: str
    exposure_id: int
    detector: int
    noticed_at: datetime
    """UTC, aware: when the event was sent."""
    status: int = 0
    """0: ingested. Any other: the ingest failed."""
    text: str = ""
    """Why the ingest failed."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """An exposure was read out: its detectors should be ingested by a certain time."""

    instrument: str
    exposure_id: int
    obs_id: str
    calib_type: str
    end_of_readout_utc: datetime
    due_at: datetime
    """Aware; what is not in the Butler by then is missing."""
    expected: tuple[int, ...]
    """Detector numbers, sorted."""


@dataclass(frozen=True, slots=True)
class OpenExpectation:
    """An expectation whose time has come, and what was found missing last time."""

    expectation_id: int
    expectation: Expectation
    missing: tuple[int, ...] | None
    """None: not looked at yet."""
