"""Which steps of the chain are applied to an exposure, decided before a pixel is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray
from calwatch.calibrations.model import ImageCalibration, Units
from calwatch.camera.model import Detector
from calwatch.isr import parallel_overscan, serial_overscan
from calwatch.isr.corrections import bad_amplifiers, dark_scale, in_electrons
from calwatch.isr.model import STEPS, IsrInput
from calwatch.isr.switches import CALIBRATION_OF_STEP

DITHER_VARIANCE = 1.0 / 12.0
"""ADU², of a uniform distribution one count wide."""

_IMAGE_IN_ADU = "it is in electron, the image in adu"
_NEEDS_ELECTRONS = "it needs electrons, the image is in adu"


@dataclass(frozen=True, slots=True, eq=False)
class AmplifierFacts:
    """What is known of the amplifiers: one entry each, in camera order."""

    gain: DoubleArray
    """e-/ADU; NaN where there is none."""
    read_noise: DoubleArray
    """e-; NaN where there is none."""
    bad: BoolArray
    electrons: bool
    """Whether gains are applied, so that the image is in electrons."""

    @property
    def scale(self) -> DoubleArray:
        """Units of the image per ADU: the gain, or 1 where none is applied."""
        usable = self.electrons & np.isfinite(self.gain)
        return np.where(usable, self.gain, 1.0)

    def raw_variance(self, dithered: bool) -> DoubleArray:
        """Return the variance of a count and of its dither, in units² of the image."""
        return (1.0 + (DITHER_VARIANCE if dithered else 0.0)) * self.scale**2

    def bad_names(self, detector: Detector) -> tuple[str, ...]:
        """Return the names of the bad amplifiers."""
        return tuple(name for name, bad in zip(detector.amp_names, self.bad, strict=True) if bad)


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps that are applied, in order, and those that are wanted but cannot be, with why."""

    applied: tuple[str, ...]
    not_applied: Mapping[str, str]

    def __contains__(self, step: str) -> bool:
        return step in self.applied


def amplifier_facts(given: IsrInput) -> AmplifierFacts:
    """Take gains and noises from the PTC; without one, no amplifier is bad for want of a gain."""
    n_amp = len(given.detector.amplifiers)
    ptc, defects = given.calibrations.ptc, given.calibrations.defects
    unknown = np.full(n_amp, np.nan)
    if ptc is None:
        bad = bad_amplifiers(given.detector, defects, np.ones(n_amp))
        return AmplifierFacts(unknown, unknown.copy(), bad, electrons=False)
    bad = bad_amplifiers(given.detector, defects, ptc.gain)
    gain = np.where(np.isfinite(ptc.gain) & (ptc.gain > 0), ptc.gain, np.nan)
    return AmplifierFacts(gain, ptc.noise.copy(), bad, electrons=given.switches.gain)


def decide_steps(given: IsrInput, amps: AmplifierFacts) -> Steps:
    """Compare the switches with what is there.

    A step that is switched on but has no calibration, or cannot be done, is not applied, and the
    reason is kept.
    """
    applied: list[str] = []
    not_applied: dict[str, str] = {}
    for step in STEPS:
        if step != "assembly" and not getattr(given.switches, step):
            continue
        calib_type = CALIBRATION_OF_STEP.get(step)
        if calib_type and getattr(given.calibrations, calib_type) is None:
            not_applied[step] = f"no {calib_type} certified"
        elif reason := _why_not(step, given, amps):
            not_applied[step] = reason
        else:
            applied.append(step)
    return Steps(tuple(applied), not_applied)


def _why_not(step: str, given: IsrInput, amps: AmplifierFacts) -> str:
    """Say why a step whose calibration is there cannot be done; empty if it can."""
    match step:
        case "serial_overscan":
            boxes = [serial_overscan.fit_box(amp) for amp in given.detector.amplifiers]
            return _why_no_overscan("serial", [box is not None for box in boxes], amps.bad)
        case "parallel_overscan":
            boxes = [parallel_overscan.fit_box(amp) for amp in given.detector.amplifiers]
            return _why_no_overscan("parallel", [box is not None for box in boxes], amps.bad)
        case "gain":
            return "" if np.isfinite(amps.gain).any() else "the ptc has no usable gain"
        case "crosstalk":
            crosstalk = given.calibrations.crosstalk
            electrons = crosstalk is not None and crosstalk.units is Units.ELECTRON
            return _IMAGE_IN_ADU if electrons and not amps.electrons else ""
        case "linearity":
            linearizer = given.calibrations.linearizer
            electrons = linearizer is not None and linearizer.units is Units.ELECTRON
            return _IMAGE_IN_ADU if electrons and not amps.electrons else ""
        case "cti" | "variance":
            return "" if amps.electrons else _NEEDS_ELECTRONS
        case "bias":
            return image_factor(given.calibrations.bias, amps)[1]
        case "dark":
            dark = given.calibrations.dark
            if dark is not None and not np.isfinite(dark_scale(dark, given.dark_time)):
                return f"the exposure's dark time is {given.dark_time}"
            return image_factor(dark, amps)[1]
    return ""


def _why_no_overscan(kind: str, usable: list[bool], bad: BoolArray) -> str:
    """Say why there is nothing to subtract; empty if there is something."""
    if not any(usable):
        return f"no amplifier has enough {kind} overscan"
    if bad.all():
        return "every amplifier is bad"
    return ""


def image_factor(
    calibration: ImageCalibration | None, amps: AmplifierFacts
) -> tuple[DoubleArray, str]:
    """Return what a bias or dark is multiplied by to be in the units of the image.

    Returns
    -------
    DoubleArray
        Shape (n_amp,).
    str
        Why there is no such factor; empty if there is.
    """
    known = np.where(np.isfinite(amps.gain), amps.gain, 1.0)
    same = np.ones(known.size)
    if calibration is None or in_electrons(calibration) == amps.electrons:
        return same, ""
    if amps.electrons:
        return known, ""
    if np.isfinite(amps.gain).any():
        return 1.0 / known, ""
    return same, _IMAGE_IN_ADU
