"""What an event says, once it is read: a file was announced, or an exposure is coming."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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


class Reason(StrEnum):
    """Why a message gave nothing to do: the labels under which they are counted."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    WRONG_MAGIC = "wrong_magic"
    UNKNOWN_SCHEMA = "unknown_schema"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    TRUNCATED = "truncated"
    TRAILING_BYTES = "trailing_bytes"
    BAD_JSON = "bad_json"
    BAD_TIMESTAMP = "bad_timestamp"
    BAD_EXPOSURE = "bad_exposure"
    UNKNOWN_CAMERA = "unknown_camera"
    UNKNOWN_DETECTOR = "unknown_detector"
    METADATA_FAILURE = "metadata_failure"
    REFUSED = "refused"
    OTHER_INSTRUMENT = "other_instrument"
    NOT_A_CALIBRATION = "not_a_calibration"
    GUIDER = "guider"
    NOT_A_RAW = "not_a_raw"

    @property
    def undecodable(self) -> bool:
        """True if the bytes themselves could not be read; False if what they say is ignored."""
        return self in _UNDECODABLE

    @property
    def ordinary(self) -> bool:
        """True if such messages are part of every night and nobody needs to hear of them."""
        return self in _ORDINARY


_UNDECODABLE = frozenset(
    {
        Reason.EMPTY,
        Reason.TOO_LARGE,
        Reason.WRONG_MAGIC,
        Reason.UNKNOWN_SCHEMA,
        Reason.MISSING_FIELD,
        Reason.WRONG_TYPE,
        Reason.TRUNCATED,
        Reason.TRAILING_BYTES,
        Reason.BAD_JSON,
    }
)
_ORDINARY = frozenset(
    {Reason.OTHER_INSTRUMENT, Reason.NOT_A_CALIBRATION, Reason.GUIDER, Reason.NOT_A_RAW}
)
_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that gives nothing to do."""

    reason: Reason
    text: str
    """What is wrong with it, in words."""
    exposure: tuple[str, int] | None = None
    """(instrument, exposure id), where it told of one that is no calibration."""


def plain(text: str) -> str:
    """Return text from outside as it may be kept and shown: printable, one line, not long."""
    shown = "".join(c if c.isprintable() else " " for c in text[: 2 * _LONGEST_TEXT])
    return " ".join(shown.split())[:_LONGEST_TEXT]
