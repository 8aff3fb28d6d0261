"""Pairs of flats of one simulated detector, and flats with spots, without faults and with."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from sets_camera import PLAIN, Stand
from sets_edits import charge_left, torn
from sets_found import BEYOND, Found, dealt, judge, noise_of, signs

from calwatch.arrays import IntArray
from calwatch.calibrations.model import CalibrationSet
from calwatch.simulate.frames import LAMP_SCATTER
from calwatch.simulate.maps import PixelMaps
from calwatch.simulate.model import FrameEffects
from calwatch.verify.amplifier import Measured
from calwatch.verify.sets import crosstalk, cti, gain
from calwatch.verify.sets.boundaries import boundaries
from calwatch.verify.sets.model import RawFrame
from calwatch.verify.sets.tearing import can_tear

LEVEL = 40_000.0
"""e-, of single pairs."""
ROUNDS = 8
"""Pairs with faults of each detector."""
LARGEST_OF_SIX = 1.9
"""Of two boundaries with three columns: what the largest deviation is, in standard deviations."""
SPOT_ROWS, SPOT_COLUMNS, SPOT_FACTOR, SPOT_LEVEL = 40, 30, 20.0, 2_500.0


def pairs(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take pairs of flats: one without a fault, and some with faults at the limits."""
    names = stand.detector.amp_names
    raws = _raws(stand, 300, FrameEffects(), FrameEffects())
    measured = _gain(stand, known, 300, raws)
    transferred_plain = transferred = _transfer(stand, known, 300, raws)
    for amp in names:
        truth, seen, lost = stand.truth.amps[amp], measured.amps[amp], transferred.amps[amp]
        found.deviate(
            "PAIR_GAIN_ZERO", seen["PAIR_GAIN_ZERO"], truth.gain, seen["PAIR_GAIN_ZERO_ERROR"]
        )
        found.deviate("PAIR_NOISE", seen["PAIR_NOISE"], noise_of(truth), seen["PAIR_NOISE_ERROR"])
        found.deviate(
            "BOUNDARY_GAIN_RATIO", seen["BOUNDARY_GAIN_RATIO"], 1.0, seen["BOUNDARY_GAIN_ERROR"]
        )
        found.deviate("SERIAL_CTI", lost["SERIAL_CTI"], truth.cti, lost["SERIAL_CTI_ERROR"])
        found.deviate("PARALLEL_CTI", lost["PARALLEL_CTI"], 0.0, lost["PARALLEL_CTI_ERROR"])
    found.note(judge(stand, "gain", measured), {})
    found.note(judge(stand, "cti", transferred), {})
    errors = {
        name: float(np.mean([n[f"{name}_ERROR"] / n[name] for n in measured.amps.values()]))
        for name in ("PAIR_GAIN_ZERO", "PAIR_NOISE")
    }
    of_cti = float(np.mean([n["SERIAL_CTI_ERROR"] for n in transferred.amps.values()]))
    for k in range(ROUNDS):
        one, another, third = (names[(2 * k + step) % len(names)] for step in (0, 5, 9))
        sign = 1.0 if k % 2 else -1.0
        effects = FrameEffects(
            gain_factor={one: 1.0 + sign * (0.05 + (BEYOND + 0.5) * errors["PAIR_GAIN_ZERO"])},
            noise_factor={another: 1.10 + (BEYOND + 0.5) * errors["PAIR_NOISE"]},
            lost_charge={third: 5e-6 + (BEYOND + 3.0) * of_cti},
        )
        number = 302 + 2 * k
        pair = _raws(stand, number, effects, effects)
        measured = _gain(stand, known, number, pair)
        transferred = _transfer(stand, known, number, pair)
        faulty = {"PAIR_GAIN": {one}, "PAIR_NOISE": {another}}
        found.note(judge(stand, "gain", measured), faulty | {"BOUNDARY_GAIN": {one}})
        found.note(judge(stand, "cti", transferred), {"SERIAL_CTI": {third}})
    _far_gain(stand, known, errors["PAIR_GAIN_ZERO"], found)
    _drifted_lamp(stand, known, found)
    _moved_charge(stand, known, raws, transferred_plain, found)


def _far_gain(stand: Stand, known: CalibrationSet, error: float, found: Found) -> None:
    """Take a pair in which the gain of six amplifiers is a fifth off the camera's nominal one."""
    (far,) = dealt(stand.detector.amp_names, stand.truth.seed, 6)
    nominal = {amp.name: amp.nominal_gain for amp in stand.detector.amplifiers}
    factors = {
        name: (1.0 + sign * (0.20 + (BEYOND + 0.5) * error))
        * nominal[name]
        / stand.truth.amps[name].gain
        for name, sign in signs(far).items()
    }
    effects = FrameEffects(gain_factor=factors)
    measured = _gain(stand, known, 340, _raws(stand, 340, effects, effects))
    found.note(judge(stand, "gain", measured), {"PAIR_GAIN_NOMINAL": set(far)})


