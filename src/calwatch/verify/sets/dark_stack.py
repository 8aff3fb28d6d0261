"""Stacks of even and odd darks, their difference, and the dark current (DMTN-101 §5.5-5.7)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from calwatch.arrays import AnyArray, BoolArray, DoubleArray, FloatArray
from calwatch.calibrations.model import CalibrationSet, ImageCalibration, Units
from calwatch.camera.model import Amplifier, Detector
from calwatch.isr.clipped import Clipped, clipped_statistics
from calwatch.verify.amplifier import Measured, Metrics, input_count
from calwatch.verify.definitions import dark_stack as definitions
from calwatch.verify.inputs import reference_fault
from calwatch.verify.sets.model import CorrectedFrame
from calwatch.verify.sets.stack import LEAST_GOOD, Level, Stack
from calwatch.verify.statistics import CLIP_PASSES, CLIP_SIGMA, mean_error

HOT_RATE = 5.0
"""e-/s: rate of a hot pixel, as of a defect."""
NORMAL_95 = 1.6448536269514722
"""95 % point of a normal variable, in standard deviations."""
NOISE_KNOWN = 0.02
"""Share to which the noise of a stack, the certified bias in it, is known."""
LEAK = 0.2
"""e-/s: a frame of which an amplifier is so much brighter than in the others is named."""

_NAMES = tuple(metric.name for metric in definitions.METRICS)


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """How the frames of one amplifier make its rates; those of the two halves apart."""

    levels: tuple[Level, ...]
    """Of the frames that are used."""
    half: DoubleArray
    """0 or 1, of each."""

    def _of(self, part: int | None) -> tuple[DoubleArray, DoubleArray]:
        """Return seconds, and the weight of each frame's signal in the rate."""
        chosen = [
            level
            for level, half in zip(self.levels, self.half, strict=True)
            if part is None or half == part
        ]
        seconds = np.array([level.scale for level in chosen])
        weight = seconds / np.array([level.noise**2 for level in chosen])
        return seconds, weight / np.sum(weight * seconds)

    def rate(self, part: int) -> float:
        """Return the rate of the medians of one half, e-/s: what the planes are the excess over."""
        medians = [
            level.centre for level, half in zip(self.levels, self.half, strict=True) if half == part
        ]
        return float(np.sum(self._of(part)[1] * medians))

    def error(self, errors: DoubleArray, part: int | None) -> float:
        """Return the error of the rate, from that of each frame's signal in e-."""
        mine = errors if part is None else errors[self.half == part]
        return float(np.sqrt(np.sum((self._of(part)[1] * mine) ** 2)))

    def offset(self, part: int | None) -> float:
        """Return the rate that 1 e- in every frame becomes."""
        return float(np.sum(self._of(part)[1]))

    def noise(self, read_noise: float, rate: float, part: int) -> float:
        """Return the noise of a pixel's rate, from read noise (e-) and dark current (e-/s)."""
        seconds, weight = self._of(part)
        variance = read_noise**2 + max(rate, 0.0) * seconds
        return float(np.sqrt(np.sum(weight**2 * variance)))


def measure(
    detector: Detector, frames: Iterable[CorrectedFrame], calibrations: CalibrationSet
) -> Measured:
    """Measure the stacks of even and odd darks in every amplifier of a detector.

    Frames of unequal time are brought to rates and weighted by t²/σ². Even and odd are counted
    in the order of the frames. In a pixel the highest frame is left out where it stands 5σ above
    what the others predict, which takes out cosmic rays and biases nothing else.

    Parameters
    ----------
    detector
        Gives the amplifiers.
    frames
        Corrected darks in the order of exposure, one at a time, dark not subtracted.
    calibrations
        The PTC gives the expected noise, the dark the expected rates.
    """
    stack = Stack(detector, "dark", parts=2)
    for frame in frames:
        stack.add(frame)
    amps: dict[str, Metrics] = {}
    faults: dict[str, str] = {}
    for i, amp in enumerate(detector.amplifiers):
        numbers = dict.fromkeys(_NAMES, math.nan)
        numbers["DARK_FRAMES"] = float(stack.frames(i).count)
        fault = stack.fault(i) or _measure_amplifier(stack, i, calibrations, numbers)
        amps[amp.name] = numbers
        if fault:
            faults[amp.name] = fault
    return Measured(amps, warnings=(*stack.warnings(), *_leaks(stack)), faults=faults)


