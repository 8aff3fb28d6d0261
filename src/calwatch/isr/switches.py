"""Which steps run for which type of exposure, as data, and which calibrations they call for."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from calwatch.camera.model import Camera
from calwatch.errors import CameraError, StopError
from calwatch.isr.model import IsrSwitches

BY_CALIB_TYPE: dict[str, dict[str, bool]] = {
    "bias": {
        "interpolation": True,
        "bias_shifts": True,
        "amp_correlations": True,
        "projections": True,
    },
    "dark": {"dark": True},
    "flat": {"cti": True, "dark": True, "flat": True, "interpolation": True},
    # Of sets of exposures: a photon transfer curve is of pixels that no flat has scaled; stacked
    # darks keep their dark current; defects of flats are those that the certified flat leaves.
    "gain": {"dark": True},
    "dark_stack": {},
    "flat_stack": {"dark": True, "flat": True},
}
"""What each type switches differently from the defaults of `IsrSwitches`
(cp_verify ``_ingredients/verify{Bias,Dark,Flat}LSST.yaml``)."""

CALIBRATION_OF_STEP: dict[str, str] = {
    "gain": "ptc",
    "crosstalk": "crosstalk",
    "linearity": "linearizer",
    "cti": "cti",
    "bias": "bias",
    "dark": "dark",
    "defects": "defects",
    "flat": "flat",
}
"""The certified calibration each step reads; the other steps need none."""


def switches_for(camera: Camera, calib_type: str) -> IsrSwitches:
    """Return the steps that verification of one type of exposure runs.

    Parameters
    ----------
    camera
        Its ``isr`` mapping overrides the table: switch name to true, false, or the list of types
        for which it is on.
    calib_type
        ``bias``, ``dark`` or ``flat``.

    Raises
    ------
    StopError
        If nothing is defined for that type.
    CameraError
        If the camera overrides a switch that does not exist, or with something else than a truth
        value or a list of types.
    """
    if calib_type not in BY_CALIB_TYPE:
        known = ", ".join(BY_CALIB_TYPE)
        raise StopError(f"no ISR is defined for exposures of type {calib_type!r} (only {known})")
    values = dict(BY_CALIB_TYPE[calib_type])
    names = {field.name for field in fields(IsrSwitches)}
    for name, override in camera.isr.items():
        if name not in names:
            raise CameraError(f"camera {camera.instrument}: isr: there is no switch {name!r}")
        values[name] = _override(camera.instrument, name, override, calib_type)
    return IsrSwitches(**values)


def _override(instrument: str, name: str, override: Any, calib_type: str) -> bool:
    if isinstance(override, bool):
        return override
    if isinstance(override, list | tuple) and set(override) <= set(BY_CALIB_TYPE):
        return calib_type in override
    raise CameraError(
        f"camera {instrument}: isr: {name}: expected true, false or a list of "
        f"{', '.join(BY_CALIB_TYPE)}; got {override!r}"
    )


def needed_calibrations(camera: Camera, calib_type: str) -> tuple[str, ...]:
    """Return the types of certified calibrations that these steps read, in the order of the ISR.

    Raises
    ------
    StopError, CameraError
        As `switches_for`.
    """
    switches = switches_for(camera, calib_type)
    return tuple(kind for step, kind in CALIBRATION_OF_STEP.items() if getattr(switches, step))
