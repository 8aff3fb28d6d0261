"""What is taken of one simulated detector, and what is recovered: pulls, and faults at limits."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
from sets_camera import PLAIN, Stand

from calwatch.calibrations.model import CalibrationSet, ImageCalibration, Units
from calwatch.isr.model import IsrSwitches
from calwatch.simulate.maps import PixelMaps
from calwatch.simulate.model import FrameEffects
from calwatch.simulate.truth import NONLINEARITY_REFERENCE, AmpTruth
from calwatch.verify.amplifier import Measured
from calwatch.verify.exposure import Exposure
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.sets import crosstalk, cti, dark_stack, gain, linearity, ptc
from calwatch.verify.sets.model import CorrectedFrame, Earlier, RawFrame
from calwatch.verify.sets.read_noise import pixel_share

PAIRS = 15
LOWEST, HIGHEST = 800.0, 165_000.0
"""e-: from the read noise's share to beyond the full well."""
LEVEL = 40_000.0
"""e-, of single pairs."""
ROUNDS = 8
"""Pairs with faults of each detector."""
BEYOND = 3.0
"""Errors by which a fault exceeds the edge of its limit."""
DARKS, BIASES, DARK_SECONDS = 8, 20, 30.0
SPOT_ROWS, SPOT_COLUMNS, SPOT_FACTOR, SPOT_LEVEL = 40, 30, 20.0, 2_500.0


@dataclass
class Found:
    """What came of one detector."""

    pulls: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """By quantity deviations and stated errors."""
    verdicts: dict[str, list[tuple[bool, str]]] = field(default_factory=lambda: defaultdict(list))
    """By test whether there was a fault of that kind at its limit, and the verdict."""
    noted: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def deviate(self, name: str, value: float, truth: float, error: float) -> None:
        self.pulls[name].append((value - truth, error))


def run(number: int, seed: int, rows: int, only: str = "") -> Found:
    """Take everything of one detector."""
    stand, found = Stand.of(number, seed, rows), Found()
    known = replace(stand.certified(), bias=_certified_bias(stand))
    for name, stage in (
        ("sequence", sequence),
        ("faulty_sequence", faulty_sequence),
        ("pairs", pairs),
        ("spots", spots),
        ("darks", darks),
    ):
        if not only or name in only.split(","):
            stage(stand, known, found)
    return found


def noise_of(truth: AmpTruth) -> float:
    """Return the read noise with what the converter rounds and the ISR dithers, e-."""
    return math.hypot(truth.read_noise, truth.gain / math.sqrt(6))


def judge(
    stand: Stand, kind: str, measured: Measured, known: CalibrationSet
) -> Mapping[str, Mapping[str, str]]:
    """Return the verdict of every test of every amplifier."""
    exposure = Exposure("LSSTCam", 1, kind, datetime(2026, 11, 22, 15, tzinfo=UTC))
    limits = load_limits("dmtn101")
    result = judge_numbers(
        exposure, stand.detector, measured.amps, measured.detector, limits, faults=measured.faults
    )
    return {
        amp: {name: test.verdict.value for name, test in one.tests.items()}
        for amp, one in result.amps.items()
    }


def _points(
    stand: Stand, known: CalibrationSet, effects: FrameEffects, first: int
) -> list[Earlier]:
    """Take the pairs of a photon transfer curve, from faint to bright."""
    points = []
    for k, electrons in enumerate(np.geomspace(LOWEST, HIGHEST, PAIRS)):
        number = first + 2 * k
        one, other = (stand.flat(n, float(electrons), known, effects) for n in (number, number + 1))
        measured = gain.measure(stand.detector, one, other, known)
        points.append(
            Earlier(
                other.exposure_id, stand.detector.number, other.exposure_time, measured.amps,
                measured.arrays,
            )
        )  # fmt: skip
    return points


