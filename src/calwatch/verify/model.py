"""Verdicts and what stands behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from calwatch.verify.definitions.model import FRAME_TYPES

ALGORITHM = "1"
"""Version of everything that can change a number. Part of the ledger's key."""

_FRAMES = frozenset(FRAME_TYPES)


def algorithm_of(calib_type: str) -> str:
    """Return the version of what judges a type, such as ``1`` of a bias and ``ptc 1`` of a set.

    A set is judged under its last exposure, which has a judgement of its own: the algorithm tells
    them apart.
    """
    return ALGORITHM if calib_type in _FRAMES else f"{calib_type} {ALGORITHM}"


class Verdict(StrEnum):
    """The three verdicts. UNKNOWN never counts as a pass."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


def worst(verdicts: list[Verdict]) -> Verdict:
    """Merge verdicts: FAIL before UNKNOWN before PASS; nothing at all is UNKNOWN."""
    for verdict in (Verdict.FAIL, Verdict.UNKNOWN):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS if verdicts else Verdict.UNKNOWN


class TestResult(NamedTuple):
    """One test of one part, judged.

    A tuple, since a camera has 20 000 an exposure: a frozen dataclass takes three times as long.
    """

    name: str
    verdict: Verdict
    value: float | None
    """The number that was compared (in ``unit``), None where it could not be formed."""
    limit: tuple[float | None, float | None]
    """The allowed range that decided: lower and upper, None where open."""
    unit: str
    section: str
    """DMTN-101 section, such as ``4.3``; empty where the document has none."""
    severity: str
    """``SERIOUS``, ``WARNING`` or empty: the highest level whose limit was crossed."""
    counts: bool
    """False for tests that are reported but do not enter the verdict."""
    reason: str
    """Why, in plain words; empty for a plain PASS."""


# It is no class of tests, whatever pytest makes of its name.
TestResult.__test__ = False  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class AmpResult:
    """Numbers and tests of one amplifier."""

    metrics: Mapping[str, float | None]
    """Name to value; None stands for a number that does not exist (never NaN)."""
    tests: Mapping[str, TestResult]
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DetectorResult:
    """One exposure and detector, judged. This is what the ledger stores and ``--json`` prints."""

    instrument: str
    exposure_id: int
    detector: int
    detector_name: str
    calib_type: str
    verdict: Verdict
    reason: str
    amps: Mapping[str, AmpResult]
    detector_metrics: Mapping[str, float | None]
    detector_tests: Mapping[str, TestResult]
    provenance: Mapping[str, Any]
    """``chain`` (per type: uuid, run, collection, begin_tai, end_tai), ``fingerprint``,
    ``collection``, ``physical_filter``, ``raw`` (uuid, uri), ``missing`` (needed types that were
    not usable, with the reason), ``steps_applied``, ``steps_not_applied``."""
    algorithm: str
    limits: str
    """Profile and version, such as ``dmtn101 2026-11-22``."""
    warnings: tuple[str, ...] = ()
    """What a person should know and what does not change the verdict."""
    arrays: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Correlation matrices and projections where they were measured: arrays with NaN where there is
    no number; as nested lists with None in results that were read from JSON. ``==`` passes over
    them."""


@dataclass(frozen=True, slots=True)
class ExposureResult:
    """All detectors of one exposure, merged."""

    instrument: str
    exposure_id: int
    calib_type: str
    verdict: Verdict
    reason: str
    counts: Mapping[str, int]
    """Number of detectors by verdict."""
    metrics: Mapping[str, float | None]
    tests: Mapping[str, TestResult]
    failures: tuple[str, ...]
    """``R22_S11 C17 NOISE`` (as cp_verify names them)."""
    test_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Number of tests by level and outcome, as `calwatch.verify.counts` counts them."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """All exposures of one run (a set of daily calibrations of one type), merged."""

    instrument: str
    calib_type: str
    verdict: Verdict
    counts: Mapping[str, int]
    """Number of exposures by verdict."""
    failures: Mapping[int, tuple[str, ...]]
    """By exposure number: ``R22_S11 C17 NOISE`` (as cp_verify names them)."""
