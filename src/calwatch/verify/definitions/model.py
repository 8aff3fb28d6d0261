"""What the definition of a number and of a test consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["amp", "detector", "exposure"]
LEVELS: tuple[Level, ...] = ("amp", "detector", "exposure")

FRAME_TYPES = ("bias", "dark", "flat")
"""Types of single exposures with a verification of their own."""

SET_TYPES = (
    "gain",
    "cti",
    "ptc",
    "linearity",
    "defects",
    "dark_stack",
    "crosstalk",
    "bias_stability",
)
"""Types of verification that need several exposures: a pair, a sequence, or a set of one day."""

CALIB_TYPES = (*FRAME_TYPES, *SET_TYPES)
"""Everything that has a verification of its own."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured number."""

    name: str
    unit: str
    """``e-``, ``adu``, ``e-/adu``, ``e-/s``, ``pixel``, ``count``, … or empty for a ratio."""
    level: Level
    calib_types: tuple[str, ...]
    phrase: str
    """What the number is called in a sentence, such as ``the certified noise``."""
    description: str


@dataclass(frozen=True, slots=True)
class Test:
    """One test that a limits file may set a limit for."""

    name: str
    level: Level
    calib_types: tuple[str, ...]
    description: str


def amp_metric(
    name: str, unit: str, types: tuple[str, ...], phrase: str, description: str
) -> Metric:
    """Return a number of one amplifier."""
    return Metric(name, unit, "amp", types, phrase, description)
