"""Numbers and tests of the stability of the biases of one day."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test

METRICS: tuple[Metric, ...] = ()

TESTS: tuple[Test, ...] = ()