def _drifted_lamp(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take a pair between whose halves the lamp has drifted: all amplifiers see it."""
    lamp = 0.02 + BEYOND * math.sqrt(2.0) * LAMP_SCATTER
    second = (1.0 + lamp / 2.0) / (1.0 - lamp / 2.0)
    factors = (1.0, second) if stand.truth.seed % 2 else (second, 1.0)
    raws = _raws(stand, 342, *(FrameEffects(lamp_factor=factor) for factor in factors))
    measured = _gain(stand, known, 342, raws)
    found.note(judge(stand, "gain", measured), {"PAIR_BALANCE": set(stand.detector.amp_names)})


def _moved_charge(
    stand: Stand, known: CalibrationSet, raws: list[IntArray], plain: Measured, found: Found
) -> None:
    """Let a pair's charge stay behind along columns in some amplifiers, and tear it at edges."""
    (slow,) = dealt(stand.detector.amp_names, stand.truth.seed, 8)
    error = float(np.mean([n["PARALLEL_CTI_ERROR"] for n in plain.amps.values()]))
    shares = dict.fromkeys(slow, 3e-6 + (BEYOND + 3.0) * error)
    edited = [charge_left(raw, stand.detector, shares) for raw in raws]
    measured = _transfer(stand, known, 300, edited)
    found.note_faults(judge(stand, "cti", measured), {"PARALLEL_CTI": set(slow)})
    if not can_tear(stand.detector):
        return
    # Three boundaries of each row of amplifiers, none of which share one.
    places, used = [], set[int]()
    for place, boundary in enumerate(boundaries(stand.detector)):
        sides = {boundary.before, boundary.after}
        if boundary.vertical and not sides & used and len(places) < 6:
            places.append(place)
            used |= sides
    noise = float(np.mean([n["DIVISADERO"] for n in plain.amps.values()])) / LARGEST_OF_SIX
    edited = [torn(raw, stand.detector, places, 0.05 + BEYOND * noise) for raw in raws]
    measured = _transfer(stand, known, 300, edited)
    names = stand.detector.amp_names
    found.note_faults(judge(stand, "cti", measured), {"DIVISADERO": {names[k] for k in used}})


def _raws(stand: Stand, number: int, *effects: FrameEffects) -> list[IntArray]:
    """Take the raw frames of a pair."""
    return [stand.raw(number + k, "flat", 8.0, LEVEL, one) for k, one in enumerate(effects)]


def _gain(stand: Stand, known: CalibrationSet, number: int, raws: list[IntArray]) -> Measured:
    first, second = (
        stand.corrected(raw, known, PLAIN, number + k, 8.0) for k, raw in enumerate(raws)
    )
    return gain.measure(stand.detector, first, second, known)


def _transfer(stand: Stand, known: CalibrationSet, number: int, raws: list[IntArray]) -> Measured:
    nothing = ("",) * len(stand.detector.amplifiers)
    one, other = (RawFrame(number + k, 8.0, raw, nothing) for k, raw in enumerate(raws))
    return cti.measure(stand.detector, one, other, known)


def spots(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take flats with bright spots, no two amplifiers at the same place, and correct them."""
    response = []
    for k, flat in enumerate(stand.maps.response):
        pixels = flat.copy()
        rows, columns = pixels.shape
        y0, x0 = rows // 4 * (k // 4) + 10, columns // 4 * (k % 4) + 40
        pixels[y0 : y0 + SPOT_ROWS, x0 : x0 + SPOT_COLUMNS] *= np.float32(SPOT_FACTOR)
        response.append(pixels)
    bright = replace(stand, maps=PixelMaps(tuple(response), stand.maps.dark_rate))
    raws = [bright.raw(n, "flat", 1.0, SPOT_LEVEL) for n in (400, 401)]
    measured = _residuals(bright, known, raws)
    value, error = measured.arrays["crosstalk_residual"], measured.arrays["crosstalk_error"]
    for v, e in zip(value.ravel(), error.ravel(), strict=True):
        if math.isfinite(e):
            found.deviate("crosstalk residual", float(v), 0.0, float(e))
    found.note(judge(stand, "crosstalk", measured), {})
    of_coefficient = float(np.nanmedian(error))
    certified, names = known.crosstalk, stand.detector.amp_names
    if certified is None:
        raise ValueError("there is no certified crosstalk")
    for k in range(ROUNDS):
        source, target = 2 * k % len(names), (2 * k + 7) % len(names)
        wrong = certified.coefficients.copy()
        injected = 1e-4 + (BEYOND + 5.0) * of_coefficient
        wrong[source, target] -= injected
        spoilt = replace(known, crosstalk=replace(certified, coefficients=wrong))
        measured = _residuals(bright, spoilt, raws)
        found.deviate(
            "crosstalk, 1e-4 injected",
            float(measured.arrays["crosstalk_residual"][source, target]),
            injected,
            float(measured.arrays["crosstalk_error"][source, target]),
        )
        faulty = {"CROSSTALK_RESIDUAL": {names[source], names[target]}}
        found.note_faults(judge(stand, "crosstalk", measured), faulty)


def _residuals(stand: Stand, known: CalibrationSet, raws: list[IntArray]) -> Measured:
    frames = (stand.corrected(raw, known, PLAIN, 400 + k, 1.0) for k, raw in enumerate(raws))
    return crosstalk.measure(stand.detector, frames, known)
