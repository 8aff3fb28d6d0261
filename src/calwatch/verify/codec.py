"""Results as JSON: what ``--json`` prints and what the ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from calwatch.verify.model import AmpResult, DetectorResult, TestResult, Verdict


def to_dict(result: DetectorResult) -> dict[str, Any]:
    """Return plain dicts, lists, strings and numbers; never NaN, and every float exact."""
    return {
        "instrument": result.instrument,
        "exposure": result.exposure_id,
        "detector": result.detector,
        "detector_name": result.detector_name,
        "calib_type": result.calib_type,
        "verdict": result.verdict.value,
        "reason": result.reason,
        "amps": {
            name: {
                "verdict": amp.verdict.value,
                "reason": amp.reason,
                "metrics": _numbers(amp.metrics),
                "tests": tests_to_dict(amp.tests),
            }
            for name, amp in result.amps.items()
        },
        "detector_metrics": _numbers(result.detector_metrics),
        "detector_tests": tests_to_dict(result.detector_tests),
        "provenance": _plain(result.provenance),
        "algorithm": result.algorithm,
        "limits": result.limits,
        "warnings": list(result.warnings),
        "arrays": _plain(result.arrays),
    }


def from_dict(content: Mapping[str, Any]) -> DetectorResult:
    """Return the result that `to_dict` wrote.

    Raises
    ------
    KeyError
        If a field is missing.
    ValueError
        If a verdict is none of the three.
    """
    return DetectorResult(
        instrument=content["instrument"],
        exposure_id=content["exposure"],
        detector=content["detector"],
        detector_name=content["detector_name"],
        calib_type=content["calib_type"],
        verdict=Verdict(content["verdict"]),
        reason=content["reason"],
        amps={
            name: AmpResult(
                amp["metrics"],
                tests_from_dict(amp["tests"]),
                Verdict(amp["verdict"]),
                amp["reason"],
            )
            for name, amp in content["amps"].items()
        },
        detector_metrics=content["detector_metrics"],
        detector_tests=tests_from_dict(content["detector_tests"]),
        provenance=content["provenance"],
        algorithm=content["algorithm"],
        limits=content["limits"],
        warnings=tuple(content["warnings"]),
        arrays=content["arrays"],
    )


def tests_to_dict(tests: Mapping[str, TestResult]) -> dict[str, Any]:
    """Return judged tests as plain dicts, by name."""
    return {
        name: {
            "verdict": test.verdict.value,
            "value": _number(test.value),
            "limit": [_number(test.limit[0]), _number(test.limit[1])],
            "unit": test.unit,
            "section": test.section,
            "severity": test.severity,
            "counts": test.counts,
            "reason": test.reason,
        }
        for name, test in tests.items()
    }


def tests_from_dict(content: Mapping[str, Any]) -> dict[str, TestResult]:
    """Return the tests that `tests_to_dict` wrote."""
    return {
        name: TestResult(
            name=name,
            verdict=Verdict(test["verdict"]),
            value=test["value"],
            limit=(test["limit"][0], test["limit"][1]),
            unit=test["unit"],
            section=test["section"],
            severity=test["severity"],
            counts=test["counts"],
            reason=test["reason"],
        )
        for name, test in content.items()
    }


def _numbers(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return numbers by name, as `_number` does; a result holds thousands."""
    return {
        name: value if value is not None and isfinite(value) else None
        for name, value in metrics.items()
    }


def _number(value: float | None) -> float | None:
    """Return a number, or None for what is not finite."""
    return value if value is not None and isfinite(value) else None


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold; what is not finite becomes None."""
    if isinstance(value, float):
        return _number(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    return value
