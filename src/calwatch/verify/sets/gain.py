"""What is measured of a pair of flats: gain, noise, covariances, boundaries (DMTN-101 §6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calwatch.arrays import BoolArray, FloatArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.model import Detector
from calwatch.verify.amplifier import Measured, Metrics
from calwatch.verify.definitions import gain as definitions
from calwatch.verify.sets.boundaries import relative_gains
from calwatch.verify.sets.brighter_fatter import a00_of, at_zero_signal, vendor_corrected
from calwatch.verify.sets.covariances import MAX_LAG, covariances
from calwatch.verify.sets.model import CorrectedFrame
from calwatch.verify.sets.pair import (
    IMBALANCE_SIGMA,
    MAX_IMBALANCE,
    TURNOFF_SLACK,
    Pair,
    inner_box,
    measure_pair,
)
from calwatch.verify.sets.read_noise import overscan_share, pixel_share, relative_error
from calwatch.verify.sets.references import fault_of_ptc, references

LEFT_OUT = Mask.BAD | Mask.NO_DATA | Mask.SAT | Mask.SUSPECT
"""Pixels that do not enter a pair (cp_pipe ``cpPtcExtract.py``)."""
TIME_TOLERANCE = 5e-3
"""s: exposure times that differ by more make no pair."""
LEAST_GOOD = 0.5
"""An amplifier of which fewer pixels can be used is not measured."""

_NAMES = (
    *(metric.name for metric in definitions.METRICS),
    *("CERTIFIED_GAIN", "CERTIFIED_NOISE", "NOMINAL_GAIN", "NOMINAL_NOISE"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Flats:
    """Two corrected flats of one detector, and what they were corrected with."""

    detector: Detector
    first: CorrectedFrame
    second: CorrectedFrame
    calibrations: CalibrationSet

    def noise(self, index: int) -> float:
        """Return the overscan noise of both, ADU."""
        both = self.first.overscan_noise[index], self.second.overscan_noise[index]
        return 0.5 * (float(both[0]) + float(both[1]))


def measure(
    detector: Detector, first: CorrectedFrame, second: CorrectedFrame, calibrations: CalibrationSet
) -> Measured:
    """Measure every amplifier of a detector in a pair of flats.

    The frames are divided by the gain that they were multiplied by, so that a wrong certified gain
    does not touch what is measured; only the boundaries are of e-.

    Parameters
    ----------
    detector
        Gives the amplifiers and the vendor.
    first, second
        Corrected flats of equal exposure, without the flat field.
    calibrations
        The PTC gives the references, the brighter-fatter coefficient and the turnoff.

    Returns
    -------
    Measured
        With the array ``covariances``, shape (n_amp, 8, 8), ADU², NaN where there are none.
    """
    # Pixels may hold anything: what becomes of infinities is no number, and is said so.
    with np.errstate(over="ignore", invalid="ignore"):
        return _measure(Flats(detector, first, second, calibrations))


def _measure(flats: Flats) -> Measured:
    detector = flats.detector
    good = _good_pixels(flats.first, flats.second)
    amps: dict[str, Metrics] = {}
    faults: dict[str, str] = {}
    found = np.full((len(detector.amplifiers), MAX_LAG, MAX_LAG), np.nan, np.float32)
    for i, amp in enumerate(detector.amplifiers):
        numbers = dict.fromkeys(_NAMES, math.nan) | references(amp, flats.calibrations.ptc, i)
        fault = _unreadable(flats, i)
        if not fault:
            fault = _measure_amplifier(flats, i, good, numbers, found[i])
        amps[amp.name] = numbers
        if fault := fault or fault_of_ptc(flats.calibrations.ptc, i):
            faults[amp.name] = fault
    _add_boundaries(flats, good, amps, faults)
    return Measured(
        amps, warnings=_warnings(flats, amps), faults=faults, arrays={"covariances": found}
    )


def _good_pixels(first: CorrectedFrame, second: CorrectedFrame) -> BoolArray:
    good: BoolArray = ((first.mask | second.mask) & int(LEFT_OUT)) == 0
    good &= np.isfinite(first.image)
    good &= np.isfinite(second.image)
    return good


def _unreadable(flats: Flats, index: int) -> str:
    """Say why an amplifier has no pair of flats; empty if it has."""
    first, second = flats.first, flats.second
    if fault := first.faults[index] or second.faults[index]:
        return fault
    gains = (float(first.gain[index]), float(second.gain[index]))
    if not all(math.isfinite(gain) and gain > 0 for gain in gains):
        return (
            fault_of_ptc(flats.calibrations.ptc, index) or "there is no gain that its pixels are in"
        )
    return ""


def _measure_amplifier(
    flats: Flats, index: int, good: BoolArray, numbers: Metrics, found: FloatArray
) -> str:
    """Fill in the numbers and the covariances; say why the amplifier cannot be judged."""
    amp = flats.detector.amplifiers[index]
    box = inner_box(amp.bbox).slices
    usable = good[box]
    share = float(np.count_nonzero(usable) / usable.size) if usable.size else 0.0
    if share < LEAST_GOOD:
        return f"masked or saturated: {100 * share:.3g} % of its pixels can be used"
    pair = measure_pair(_in_adu(flats.first, index, box), _in_adu(flats.second, index, box), usable)
    noise = flats.noise(index)
    numbers |= {
        "PAIR_MEAN_1": pair.mean_1,
        "PAIR_MEAN_2": pair.mean_2,
        "PAIR_MEAN": pair.mean,
        "PAIR_VARIANCE": pair.variance,
        "PAIR_NPIXELS": float(pair.n_pixels),
        "PAIR_BALANCE": _balance(pair),
        "ROW_MEAN_VARIANCE": pair.row_mean_variance,
        "NOISE_ADU": noise,
    }
    if not min(pair.mean_1, pair.mean_2) > 0:
        return f"there is no light: means of {pair.mean_1:.3g} and {pair.mean_2:.3g} ADU"
    if not pair.variance > 0:
        return "its pixels have no noise at all"
    found[...] = covariances(pair.difference, pair.kept)
    # The same but for the loss by clipping, which only the variance is corrected for.
    found[0, 0] = pair.variance
    read_noise = noise / overscan_share(amp)
    if not read_noise > 0:
        return "there is no overscan noise"
    numbers |= _gains(pair, read_noise * pixel_share(amp))
    numbers |= _at_zero(flats, index, pair, read_noise, numbers["PAIR_GAIN"])
    return _not_comparable(flats, index, pair, numbers)


def _in_adu(frame: CorrectedFrame, index: int, box: tuple[slice, slice]) -> FloatArray:
    return np.asarray(frame.image[box] / np.float32(frame.gain[index]), np.float32)


def _balance(pair: Pair) -> float:
    return abs(pair.mean_2 - pair.mean_1) / pair.mean if pair.mean > 0 else math.nan


def _gains(pair: Pair, noise: float) -> Metrics:
    """Return the gain by the three corrections of cp_pipe for the noise of a pixel (ADU).

    With the constant c, the mean μ and the noise σ the full one is the larger root of
    ``g²·(c·μ − σ²) − g·μ + 1/2 = 0``.
    """
    constant, mean = pair.constant, pair.mean
    simple, full = constant - noise**2 / mean, constant * mean - noise**2
    root = mean**2 - 2.0 * full
    return {
        "PAIR_GAIN_NONE": 1.0 / constant if constant > 0 else math.nan,
        "PAIR_GAIN_SIMPLE": 1.0 / simple if simple > 0 else math.nan,
        "PAIR_GAIN": (mean + math.sqrt(root)) / (2.0 * full)
        if root >= 0 and full > 0
        else math.nan,
    }


def _at_zero(flats: Flats, index: int, pair: Pair, read_noise: float, full_gain: float) -> Metrics:
    """Return gain and noise at zero signal with their errors, and the gain as cp_verify has it.

    The gain here is mean over variance, the noise of the pixels taken out: that of cp_pipe's
    constant, which is a mean of quotients, but without its deviation at low signals.
    """
    amp, ptc, vendor = (
        flats.detector.amplifiers[index],
        flats.calibrations.ptc,
        flats.detector.vendor,
    )
    noise = read_noise * pixel_share(amp)
    shot = pair.variance - noise**2
    if not shot > 0:
        return {}
    gain, of_noise = pair.mean / shot, relative_error(amp, 2)
    of_variance = math.sqrt(2.0 / pair.n_pixels) * pair.variance / shot
    relative = math.sqrt(
        of_variance**2
        + pair.variance / (2.0 * pair.n_pixels * pair.mean**2)
        + (2.0 * noise**2 * of_noise / shot) ** 2
    )
    a00 = a00_of(float(ptc.a00[index]) if ptc else math.nan, vendor)
    zero, kept = at_zero_signal(gain, pair.mean, a00)
    # More noise makes the gain greater: the two add up, and not in quadrature.
    with_noise = of_noise * (1.0 + kept * 2.0 * noise**2 / shot)
    return {
        "PAIR_GAIN_ERROR": gain * relative,
        "PAIR_GAIN_CORRECTED": vendor_corrected(full_gain, pair.mean, vendor),
        "PAIR_GAIN_ZERO": zero,
        "PAIR_GAIN_ZERO_ERROR": zero * kept * relative,
        "PAIR_NOISE": read_noise * zero,
        "PAIR_NOISE_ERROR": read_noise * zero * math.hypot(kept * of_variance, with_noise),
    }


def _not_comparable(flats: Flats, index: int, pair: Pair, numbers: Metrics) -> str:
    """Say why what was measured cannot be laid beside the certified PTC; empty if it can."""
    times = flats.first.exposure_time, flats.second.exposure_time
    if not abs(times[0] - times[1]) <= TIME_TOLERANCE:
        return f"no pair: exposure times of {times[0]:.4g} s and {times[1]:.4g} s"
    of_noise = math.sqrt(2.0 * pair.variance / pair.n_pixels) / pair.mean
    if numbers["PAIR_BALANCE"] > MAX_IMBALANCE + IMBALANCE_SIGMA * of_noise:
        return f"no pair: its halves differ by {100 * numbers['PAIR_BALANCE']:.3g} %"
    ptc = flats.calibrations.ptc
    turnoff = float(ptc.turnoff[index]) if ptc else math.nan
    if turnoff > 0 and pair.mean > (1.0 + TURNOFF_SLACK) * turnoff:
        return (
            f"its mean of {pair.mean:.5g} ADU is above the certified turnoff of {turnoff:.5g} ADU"
        )
    if not math.isfinite(numbers["PAIR_GAIN_ERROR"]) or not math.isfinite(numbers["PAIR_GAIN"]):
        return (
            f"no gain solves it: a variance of {pair.variance:.4g} ADU² at a mean of "
            f"{pair.mean:.4g} ADU and a read noise of {numbers['NOISE_ADU']:.3g} ADU"
        )
    return ""


def _add_boundaries(
    flats: Flats, good: BoolArray, amps: dict[str, Metrics], faults: Mapping[str, str]
) -> None:
    """Add what the gains in use must be multiplied by for the flat to be continuous."""
    usable = [name not in faults for name in amps]
    image = flats.first.image + flats.second.image
    gains = relative_gains(flats.detector, image, good, usable)
    for i, numbers in enumerate(amps.values()):
        numbers["BOUNDARY_GAIN_RATIO"] = float(gains.ratio[i])
        numbers["BOUNDARY_GAIN_ERROR"] = float(gains.error[i])


def _warnings(flats: Flats, amps: dict[str, Metrics]) -> tuple[str, ...]:
    """Say where there is nothing to correct the brighter-fatter effect with."""
    names = [
        name
        for name, numbers in amps.items()
        if math.isfinite(numbers["PAIR_GAIN_ERROR"]) and math.isnan(numbers["PAIR_GAIN_ZERO"])
    ]
    if not names:
        return ()
    return (
        f"no brighter-fatter correction of {', '.join(names)}: the certified PTC has no a00 and "
        f"the vendor {flats.detector.vendor!r} is not known",
    )
