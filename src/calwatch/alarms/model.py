"""What an alarm is, and what happens to it: plain data that outlives a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How grave: names and numbers of ts_xml's ``AlarmSeverity``, where zero is not valid."""

    NONE = 1
    WARNING = 2
    SERIOUS = 3
    CRITICAL = 4


class Kind(StrEnum):
    """What sort of problem an alarm tells of; notices are routed by it."""

    FAILURE = "failure"
    """A DMTN-101 test failed."""
    UNKNOWN = "unknown"
    """Something cannot be judged, again and again."""
    DEADMAN = "dead-man"
    """Something that should have happened has not."""
    CHAIN = "chain"
    """The certified chain changed with no newer certification."""


class What(StrEnum):
    """What happened to an alarm: one entry of its history, and the reason of a notice."""

    RAISED = "raised"
    WORSE = "worse"
    EASED = "eased"
    MEMBERS = "members"
    """Parts joined or left the group; the alarm is the same."""
    CONFIRMED = "confirmed"
    """An alarm that late evidence raised quietly is seen in a fresh exposure."""
    RECOVERED = "recovered"
    """Its parts are good again; it waits for somebody to acknowledge it (ts_watcher: stale)."""
    RETURNED = "returned"
    """It had recovered and is back."""
    CLEARED = "cleared"
    """Over: good again and acknowledged. The episode ends."""
    ABSORBED = "absorbed"
    """The problem has grown: an alarm of a larger part stands in its place. The episode ends."""
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    MUTED = "muted"
    UNMUTED = "unmuted"
    ESCALATED = "escalated"
    DEESCALATED = "de-escalated"


ENDS = frozenset({What.CLEARED, What.ABSORBED})
"""After these an alarm is closed; the same problem later is a new episode."""
AUTO = "calwatch"
"""Who acted where no person did."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which problem: never two open alarms have the same."""

    instrument: str
    family: str
    """Which tests belong to the problem, such as ``readout``; see the alarm rules."""
    aspect: str
    """``above`` or ``below``; for a missing reference or late exposures the calibration type;
    empty where there is nothing to tell apart."""
    part: str
    """Name of the part of the camera: ``R22_S11/C05``, ``R22_S11``, ``R22_Reb1``, ``R22`` or the
    instrument itself."""

    @property
    def name(self) -> str:
        """The alarm's name, such as ``LSSTCam.readout.above.R22_S11/C05``."""
        words = (self.instrument, self.family, self.aspect, self.part)
        return ".".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Sample:
    """One exposure's word on one test of one part."""

    end: datetime
    """End of the exposure (aware): what orders evidence."""
    exposure_id: int
    severity: Severity
    """What the limits say of the value: NONE is a good one."""
    value: float | None = None
    limit: tuple[float | None, float | None] = (None, None)
    """The allowed range that decided, as `calwatch.verify.model.TestResult` has it."""
    reason: str = ""
    """The test's own sentence; empty for a good value."""
    collection: str = ""
    """CALIBRATION collection that certifies what it was compared with."""
    uuid: str = ""
    """Dataset id of that calibration."""
    calibration: str = ""
    """Its type, such as ``ptc``."""
    near: bool = False
    """Whether a good value stands so near to its limit that nothing is over yet."""

    @property
    def held(self) -> Severity:
        """What it keeps open: its severity, or WARNING if it is good by a hair only."""
        return Severity.WARNING if self.near else self.severity


@dataclass(frozen=True, slots=True)
class Symptom:
    """One test of one part that stands behind an alarm, with its last values."""

    part: str
    calib_type: str
    """Kind of exposure: ``bias``, ``dark``, ``flat``, ``flat i_39`` where the filter matters, or
    ``ingest`` for what did not come."""
    test: str
    unit: str
    section: str
    """DMTN-101 section; empty where the document has none."""
    severity: Severity
    samples: tuple[Sample, ...]
    """Oldest first; the last M of N that decide."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One episode of one problem, from its raising to its end, as it stands now.

    All times are aware UTC; None stands for none. Field names follow ts_watcher's alarm event.
    """

    key: Key
    kind: Kind
    level: str
    """Level of the part in the camera's tree: ``amplifier``, ``CCD``, ``REB``, ``raft``,
    ``focal plane``."""
    severity: Severity
    max_severity: Severity
    """Latched: it never falls but by an acknowledgement of what is over."""
    reason: str
    """One line in words; kept when the severity goes to NONE."""
    opened_at: datetime
    """When the alarm was raised."""
    since: datetime
    """End of the first bad exposure behind it (of a dead-man alarm: since when it is late)."""
    severity_oldest: datetime
    """Since when the severity has its value."""
    severity_newest: datetime
    """When the severity was last confirmed."""
    max_severity_at: datetime
    members: tuple[str, ...] = ()
    """Names of all parts that are bad now, in the camera's order."""
    total: int = 0
    """Number of such parts that were judged under the alarm's part (0: not counted)."""
    symptoms: tuple[Symptom, ...] = ()
    """The worst few of its symptoms, gravest first."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of bad parts by ``<calib_type> <test>``."""
    exposure_id: int | None = None
    """The newest exposure behind its state."""
    cleared_by: int | None = None
    """The good exposure that cleared it: the evidence."""
    acknowledged: bool = False
    acknowledged_by: str = ""
    acknowledged_why: str = ""
    acknowledged_severity: Severity = Severity.NONE
    acknowledged_at: datetime | None = None
    acknowledged_members: int = 0
    """The fewest members it has had since it was acknowledged."""
    auto_acknowledge_at: datetime | None = None
    auto_unacknowledge_at: datetime | None = None
    muted_severity: Severity = Severity.NONE
    """Notices of this severity and below are held back; NONE: not muted."""
    muted_by: str = ""
    muted_why: str = ""
    unmute_at: datetime | None = None
    escalate_at: datetime | None = None
    """When it will be escalated if nobody acknowledges it."""
    escalate_to: str = ""
    escalated_at: datetime | None = None
    announced: bool = True
    """False while only late evidence stands behind it, of which nobody is told."""
    closed_at: datetime | None = None
    absorbed_by: str = ""
    """Name of the alarm that stands in its place."""

    @property
    def name(self) -> str:
        """The alarm's name."""
        return self.key.name

    @property
    def open(self) -> bool:
        """Whether the episode goes on."""
        return self.closed_at is None

    @property
    def active(self) -> bool:
        """Whether something is wrong now."""
        return self.open and self.severity > Severity.NONE

    @property
    def stale(self) -> bool:
        """Whether it is good again and waits to be acknowledged."""
        return self.open and self.severity is Severity.NONE

    @property
    def muted(self) -> bool:
        """Whether notices of its present severity are held back."""
        return self.muted_severity > Severity.NONE and self.severity <= self.muted_severity


@dataclass(frozen=True, slots=True)
class Numbered:
    """An alarm with its number in the ledger."""

    alarm_id: int
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Transition:
    """One thing that happened to an alarm, with the alarm as it was afterwards."""

    what: What
    at: datetime
    """When, by the clock."""
    alarm: Alarm
    before: Severity
    """Severity before."""
    who: str = AUTO
    why: str = ""
    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    quiet: bool = False
    """Nobody is to be told: it was muted, or only late evidence stands behind it."""
