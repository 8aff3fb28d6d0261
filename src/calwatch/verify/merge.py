"""Merging detectors into an exposure, and exposures into a run (cp_verify ``mergeResults.py``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

import numpy as np

from calwatch.verify.counts import count_by_level
from calwatch.verify.evaluate import evaluate, unknown_test
from calwatch.verify.limits import Limits, Part
from calwatch.verify.model import (
    DetectorResult,
    ExposureResult,
    RunResult,
    TestResult,
    Verdict,
    worst,
)
from calwatch.verify.sets.raft_correlation import exposure_metrics

SHOWN = 3
"""Failures and detectors named in full in a reason; the rest is counted."""


def merge_exposure(
    results: Sequence[DetectorResult],
    limits: Limits,
    end_utc: datetime | None = None,
    expected: Collection[str] = (),
) -> ExposureResult:
    """Merge the detectors of one exposure.

    Parameters
    ----------
    results
        At least one, all of one exposure.
    limits
        Their exposure tests are judged here.
    end_utc
        End of the exposure: which limits are in force. None takes the latest.
    expected
        Names of the detectors there should be; one that is missing makes the exposure UNKNOWN.

    Raises
    ------
    ValueError
        If there is no result, or they are of several exposures.
    """
    keys = {(r.instrument, r.exposure_id, r.calib_type) for r in results}
    if len(keys) != 1:
        raise ValueError(f"expected the detectors of one exposure, got {len(keys)} exposures")
    ((instrument, exposure_id, calib_type),) = keys
    ordered = sorted(results, key=lambda r: r.detector)
    measure = _METRICS.get(calib_type)
    metrics = measure(ordered) if measure else {}
    tests = _tests(limits, calib_type, instrument, end_utc, metrics)
    absent = sorted(set(expected) - {r.detector_name for r in ordered})
    verdicts = [r.verdict for r in ordered] + [t.verdict for t in tests.values() if t.counts]
    if absent:
        verdicts.append(Verdict.UNKNOWN)
    verdict = worst(verdicts)
    return ExposureResult(
        instrument=instrument,
        exposure_id=exposure_id,
        calib_type=calib_type,
        verdict=verdict,
        reason=_reason(verdict, ordered, tests, absent),
        counts={v.value: sum(r.verdict is v for r in ordered) for v in Verdict},
        metrics=metrics,
        tests=tests,
        failures=_failures(ordered, tests),
        test_counts=count_by_level(ordered, tests),
    )


def merge_run(exposures: Sequence[ExposureResult]) -> RunResult:
    """Merge the exposures of one run.

    Raises
    ------
    ValueError
        If there is no exposure, or they are of several instruments or calibration types.
    """
    keys = {(e.instrument, e.calib_type) for e in exposures}
    if len(keys) != 1:
        raise ValueError(f"expected exposures of one instrument and type, got {len(keys)} kinds")
    ((instrument, calib_type),) = keys
    return RunResult(
        instrument=instrument,
        calib_type=calib_type,
        verdict=worst([e.verdict for e in exposures]),
        counts={v.value: sum(e.verdict is v for e in exposures) for v in Verdict},
        failures={e.exposure_id: e.failures for e in exposures if e.failures},
    )


def _of_flats(results: Sequence[DetectorResult]) -> dict[str, float | None]:
    """Return mean and scatter (N) of the detectors' means (cp_verify ``verifyFlat.py``)."""
    means = [mean for r in results if (mean := r.detector_metrics.get("DET_MEAN")) is not None]
    return {
        "EXP_MEAN": float(np.mean(means)) if means else None,
        "EXP_SCATTER": float(np.std(means)) if means else None,
    }


_METRICS: Mapping[str, Callable[[Sequence[DetectorResult]], dict[str, float | None]]] = {
    "flat": _of_flats,
    "bias_stability": exposure_metrics,
}
"""What is measured of all detectors together."""


def _tests(
    limits: Limits,
    calib_type: str,
    instrument: str,
    end_utc: datetime | None,
    metrics: dict[str, float | None],
) -> dict[str, TestResult]:
    found = {}
    for test in limits.active(calib_type, "exposure", Part(instrument), end_utc):
        result = evaluate(test, metrics, "")
        found[test.spec.name] = result or unknown_test(test, f"{test.spec.name}: no reference")
    return found


def _failures(results: Sequence[DetectorResult], tests: dict[str, TestResult]) -> tuple[str, ...]:
    """Name each failed test that counts: exposure, then detector by detector."""
    names = [t.name for t in tests.values() if t.verdict is Verdict.FAIL and t.counts]
    for r in results:
        names += [
            f"{r.detector_name} {t.name}"
            for t in r.detector_tests.values()
            if t.verdict is Verdict.FAIL and t.counts
        ]
        names += [
            f"{r.detector_name} {amp} {t.name}"
            for amp, judged in r.amps.items()
            for t in judged.tests.values()
            if t.verdict is Verdict.FAIL and t.counts
        ]
    return tuple(names)


def _reason(
    verdict: Verdict,
    results: Sequence[DetectorResult],
    tests: dict[str, TestResult],
    absent: Sequence[str],
) -> str:
    """Say why the exposure has its verdict; empty for a plain PASS."""
    if verdict is Verdict.PASS:
        return ""
    sentences = [t.reason for t in tests.values() if t.verdict is verdict and t.counts]
    sentences += [f"{r.detector_name}: {r.reason}" for r in results if r.verdict is verdict]
    if absent:
        more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
        sentences.append(f"no result for {', '.join(absent[:SHOWN])}{more}")
    more = f"; and {len(sentences) - SHOWN} more" if len(sentences) > SHOWN else ""
    return "; ".join(sentences[:SHOWN]) + more
