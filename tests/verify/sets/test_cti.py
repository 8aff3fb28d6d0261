"""Charge transfer comes back as it was put in, and what cannot be measured is said to be so."""

import math
from dataclasses import replace

import numpy as np
import pytest

from calwatch.calibrations.model import CalibrationSet, ChargeTransfer
from calwatch.camera.model import Box
from calwatch.simulate.kernels import transfer
from calwatch.verify.definitions.cti import METRICS
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.model import Verdict
from calwatch.verify.sets.cti import measure
from calwatch.verify.sets.model import RawFrame

GAIN, NOISE, SIGNAL, BIAS = 1.5, 6.0, 30_000.0, 25_000.0
"""e-/ADU, e-, e-, ADU."""
N_PAIRS, N_TRIALS = 100, 50
"""Pairs of four amplifiers each, for pulls and for power."""


@pytest.fixture(scope="module")
def make_raw(detector):
    """Return a function that makes a raw flat by the simulator's transfer, in ADU."""

    def make(seed, serial=0.0, parallel=0.0, signal=SIGNAL, amps=None):
        rng = np.random.default_rng([seed, 11])
        amps = detector.amplifiers if amps is None else amps
        pixels = np.zeros((len(amps), *amps[0].raw_shape), np.int32)
        for i, amp in enumerate(amps):
            data = amp.data
            charge = rng.normal(signal, math.sqrt(signal), (data.height, data.width))
            raw = np.zeros(amp.raw_shape, np.float32)
            rows = slice(data.y0, data.y1)
            transfer(charge.astype(np.float32), 1e6, serial, data.x0, 0.0, raw[rows])
            lost = parallel * data.y1 * raw[data.y1 - 1, data.x0 : data.x1]
            raw[data.y1 - 1, data.x0 : data.x1] -= lost
            raw[data.y1, data.x0 : data.x1] += lost
            # Levels of rows and columns as real amplifiers have them.
            level = BIAS + rng.normal(0, 0.3, amp.raw_shape[0])[:, None]
            level = level + 3 * np.exp(-np.arange(amp.raw_shape[0]) / 8)[:, None]
            noisy = raw / GAIN + level + rng.normal(0, NOISE / GAIN, amp.raw_shape)
            pixels[i] = np.round(noisy)
        return RawFrame(seed, 10.0, pixels, ("",) * len(amps))

    return make


@pytest.fixture
def judge(detector, exposure):
    limits = load_limits("dmtn101")

    def judged(measured, detector=detector):
        return judge_numbers(
            replace(exposure("flat"), calib_type="cti"), detector, measured.amps,
            measured.detector, limits, faults=measured.faults,
        )  # fmt: skip

    return judged


def _pulls(measure_many, name, truth):
    return np.array([
        (numbers[name] - truth) / numbers[f"{name}_ERROR"]
        for found in measure_many
        for numbers in found.amps.values()
    ])  # fmt: skip


@pytest.mark.parametrize(("serial", "parallel"), [(0.0, 0.0), (2e-5, 1e-5)])
def test_what_was_put_in_comes_back_within_its_errors(
    detector, make_raw, calibrations, serial, parallel
):
    found = [
        measure(
            detector,
            make_raw(2 * k, serial, parallel),
            make_raw(2 * k + 1, serial, parallel),
            calibrations,
        )
        for k in range(N_PAIRS)
    ]
    for name, truth in (("SERIAL_CTI", serial), ("PARALLEL_CTI", parallel)):
        pulls = _pulls(found, name, truth)
        assert pulls.size == 4 * N_PAIRS
        assert abs(pulls.mean()) < 0.1, name
        assert abs(pulls.std(ddof=1) - 1) < 0.15, name
    numbers = found[0].amps["C10"]
    assert numbers["EPER_SIGNAL"] == pytest.approx(SIGNAL, rel=0.005)
    deferred = serial * SIGNAL / GAIN * detector.amplifiers[0].data.x1
    assert numbers["DEFERRED_CHARGE"] == pytest.approx(deferred, abs=4)
    assert set(numbers) >= {metric.name for metric in METRICS}


@pytest.mark.parametrize("name", ["SERIAL_CTI", "PARALLEL_CTI"])
def test_a_fault_beyond_its_limit_is_found_and_none_is_made_up(
    detector, make_raw, calibrations, judge, name
):
    serious = {"SERIAL_CTI": 5e-6, "PARALLEL_CTI": 3e-6}[name]
    key = name.partition("_")[0].lower()
    error = measure(detector, make_raw(1), make_raw(2), calibrations).amps["C10"][f"{name}_ERROR"]

    def failures(value, first_seed):
        count = 0
        for k in range(first_seed, first_seed + 2 * N_TRIALS, 2):
            frames = [make_raw(seed, **{key: value}) for seed in (k, k + 1)]
            result = judge(measure(detector, *frames, calibrations))
            count += sum(a.tests[name].verdict is Verdict.FAIL for a in result.amps.values())
        return count / (4 * N_TRIALS)

    # Three errors are allowed beyond the limit, and three are needed to be sure of a fault.
    assert failures(serious + 6 * error, 1_000) >= 0.95
    assert failures(0.0, 2_000) <= 0.01


