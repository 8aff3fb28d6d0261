"""Stacks of even and odd darks, and the dark current."""

import math
from dataclasses import replace

import numpy as np
import pytest

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import CalibrationSet, ImageCalibration, PhotonTransferCurve, Units
from calwatch.camera.model import Box, Detector
from calwatch.simulate.cosmics import add_cosmic_rays
from calwatch.verify.definitions.dark_stack import METRICS
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.model import Verdict
from calwatch.verify.sets import dark_stack
from calwatch.verify.sets.model import CorrectedFrame

NOISE, RATE = 6.0, 0.05
WIDTH, HEIGHT, COLUMNS, N_AMP = 120, 100, 20, 200
SERIAL, PARALLEL = 64, 48
"""Overscan columns and rows that are used."""
DAY = (5.0,) * 5 + (15.0,) * 2 + (30.0,) * 15
"""Darks of a day of LATISS, s."""


@pytest.fixture(scope="module")
def many(detector) -> Detector:
    """200 amplifiers of 120×100 pixels with overscans of the usual size."""
    first = replace(
        detector.amplifiers[0],
        serial_overscan=Box(WIDTH, 0, SERIAL + 6, HEIGHT + PARALLEL + 6),
        parallel_overscan=Box(0, HEIGHT, WIDTH, PARALLEL + 6),
        data=Box(0, 0, WIDTH, HEIGHT),
    )
    amps = tuple(
        replace(
            first,
            name=f"A{i:03d}",
            bbox=Box(WIDTH * (i % COLUMNS), HEIGHT * (i // COLUMNS), WIDTH, HEIGHT),
        )
        for i in range(N_AMP)
    )
    height = N_AMP // COLUMNS * HEIGHT
    return replace(detector, width=COLUMNS * WIDTH, height=height, amplifiers=amps)


def _dark(detector, number, seconds=30.0, *, rate=RATE, overscan=False, tracks=0.0, seed=0):
    """Make one dark; with the noise that the subtraction of overscans leaves if wanted."""
    rng = np.random.default_rng([seed, number])
    signal = rate * seconds
    charge = signal + rng.standard_normal(detector.shape, np.float32) * np.sqrt(
        NOISE**2 + np.maximum(signal, 0), dtype=np.float32
    )
    charge = charge.astype(np.float32)
    if overscan:
        median = math.sqrt(math.pi / 2) * NOISE
        for amp in detector.amplifiers:
            part = charge[amp.bbox.slices]
            part -= rng.normal(0, median / math.sqrt(SERIAL), (HEIGHT, 1)).astype(np.float32)
            part -= rng.normal(0, median / math.sqrt(PARALLEL), (1, WIDTH)).astype(np.float32)
            part -= np.float32(rng.normal(0, median / math.sqrt(SERIAL * PARALLEL)))
    add_cosmic_rays(charge, tracks, seconds, rng)
    n = len(detector.amplifiers)
    return CorrectedFrame(
        exposure_id=number,
        exposure_time=seconds,
        dark_time=seconds,
        image=charge,
        mask=np.zeros(detector.shape, np.uint16),
        gain=np.full(n, 1.5),
        overscan_noise=np.full(n, NOISE / 1.5),
        faults=("",) * n,
    )


def _certified(detector, rate=RATE, n_darks=20, **metadata) -> CalibrationSet:
    n = len(detector.amplifiers)
    variance = np.float32((NOISE**2 + 30 * RATE) / 900 / n_darks)
    image = np.random.default_rng(99).standard_normal(detector.shape, np.float32)
    image = image * np.sqrt(variance) + np.float32(rate)
    dark = ImageCalibration(
        "dark", image, np.zeros(detector.shape, np.uint16),
        np.full(detector.shape, variance), Units.ELECTRON, 1.0, "", metadata,
    )  # fmt: skip
    ptc = PhotonTransferCurve(
        detector.amp_names, np.full(n, 1.5), np.full(n, NOISE), np.full(n, 8e4),
        np.full(n, 25e3), np.full(n, 1.0), np.full(n, -3e-6), (), {},
    )  # fmt: skip
    return CalibrationSet(dark=dark, ptc=ptc)


def _column(found, name):
    return np.array([numbers[name] for numbers in found.amps.values()])


def _judged(detector, exposure, found):
    return judge_numbers(
        replace(exposure("dark"), calib_type="dark_stack"), detector, found.amps, found.detector,
        load_limits("dmtn101"), faults=found.faults,
    )  # fmt: skip


@pytest.mark.parametrize("times", [(30.0,) * 10, DAY])
def test_rates_come_back_within_their_errors(many, times):
    """Pulls of 200 amplifiers, with cosmic rays, and the noise of overscans."""
    frames = (
        _dark(many, n, seconds, overscan=True, tracks=0.03) for n, seconds in enumerate(times)
    )
    found = dark_stack.measure(many, frames, _certified(many))
    assert not found.faults
    assert not found.warnings
    for pulls in (
        (_column(found, "DARK_STACK_MEAN") - RATE) / _column(found, "DARK_STACK_ERROR"),
        _column(found, "DARK_ODD_EVEN_MEAN") / _column(found, "DARK_ODD_EVEN_ERROR"),
    ):
        assert abs(pulls.mean()) < 3 / math.sqrt(N_AMP)
        assert pulls.std() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("times", [(30.0,) * 4, (30.0,) * 10, DAY])
def test_the_noise_is_that_of_so_many_darks(many, times):
    frames = (_dark(many, n, seconds, tracks=0.03) for n, seconds in enumerate(times))
    found = dark_stack.measure(many, frames, _certified(many))
    ratio = _column(found, "DARK_ODD_EVEN_NOISE") / _column(found, "DARK_EXPECTED_NOISE")
    error = _column(found, "DARK_ODD_EVEN_NOISE_ERROR") / _column(found, "DARK_EXPECTED_NOISE")
    assert ratio.mean() == pytest.approx(1, abs=0.003)
    assert ((ratio - ratio.mean()) / error).std() == pytest.approx(1, abs=0.15)
    tail = _column(found, "DARK_TAIL") / _column(found, "DARK_TAIL_ERROR")
    assert abs(tail.mean()) < 0.5
    # The error also has what is not known of the noise.
    assert 0.2 < tail.std() < 1.1


def test_good_darks_pass(many, exposure):
    frames = (_dark(many, n, overscan=True, tracks=0.03, seed=5) for n in range(10))
    result = _judged(many, exposure, dark_stack.measure(many, frames, _certified(many)))
    assert result.verdict is Verdict.PASS
    warned = [n for n, a in result.amps.items() if any(t.severity for t in a.tests.values())]
    assert len(warned) <= 0.01 * N_AMP


def _changed(detector, change):
    """Return one amplifier in four changed: what is found of them, and of the others."""
    frames = [_dark(detector, n, seed=7) for n in range(10)]
    for n, frame in enumerate(frames):
        change(n, frame.image[:, : detector.width // 4])
    return frames


def _power(detector, exposure, change, name):
    found = dark_stack.measure(detector, _changed(detector, change), _certified(detector))
    result = _judged(detector, exposure, found)
    wrong = [amp.bbox.x0 < detector.width // 4 for amp in detector.amplifiers]
    told = [bool(result.amps[amp.name].tests[name].severity) for amp in detector.amplifiers]
    return np.mean(np.array(told)[wrong]), np.mean(np.array(told)[np.logical_not(wrong)])


def _warmer(n, part):
    part += np.random.default_rng(n).poisson(0.07 * 30, part.shape)


def _alternating(n, part):
    part += 1.5 * (n % 2)


def _noisier(n, part):
    part += np.random.default_rng(n).normal(0, 3.5, part.shape)


def _warm_pixels(n, part):
    part[:, ::12] += 4.5


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (_warmer, "DARK_CURRENT"),
        (_alternating, "DARK_ODD_EVEN_MEAN"),
        (_noisier, "DARK_ODD_EVEN_NOISE"),
        (_warm_pixels, "DARK_TAIL"),
    ],
)
def test_each_fault_is_found(many, exposure, change, name):
    power, false = _power(many, exposure, change, name)
    assert power >= 0.95
    assert false <= 0.01


def test_the_certified_percentiles_are_those_of_the_header(detector):
    start = "LSST CALIB DARK C11 DISTRIBUTION"
    held = _certified(detector, **{f"{start} 50.0-PCT": 0.04, f"{start} 95.0-PCT": 0.2})
    found = dark_stack.measure(detector, [_dark(detector, n) for n in range(4)], held)
    assert found.amps["C11"]["CERTIFIED_DARK_MEDIAN"] == 0.04
    assert found.amps["C11"]["CERTIFIED_DARK_P95"] == 0.2
    assert found.amps["C10"]["CERTIFIED_DARK_MEDIAN"] == pytest.approx(RATE, abs=2e-3)
    adu = replace(held, dark=replace(held.dark, units=Units.ADU))
    found = dark_stack.measure(detector, [_dark(detector, n) for n in range(4)], adu)
    assert found.amps["C11"]["CERTIFIED_DARK_P95"] == pytest.approx(0.3)


def test_the_noise_of_the_certified_bias_is_no_tail(many):
    """It is in every dark, falls with no number of them, and is not in their difference."""
    held, deviation = _certified(many), NOISE / math.sqrt(16)
    pattern = np.random.default_rng(3).standard_normal(many.shape, np.float32)
    bias = replace(
        held.dark,
        calib_type="bias",
        variance=np.full(many.shape, deviation**2, np.float32),
        metadata={f"CPP_INPUT_{i}": i for i in range(16)},
    )
    frames = [_dark(many, n, 15.0) for n in range(8)]
    for frame in frames:
        frame.image[:] += np.float32(deviation) * pattern
    found = dark_stack.measure(many, frames, replace(held, bias=bias))
    assert np.abs(_column(found, "DARK_TAIL") / _column(found, "DARK_TAIL_ERROR")).max() < 5
    assert abs(_column(found, "DARK_TAIL").mean()) < 2e-3


def test_one_dark_with_light_in_it_is_named(detector, exposure):
    frames = [_dark(detector, n, rate=2.0 if n == 4 else RATE) for n in range(8)]
    found = dark_stack.measure(detector, frames, _certified(detector))
    assert found.warnings == (
        "exposure 4: brighter than the other darks by 1.95 e-/s in 4 of 4 amplifiers",
    )
    result = _judged(detector, exposure, found)
    for amp in result.amps.values():
        assert amp.tests["DARK_ODD_EVEN_MEAN"].severity == "SERIOUS"


def test_bad_input_is_a_fault_of_its_amplifier(detector, exposure):
    frames = [_dark(detector, n) for n in range(6)]
    for n in (1, 3):
        frames[n] = replace(frames[n], faults=("", "not read out", "", ""))
    for frame in frames:
        frame.mask[100:, :120] = int(Mask.NO_DATA)
    frames[2].image[10, 10] = np.nan
    frames[3].image[100:, 120:] = np.nan
    found = dark_stack.measure(detector, frames, _certified(detector))
    assert set(found.faults) == {"C11", "C01"}
    assert found.faults["C11"] == "only 1 dark in the odd half (not read out)"
    assert found.amps["C10"]["DARK_STACK_MEAN"] == pytest.approx(RATE, abs=0.01)
    assert found.amps["C00"]["DARK_FRAMES"] == 5
    for numbers in found.amps.values():
        assert set(numbers) == {metric.name for metric in METRICS}
    result = _judged(detector, exposure, found)
    assert result.amps["C11"].verdict is Verdict.UNKNOWN
    assert result.amps["C10"].verdict is Verdict.PASS
    three = dark_stack.measure(detector, frames[:3], CalibrationSet())
    assert three.faults["C10"] == "only 3 darks of at least 4"
    assert not dark_stack.measure(detector, [], CalibrationSet()).warnings


def test_without_certified_calibrations_there_is_less(detector):
    found = dark_stack.measure(detector, [_dark(detector, n) for n in range(4)], CalibrationSet())
    numbers = found.amps["C10"]
    assert numbers["DARK_STACK_MEAN"] == pytest.approx(RATE, abs=0.01)
    for name in ("DARK_EXPECTED_NOISE", "CERTIFIED_DARK_MEAN", "CERTIFIED_DARK_TAIL"):
        assert math.isnan(numbers[name])
