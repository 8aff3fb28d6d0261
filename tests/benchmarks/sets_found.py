"""What comes of one simulated detector: pulls, and what its tests say of faults at limits."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from sets_camera import Stand

from calwatch.simulate.truth import AmpTruth
from calwatch.verify.amplifier import Measured
from calwatch.verify.exposure import Exposure
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import Limits, load_limits

BEYOND = 3.0
"""Errors by which a fault exceeds the edge of its limit."""
CROSSED = "FAIL"
"""What is noted of a test whose hardest limit is crossed."""


@dataclass
class Found:
    """What came of one detector."""

    pulls: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """By quantity deviations and stated errors."""
    verdicts: dict[str, list[tuple[bool, str]]] = field(default_factory=lambda: defaultdict(list))
    """By test whether there was a fault of that kind at its limit, and `CROSSED` or the verdict."""
    noted: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def deviate(self, name: str, value: float, truth: float, error: float) -> None:
        self.pulls[name].append((value - truth, error))

    def note(
        self, verdicts: Mapping[str, Mapping[str, str]], faulty: Mapping[str, set[str]]
    ) -> None:
        """Note the verdicts of amplifiers with a fault of a test's kind, and of those with none."""
        spoilt = set().union(*faulty.values()) if faulty else set()
        for amp, tests in verdicts.items():
            for test, verdict in tests.items():
                if amp in faulty.get(test, ()) or amp not in spoilt:
                    self.verdicts[test].append((amp in faulty.get(test, ()), verdict))

    def note_faults(
        self, verdicts: Mapping[str, Mapping[str, str]], faulty: Mapping[str, set[str]]
    ) -> None:
        """Note faults alone, where the frames without one have been judged before."""
        for test, amps in faulty.items():
            for amp in sorted(amps):
                self.verdicts[test].append((True, verdicts[amp][test]))


def noise_of(truth: AmpTruth) -> float:
    """Return the read noise with what the converter rounds and the ISR dithers, e-."""
    return math.hypot(truth.read_noise, truth.gain / math.sqrt(6))


def factor_of_read_noise(truth: AmpTruth, factor: float) -> float:
    """Return by what the read noise rises where it and the converter's noise rise by a factor."""
    rest = (noise_of(truth) / truth.read_noise) ** 2 - 1.0
    return math.sqrt(factor**2 * (1.0 + rest) - rest)


def judge(stand: Stand, kind: str, measured: Measured) -> Mapping[str, Mapping[str, str]]:
    """Return the verdict of every test of every amplifier.

    A test that only warns has crossed its hardest limit when it warns.
    """
    exposure = Exposure("LSSTCam", 1, kind, datetime(2026, 11, 22, 15, tzinfo=UTC))
    result = judge_numbers(
        exposure, stand.detector, measured.amps, measured.detector, _limits(),
        faults=measured.faults,
    )  # fmt: skip
    mild = only_warning(kind)
    return {
        amp: {
            name: CROSSED if name in mild and test.severity else test.verdict.value
            for name, test in one.tests.items()
        }
        for amp, one in result.amps.items()
    }


@cache
def _limits() -> Limits:
    return load_limits("dmtn101")


@cache
def only_warning(kind: str) -> frozenset[str]:
    """Return the tests of a kind that have no limit harder than a warning."""
    return frozenset(
        spec.name
        for spec in _limits().tests
        if kind in spec.calib_types and all(entry.serious is None for entry in spec.limits)
    )


def dealt(names: tuple[str, ...], seed: int, *counts: int) -> list[tuple[str, ...]]:
    """Deal amplifiers to faults, so many each; who begins moves on with the seed."""
    turn = 3 * seed % len(names)
    order = names[turn:] + names[:turn]
    starts = [sum(counts[:k]) for k in range(len(counts))]
    return [order[start : start + n] for start, n in zip(starts, counts, strict=True)]


def signs(names: tuple[str, ...]) -> dict[str, float]:
    """Return +1 and -1 in turn."""
    return {name: 1.0 if k % 2 else -1.0 for k, name in enumerate(names)}