def sequence(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take a curve of a detector without a fault."""
    points = _points(stand, known, FrameEffects(), 100)
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
    _note(found, judge(stand, "ptc", measured, known), {})
    _note(found, judge(stand, "linearity", straight, known), {})


def _note(
    found: Found, verdicts: Mapping[str, Mapping[str, str]], faulty: Mapping[str, set[str]]
) -> None:
    """Note the verdicts of amplifiers with a fault of a test's kind, and of those with none."""
    spoilt = set().union(*faulty.values()) if faulty else set()
    for amp, tests in verdicts.items():
        for test, verdict in tests.items():
            if amp in faulty.get(test, ()) or amp not in spoilt:
                found.verdicts[test].append((amp in faulty.get(test, ()), verdict))


def faulty_sequence(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take a curve of a detector with faults at the limits, three amplifiers of each."""
    names = stand.detector.amp_names
    turn = stand.truth.seed % len(names)
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
    # Its statistical error is far smaller than what the first linearizer's own square makes of it.
    bend = 1.05e-6
    other = stand.changed(
        a00=dict.fromkeys(a00s, vendor - edge * of_a00),
        full_well=dict.fromkeys(wells, 88_000.0),
        nonlinearity={
            name: truths[name].nonlinearity - bend * NONLINEARITY_REFERENCE for name in bends
        },
    )
    effects = FrameEffects(
        gain_factor=dict.fromkeys(gains, 1.05 + edge * of_gain),
        noise_factor=dict.fromkeys(noises, 1.05 + edge * of_noise),
    )
    points = _points(other, known, effects, 200)
    measured = ptc.measure(stand.detector, points, known)
    straight = linearity.measure(stand.detector, points, known)
    faulty = {
        "PTC_GAIN": set(gains),
        "PTC_NOISE": set(noises),
        "PTC_A00": set(a00s),
        "PTC_TURNOFF": set(wells),
    }
    _note(found, judge(stand, "ptc", measured, known), faulty | {"": set(bends)})
    _note(
        found,
        judge(stand, "linearity", straight, known),
        {"QUADRATIC": set(bends), "": set(gains + noises + a00s + wells)},
    )
    for name in bends:
        seen = straight.amps[name]
        found.noted["quadratic coefficient over injected"].append(
            seen["LINEARITY_QUADRATIC"] / bend
        )


def pairs(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take pairs of flats: one without a fault, and some with faults at the limits."""
    names = stand.detector.amp_names
    plain = _pair(stand, known, 300, FrameEffects())
    measured, transferred = plain
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
    _note(found, judge(stand, "gain", measured, known), {})
    _note(found, judge(stand, "cti", transferred, known), {})
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
        measured, transferred = _pair(stand, known, 302 + 2 * k, effects)
        faulty = {"PAIR_GAIN": {one}, "PAIR_NOISE": {another}}
        _note(found, judge(stand, "gain", measured, known), faulty | {"BOUNDARY_GAIN": {one}})
        _note(found, judge(stand, "cti", transferred, known), {"SERIAL_CTI": {third}})


def _pair(
    stand: Stand, known: CalibrationSet, number: int, effects: FrameEffects
) -> tuple[Measured, Measured]:
    """Take a pair; return what is measured of its gain and of its charge transfer."""
    raws = [stand.raw(n, "flat", 8.0, LEVEL, effects) for n in (number, number + 1)]
    first, second = (
        stand.corrected(raw, known, PLAIN, number + k, 8.0) for k, raw in enumerate(raws)
    )
    nothing = ("",) * len(stand.detector.amplifiers)
    one, other = (RawFrame(number + k, 8.0, raw, nothing) for k, raw in enumerate(raws))
    return (
        gain.measure(stand.detector, first, second, known),
        cti.measure(stand.detector, one, other, known),
    )


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
    _note(found, judge(stand, "crosstalk", measured, known), {})
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
        _note(found, judge(stand, "crosstalk", measured, spoilt), faulty)


def _residuals(stand: Stand, known: CalibrationSet, raws: list[np.ndarray]) -> Measured:  # type: ignore[type-arg]
    frames = (stand.corrected(raw, known, PLAIN, 400 + k, 1.0) for k, raw in enumerate(raws))
    return crosstalk.measure(stand.detector, frames, known)


def darks(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take darks, corrected with a bias made of simulated ones, and again with more current."""
    bias = known.bias
    if bias is None:
        raise ValueError("there is no certified bias")
    shape = stand.detector.shape
    rate = np.zeros(shape, np.float32)
    for amp in stand.detector.amplifiers:
        rate[amp.bbox.slices] = stand.truth.amps[amp.name].dark_current
    dark = replace(
        bias, calib_type="dark", image=rate, variance=np.zeros(shape, np.float32), dark_time=1.0,
        units=Units.ELECTRON_PER_SECOND, metadata={},
    )  # fmt: skip
    known = replace(known, dark=dark)
    measured = _dark_set(stand, known, 600)
    for amp in stand.detector.amp_names:
        truth, seen = stand.truth.amps[amp], measured.amps[amp]
        found.deviate(
            "DARK_STACK_MEAN", seen["DARK_STACK_MEAN"], truth.dark_current, seen["DARK_STACK_ERROR"]
        )
        found.deviate(
            "DARK_ODD_EVEN_MEAN", seen["DARK_ODD_EVEN_MEAN"], 0.0, seen["DARK_ODD_EVEN_ERROR"]
        )
    _note(found, judge(stand, "dark_stack", measured, known), {})
    of_rate = float(np.mean([n["DARK_STACK_ERROR"] for n in measured.amps.values()]))
    warm = set(stand.detector.amp_names[:: 2 if len(stand.detector.amp_names) < 16 else 3])
    more = 0.05 + (BEYOND + 5.0) * of_rate
    truths = stand.truth.amps
    leaky = stand.changed(dark_current={name: truths[name].dark_current + more for name in warm})
    _note(
        found,
        judge(stand, "dark_stack", _dark_set(leaky, known, 700), known),
        {"DARK_CURRENT": warm},
    )


def _certified_bias(stand: Stand) -> ImageCalibration:
    """Return the mean of biases that went through the ISR, as a certified bias."""
    known, plain = stand.certified(), IsrSwitches(bias=False, defects=False)
    total = np.zeros(stand.detector.shape)
    square = np.zeros(stand.detector.shape)
    for n in range(BIASES):
        image = stand.corrected(stand.raw(500 + n, "bias", 0.0), known, plain, 500 + n, 0.0).image
        total += image
        square += np.square(image, dtype=np.float64)
    mean = total / BIASES
    variance = (square / BIASES - mean**2) / (BIASES - 1)
    return ImageCalibration(
        "bias", mean.astype(np.float32), np.zeros(stand.detector.shape, np.uint16),
        variance.astype(np.float32), Units.ELECTRON, 0.0, "",
        {f"CPP_INPUT_{n}": str(n) for n in range(BIASES)},
    )  # fmt: skip


def _dark_set(stand: Stand, known: CalibrationSet, first: int) -> Measured:
    def frame(number: int) -> CorrectedFrame:
        raw = stand.raw(number, "dark", DARK_SECONDS)
        return stand.corrected(raw, known, PLAIN, number, DARK_SECONDS)

    return dark_stack.measure(stand.detector, (frame(first + n) for n in range(DARKS)), known)
