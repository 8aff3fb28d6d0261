"""The whole chain: what a tiny detector was given is taken away again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import Akima1DInterpolator

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import (
    CalibrationSet,
    ChargeTransfer,
    Crosstalk,
    Defects,
    Linearizer,
    LinearizerType,
    SerialTrap,
    Units,
)
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Box
from calwatch.isr.chain import run_isr
from calwatch.isr.cti import correct_charge_transfer
from calwatch.isr.model import STEPS, IsrInput, IsrSwitches
from calwatch.isr.switches import needed_calibrations, switches_for

GAIN = np.array([1.4, 1.5, 1.6, 1.7])
NOISE = np.array([5.0, 6.0, 7.0, 8.0])
NODES = np.array([0.0, 500, 2000, 5000, 9000])
VALUES = np.array([0.0, 4, 25, 10, -20])
DARK_TIME = 30.0
ALL_ON = IsrSwitches(
    dither=False,
    cti=True,
    dark=True,
    flat=True,
    interpolation=True,
    bias_shifts=True,
    amp_correlations=True,
    projections=True,
)


@pytest.fixture
def chain(detector, image_calibration, ptc):
    """A certified chain with an effect from every step."""
    rng = np.random.default_rng(1)
    y, x = np.indices(detector.shape)
    bias = 3 * np.sin(x / 7) + 0.02 * y
    c = np.zeros((4, 4))
    c[0, 1], c[1, 0], c[2, 3], c[3, 2] = 1e-3, -5e-4, 8e-4, 2e-3
    names = detector.amp_names
    return CalibrationSet(
        bias=image_calibration("bias", bias),
        dark=image_calibration(
            "dark", rng.uniform(0, 0.5, detector.shape), units=Units.ELECTRON_PER_SECOND
        ),
        flat=image_calibration("flat", 1 + 0.1 * np.cos(y / 20), units=Units.NONE),
        defects=Defects((Box(10, 20, 2, 30),), {}),
        ptc=ptc(GAIN, NOISE),
        linearizer=Linearizer(
            names,
            (LinearizerType.SPLINE,) * 4,
            (np.concatenate([NODES, VALUES]),) * 4,
            None,
            Units.ADU,
            {},
        ),
        crosstalk=Crosstalk(c, c * 1e-5, np.ones((4, 4), bool), Units.ADU, {}),
        cti=ChargeTransfer(
            names,
            np.array([1e-4, 0.0, 2e-4, 1e-4]),
            np.full(4, 1.5),
            np.full(4, 1e-6),
            (SerialTrap("linear", 4.0, 0.7, 10, np.array([0.01])), None, None, None),
            {},
        ),
    )


def solve(target, correct):
    """Find what `correct` turns into `target`."""
    x = target.copy()
    for _ in range(60):
        x = x + (target - correct(x))
    return x


def forward(truth, detector, chain):
    """Make a raw frame without noise, effect by effect, in the order light meets them."""
    image = truth * chain.flat.image.astype(float)
    image += chain.dark.image.astype(float) * DARK_TIME + chain.bias.image
    stack = np.zeros((4, 76, 49))
    for k, amp in enumerate(detector.amplifiers):
        data = image[amp.bbox.slices]
        data = data[:, ::-1] if amp.flip_x else data
        stack[k][amp.data.slices] = data[::-1] if amp.flip_y else data
    stack = solve(stack, lambda s: correct_charge_transfer(s, detector.amplifiers, chain.cti))
    for k, amp in enumerate(detector.amplifiers):
        spline = Akima1DInterpolator(NODES * GAIN[k], VALUES * GAIN[k], method="akima")
        data = stack[k][amp.data.slices]
        data[...] = solve(
            data, lambda d, s=spline, k=k: d - s(np.clip(d, 0, NODES[-1] * GAIN[k] - 0.1))
        )
        columns = np.arange(amp.data.width) % 5
        stack[k][:, amp.data.x0 : amp.data.x1] += columns * 0.5
    adu = stack / GAIN[:, None, None]
    c, c2 = chain.crosstalk.coefficients, chain.crosstalk.quadratic
    adu = solve(
        adu,
        lambda s: s - np.einsum("st,syx->tyx", c, s) - np.einsum("st,syx->tyx", c2, s * s),
    )
    # Whole counts, so that every row rounds alike and the overscans are free of noise.
    rows = 900 + np.round(5 * np.sin(np.arange(76) / 9))
    return (adu + rows[None, :, None]).astype(np.float32)


def isr(detector, raw, chain, switches=ALL_ON, dark_time=DARK_TIME):
    return run_isr(IsrInput(detector, raw, chain, switches, 12345, dark_time))


@pytest.fixture
def truth(detector):
    return np.random.default_rng(2).uniform(2000, 8000, detector.shape)


def test_everything_put_in_is_taken_out(detector, chain, truth):
    result = isr(detector, forward(truth, detector, chain), chain)
    assert result.applied == STEPS[1:]
    assert result.not_applied == {}
    assert result.bad_amps == ()
    good = (result.mask & (Mask.BAD | Mask.INTRP)) == 0
    assert good.sum() == good.size - 60
    assert np.abs(result.image - truth)[good].max() < 0.01
    assert result.image.dtype == result.variance.dtype == np.float32


@pytest.mark.parametrize(
    "step", ["crosstalk", "parallel_overscan", "linearity", "cti", "bias", "dark", "flat"]
)
def test_each_step_matters(detector, chain, truth, step):
    result = isr(detector, forward(truth, detector, chain), chain, replace(ALL_ON, **{step: False}))
    assert step not in result.applied
    assert step not in result.not_applied
    assert np.abs(result.image - truth).max() > 0.05


def test_variance(detector, chain, truth):
    switches = replace(ALL_ON, flat=False, dither=True)
    result = isr(detector, forward(truth, detector, chain), chain, switches)
    amp = detector.amplifiers[2]
    expected = GAIN[2] ** 2 * (1 + 1 / 12) + result.image + NOISE[2] ** 2
    assert result.variance[amp.bbox.slices] == pytest.approx(expected[amp.bbox.slices], rel=1e-5)


def test_the_same_input_gives_the_same_bits(detector, chain, truth):
    raw = forward(truth, detector, chain)
    first = isr(detector, raw, chain, replace(ALL_ON, dither=True))
    second = isr(detector, raw, chain, replace(ALL_ON, dither=True))
    for name in ("image", "mask", "variance"):
        assert np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True)
    for name in ("row_projection", "image_correlation", "overscan_correlation", "bias_shift_noise"):
        a, b = getattr(first.statistics, name), getattr(second.statistics, name)
        assert np.array_equal(a, b, equal_nan=True)


def test_what_is_given_is_not_written_to(detector, chain, truth):
    raw = forward(truth, detector, chain)
    given = [raw] + [
        plane
        for image in (chain.bias, chain.dark, chain.flat)
        for plane in (image.image, image.mask, image.variance)
    ]
    before = [array.copy() for array in given]
    isr(detector, raw, chain)
    for array, kept in zip(given, before, strict=True):
        assert np.array_equal(array, kept)


def test_without_any_calibration_nothing_crashes(detector, chain, truth):
    raw = forward(truth, detector, chain)
    result = isr(detector, raw, CalibrationSet())
    missing = ("bias", "dark", "flat", "defects", "linearizer", "crosstalk", "cti", "ptc")
    reasons = {f"no {calib_type} certified" for calib_type in missing}
    assert reasons <= set(result.not_applied.values())
    assert result.not_applied["linearity"] == "no linearizer certified"
    assert result.not_applied["variance"] == "it needs electrons, the image is in adu"
    assert result.applied == (
        "serial_overscan",
        "parallel_overscan",
        "assembly",
        "nan_mask",
        "interpolation",
    )
    assert result.bad_amps == ()
    assert np.isnan(result.gain).all()
    assert np.isfinite(result.image).all()
    assert not result.mask.any()


def test_an_amplifier_without_a_gain_is_bad_and_spares_the_others(detector, chain, truth, ptc):
    raw = forward(truth, detector, chain)
    broken = replace(chain, ptc=ptc([1.4, np.nan, 0.0, 1.7], NOISE), crosstalk=None)
    result = isr(detector, raw, broken, replace(ALL_ON, interpolation=False))
    assert result.bad_amps == ("C11", "C01")
    assert np.isnan(result.gain).tolist() == [False, True, True, False]
    for amp in detector.amplifiers:
        bad = result.mask[amp.bbox.slices] & Mask.BAD
        assert bad.all() == (amp.name in ("C11", "C01"))
    overscan = result.statistics.overscan
    assert np.isnan(overscan.serial_mean).tolist() == [False, True, True, False]
    assert overscan.parallel_applied == (True, False, False, True)
    assert np.isnan(result.statistics.bias_shift_noise).tolist() == [False, True, True, False]
    assert np.isnan(result.statistics.image_correlation[1]).all()


def test_all_nan_and_railed_amplifiers_survive(detector, chain, truth):
    raw = forward(truth, detector, chain)
    sound = isr(detector, raw, replace(chain, crosstalk=None), replace(ALL_ON, interpolation=False))
    raw[0] = np.nan
    raw[2] = 65535
    result = isr(
        detector, raw, replace(chain, crosstalk=None), replace(ALL_ON, interpolation=False)
    )
    first, second = detector.amplifiers[0].bbox.slices, detector.amplifiers[1].bbox.slices
    assert (result.mask[first] & Mask.UNMASKEDNAN).all()
    assert np.isnan(result.image[first]).all()
    assert np.array_equal(result.image[second], sound.image[second])
    assert result.statistics.overscan.serial_residual_stdev[[0, 2]].tolist() == [0, 0]


def test_every_amplifier_bad(detector, chain, truth, ptc):
    broken = replace(chain, ptc=ptc([np.nan] * 4, [np.nan] * 4))
    result = isr(detector, forward(truth, detector, chain), broken)
    assert result.bad_amps == detector.amp_names
    assert result.not_applied["serial_overscan"] == "every amplifier is bad"
    assert result.not_applied["gain"] == "the ptc has no usable gain"
    assert (result.mask & Mask.BAD).all()


@pytest.mark.parametrize("kind", ["serial", "parallel"])
def test_no_overscan(detector, chain, truth, kind):
    name = f"{kind}_overscan"
    bare = replace(
        detector,
        amplifiers=tuple(replace(a, **{name: Box(0, 0, 0, 0)}) for a in detector.amplifiers),
    )
    result = isr(bare, forward(truth, detector, chain), chain)
    assert result.not_applied == {name: f"no amplifier has enough {kind} overscan"}
    assert np.isnan(getattr(result.statistics.overscan, f"{kind}_mean")).all()
    if kind == "serial":
        assert result.statistics.overscan_correlation is None
        assert np.isnan(result.statistics.bias_shift_noise).all()


def test_a_bias_in_adu_is_brought_to_electrons(detector, chain, truth, image_calibration):
    raw = forward(truth, detector, chain)
    in_adu = chain.bias.image.copy()
    for k, amp in enumerate(detector.amplifiers):
        in_adu[amp.bbox.slices] /= GAIN[k]
    old = replace(chain, bias=image_calibration("bias", in_adu, units=Units.ADU))
    assert isr(detector, raw, old).image == pytest.approx(isr(detector, raw, chain).image, abs=1e-2)


def test_electrons_cannot_be_taken_from_adu(detector, chain, truth):
    result = isr(detector, forward(truth, detector, chain), replace(chain, ptc=None))
    for step in ("bias", "dark"):
        assert result.not_applied[step] == "it is in electron, the image in adu"
    assert result.not_applied["cti"] == "it needs electrons, the image is in adu"
    assert "linearity" in result.applied


def test_a_dark_needs_a_dark_time(detector, chain, truth):
    result = isr(detector, forward(truth, detector, chain), chain, dark_time=np.nan)
    assert result.not_applied == {"dark": "the exposure's dark time is nan"}


def test_crosstalk_is_marked_where_it_lands(detector, chain, truth):
    """A bright pixel of C10 (0) marks the pixel of C11 (1) that is read at the same time."""
    truth = np.full(detector.shape, 100.0)
    truth[detector.height - 11, 29 - 7] = 6000
    result = isr(detector, forward(truth, detector, chain), chain)
    assert np.argwhere(result.mask & Mask.CROSSTALK).tolist() == [[detector.height - 11, 30 + 7]]


def test_statistics_are_measured_only_on_request(detector, chain, truth):
    raw = forward(truth, detector, chain)
    off = replace(ALL_ON, bias_shifts=False, amp_correlations=False, projections=False)
    quiet = isr(detector, raw, chain, off).statistics
    assert quiet.overscan is not None
    assert quiet.bias_shifts is quiet.bias_shift_noise is None
    assert quiet.overscan_correlation is quiet.image_correlation is None
    assert quiet.row_projection is quiet.column_projection is None
    result = isr(detector, raw, chain)
    assert result.statistics.row_projection.shape == (4, 64)
    amp = detector.amplifiers[1]
    expected = result.image[amp.bbox.slices].mean(axis=0, dtype=float)
    assert result.statistics.column_projection[1] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["mini.yaml", "stand.yaml"])
@pytest.mark.parametrize("calib_type", ["bias", "dark", "flat"])
def test_cameras_described_as_data(name, calib_type):
    camera = load_camera(Path(__file__).parents[1] / "data" / name)
    detector = camera.detectors[0]
    shape = (len(detector.amplifiers), *detector.amplifiers[0].raw_shape)
    raw = np.random.default_rng(0).normal(1000, 5, shape).round().astype(np.int32)
    switches = switches_for(camera, calib_type)
    result = isr(detector, raw, CalibrationSet(), switches)
    assert set(result.applied) >= {"dither", "serial_overscan", "parallel_overscan", "assembly"}
    assert abs(result.image.mean()) < 0.5
    assert 4.5 < result.image.std() < 8
    needed = needed_calibrations(camera, calib_type)
    assert {f"no {needs} certified" for needs in needed} <= set(result.not_applied.values())
