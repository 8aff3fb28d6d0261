"""What the verification of each kind of set is made of. No kernel is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from calwatch.camera.model import Camera
from calwatch.isr.switches import needed_calibrations


@dataclass(frozen=True, slots=True)
class Need:
    """What one kind of set needs beside the exposures themselves."""

    against: str = ""
    """The certified calibration that is put to the test; empty where there is none."""
    isr: str = ""
    """Which steps (`calwatch.isr.switches.BY_CALIB_TYPE`); empty: no frame is corrected."""
    calibrations: tuple[str, ...] = ()
    """Certified calibrations beside those of the ISR."""
    optional: frozenset[str] = frozenset()
    """Those of them without which a verdict can be had."""
    numbers_of: str = ""
    """Type of the judgements whose numbers it is made of; empty where it needs pixels."""
    metrics: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()


_PAIR = (
    "PAIR_MEAN",
    "PAIR_MEAN_1",
    "PAIR_MEAN_2",
    "PAIR_VARIANCE",
    "PAIR_NPIXELS",
    "ROW_MEAN_VARIANCE",
    "NOISE_ADU",
)
_BIAS = ("MEAN", "OVERSCAN_LEVEL", "READ_NOISE_ADU", "BIAS_SHIFT_COUNT")

NEEDS: Mapping[str, Need] = MappingProxyType(
    {
        "gain": Need(against="ptc", isr="gain"),
        "cti": Need(against="cti", calibrations=("ptc", "cti"), optional=frozenset({"cti"})),
        "ptc": Need(
            against="ptc",
            calibrations=("ptc",),
            numbers_of="gain",
            metrics=_PAIR,
            arrays=("covariances",),
        ),
        "linearity": Need(
            against="linearizer",
            calibrations=("ptc", "linearizer"),
            numbers_of="gain",
            metrics=_PAIR,
        ),
        "defects dark": Need(against="defects", isr="dark_stack"),
        "defects flat": Need(against="defects", isr="flat_stack"),
        "dark_stack": Need(against="dark", isr="dark_stack", calibrations=("dark",)),
        "crosstalk": Need(against="crosstalk", isr="gain"),
        "bias_stability": Need(
            calibrations=("ptc",), optional=frozenset({"ptc"}), numbers_of="bias", metrics=_BIAS
        ),
    }
)
"""By type of verification; that of defects also by type of exposure."""

AGAINST: Mapping[str, str] = MappingProxyType(
    {name.partition(" ")[0]: need.against for name, need in NEEDS.items() if need.against}
)
"""The certified calibration that each type of set puts to the test."""


def need_name(calib_type: str, observation_type: str) -> str:
    """Return under which name `NEEDS` has the verification of a set."""
    return f"{calib_type} {observation_type}" if calib_type == "defects" else calib_type


def needed_of_set(camera: Camera, name: str) -> tuple[str, ...]:
    """Return the types of certified calibrations of a set, by its name in `NEEDS`."""
    need = NEEDS[name]
    isr = needed_calibrations(camera, need.isr) if need.isr else ()
    return tuple(dict.fromkeys((*isr, *need.calibrations)))
