"""What the measurements of a set of exposures are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calwatch.arrays import DoubleArray, FloatArray, IntArray, MaskArray


@dataclass(frozen=True, slots=True, eq=False)
class RawFrame:
    """The raw pixels of one exposure and detector."""

    exposure_id: int
    exposure_time: float
    """Seconds."""
    pixels: IntArray
    """Shape (n_amp, rows, columns), ADU, every amplifier in readout order."""
    faults: tuple[str, ...]
    """Why an amplifier was not read out, camera order; empty where it was."""


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedFrame:
    """One exposure and detector after the ISR of its kind, in the assembled frame."""

    exposure_id: int
    exposure_time: float
    """Seconds."""
    dark_time: float
    """Seconds."""
    image: FloatArray
    """Shape (height, width), e-."""
    mask: MaskArray
    """Bits of `calwatch.calibrations.masks.Mask`; shape (height, width)."""
    gain: DoubleArray
    """Shape (n_amp,), e-/ADU: what the image was multiplied by; NaN for a bad amplifier."""
    overscan_noise: DoubleArray
    """Shape (n_amp,), ADU: clipped deviation of the serial overscan after its correction."""
    faults: tuple[str, ...]
    """Why an amplifier cannot be measured, camera order; empty where it can."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The numbers of one judgement that a set is made of, as the ledger has them."""

    exposure_id: int
    """Of a pair: its second exposure."""
    detector: int
    exposure_time: float
    """Seconds."""
    amps: Mapping[str, Mapping[str, float | None]]
    """By amplifier, metrics by name; an amplifier that was not measured is absent or empty."""
    arrays: Mapping[str, Any] = field(default_factory=dict)
    """By name; leading axis in the order of `amps`; NaN where there is no number."""


def numbers(points: Sequence[Earlier], amp: str, metric: str) -> list[float]:
    """Return one number of one amplifier from each of some judgements, NaN where it is not."""
    values = (point.amps.get(amp, {}).get(metric) for point in points)
    return [float("nan") if value is None else float(value) for value in values]
