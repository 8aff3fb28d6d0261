"""One tree of errors, named by what the caller should do about them.

Four kinds: *stop* (the configuration is wrong: exit code 2), *wait* (something else is out of
reach and may come back: exit code 3), *retry* (this piece of work may succeed later), and *record*
(this exposure cannot be judged: record UNKNOWN with the message and go on).
"""

from __future__ import annotations

from calwatch.redaction import redact


class CalwatchError(Exception):
    """The root of every error calwatch raises on purpose.

    The message names the thing (file, dataset, option) and the cause, and is fit to be shown to a
    person as it is.
    """

    exit_code = 2

    def __str__(self) -> str:
        """Return the message, without any secret that may have come into it from below."""
        return redact(super().__str__())


class StopError(CalwatchError):
    """Wrong use or configuration: nothing can be done until a person changes it."""

    exit_code = 2


class LimitsError(StopError):
    """A limits file is malformed or contradicts itself."""


class CameraError(StopError):
    """A camera description is malformed, or the instrument or detector is not known."""


class NameRuleError(StopError):
    """A collection or dataset name breaks the rules of DMTN-222 §2."""


class WaitError(CalwatchError):
    """A dependency (Butler, ledger, disk) is out of reach; trying later may work."""

    exit_code = 3


class RepositoryError(WaitError):
    """The Butler repository cannot be opened or queried."""


class LedgerError(WaitError):
    """The ledger cannot be read or written (locked, read-only, disk full, unreachable)."""


class RetryError(CalwatchError):
    """The work failed for a cause that may pass: try again, then record."""

    exit_code = 3


class UnreachableFileError(RetryError):
    """A file named by the Butler cannot be fetched (missing, permission, network)."""


class RecordError(CalwatchError):
    """The exposure and detector cannot be judged: record UNKNOWN with this message."""

    exit_code = 1


class RawError(RecordError):
    """A raw file is not what its camera writes (truncated, wrong HDUs, wrong size, bad tiles)."""


class ChecksumError(RawError):
    """A raw file has the right form but its data do not agree with its DATASUM."""


class CalibrationError(RecordError):
    """A certified calibration is unusable (wrong size or detector, absurd values, unreadable)."""


class ChainError(RecordError):
    """The certified chain gives no single answer (overlapping certifications)."""
