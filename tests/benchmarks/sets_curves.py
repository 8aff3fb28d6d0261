"""Photon transfer curves and linearity of one simulated detector, without faults and with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sets_camera import PLAIN, Stand
from sets_edits import rows_moved, scaled
from sets_found import BEYOND, Found, dealt, factor_of_read_noise, judge, noise_of, signs

from calwatch.arrays import IntArray
from calwatch.calibrations.model import CalibrationSet, Linearizer, LinearizerType
from calwatch.simulate.model import FrameEffects
from calwatch.simulate.truth import NONLINEARITY_REFERENCE
from calwatch.verify.sets import gain, linearity, ptc
from calwatch.verify.sets.model import CorrectedFrame, Earlier
from calwatch.verify.sets.read_noise import pixel_share

PAIRS = 15
LOWEST, HIGHEST = 800.0, 165_000.0
"""e-: from the read noise's share to beyond the full well."""
FAINT, RATE = (250.0, 3_000.0), 250.0
"""e- and e-/s of a sequence that shows a cubic term: 1e-9 per ADU² is nonsense at high signals."""
BEND = 1.05e-6
"""1/ADU. Its statistical error is far smaller than what the first linearizer's own square makes
of it."""
ROW_SIGNAL = 67_000.0
"""e-: mean signal of the pairs, each weighted by its own, as the variances of rows are added."""
BRIGHT, OF_RESIDUAL = 70_000.0, 2e-5
"""e- from which an amplifier reads too much or too little, and the error of what it is off by."""

Edit = Callable[[IntArray, float], IntArray]


