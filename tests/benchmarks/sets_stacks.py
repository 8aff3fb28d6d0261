"""Stacks of darks and flats of one simulated detector, and its certified bias."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm
from sets_camera import PLAIN, Stand
from sets_edits import added, places_in, with_maps
from sets_found import BEYOND, Found, dealt, judge, noise_of

from calwatch.arrays import BoolArray, IntArray
from calwatch.calibrations.model import CalibrationSet, Defects, ImageCalibration, Units
from calwatch.camera.model import Box
from calwatch.isr.assembly import orient
from calwatch.isr.model import IsrSwitches
from calwatch.simulate.model import FrameEffects
from calwatch.simulate.truth import AmpTruth
from calwatch.verify.amplifier import Measured
from calwatch.verify.sets import dark_stack, defects
from calwatch.verify.sets.model import CorrectedFrame

DARKS, BIASES, DARK_SECONDS = 8, 20, 30.0
FLATS, FLAT_LEVEL = 6, 30_000.0
WARM_SHARE = 0.1
"""Of the pixels that make a tail: the 95 % point is in the middle of them."""
NEW, COLUMNS = 305, (60, 140, 220, 300, 380)
"""New defects of an amplifier: what is above the limits of 300 and 3, and a few for cosmic rays."""
SEEN_PIXELS = 40
"""Certified defects of an amplifier that are none, and as many that are."""


def certified_bias(stand: Stand) -> ImageCalibration:
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


def darks(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Take darks, corrected with a bias made of simulated ones, and again with faults."""
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
    measured = _dark_set(known, 600, stand, stand)
    for amp in stand.detector.amp_names:
        truth, seen = stand.truth.amps[amp], measured.amps[amp]
        found.deviate(
            "DARK_STACK_MEAN", seen["DARK_STACK_MEAN"], truth.dark_current, seen["DARK_STACK_ERROR"]
        )
        found.deviate(
            "DARK_ODD_EVEN_MEAN", seen["DARK_ODD_EVEN_MEAN"], 0.0, seen["DARK_ODD_EVEN_ERROR"]
        )
    found.note(judge(stand, "dark_stack", measured), {})
    _warmer(stand, known, measured, found)
    _noisier(stand, known, measured, found)


def _warmer(stand: Stand, known: CalibrationSet, plain: Measured, found: Found) -> None:
    """Take darks with more current in all of them, or in every other one."""
    warm, uneven = dealt(stand.detector.amp_names, stand.truth.seed, 6, 6)
    of_rate, of_step = (
        float(np.mean([n[name] for n in plain.amps.values()]))
        for name in ("DARK_STACK_ERROR", "DARK_ODD_EVEN_ERROR")
    )
    truths = stand.truth.amps
    more = dict.fromkeys(warm, 0.05 + (BEYOND + 5.0) * of_rate)
    step = more | dict.fromkeys(uneven, 0.05 + (BEYOND + 5.0) * of_step)
    stands = [
        stand.changed(dark_current={name: truths[name].dark_current + x for name, x in by.items()})
        for by in (more, step)
    ]
    measured = _dark_set(known, 700, *stands)
    faulty = {"DARK_CURRENT": set(warm), "DARK_ODD_EVEN_MEAN": set(uneven)}
    found.note(judge(stand, "dark_stack", measured), faulty)


def _noisier(stand: Stand, known: CalibrationSet, plain: Measured, found: Found) -> None:
    """Take darks with more noise, or with a tail of warm pixels."""
    noisy, tailed = dealt(stand.detector.amp_names, stand.truth.seed, 6, 6)
    factors, tails = {}, {}
    # What the overscan levels add to the noise is the same in all; each has its own fluctuation.
    more = float(np.mean([_noise_over_model(stand, name, one) for name, one in plain.amps.items()]))
    for name in noisy:
        truth, seen = stand.truth.amps[name], plain.amps[name]
        clean = seen["DARK_EXPECTED_NOISE"] * _with_converter(truth) * more
        # The error grows with the noise.
        edge = (BEYOND + 5.0) * 1.12 * seen["DARK_ODD_EVEN_NOISE_ERROR"]
        wanted = seen["DARK_EXPECTED_NOISE"] * 1.10 + edge
        # Dark current and the converter have noise that the factor does not raise.
        whole = noise_of(truth) ** 2 + truth.dark_current * DARK_SECONDS
        rising = clean**2 * truth.read_noise**2 / whole
        factors[name] = math.sqrt(1.0 + (wanted**2 - clean**2) / rising)
    for k, amp in enumerate(stand.detector.amplifiers):
        if amp.name in tailed:
            seen = plain.amps[amp.name]
            wanted = seen["CERTIFIED_DARK_TAIL"] + 0.1 + (BEYOND + 5.0) * seen["DARK_TAIL_ERROR"]
            noise = (seen["DARK_STACK_P95"] - seen["DARK_STACK_MEDIAN"]) / norm.isf(0.05)
            places = places_in(amp, int(WARM_SHARE * amp.data.area), stand.truth.seed + 100 * k)
            tails[amp.name] = (places, warm_rate(wanted, noise))
    warm = replace(stand, maps=with_maps(stand.detector, stand.maps, dark_rate=tails))
    measured = _dark_set(known, 720, warm, warm, FrameEffects(noise_factor=factors))
    faulty = {"DARK_ODD_EVEN_NOISE": set(noisy), "DARK_TAIL": set(tailed)}
    found.note(judge(stand, "dark_stack", measured), faulty)


