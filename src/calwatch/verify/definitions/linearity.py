"""Numbers and tests of linearity (DMTN-101 §7)."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test

METRICS: tuple[Metric, ...] = ()

TESTS: tuple[Test, ...] = ()