def _measure_amplifier(
    stack: Stack, index: int, calibrations: CalibrationSet, numbers: Metrics
) -> str:
    """Fill in the numbers of one amplifier; say why it cannot be judged."""
    amp = stack.detector.amplifiers[index]
    good = stack.settle(index)
    share = np.count_nonzero(good) / good.size
    if share < LEAST_GOOD:
        return f"masked or no numbers: {100 * share:.3g} % of its pixels can be used"
    weights = _weights(stack, index)
    parts = [stack.frames(index).weight(part) for part in (0, 1)]
    even, odd = weights.rate(0), weights.rate(1)
    excess = stack.planes.sums[0][amp.bbox.slices][good]
    difference = _clipped(stack.planes.sums[1][amp.bbox.slices][good])
    level = (parts[0] * even + parts[1] * odd) / (parts[0] + parts[1])
    rates = _rates(excess, level)
    # A half's noise by its weight: that of both together follows from that of their difference.
    noise = difference.stdev * math.sqrt(parts[0] * parts[1]) / (parts[0] + parts[1])
    # The certified bias is the same in all darks: it drops out of the difference, not of the rates.
    bias = _bias_noise(calibrations, index, amp, good) * weights.offset(None)
    noise = math.hypot(noise, bias)
    numbers |= rates | {
        "DARK_ODD_EVEN_MEAN": difference.mean + even - odd,
        "DARK_ODD_EVEN_NOISE": difference.stdev,
        "DARK_ODD_EVEN_NOISE_ERROR": difference.stdev / math.sqrt(2 * difference.n_kept),
        "DARK_TAIL": rates["DARK_STACK_P95"] - rates["DARK_STACK_MEDIAN"] - NORMAL_95 * noise,
        # Of a normal variable the errors of the 95 and 50 % points are 2.11 and 1.25 σ/√n.
        "DARK_TAIL_ERROR": noise
        * math.hypot(2.45 / math.sqrt(excess.size), NOISE_KNOWN * NORMAL_95),
    }
    numbers |= _errors(weights, amp, excess.size, calibrations)
    numbers |= _expected(weights, calibrations, index, rates["DARK_STACK_MEAN"])
    if calibrations.dark is not None:
        gain = float(calibrations.ptc.gain[index]) if calibrations.ptc else math.nan
        numbers |= _certified(calibrations.dark, amp, good, gain)
    return ""


def _bias_noise(calibrations: CalibrationSet, index: int, amp: Amplifier, good: BoolArray) -> float:
    """Return the noise of the certified bias, e-, as `certified_bias_noise` has it."""
    bias, ptc = calibrations.bias, calibrations.ptc
    if bias is None:
        return 0.0
    gain = float(ptc.gain[index]) if ptc else math.nan
    scale = gain if bias.units is Units.ADU else 1.0
    variance = float(np.mean(bias.variance[amp.bbox.slices][good], dtype=np.float64))
    found = [scale * math.sqrt(variance) if variance > 0 else 0.0]
    if ptc is not None and (count := input_count(bias)):
        found.append(float(ptc.noise[index]) / math.sqrt(count))
    found = [noise for noise in found if math.isfinite(noise)]
    return min(found, default=0.0)


def _weights(stack: Stack, index: int) -> _Weights:
    used = [(level, n % 2) for n, level in enumerate(stack.levels[index]) if level.tau > 0]
    return _Weights(tuple(level for level, _ in used), np.array([half for _, half in used], float))


def _rates(excess: FloatArray, level: float) -> Metrics:
    """Return what is told of the rates of the good pixels, e-/s."""
    found = _clipped(excess)
    return {
        "DARK_STACK_MEAN": level + found.mean,
        "DARK_STACK_MEDIAN": level + found.median,
        "DARK_STACK_P95": level + float(np.percentile(excess, 95.0)),
        "DARK_HOT_FRACTION": float(np.count_nonzero(excess > HOT_RATE) / excess.size),
    }


def _errors(
    weights: _Weights, amp: Amplifier, n_good: int, calibrations: CalibrationSet
) -> Metrics:
    """Return the errors of the mean rate and of the difference of the halves.

    Those of the frames are mostly of the overscan levels, see `mean_error`. The certified bias has
    the same in all of them; from the difference it goes with like exposures. The certified dark,
    which the mean is laid beside, is taken as one of frames like these.
    """
    errors = np.array([_frame_error(level, n_good, amp) for level in weights.levels])
    both = weights.error(errors, None)
    n_bias, n_dark = input_count(calibrations.bias), input_count(calibrations.dark)
    bias = float(errors.mean()) / math.sqrt(n_bias) if n_bias else 0.0
    dark = both * math.sqrt(len(errors) / n_dark) if n_dark else 0.0
    tilt = weights.offset(0) - weights.offset(1)
    return {
        "DARK_STACK_ERROR": math.hypot(both, bias * weights.offset(None), dark),
        "DARK_ODD_EVEN_ERROR": math.hypot(
            weights.error(errors, 0), weights.error(errors, 1), bias * tilt
        ),
    }


