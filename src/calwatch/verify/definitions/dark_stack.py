"""Numbers and tests of stacked darks of one day (DMTN-101 §5.5-5.7)."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test

METRICS: tuple[Metric, ...] = ()

TESTS: tuple[Test, ...] = ()
