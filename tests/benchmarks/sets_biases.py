"""Biases of one day of one simulated detector: how steady they are, without faults and with."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from sets_camera import DAY, Stand
from sets_edits import added
from sets_found import BEYOND, Found, dealt, factor_of_read_noise, judge

from calwatch.arrays import BoolArray, DoubleArray, IntArray
from calwatch.calibrations.model import CalibrationSet
from calwatch.isr.chain import run_isr
from calwatch.isr.model import IsrInput, IsrSwitches
from calwatch.simulate.model import BiasShiftEffect, FrameEffects
from calwatch.verify import bias
from calwatch.verify.amplifier import Frame, Measured
from calwatch.verify.inputs import check_raw
from calwatch.verify.sets import bias_stability
from calwatch.verify.sets.model import Earlier
from calwatch.verify.sets.raft_correlation import exposure_metrics

FRAMES = 9
"""Biases of a day; the first is left out."""
SHIFTED_ROW = 120
SHIFT = 6.0
"""Errors of the mean of an overscan row: a shift is looked for from 3 on, known to a third."""
SHIFTS = 4
"""In a day: three are allowed."""
WANDER, STEP = 0.5, 1.15
"""ADU: how a raft wanders, and a step that it makes in one frame; 1 ADU is one."""

Effects = Callable[[int], FrameEffects]
Edit = Callable[[IntArray, int], IntArray]


def biases(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take the biases of a day: steady ones, ones that drift, and ones that shift or are noisy."""
    steady = _day(stand, known, 900, lambda _: FrameEffects())
    found.note(judge(stand, "bias_stability", steady), {})
    found.noted["correlation of a raft, alone"].append(_raft(steady)[0])
    found.noted["common steps of a raft, none made"].append(_raft(steady)[1])
    _drifting(stand, known, steady, found)
    _shifting(stand, known, steady, found)


def _drifting(stand: Stand, known: CalibrationSet, steady: Measured, found: Found) -> None:
    """Let the level or the mean of the image drift evenly from the second frame to the last."""
    level, mean = dealt(stand.detector.amp_names, stand.truth.seed, 6, 6)
    drift = _evenly()
    levels = {name: (20.0 + BEYOND * 0.05) / _spread(drift) for name in level}
    means = {}
    for name in mean:
        seen = steady.amps[name]
        wanted = seen["BIAS_MEAN_SPREAD_EXPECTED"] + 2.0
        wanted += (BEYOND + 3.0) * seen["BIAS_MEAN_SPREAD_ERROR"]
        means[name] = wanted / _spread(drift)

    def effects(n: int) -> FrameEffects:
        return FrameEffects(level_jump={name: drift[n] * adu for name, adu in levels.items()})

    def edit(raw: IntArray, n: int) -> IntArray:
        more = {name: drift[n] * adu for name, adu in means.items()}
        return added(raw, stand.detector, more)

    measured = _day(stand, known, 920, effects, edit)
    faulty = {"BIAS_LEVEL_SPREAD": set(level), "BIAS_MEAN_SPREAD": set(mean)}
    found.note(judge(stand, "bias_stability", measured), faulty)


def _shifting(stand: Stand, known: CalibrationSet, steady: Measured, found: Found) -> None:
    """Let levels shift within frames, noise grow, and all levels of the raft wander together."""
    noisy, shifting = dealt(stand.detector.amp_names, stand.truth.seed, 6, 6)
    drift, rng = _evenly(), np.random.default_rng(stand.truth.seed)
    amp = stand.detector.amplifiers[0]
    width = amp.serial_overscan.width - 9
    # What the noise of one frame makes of the spread, and the median of frames that grow.
    one = 1.0 / math.sqrt(2.0 * amp.data.height * width)
    target = 0.2 + BEYOND * bias_stability.SPREAD_ERROR * one / math.sqrt(FRAMES - 1)
    growth = target / (_spread(drift) - 0.5 * target)
    common = rng.normal(0.0, WANDER, FRAMES).clip(-1.5 * WANDER, 1.5 * WANDER)
    common[2] = 4.0 * WANDER
    # A step is one from the median of the day, which this one is above in any case.
    common -= np.median(common[1:])
    common = common.clip(-0.9, 0.9)
    common[2] = STEP
    shifts = {}
    for name in shifting:
        truth = stand.truth.amps[name]
        row = math.hypot(truth.read_noise / truth.gain / math.sqrt(width), truth.row_noise)
        shifts[name] = (BiasShiftEffect(SHIFTED_ROW, amp.raw_shape[0], SHIFT * row),)

    def effects(n: int) -> FrameEffects:
        return FrameEffects(
            noise_factor={
                name: factor_of_read_noise(stand.truth.amps[name], 1.0 + growth * drift[n])
                for name in noisy
            },
            bias_shift=shifts if 0 < n <= SHIFTS else {},
            level_jump=dict.fromkeys(stand.detector.amp_names, float(common[n])),
        )

    measured = _day(stand, known, 940, effects)
    faulty = {"BIAS_NOISE_SPREAD": set(noisy), "BIAS_SHIFT_TOTAL": set(shifting)}
    found.note(judge(stand, "bias_stability", measured), faulty)
    # Shifts within a frame move its level by more than the raft wanders.
    alike = [name not in shifting for name in stand.detector.amp_names]
    raft = _raft(measured, np.array(alike))
    found.noted["correlation of a raft that wanders by 0.5 ADU"].append(raft[0])
    found.noted["common steps of a raft, one of 1.15 ADU made"].append(raft[1])


def _evenly() -> DoubleArray:
    """Return 0 to 1 over the frames that count."""
    found: DoubleArray = np.concatenate([[0.0], np.linspace(0.0, 1.0, FRAMES - 1)])
    return found


def _spread(drift: DoubleArray) -> float:
    return bias_stability.spread(drift[1:])


def _raft(measured: Measured, amps: BoolArray | None = None) -> tuple[float, float]:
    """Return what the only detector of a raft shows: correlation and common steps."""
    arrays = dict(measured.arrays)
    if amps is not None:
        arrays["level_changes"] = np.asarray(arrays["level_changes"])[amps]
    result = SimpleNamespace(detector_name="R22_S11", arrays=arrays)
    found = exposure_metrics([result])
    correlation, common = found["RAFT_CORRELATION_MAX"], found["BIAS_SHIFTS_COMMON"]
    return math.nan if correlation is None else correlation, math.nan if common is None else common


def _day(
    stand: Stand, known: CalibrationSet, first: int, effects: Effects, edit: Edit | None = None
) -> Measured:
    """Take the biases of a day, judge each as the daemon does, and measure how steady they are."""
    switches, points = IsrSwitches(defects=False, bias_shifts=True), []
    for n in range(FRAMES):
        number = first + n
        raw = stand.raw(number, "bias", 0.0, 0.0, effects(n))
        raw = edit(raw, n) if edit else raw
        isr = run_isr(IsrInput(stand.detector, raw, known, switches, number, 0.0))
        check = check_raw(raw, stand.detector, "bias", known.ptc)
        single = bias.measure(Frame("bias", stand.detector, isr, known, check, 0.0, number))
        exposure = DAY * 100_000 + number
        points.append(Earlier(exposure, stand.detector.number, 0.0, single.amps, single.arrays))
    return bias_stability.measure(stand.detector, points, known)
