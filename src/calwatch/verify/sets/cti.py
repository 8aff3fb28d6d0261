"""What is measured of charge transfer in the raw pixels of a pair of flats: EPER and tearing."""

from __future__ import annotations

import math

import numpy as np

from calwatch.arrays import AnyArray, DoubleArray
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.model import Amplifier, Detector
from calwatch.verify.amplifier import Measured, Metrics
from calwatch.verify.definitions import cti as definitions
from calwatch.verify.inputs import RAILS, reference_fault
from calwatch.verify.sets import eper, tearing
from calwatch.verify.sets.model import RawFrame
from calwatch.verify.sets.pair import TURNOFF_SLACK

LEAST_SIGNAL = 100.0
"""ADU: below it the last column is no edge to speak of."""
SATURATED = 0.01
"""Share of the last column or row at a rail from which its charge is not known."""

_NAMES = tuple(metric.name for metric in definitions.METRICS if metric.level == "amp")


def measure(
    detector: Detector, first: RawFrame, second: RawFrame, calibrations: CalibrationSet
) -> Measured:
    """Measure charge transfer of every amplifier in a pair of flats.

    Parameters
    ----------
    detector
        Gives sections, flips and the vendor.
    first, second
        Raw flats; they need not have the same light.
    calibrations
        The PTC gives gain and turnoff, the CTI calibration what is expected; both may be absent.
    """
    amps: dict[str, Metrics] = {}
    faults: dict[str, str] = {}
    tears = tearing.can_tear(detector)
    edges: list[tuple[DoubleArray, DoubleArray] | None] = []
    for i, amp in enumerate(detector.amplifiers):
        numbers = dict.fromkeys(_NAMES, math.nan) | _references(calibrations, i, tears)
        amps[amp.name] = numbers
        edges.append(None)
        fault = first.faults[i] or second.faults[i]
        columns = eper.far_columns(amp)
        if not fault and columns is None:
            fault = f"its serial overscan of {amp.serial_overscan.width} columns is too narrow"
        if not fault and columns is not None:
            pixels = [frame.pixels[i] for frame in (first, second)]
            levels = [eper.row_levels(one, columns) for one in pixels]
            fault = _measure_amplifier(amp, pixels, levels, numbers, calibrations, i)
            if tears and not fault:
                edges[i] = tearing.edge_ratios(pixels, levels, amp)
        if fault:
            faults[amp.name] = fault
    if tears:
        for numbers, value in zip(amps.values(), tearing.divisadero(detector, edges), strict=True):
            numbers["DIVISADERO"] = float(value)
            if math.isnan(value):
                numbers["DIVISADERO_EXPECTED"] = math.nan
    return Measured(amps, faults=faults)


def _references(calibrations: CalibrationSet, index: int, tears: bool) -> Metrics:
    """Return what is expected. A detector that cannot tear has no divisadero to be held to."""
    certified = calibrations.cti
    cti = float(certified.global_cti[index]) if certified else math.nan
    return {
        "CERTIFIED_GLOBAL_CTI": cti if 0 <= cti < 1 else math.nan,
        "DIVISADERO_EXPECTED": 0.0 if tears else math.nan,
    }


def _measure_amplifier(
    amp: Amplifier,
    pixels: list[AnyArray],
    levels: list[DoubleArray],
    numbers: Metrics,
    calibrations: CalibrationSet,
    index: int,
) -> str:
    """Fill in the numbers; say why the amplifier cannot be judged."""
    if any(_saturated(one, amp) for one in pixels):
        return "its last column or row is saturated"
    frames = list(zip(pixels, levels, strict=True))
    serial = eper.inefficiency(
        [eper.serial_response(one, amp, level) for one, level in frames],
        amp.data.x1,
    )
    if not serial.signal > LEAST_SIGNAL:
        return f"there is no light: a signal of {serial.signal:.3g} ADU in its last column"
    gain, turnoff = _gain_and_turnoff(calibrations, index)
    if serial.signal > (1.0 + TURNOFF_SLACK) * turnoff:
        return (
            f"its signal of {serial.signal:.5g} ADU is above the certified turnoff of "
            f"{turnoff:.5g} ADU"
        )
    if not serial.error > 0:
        return "its overscan has no noise at all"
    parallel = eper.inefficiency(
        [eper.parallel_response(one, amp, level) for one, level in frames],
        amp.data.y1,
    )
    numbers |= {
        "SERIAL_CTI": serial.cti,
        "SERIAL_CTI_ERROR": serial.error,
        "PARALLEL_CTI": parallel.cti,
        "PARALLEL_CTI_ERROR": parallel.error,
        "EPER_SIGNAL": serial.signal * gain,
        "DEFERRED_CHARGE": serial.excess,
    }
    return ""


def _saturated(pixels: AnyArray, amp: Amplifier) -> bool:
    data = amp.data
    ends = (
        pixels[data.y0 : data.y1, data.x1 - 1],
        pixels[data.y1 - 1, data.x0 : data.x1],
    )
    return any(float(np.isin(end, RAILS).mean()) > SATURATED for end in ends)


def _gain_and_turnoff(calibrations: CalibrationSet, index: int) -> tuple[float, float]:
    """Return the certified gain (NaN if absurd) and turnoff (infinite if there is none)."""
    ptc = calibrations.ptc
    if ptc is None:
        return math.nan, math.inf
    gain, turnoff = float(ptc.gain[index]), float(ptc.turnoff[index])
    return (
        math.nan if reference_fault(gain, 1.0) else gain,
        turnoff if turnoff > 0 else math.inf,
    )