def _with_converter(truth: AmpTruth) -> float:
    """Return by what the noise of a dark is more than that of the certified PTC expects."""
    dark = truth.dark_current * DARK_SECONDS
    return math.sqrt((noise_of(truth) ** 2 + dark) / (truth.read_noise**2 + dark))


def _noise_over_model(stand: Stand, name: str, seen: Mapping[str, float]) -> float:
    model = seen["DARK_EXPECTED_NOISE"] * _with_converter(stand.truth.amps[name])
    return seen["DARK_ODD_EVEN_NOISE"] / model


def warm_rate(tail: float, noise: float) -> float:
    """Return how much warmer a share of the pixels must be for a tail beyond the noise, e-/s."""

    def point(share: float, rate: float) -> float:
        """Return where so large a share of all pixels is above."""

        def rest(x: float) -> float:
            return float(
                (1.0 - WARM_SHARE) * norm.sf(x / noise)
                + WARM_SHARE * norm.sf((x - rate) / noise)
                - share
            )

        return float(brentq(rest, -10.0 * noise, rate + 10.0 * noise))

    def left(rate: float) -> float:
        return point(0.05, rate) - point(0.5, rate) - float(norm.isf(0.05)) * noise - tail

    return float(brentq(left, 0.0, tail + 10.0 * noise))


def bad_pixels(stand: Stand, known: CalibrationSet, found: Found) -> None:
    """Look for new defects in darks and flats, first without any, then with more than allowed."""
    boxes, kept = _certified_defects(stand)
    known = replace(known, defects=Defects(boxes, {}), flat=_certified_flat(stand))
    for kind in ("dark", "flat"):
        measured = _defects_of(kind, stand, known, 800 if kind == "dark" else 820)
        found.note(judge(stand, "defects", measured), {})
        if kind == "dark":
            _note_mask(measured, kept, found)
    _new_in_darks(stand, known, found)
    _new_in_flats(stand, known, found)


def _new_in_darks(stand: Stand, known: CalibrationSet, found: Found) -> None:
    hot, telegraph = dealt(stand.detector.amp_names, stand.truth.seed, 6, 6)
    truths = stand.truth.amps
    # Three errors of a single frame above the threshold of 5 e-/s.
    rate = 5.0 + BEYOND * math.sqrt(150.0 + 60.0) / DARK_SECONDS
    effects = FrameEffects(hot_pixels=dict.fromkeys(hot, (NEW, rate)))
    steps: dict[str, tuple[IntArray, BoolArray]] = {}
    rng = np.random.default_rng(stand.truth.seed)
    for k, amp in enumerate(stand.detector.amplifiers):
        if amp.name in telegraph:
            places = places_in(amp, NEW, stand.truth.seed + 100 * k)
            # Half of the frames, others for each pixel.
            on = np.argsort(rng.random((NEW, DARKS)), axis=1) < DARKS // 2
            steps[amp.name] = (places, on)

    def edit(raw: IntArray, n: int) -> IntArray:
        more = {}
        for amp in stand.detector.amplifiers:
            if amp.name in steps:
                places, on = steps[amp.name]
                pattern = np.zeros((amp.data.height, amp.data.width))
                electrons = telegraph_step(truths[amp.name])
                pattern.flat[places[on[:, n]]] = electrons / truths[amp.name].gain
                more[amp.name] = pattern
        return added(raw, stand.detector, more)

    measured = _defects_of("dark", stand, known, 840, effects, edit)
    faulty = {"NEW_BRIGHT_PIXELS": set(hot), "UNSTABLE_PIXELS": set(telegraph)}
    found.note(judge(stand, "defects", measured), faulty)


