"""Crosstalk between amplifiers comes back as it was put in; without bright features none does."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import CalibrationSet, Crosstalk, Units
from calwatch.isr.assembly import orient
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.model import Verdict
from calwatch.verify.sets.crosstalk import coefficients, measure
from calwatch.verify.sets.crosstalk_kernels import (
    add_products,
    add_products_reference,
    count_bright,
    find_runs,
)
from calwatch.verify.sets.model import CorrectedFrame

LEVEL, SPOT = 1_000.0, 80_000.0
"""e-."""
SPOTS = ((8, 20), (8, 90), (55, 30), (55, 80))
"""Row and column of the spot of each amplifier, in readout order: none falls on another."""
SIDE = 12


@pytest.fixture(scope="module")
def flipped(detector):
    """The detector with readout corners as ITL has them."""
    flips = ((True, True), (True, True), (True, False), (True, False))
    amps = tuple(
        replace(amp, flip_x=x, flip_y=y)
        for amp, (x, y) in zip(detector.amplifiers, flips, strict=True)
    )
    return replace(detector, amplifiers=amps)


@pytest.fixture(scope="module")
def make(flipped):
    """Return a function that makes a corrected frame with spots and what is left of crosstalk."""

    def _make(seed, matrix=None, spots=SPOTS, response=None):
        rng = np.random.default_rng([seed, 5])
        stack = np.full((4, 100, 120), LEVEL)
        # Light that changes over the amplifier, as vignetting does.
        stack += np.linspace(0, 40, 120)
        for i, spot in enumerate(spots):
            if spot:
                y, x = spot
                stack[i, y : y + 3 * SIDE, x : x + SIDE] += SPOT
        if response is not None:
            stack = stack * response
        light = stack + np.sqrt(stack) * rng.standard_normal(stack.shape)
        if matrix is not None:
            light = light + np.einsum("st,syx->tyx", matrix, light)
        light += 6 * rng.standard_normal(light.shape)
        image = np.empty(flipped.shape, np.float32)
        for amp, pixels in zip(flipped.amplifiers, light, strict=True):
            image[amp.bbox.slices] = orient(pixels, amp)
        return CorrectedFrame(
            seed, 10.0, 10.0, image, np.zeros(flipped.shape, np.uint16), np.full(4, 1.5),
            np.full(4, 4.0), ("",) * 4,
        )  # fmt: skip

    return _make


@pytest.fixture
def judge(flipped, exposure):
    limits = load_limits("dmtn101")

    def judged(measured, limits=limits):
        return judge_numbers(
            replace(exposure("flat"), calib_type="crosstalk"), flipped, measured.amps,
            measured.detector, limits, faults=measured.faults,
        )  # fmt: skip

    return judged


def _matrix(seed, scale=1e-4):
    matrix = np.random.default_rng(seed).normal(0, scale, (4, 4))
    np.fill_diagonal(matrix, 0)
    return matrix


def test_coefficients_come_back_within_their_errors(flipped, make):
    pulls = []
    for k in range(40):
        matrix = _matrix(k)
        found = measure(flipped, [make(2 * k, matrix), make(2 * k + 1, matrix)], CalibrationSet())
        off = ~np.eye(4, dtype=bool)
        residual, error = found.arrays["crosstalk_residual"], found.arrays["crosstalk_error"]
        assert np.isnan(residual[~off]).all()
        pulls.append(((residual - matrix) / error)[off])
    values = np.concatenate(pulls)
    assert values.size == 480
    assert abs(values.mean()) < 0.1
    assert abs(values.std(ddof=1) - 1) < 0.15


def test_pixels_that_respond_alike_in_all_frames_are_in_the_errors(flipped, make):
    pulls = []
    for k in range(20, 80):
        response = 1 + 0.03 * np.random.default_rng(k).standard_normal((4, 100, 120))
        frames = [make(100 * k + j, response=response) for j in range(6)]
        found = measure(flipped, frames, CalibrationSet())
        value = found.arrays["crosstalk_residual"] / found.arrays["crosstalk_error"]
        pulls.append(value[np.isfinite(value)])
    values = np.concatenate(pulls)
    assert abs(values.mean()) < 0.1
    assert abs(values.std(ddof=1) - 1) < 0.15


def test_what_is_left_is_found_and_nothing_is_made_up(flipped, make, judge):
    quiet = [judge(measure(flipped, [make(k)], CalibrationSet())) for k in range(50)]
    tests = [a.tests["CROSSTALK_RESIDUAL"] for r in quiet for a in r.amps.values()]
    assert sum(t.verdict is not Verdict.PASS or t.severity != "" for t in tests) <= 2
    assert sum(r.detector_metrics["CROSSTALK_DETECTIONS"] > 0 for r in quiet) <= 1
    error = np.nanmedian(measure(flipped, [make(0)], CalibrationSet()).arrays["crosstalk_error"])
    found = 0
    for k in range(50):
        matrix = np.zeros((4, 4))
        # Five errors are allowed beyond the limit, and three are needed to be sure.
        matrix[0, 2] = 1e-4 + 9 * error
        result = judge(measure(flipped, [make(500 + k, matrix)], CalibrationSet()))
        found += all(result.amps[name].verdict is Verdict.FAIL for name in ("C10", "C01"))
        assert result.amps["C11"].verdict is Verdict.PASS
    assert found >= 48


def test_the_numbers_of_an_amplifier_are_those_of_its_surest_coefficient(flipped, make):
    matrix = np.zeros((4, 4))
    matrix[1, 3] = -3e-3
    found = measure(flipped, [make(1, matrix)], CalibrationSet())
    for name in ("C11", "C00"):
        assert found.amps[name]["CROSSTALK_RESIDUAL"] == pytest.approx(3e-3, rel=0.05)
        assert found.amps[name]["CROSSTALK_SIGNIFICANT"] == 1
        assert found.amps[name]["CROSSTALK_PIXELS"] == 3 * SIDE * SIDE
    assert found.detector == {"CROSSTALK_DETECTIONS": 1, "CROSSTALK_SOURCES": 4}


def test_the_uncorrected_coefficient_is_what_is_left_and_what_is_certified(flipped, make):
    certified = Crosstalk(
        np.full((4, 4), 1e-4), np.zeros((4, 4)), ~np.eye(4, dtype=bool), Units.ELECTRON, {}
    )
    found = measure(flipped, [make(1)], CalibrationSet(crosstalk=certified))
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(
        found.arrays["crosstalk_uncorrected"][off], found.arrays["crosstalk_residual"][off] + 1e-4
    )


@pytest.mark.parametrize(
    ("spots", "word"),
    [
        ((None,) * 4, "no feature"),
        (((8, 20),) * 4, "bright in several"),
        (((8, 2), None, None, None), "too near an edge"),
    ],
)
@pytest.mark.parametrize("profile", ["dmtn101", "cp_verify"])
def test_without_a_usable_feature_there_is_one_unknown(flipped, make, judge, spots, word, profile):
    found = measure(flipped, [make(1, spots=spots)], CalibrationSet())
    assert not found.amps
    assert word in found.warnings[0]
    result = judge(found, load_limits(profile))
    assert result.verdict is Verdict.UNKNOWN
    assert [t.name for t in result.detector_tests.values()] == ["NO_SIGNIFICANT_DETECTION"]
    assert "bright feature" in result.reason


def test_no_frame_at_all_is_no_crash(flipped):
    assert not measure(flipped, [], CalibrationSet()).amps


def test_one_source_is_enough_to_judge_all(flipped, make, judge):
    result = judge(measure(flipped, [make(1, spots=((8, 20), None, None, None))], CalibrationSet()))
    assert result.verdict is Verdict.PASS
    assert result.detector_metrics["CROSSTALK_SOURCES"] == 1


def test_a_dead_amplifier_and_bad_pixels_cost_only_themselves(flipped, make):
    frame = make(1)
    image, mask = frame.image.copy(), frame.mask.copy()
    image[flipped.amplifiers[1].bbox.slices] = np.nan
    box = flipped.amplifiers[2].bbox
    image[box.slices][:, 95] = 1e9
    mask[box.slices][:, 95] |= int(Mask.BAD)
    image[flipped.amplifiers[3].bbox.y0 + 80, 200] = 50_000
    broken = replace(frame, image=image, mask=mask, faults=("", "it is dead", "", ""))
    found = measure(flipped, [broken], CalibrationSet())
    assert found.faults == {"C11": "it is dead"}
    assert math.isnan(found.amps["C11"]["CROSSTALK_RESIDUAL"])
    assert found.detector["CROSSTALK_DETECTIONS"] == 0


def test_a_saturated_source_is_still_one(flipped, make):
    frame = make(1)
    mask = frame.mask.copy()
    mask[frame.image > 50_000] |= int(Mask.SAT)
    found = measure(flipped, [replace(frame, mask=mask)], CalibrationSet())
    assert found.detector["CROSSTALK_SOURCES"] == 4


@given(
    st.integers(0, 10_000),
    st.integers(0, 12),
    st.floats(0, 0.02),
)
@settings(max_examples=25)
def test_the_kernel_adds_what_plain_numpy_adds(seed, n_spots, bad):
    rng = np.random.default_rng(seed)
    stack = rng.normal(1000, 30, (3, 40, 90)).astype(np.float32)
    for _ in range(n_spots):
        i, y, x = rng.integers(0, (3, 36, 84))
        stack[i, y : y + 4, x : x + rng.integers(1, 6)] += 40_000
    stack[rng.random(stack.shape) < bad] = np.nan
    count = count_bright(stack, np.full(3, 11_000.0))
    noise = np.full(3, 30.0)
    sums = [np.zeros((3, 40)) for _ in range(4)]
    for source in range(3):
        runs = find_runs(stack[source], 11_000.0, count)
        add_products(stack, source, runs, noise, *sums[:2])
        add_products_reference(stack, source, runs, noise, *sums[2:])
        for y, start, stop in runs:
            assert (stack[source, y, start:stop] > 11_000).all()
            assert (count[y, start:stop] == 1).all()
    np.testing.assert_allclose(sums[0], sums[2], rtol=1e-4, atol=1e-3 * (1 + np.abs(sums[2]).max()))
    np.testing.assert_allclose(sums[1], sums[3], rtol=1e-4)


def test_too_few_rows_have_no_coefficient():
    products, squares = np.ones((2, 2, 30)), np.ones((2, 2, 30))
    squares[0, 1, 9:] = products[0, 1, 9:] = 0
    found = coefficients(products, squares)
    assert math.isnan(found.value[0, 1])
    assert found.value[1, 0] == 1
    assert found.error[1, 0] == 0
