"""Numbers and tests of crosstalk (DMTN-101 §9)."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test

METRICS: tuple[Metric, ...] = ()

TESTS: tuple[Test, ...] = ()