def _frame_error(level: Level, n_good: int, amp: Amplifier) -> float:
    known = math.isfinite(level.read_noise) and level.read_noise > 0
    read_noise = level.read_noise if known else level.noise
    return mean_error(level.noise, n_good, read_noise, amp, parallel_applied=True)


def _expected(weights: _Weights, calibrations: CalibrationSet, index: int, rate: float) -> Metrics:
    """Return the noise that the difference of the halves should have, e-/s."""
    ptc = calibrations.ptc
    read_noise = float(ptc.noise[index]) if ptc else math.nan
    if not math.isfinite(read_noise) or reference_fault(1.0, read_noise):
        return {}
    halves = [weights.noise(read_noise, rate, part) for part in (0, 1)]
    n_bias = input_count(calibrations.bias)
    bias = read_noise / math.sqrt(n_bias) if n_bias else 0.0
    tilt = weights.offset(0) - weights.offset(1)
    return {"DARK_EXPECTED_NOISE": math.hypot(*halves, bias * tilt)}


def _certified(dark: ImageCalibration, amp: Amplifier, good: BoolArray, gain: float) -> Metrics:
    """Return rates of the certified dark over the same pixels, and its tail beyond its noise."""
    seconds = dark.dark_time if math.isfinite(dark.dark_time) and dark.dark_time > 0 else 1.0
    scale = (gain if dark.units is Units.ADU else 1.0) / seconds
    pixels = dark.image[amp.bbox.slices][good]
    pixels = pixels[np.isfinite(pixels)]
    if pixels.size < 2 or not math.isfinite(scale):
        return {}
    variance = float(np.mean(dark.variance[amp.bbox.slices][good], dtype=np.float64))
    noise = math.sqrt(variance) if math.isfinite(variance) and variance >= 0 else math.nan
    middle, high = _percentiles(dark, amp, pixels)
    return {
        "CERTIFIED_DARK_MEAN": _clipped(pixels).mean * scale,
        "CERTIFIED_DARK_MEDIAN": middle * scale,
        "CERTIFIED_DARK_P95": high * scale,
        "CERTIFIED_DARK_TAIL": (high - middle - NORMAL_95 * noise) * scale,
    }


def _percentiles(dark: ImageCalibration, amp: Amplifier, pixels: FloatArray) -> tuple[float, float]:
    """Return the 50 and 95 % points as the header has them, else those of the pixels."""
    start = f"LSST CALIB DARK {amp.name} DISTRIBUTION"
    held = [dark.metadata.get(f"{start} {level}-PCT") for level in ("50.0", "95.0")]
    if all(isinstance(value, int | float) and math.isfinite(value) for value in held):
        return float(held[0]), float(held[1])  # type: ignore[arg-type]
    middle, high = np.percentile(pixels, (50.0, 95.0))
    return float(middle), float(high)


def _clipped(values: AnyArray) -> Clipped:
    return clipped_statistics(values, CLIP_SIGMA, CLIP_PASSES)


def _leaks(stack: Stack) -> tuple[str, ...]:
    """Name the frames in which half of the amplifiers or more are brighter than in the others."""
    rates, errors = _table(stack, "centre"), _table(stack, "noise")
    found = []
    for n, exposure in enumerate(stack.exposures):
        others = np.delete(rates, n, axis=1)
        seen = np.isfinite(rates[:, n]) & np.isfinite(others).any(axis=1)
        if not seen.any():
            continue
        above = rates[seen, n] - np.nanmedian(others[seen], axis=1)
        # The median of an amplifier is good to a fortieth of its noise.
        bright = np.count_nonzero(above > np.maximum(LEAK, 0.2 * errors[seen, n]))
        if 2 * bright >= seen.sum():
            found.append(
                f"exposure {exposure}: brighter than the other darks by "
                f"{float(np.median(above)):.3g} e-/s in {bright} of {int(seen.sum())} amplifiers"
            )
    return tuple(found)


def _table(stack: Stack, name: str) -> DoubleArray:
    """Return one number of all levels over their seconds: shape (n_amp, frames), NaN if unused."""
    rows = [
        [getattr(level, name) / level.scale if level.tau > 0 else math.nan for level in levels]
        for levels in stack.levels
    ]
    return np.array(rows, float).reshape(len(rows), len(stack.exposures))