def telegraph_step(truth: AmpTruth) -> float:
    """Return the step of a pixel that is up in half of the frames, e-.

    Its χ² exceeds the limit by 3 of its errors, and by 2 more since the highest frame is left out,
    which is the one where the noise has raised the pixel most.
    """
    of_bias = noise_of(truth) * math.sqrt(1.0 + 1.0 / BIASES)
    noise = math.hypot(of_bias, math.sqrt(truth.dark_current * DARK_SECONDS))
    freedom = DARKS - 2
    limit = max(float(chi2.isf(defects.UNSTABLE_CHANCE, freedom)), 2.0 * freedom)

    def above(x: float) -> float:
        return freedom + x - (BEYOND + 2.0) * math.sqrt(2.0 * (freedom + 2.0 * x)) - limit

    off_centre = brentq(above, 0.0, 1e4)
    up, frames = DARKS // 2 - 1, DARKS - 1
    return noise * math.sqrt(off_centre / (up * (1.0 - up / frames)))


def _new_in_flats(stand: Stand, known: CalibrationSet, found: Found) -> None:
    dark, dull = dealt(stand.detector.amp_names, stand.truth.seed, 6, 8)
    pixels, columns = {}, {}
    for k, amp in enumerate(stand.detector.amplifiers):
        if amp.name in dark:
            # Three errors of a single frame below the threshold of a fifth.
            response = 0.8 - BEYOND / math.sqrt(0.8 * FLAT_LEVEL)
            pixels[amp.name] = (places_in(amp, NEW, stand.truth.seed + 100 * k), response)
        elif amp.name in dull:
            # With that of the median of the columns beside it.
            error = 1.07 / math.sqrt(FLAT_LEVEL * FLATS * amp.data.height)
            columns[amp.name] = (COLUMNS, 0.95 - BEYOND * error)
    maps = with_maps(stand.detector, stand.maps, response=pixels, columns=columns)
    measured = _defects_of("flat", replace(stand, maps=maps), known, 860)
    faulty = {"NEW_DARK_PIXELS": set(dark), "NEW_BAD_COLUMNS": set(dull)}
    found.note(judge(stand, "defects", measured), faulty)


def _certified_defects(stand: Stand) -> tuple[tuple[Box, ...], dict[str, int]]:
    """Return single pixels as certified defects, and of each amplifier how many."""
    boxes = []
    for k, amp in enumerate(stand.detector.amplifiers):
        for place in places_in(amp, SEEN_PIXELS, stand.truth.seed + 10_000 + k):
            y, x = divmod(int(place), amp.bbox.width)
            boxes.append(Box(amp.bbox.x0 + x, amp.bbox.y0 + y, 1, 1))
    return tuple(boxes), {amp.name: SEEN_PIXELS for amp in stand.detector.amplifiers}


def _note_mask(measured: Measured, kept: dict[str, int], found: Found) -> None:
    for name, count in kept.items():
        found.noted["sound pixels in the mask that are no longer seen, share"].append(
            measured.amps[name]["NO_LONGER_SEEN"] / count
        )


def _certified_flat(stand: Stand) -> ImageCalibration:
    image = np.empty(stand.detector.shape, np.float32)
    for amp, response in zip(stand.detector.amplifiers, stand.maps.response, strict=True):
        image[amp.bbox.slices] = orient(response, amp)
    nothing = np.zeros(stand.detector.shape, np.float32)
    return ImageCalibration(
        "flat", image, np.zeros(stand.detector.shape, np.uint16), nothing, Units.ADU, 0.0,
        "i_39", {},
    )  # fmt: skip


def _defects_of(
    kind: str,
    stand: Stand,
    known: CalibrationSet,
    first: int,
    effects: FrameEffects | None = None,
    edit: Callable[[IntArray, int], IntArray] | None = None,
) -> Measured:
    count, seconds, level = (
        (DARKS, DARK_SECONDS, 0.0) if kind == "dark" else (FLATS, 6.0, FLAT_LEVEL)
    )
    switches = IsrSwitches(flat=kind == "flat")

    def frame(n: int) -> CorrectedFrame:
        raw = stand.raw(first + n, kind, seconds, level, effects)
        raw = edit(raw, n) if edit else raw
        return stand.corrected(raw, known, switches, first + n, seconds)

    return defects.measure(stand.detector, map(frame, range(count)), kind, known)


def _dark_set(
    known: CalibrationSet,
    first: int,
    even: Stand,
    odd: Stand,
    effects: FrameEffects | None = None,
) -> Measured:
    """Take a stack of darks of a detector of which the odd ones may be otherwise."""

    def frame(n: int) -> CorrectedFrame:
        stand = odd if n % 2 else even
        raw = stand.raw(first + n, "dark", DARK_SECONDS, 0.0, effects)
        return stand.corrected(raw, known, PLAIN, first + n, DARK_SECONDS)

    return dark_stack.measure(even.detector, map(frame, range(DARKS)), known)
