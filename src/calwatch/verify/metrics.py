"""Every number that verification measures and every test it knows: name, unit, meaning."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from calwatch.verify.definitions import (
    bias_stability,
    crosstalk,
    cti,
    dark_stack,
    defects,
    frames,
    gain,
    linearity,
    ptc,
    shared,
)
from calwatch.verify.definitions.frames import DISTRIBUTION_LEVELS, distribution_name
from calwatch.verify.definitions.model import (
    CALIB_TYPES,
    FRAME_TYPES,
    LEVELS,
    SET_TYPES,
    Level,
    Metric,
    Test,
)

__all__ = [
    "CALIB_TYPES",
    "DISTRIBUTION_LEVELS",
    "FRAME_TYPES",
    "LEVELS",
    "METRICS",
    "SET_TYPES",
    "TESTS",
    "Level",
    "Metric",
    "Test",
    "distribution_name",
]

_SETS = (gain, cti, ptc, linearity, defects, dark_stack, crosstalk, bias_stability)

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for group in (frames.METRICS, shared.METRICS, *(part.METRICS for part in _SETS))
        for metric in group
    }
)
"""Every metric by name."""

TESTS: Mapping[tuple[str, Level], Test] = MappingProxyType(
    {
        (test.name, test.level): test
        for group in (frames.TESTS, *(part.TESTS for part in _SETS))
        for test in group
    }
)
"""Every test by name and level."""
