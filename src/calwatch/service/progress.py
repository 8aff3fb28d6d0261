"""What the daemon tells while it works, and what it says at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from calwatch.arrivals.job import Job
from calwatch.butler.model import ExposureRecord
from calwatch.verify.model import DetectorResult, ExposureResult, Verdict


@dataclass(frozen=True, slots=True)
class Looked:
    """The Butler was compared with the ledger."""

    exposures: int
    """Exposures with something to do."""
    jobs: int
    """Detectors to judge."""
    seconds: float = field(default=0.0, compare=False)
    """Wall time of the questions."""


@dataclass(frozen=True, slots=True)
class JobDone:
    """One detector of one exposure was judged and recorded."""

    job: Job
    result: DetectorResult
    seconds: float
    """In the worker."""
    steps: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Wall time in seconds by step, those of the worker and the daemon's own."""
    failures: Mapping[str, int] = field(default_factory=dict, compare=False)
    """What went wrong, by the name of the error's class."""
    deaths: int = 0
    """Workers that died over it."""


@dataclass(frozen=True, slots=True)
class JobDelayed:
    """One detector could not be judged now and will be tried again."""

    job: Job
    reason: str
    seconds: float
    """Until the next attempt."""
    failure: str = ""
    """Name of the error's class."""
    deaths: int = 0
    """Workers that died over it."""


@dataclass(frozen=True, slots=True)
class ExposureJudged:
    """The last expected detector of an exposure is in, and its merged verdict recorded."""

    exposure: ExposureRecord
    merged: ExposureResult
    results: tuple[DetectorResult, ...]
    seconds: float
    """In the workers, all detectors together."""
    merge_seconds: float = field(default=0.0, compare=False)
    """Merging and recording."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The Butler or the ledger is out of reach; nothing is lost meanwhile."""

    reason: str
    seconds: float
    """Until the next attempt."""
    failure: str = ""
    """Name of the error's class."""


@dataclass(frozen=True, slots=True)
class Load:
    """What lies with the daemon at a moment."""

    waiting: int
    """Detectors in its queue."""
    running: int
    """Detectors handed out, and exposures being merged."""
    exposures: int
    """Exposures of which something is being done."""
    workers: int
    """Worker processes that live here."""


Event: TypeAlias = Looked | JobDone | JobDelayed | ExposureJudged | Waiting
Listener: TypeAlias = Callable[[Event], None]


def _no_verdicts() -> dict[Verdict, int]:
    return dict.fromkeys(Verdict, 0)


@dataclass(slots=True)
class RunSummary:
    """What one run of the daemon did."""

    exposures: dict[Verdict, int] = field(default_factory=_no_verdicts)
    """Exposures merged, by verdict."""
    detectors: dict[Verdict, int] = field(default_factory=_no_verdicts)
    """Detectors judged, by verdict."""
    delayed: int = 0
    """Attempts that were put off."""
    abandoned: int = 0
    """Detectors handed out and not finished when told to stop; the next start does them."""
    worker_deaths: int = 0
    stopped: bool = False
    """Ended by a signal, rather than by having nothing left to do."""
    seconds: float = 0.0
