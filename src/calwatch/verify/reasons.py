"""Putting many verdicts into one line that a person can act on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from calwatch.verify.model import AmpResult, TestResult, Verdict

SHOWN = 3
"""Sentences given in full; the rest is counted."""
_MISSING = "no usable"


def missing_reason(missing: Mapping[str, str]) -> str:
    """Name the calibrations that are missing, with the reason of each."""
    return "; ".join(f"{_MISSING} {calib_type}: {why}" for calib_type, why in missing.items())


def fault_reason(amp: str, fault: str) -> str:
    """Say that an amplifier cannot be judged for a cause of its own."""
    return f"{amp}: {fault}"


def is_fault(amp: str, reason: str) -> bool:
    """Tell whether a reason is one of `fault_reason`."""
    return reason.startswith(f"{amp}: ")


def detector_reason(
    verdict: Verdict,
    amps: Mapping[str, AmpResult],
    detector_tests: Mapping[str, TestResult],
    missing: Mapping[str, str],
) -> str:
    """Say why a detector has its verdict, and what else is wrong; empty for a plain PASS."""
    if verdict is Verdict.PASS:
        return ""
    parts = [_failures(amps, detector_tests)] if verdict is Verdict.FAIL else []
    parts += [missing_reason(missing), _unknown_amps(amps)]
    if verdict is Verdict.UNKNOWN and not missing:
        unknown = [t for t in detector_tests.values() if t.verdict is Verdict.UNKNOWN]
        parts.append(_shortened([t.reason for t in unknown if t.counts]))
    return "; ".join(part for part in parts if part)


def _failures(amps: Mapping[str, AmpResult], detector_tests: Mapping[str, TestResult]) -> str:
    """Group the failures by test, the most widespread first."""
    sentences = [
        t.reason for t in detector_tests.values() if t.verdict is Verdict.FAIL and t.counts
    ]
    by_test: dict[str, list[str]] = defaultdict(list)
    for amp in amps.values():
        for test in amp.tests.values():
            if test.verdict is Verdict.FAIL and test.counts:
                by_test[test.name].append(test.reason)
    for reasons in sorted(by_test.values(), key=len, reverse=True):
        more = len(reasons) - 1
        several = f" (and {more} more of {len(amps)} amplifiers)" if more else ""
        sentences.append(f"{reasons[0]}{several}")
    return _shortened(sentences)


def _unknown_amps(amps: Mapping[str, AmpResult]) -> str:
    """Name the amplifiers that are UNKNOWN for a reason of their own."""
    reasons = [amp.reason for amp in amps.values() if amp.verdict is Verdict.UNKNOWN]
    return _shortened([why for why in reasons if why and not why.startswith(_MISSING)])


def _shortened(sentences: list[str]) -> str:
    shown = "; ".join(sentences[:SHOWN])
    more = len(sentences) - SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown
