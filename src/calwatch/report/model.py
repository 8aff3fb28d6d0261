"""What a report says, as plain values: text, HTML and JSON are made of these alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from calwatch.alarms.model import Numbered
from calwatch.plots.readings import Reading
from calwatch.verify.model import Verdict

Range = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Question:
    """What the report is of."""

    instrument: str
    first_day: int | None = None
    last_day: int | None = None
    """``day_obs``, both included; None is without bound."""
    collection: str = ""
    """Only what was judged with a calibration that it, or a collection below it, certifies."""


@dataclass(frozen=True, slots=True)
class Made:
    """How the report was made."""

    at: datetime
    version: str
    ledger: str
    """Its address, without a password."""
    algorithms: tuple[str, ...]
    limits: tuple[str, ...]
    """Profile and version of the limits that judged."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An exposure and its end."""

    exposure_id: int
    end_utc: datetime | None


@dataclass(frozen=True, slots=True)
class Run:
    """All exposures of one type on one day of observation."""

    day_obs: int
    calib_type: str
    filters: tuple[str, ...]
    """Of flats."""
    verdict: Verdict
    exposures: Mapping[str, int]
    """Number of exposures by verdict."""
    detectors: Mapping[str, int]
    """Number of detector exposures by verdict."""


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Exposures that were judged together."""

    day_obs: int
    kind: str
    """``ptc i_39``, ``dark_stack`` or ``defects dark``."""
    calib_type: str
    last: Moment
    """The last of its exposures, under which it is judged."""
    members: tuple[int, ...]
    """Exposure ids, in order."""
    verdict: Verdict
    detectors: Mapping[str, int]
    """Number of detectors by verdict."""


@dataclass(frozen=True, slots=True)
class SetDetector:
    """All sets of one kind of one detector."""

    kind: str
    detector: str
    verdict: Verdict
    """The gravest."""
    sets: Mapping[str, int]
    """Number of sets by verdict."""
    amp: str
    """Of the value nearest to its limit, or farthest beyond; empty where a test is of the detector
    or there is no such value."""
    test: str
    unit: str
    value: float | None
    limit: Range
    distance: float | None
    """As `calwatch.verify.distance` counts: 1 on the limit."""
    exposure_id: int | None
    """The last exposure of the set that it was measured in."""
    reasons: tuple[str, ...]
    """Why the detector, or an amplifier of it, is UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The certified calibration that a test compared with."""

    calib_type: str
    uuid: str
    run: str
    collection: str
    begin: str
    """Begin and end of validity in TAI; ``open`` where there is none."""
    end: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One test of one part that crossed its limit, over all exposures of the report."""

    part: str
    """Such as ``R22_S11/C05``."""
    detector: int | None
    """None for a test of the exposure as a whole."""
    amp: str
    value: float | None
    """The value farthest beyond its limit, with the limit it had."""
    limit: Range
    distance: float | None
    """As `calwatch.verify.distance` counts: 1 on the limit. None where it cannot be counted."""
    worst: Moment
    reason: str
    crossed: int
    judged: int
    """In so many of so many exposures."""
    first: Moment
    last: Moment
    """Of the report."""
    since: Moment
    """The first of the unbroken row of failures that leads to ``first``, which may be older."""
    at_least: bool
    """Nothing good is known before ``since``: it may have begun earlier."""
    reference: Reference | None


@dataclass(frozen=True, slots=True)
class Group:
    """One test of one kind of exposure that was crossed, with all its parts, the worst first."""

    kind: str
    """``bias``, ``dark`` or ``flat i_39``."""
    calib_type: str
    test: str
    description: str
    unit: str
    section: str
    """Of DMTN-101; empty where the document has none."""
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence that holds for several parts and exposures."""

    kind: str
    words: str
    parts: tuple[str, ...]
    exposures: tuple[int, ...]
    count: int
    """Number of parts over all exposures."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What should be there and is not."""

    exposure_id: int
    kind: str
    parts: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Number:
    """One number of one detector (or of the camera) over its amplifiers and the exposures.

    The median is over the means of the amplifiers; low and high are of any exposure.
    """

    kind: str
    detector: str
    """Empty for the whole camera."""
    name: str
    unit: str
    median: float | None
    low: float | None
    low_part: str
    high: float | None
    high_part: str
    worst_part: str = ""
    worst_value: float | None = None
    distance: float | None = None
    """Of the value nearest to its limit, or farthest beyond."""


@dataclass(frozen=True, slots=True)
class Used:
    """Certified calibrations of one type, RUN, collection and range that were used."""

    name: str
    """Type, and filter of a flat."""
    run: str
    collection: str
    begin: str
    end: str
    uuids: Mapping[str, str]
    """By detector."""
    first: Moment
    last: Moment
    """Exposures that were judged with it."""
    exposures: int


@dataclass(frozen=True, slots=True)
class Change:
    """From one exposure to the next another calibration was used."""

    name: str
    at: Moment
    before: str
    after: str
    """RUNs."""
    detectors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a trend."""

    exposure_id: int
    end_utc: datetime
    value: float | None
    limit: Range
    outcome: str
    """Letter of `calwatch.verify.brief`."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the calibrations, the sequencer or the alarms of a part."""

    at: datetime
    kind: str
    """``calibration``, ``sequencer`` or ``alarm``."""
    words: str


@dataclass(frozen=True, slots=True)
class Trend:
    """One test of one part that failed, as it was before."""

    kind: str
    test: str
    part: str
    unit: str
    points: tuple[Point, ...]
    """Oldest first."""
    events: tuple[Event, ...]
    """What happened on the way, oldest first."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report says."""

    question: Question
    made: Made
    first: Moment | None
    last: Moment | None
    runs: tuple[Run, ...]
    """Oldest first."""
    sets: tuple[JudgedSet, ...]
    """By kind, and then the oldest first."""
    set_detectors: tuple[SetDetector, ...]
    """By kind, and then the gravest first."""
    failures: tuple[Group, ...]
    """The worst first."""
    warnings: tuple[Group, ...]
    """Crossed warning limits."""
    unknown: tuple[Reason, ...]
    missing: tuple[Missing, ...]
    notes: tuple[Reason, ...]
    """What the results say beside their verdicts."""
    damaged: tuple[str, ...]
    """What could not be read, a sentence each."""
    numbers: tuple[Number, ...]
    """Of each detector: what a test looks at."""
    camera_numbers: tuple[Number, ...]
    """Of the camera: all that is measured."""
    used: tuple[Used, ...]
    changes: tuple[Change, ...]
    alarms: tuple[Numbered, ...]
    """Open at some time of the report, the gravest first."""
    new_alarms: frozenset[int]
    """Numbers of those that were raised in it."""
    trends: tuple[Trend, ...]
    focal: Mapping[str, tuple[Reading, ...]]
    """By kind of exposure, the worst of each amplifier over tests and exposures."""

    @property
    def failed(self) -> bool:
        """Whether anything FAILed."""
        verdicts = [run.verdict for run in self.runs] + [one.verdict for one in self.sets]
        return Verdict.FAIL in verdicts or bool(self.failures)