def test_a_saturated_a_dark_and_a_dead_amplifier_are_unknown(
    detector, make_raw, calibrations, judge
):
    first, second = make_raw(1), make_raw(2)
    pixels = first.pixels.copy()
    pixels[0][:, 3:123] = 65535
    pixels[1][:100, 3:123] -= round(SIGNAL / GAIN)
    pixels[3] = 0
    broken = RawFrame(1, 10.0, pixels, ("", "", "it was not read out", ""))
    dark = second.pixels.copy()
    dark[1][:100, 3:123] -= round(SIGNAL / GAIN)
    dark[3] = 0
    found = measure(detector, broken, RawFrame(2, 10.0, dark, ("",) * 4), calibrations)
    words = ("saturated", "no light", "not read out", "no light")
    for name, word in zip(detector.amp_names, words, strict=True):
        assert word in found.faults[name]
        assert math.isnan(found.amps[name]["SERIAL_CTI"])
    assert judge(found).verdict is Verdict.UNKNOWN


def test_a_signal_above_the_certified_turnoff_is_unknown(detector, make_raw, calibrations):
    ptc = replace(calibrations.ptc, turnoff=np.array([10_000.0, 80_000.0, math.nan, 80_000.0]))
    found = measure(detector, make_raw(1), make_raw(2), replace(calibrations, ptc=ptc))
    assert set(found.faults) == {"C10"}
    assert "turnoff" in found.faults["C10"]


def test_a_gain_that_is_no_number_costs_only_the_signal(detector, make_raw, calibrations):
    ptc = replace(calibrations.ptc, gain=np.array([math.nan, 0.0, 1.5, 1.5]))
    found = measure(detector, make_raw(1), make_raw(2), replace(calibrations, ptc=ptc))
    assert not found.faults
    assert math.isnan(found.amps["C10"]["EPER_SIGNAL"])
    assert math.isnan(found.amps["C11"]["EPER_SIGNAL"])
    assert math.isfinite(found.amps["C10"]["SERIAL_CTI"])
    assert not measure(detector, make_raw(1), make_raw(2), CalibrationSet()).faults


def test_a_narrow_overscan_and_none_at_all_have_no_level(detector, make_raw, calibrations, judge):
    narrow = replace(detector.amplifiers[0], serial_overscan=Box(123, 0, 10, 120))
    none = replace(detector.amplifiers[1], serial_overscan=Box(123, 0, 0, 120))
    flat = replace(detector.amplifiers[2], parallel_overscan=Box(3, 100, 120, 0))
    changed = replace(detector, amplifiers=(narrow, none, flat, detector.amplifiers[3]))
    found = measure(changed, make_raw(1), make_raw(2), calibrations)
    assert set(found.faults) == {"C10", "C11"}
    assert math.isnan(found.amps["C01"]["PARALLEL_CTI"])
    assert math.isfinite(found.amps["C01"]["SERIAL_CTI"])
    result = judge(found, changed)
    assert result.amps["C01"].tests["PARALLEL_CTI"].verdict is Verdict.UNKNOWN
    assert result.amps["C00"].verdict is Verdict.PASS


def test_the_certified_one_is_a_reference_where_there_is_one(
    detector, make_raw, calibrations, judge
):
    names = detector.amp_names
    certified = ChargeTransfer(
        names, np.zeros(4), np.ones(4), np.array([1e-7, 2e-4, math.nan, -1.0]), (None,) * 4, {}
    )
    found = measure(detector, make_raw(1), make_raw(2), replace(calibrations, cti=certified))
    result = judge(found)
    severities = {
        name: amp.tests["SERIAL_CTI_CERTIFIED"].severity
        for name, amp in result.amps.items()
        if "SERIAL_CTI_CERTIFIED" in amp.tests
    }
    assert severities == {"C10": "", "C11": "SERIOUS"}
    assert result.verdict is Verdict.PASS


def test_half_a_detector_is_measured_alike(detector, make_raw, calibrations):
    half = replace(detector, height=100, amplifiers=detector.amplifiers[:2])
    frames = [make_raw(seed, amps=half.amplifiers) for seed in (1, 2)]
    ptc = replace(calibrations.ptc, gain=np.full(2, GAIN))
    found = measure(half, *frames, replace(calibrations, ptc=ptc))
    assert set(found.amps) == {"C10", "C11"}
    assert not found.faults


def test_only_e2v_is_held_to_its_divisadero(detector, make_raw, calibrations, judge):
    frames = make_raw(1), make_raw(2)
    for vendor, tested in (("ITL", False), ("e2v", True), ("E2V", True)):
        one = replace(detector, vendor=vendor)
        found = measure(one, *frames, calibrations)
        assert math.isfinite(found.amps["C10"]["DIVISADERO"]) is tested
        result = judge(found, one)
        assert ("DIVISADERO" in result.amps["C10"].tests) is tested
        assert result.verdict is Verdict.PASS, result.reason


def test_torn_edges_fail(detector, make_raw, calibrations, judge):
    e2v = replace(detector, vendor="E2V")
    first, second = make_raw(1), make_raw(2)
    for frame in (first, second):
        # C10 is left of C11, without flips: its last column gains what C11's first one loses.
        frame.pixels[0][:100, 122] += round(0.04 * SIGNAL / GAIN)
        frame.pixels[1][:100, 3] -= round(0.04 * SIGNAL / GAIN)
    result = judge(measure(e2v, first, second, calibrations), e2v)
    for name, verdict in (("C10", Verdict.FAIL), ("C11", Verdict.FAIL), ("C01", Verdict.PASS)):
        assert result.amps[name].tests["DIVISADERO"].verdict is verdict
    assert result.amps["C10"].metrics["DIVISADERO"] == pytest.approx(1.04 / 0.96 - 1, abs=0.005)