def sequence(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take a curve of a detector without a fault."""
    points = _points(stand, known, lambda _: FrameEffects(), 100)
    measured = ptc.measure(stand.detector, points, known)
    straight = linearity.measure(stand.detector, points, known)
    for amp in stand.detector.amplifiers:
        truth, seen = stand.truth.amps[amp.name], measured.amps[amp.name]
        noise = noise_of(truth) * pixel_share(amp)
        for fit in ("PTC_", "PTC_FULL_"):
            of_noise = f"{fit}NOISE" if fit == "PTC_FULL_" else "PTC_FIT_NOISE"
            wanted = ((f"{fit}GAIN", truth.gain), (of_noise, noise), (f"{fit}A00", truth.a00))
            for name, value in wanted:
                if math.isfinite(seen[f"{name}_ERROR"]):
                    found.deviate(name, seen[name], value, seen[f"{name}_ERROR"])
        low, gap = seen["PTC_TURNOFF"], seen["PTC_TURNOFF_ERROR"]
        found.noted["last pair on the curve, over full well"].append(low / truth.full_well)
        found.noted["first pair off the curve, over full well"].append(
            (low + gap) / truth.full_well
        )
        numbers = straight.amps[amp.name]
        for name in ("LINEARITY_QUADRATIC", "LINEARITY_POLYNOMIAL_2", "LINEARITY_POLYNOMIAL_3"):
            found.deviate(name, numbers[name], 0.0, numbers[f"{name}_ERROR"])
        found.noted["largest residual"].append(numbers["LINEARITY_MAX_RESIDUAL"])
    found.note(judge(stand, "ptc", measured), {})
    found.note(judge(stand, "linearity", straight), {})
    _certified_a00(stand, known, points, found)


def _certified_a00(
    stand: Stand, known: CalibrationSet, points: list[Earlier], found: Found
) -> None:
    """Judge the same curve beside a certified a00 that is wrong in every other amplifier."""
    if known.ptc is None:
        raise ValueError("there is no certified PTC")
    names = stand.detector.amp_names
    wrong, a00 = names[stand.truth.seed % 2 :: 2], known.ptc.a00.copy()
    clean = ptc.measure(stand.detector, points, known)
    for name, sign in signs(wrong).items():
        error = clean.amps[name]["PTC_A00_ERROR"]
        a00[names.index(name)] += sign * (1e-6 + (BEYOND + 3.0) * error)
    other = replace(known, ptc=replace(known.ptc, a00=a00))
    measured = ptc.measure(stand.detector, points, other)
    found.note_faults(judge(stand, "ptc", measured), {"PTC_A00_CERTIFIED": set(wrong)})


def faulty_sequence(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take curves of a detector with faults at the limits, three amplifiers of each, twice."""
    for part in range(2):
        _faulty_sequence(stand, known, found, part)


def _faulty_sequence(stand: Stand, known: CalibrationSet, found: Found, part: int) -> None:
    names = stand.detector.amp_names
    turn = (stand.truth.seed + 7 * part) % len(names)
    order = names[turn:] + names[:turn]
    gains, noises, bends, wells, a00s = (order[k::5][:3] for k in range(5))
    # What the errors of the fit are here, from those of fault-free curves at 0.9 Mpix.
    scale = math.sqrt(900_000 / stand.detector.amplifiers[0].bbox.area)
    edge = BEYOND + 3.0
    vendor, noise_error = {"ITL": (-4.56e-6, 0.0194), "E2V": (-3.52e-6, 0.026)}[
        stand.detector.vendor
    ]
    of_gain, of_noise, of_a00 = 0.0009 * scale, noise_error * scale, 2e-8 * scale
    truths = stand.truth.amps
    other = stand.changed(
        a00=dict.fromkeys(a00s, vendor - edge * of_a00),
        full_well=dict.fromkeys(wells, 88_000.0),
        nonlinearity={
            name: truths[name].nonlinearity - BEND * NONLINEARITY_REFERENCE for name in bends
        },
    )
    effects = FrameEffects(
        gain_factor=dict.fromkeys(gains, 1.05 + edge * of_gain),
        noise_factor=dict.fromkeys(noises, 1.05 + edge * of_noise),
    )
    points = _points(other, known, lambda _: effects, 200 + 2_000 * part)
    measured = ptc.measure(stand.detector, points, known)
    straight = linearity.measure(stand.detector, points, known)
    faulty = {
        "PTC_GAIN": set(gains),
        "PTC_NOISE": set(noises),
        "PTC_A00": set(a00s),
        "PTC_TURNOFF": set(wells),
    }
    found.note(judge(stand, "ptc", measured), faulty | {"": set(bends)})
    found.note(
        judge(stand, "linearity", straight),
        {"QUADRATIC": set(bends), "": set(gains + noises + a00s + wells)},
    )
    for name in bends:
        seen = straight.amps[name]
        found.noted["quadratic coefficient over injected"].append(
            seen["LINEARITY_QUADRATIC"] / BEND
        )


def faulty_shape(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take a curve with noise that grows, rows that move, and what a linearizer leaves.

    Six amplifiers have overscan noise that grows with the signal, and six rows that move: of these
    the curve is judged. For linearity the former have a certified polynomial whose square is wrong,
    the latter read too much of bright pairs, which both curves have.
    """
    noisy, moving = dealt(stand.detector.amp_names, stand.truth.seed, 6, 6)
    highest = float(np.geomspace(LOWEST, HIGHEST, PAIRS)[-2])  # the full well is below the last
    # The errors are those of fault-free curves, by the pixels of the overscan and the rows.
    amp = stand.detector.amplifiers[0]
    rows, overscan = amp.data.height, amp.serial_overscan.width - 6
    change = 0.10 + (BEYOND + 3.0) / math.sqrt(4.0 * rows * overscan) / 1.08
    growth = change / (1.0 - 0.225 * change)  # 0.225: the mean of the pairs over the brightest
    scatter = 1.5 / (1.0 - (BEYOND + 3.0) * 0.434 * math.sqrt(2.0 / rows))  # 0.434: as 15 pairs add
    # The brighter-fatter effect moves charge to other rows: theirs scatter less than they would.
    shared = [1.0 + 0.5 * stand.truth.amps[name].a00 * ROW_SIGNAL for name in moving]
    # All are off to one side here, and all polynomials to the other: the lamp is their median.
    off = dict.fromkeys(moving, 1.01 + (BEYOND + 5.0) * OF_RESIDUAL)
    shares = {name: scatter - one for name, one in zip(moving, shared, strict=True)}
    gains = {name: one.gain for name, one in stand.truth.amps.items()}

    def effects(electrons: float) -> FrameEffects:
        factor = 1.0 + growth * electrons / highest
        truths = stand.truth.amps
        return FrameEffects(
            noise_factor={name: factor_of_read_noise(truths[name], factor) for name in noisy}
        )

    def edit(raw: IntArray, electrons: float) -> IntArray:
        raw = rows_moved(raw, stand.detector, shares, gains)
        return scaled(raw, stand.detector, off) if electrons > BRIGHT else raw

    wrong = _with_linearizer(stand, known, {name: (-BEND / gains[name],) for name in noisy})
    # The same frames twice: what is left of the signal would be off the photon transfer curve.
    points = _points(stand, known, effects, 5_000, edit)
    measured = ptc.measure(stand.detector, points, known)
    points = _points(stand, wrong, effects, 5_000, edit)
    straight = linearity.measure(stand.detector, points, wrong)
    faulty = {"NOISE_SIGNAL_INDEPENDENCE": set(noisy), "ROW_MEAN_VARIANCE": set(moving)}
    found.note(judge(stand, "ptc", measured), faulty)
    faulty = {"POLYNOMIAL_2": set(noisy), "MAX_RESIDUAL": set(moving)}
    found.note(judge(stand, "linearity", straight), faulty)
    for name in noisy:
        value = straight.amps[name]["LINEARITY_POLYNOMIAL_2"]
        found.noted["square of the polynomial over injected"].append(value / BEND)


def faint_sequence(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take a sequence of low signals, right, and with a certified polynomial whose cube is wrong.

    The second linearizer's cube is 1e-9 per ADU² at its limit, which at 60 kADU is the signal
    itself, several times over.
    """
    levels = [float(x) for x in np.geomspace(*FAINT, PAIRS)]
    raws = [
        [stand.raw(6_000 + 2 * k + n, "flat", level / RATE, level) for n in (0, 1)]
        for k, level in enumerate(levels)
    ]

    def points(by: CalibrationSet) -> list[Earlier]:
        found = []
        for k, (pair, level) in enumerate(zip(raws, levels, strict=True)):
            frames = [
                stand.corrected(raw, by, PLAIN, 6_000 + 2 * k + n, level / RATE)
                for n, raw in enumerate(pair)
            ]
            found.append(_point(stand, frames, by))
        return found

    plain = linearity.measure(stand.detector, points(known), known)
    found.note(judge(stand, "linearity", plain), {})
    (bent,) = dealt(stand.detector.amp_names, stand.truth.seed, 8)
    cubes = {}
    for name, sign in signs(bent).items():
        error = plain.amps[name]["LINEARITY_POLYNOMIAL_3_ERROR"]
        # Of 1000 ADU. The inverse of a cube has a fifth power, which takes 3 % of it here.
        cube = 1.03 * (1e-6 + (BEYOND + 3.0) * error) / 1_000.0
        cubes[name] = (0.0, sign * cube / stand.truth.amps[name].gain ** 2)
    wrong = _with_linearizer(stand, known, cubes)
    straight = linearity.measure(stand.detector, points(wrong), wrong)
    found.note_faults(judge(stand, "linearity", straight), {"POLYNOMIAL_3": set(bent)})


def _with_linearizer(
    stand: Stand, known: CalibrationSet, more: dict[str, tuple[float, ...]]
) -> CalibrationSet:
    """Return a certified linearizer that is a polynomial in some amplifiers, by so much wrong."""
    old = known.linearizer
    if old is None:
        raise ValueError("there is no certified linearizer")
    kinds, coefficients = list(old.types), list(old.coefficients)
    for name, wrong in more.items():
        k = stand.detector.amp_names.index(name)
        kinds[k] = LinearizerType.POLYNOMIAL
        # Two terms: the fit that a polynomial comes from has a square and a cube.
        terms = np.zeros(2)
        terms[: len(wrong)] = wrong
        terms[0] += old.coefficients[k][0]
        coefficients[k] = terms
    new = Linearizer(
        old.amp_names, tuple(kinds), tuple(coefficients), None, old.units, old.metadata
    )
    return replace(known, linearizer=new)


def _points(
    stand: Stand,
    known: CalibrationSet,
    effects: Callable[[float], FrameEffects],
    first: int,
    edit: Edit | None = None,
) -> list[Earlier]:
    """Take the pairs of a photon transfer curve, from faint to bright."""
    points = []
    for k, electrons in enumerate(map(float, np.geomspace(LOWEST, HIGHEST, PAIRS))):
        seconds, frames = electrons / 5_000.0, []
        for number in (first + 2 * k, first + 2 * k + 1):
            raw = stand.raw(number, "flat", seconds, electrons, effects(electrons))
            raw = edit(raw, electrons) if edit else raw
            frames.append(stand.corrected(raw, known, PLAIN, number, seconds))
        points.append(_point(stand, frames, known))
    return points


def _point(stand: Stand, frames: list[CorrectedFrame], known: CalibrationSet) -> Earlier:
    measured = gain.measure(stand.detector, frames[0], frames[1], known)
    return Earlier(
        frames[1].exposure_id, stand.detector.number, frames[1].exposure_time, measured.amps,
        measured.arrays,
    )  # fmt: skip
