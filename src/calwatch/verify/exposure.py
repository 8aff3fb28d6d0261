"""What a verdict needs to know of an exposure; and the result of one that could not be measured.

No kernel is imported here: the daemon needs this, and leaves the kernels to its workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from calwatch.verify.limits import Limits
from calwatch.verify.model import DetectorResult, Verdict, algorithm_of


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a verdict needs to know of the exposure, besides its pixels."""

    instrument: str
    exposure_id: int
    calib_type: str
    end_utc: datetime | None
    """Decides which limits are in force."""
    observation_reason: str = ""
    """Such as ``daily_flat``; some tests except some reasons."""
    sequencer: Mapping[str, Any] = field(default_factory=dict)
    """The camera's sequencer keywords and their values in the raw header."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Needed calibration types that are not there, with the reason."""
    optional: frozenset[str] = frozenset()
    """Calibration types whose absence leaves the verdict alone."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def unknown_result(
    exposure: Exposure, detector_number: int, detector_name: str, reason: str, limits: Limits
) -> DetectorResult:
    """Return the result of an exposure and detector that could not be measured at all."""
    return DetectorResult(
        instrument=exposure.instrument,
        exposure_id=exposure.exposure_id,
        detector=detector_number,
        detector_name=detector_name,
        calib_type=exposure.calib_type,
        verdict=Verdict.UNKNOWN,
        reason=reason,
        amps={},
        detector_metrics={},
        detector_tests={},
        provenance=dict(exposure.provenance),
        algorithm=algorithm_of(exposure.calib_type),
        limits=limits.label,
        warnings=exposure.warnings,
    )
