"""Numbers and tests of a pair of flats: gain, noise, boundaries of amplifiers (DMTN-101 §6)."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test

METRICS: tuple[Metric, ...] = ()

TESTS: tuple[Test, ...] = ()
