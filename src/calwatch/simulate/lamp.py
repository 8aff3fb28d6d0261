"""What faults do to the flat lamp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from calwatch.simulate.model import SimulatedExposure

if TYPE_CHECKING:
    from calwatch.simulate.faults import Fault

OF_THE_LAMP = ("lamp_off", "saturated_flat", "lamp_drift", "lamp_fading")
"""Kinds of faults that change the light of a flat."""


def lamp_factor(faults: Sequence[Fault], exposure: SimulatedExposure) -> float:
    """Return by what faults change the lamp itself, and not only what one part sees of it."""
    factor = 1.0
    for fault in faults:
        if fault.kind in OF_THE_LAMP and fault.scope == "camera" and fault.touches(exposure):
            factor *= factor_of(fault, exposure)
    return factor


def factor_of(fault: Fault, exposure: SimulatedExposure) -> float:
    """Return by what one fault of the lamp changes the light of an exposure it touches."""
    if fault.kind == "lamp_off":
        return 0.0
    factor = float(fault.values["factor"])
    return factor ** (exposure.seq_num - 1) if fault.kind == "lamp_fading" else factor
