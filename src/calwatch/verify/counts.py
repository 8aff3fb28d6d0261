"""How many tests ended how, at each level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from calwatch.verify.model import DetectorResult, TestResult, Verdict

WARNING = "warning"
"""Beside the three verdicts: tests that crossed only their warning limit (these are PASS too)."""
OUTCOMES = (*(verdict.value.lower() for verdict in Verdict), WARNING)


def count_tests(tests: Iterable[TestResult]) -> dict[str, int]:
    """Return the number of tests by outcome (`OUTCOMES`); tests that do not count are left out."""
    counts = dict.fromkeys(OUTCOMES, 0)
    for test in tests:
        if test.counts:
            counts[test.verdict.lower()] += 1
            counts[WARNING] += test.severity == "WARNING"
    return counts


def count_by_level(
    results: Iterable[DetectorResult], exposure_tests: Mapping[str, TestResult]
) -> dict[str, dict[str, int]]:
    """Return the number of tests by level and outcome over all detectors of an exposure."""
    detectors = list(results)
    return {
        "amp": count_tests(t for r in detectors for a in r.amps.values() for t in a.tests.values()),
        "detector": count_tests(t for r in detectors for t in r.detector_tests.values()),
        "exposure": count_tests(exposure_tests.values()),
    }
