"""Random detectors, calibrations and raw frames, with everything that may go wrong in them."""

from __future__ import annotations

import fitsio
import numpy as np
import pytest
from hypothesis import strategies as st

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import (
    CalibrationSet,
    ChargeTransfer,
    Crosstalk,
    Defects,
    ImageCalibration,
    Linearizer,
    LinearizerType,
    PhotonTransferCurve,
    SerialTrap,
    Units,
)
from calwatch.camera.hdus import walk
from calwatch.camera.model import Amplifier, Box, Detector
from calwatch.camera.raw_tiles import RawTiles
from calwatch.camera.rice import PADDING
from calwatch.isr.model import IsrInput, IsrSwitches

NODES = np.array([0.0, 100, 300, 1000, 3000, 9000, 30000])


def make_detector(columns, rows, data, serial, parallel, flips):
    """Put amplifiers of raw size (columns, rows) side by side in columns of two.

    `data` is (x0, y0, width, height), `serial` (x0, width) and `parallel` (y0, height).
    """
    box = Box(*data)
    amps = []
    for k, (flip_x, flip_y) in enumerate(flips):
        amps.append(
            Amplifier(
                name=f"C{k:02d}",
                hdu=f"C{k:02d}",
                hdu_box=Box(0, 0, columns, rows),
                hdu_flip_x=False,
                hdu_flip_y=False,
                data=box,
                serial_overscan=Box(serial[0], 0, serial[1], rows),
                parallel_overscan=Box(box.x0, parallel[0], box.width, parallel[1]),
                bbox=Box(k // 2 * box.width, k % 2 * box.height, box.width, box.height),
                flip_x=flip_x,
                flip_y=flip_y,
                nominal_gain=1.5,
                nominal_read_noise=5.0,
            )
        )
    return Detector(
        number=0,
        name="R00_S00",
        raft="R00",
        slot="S00",
        reb="R00_Reb0",
        vendor="ITL",
        kind="TINY",
        purpose="SCIENCE",
        serial="",
        width=len(flips) // 2 * box.width,
        height=2 * box.height,
        amplifiers=tuple(amps),
        parts=(("CCD", "R00_S00"),),
    )


@st.composite
def detectors(draw):
    """Overscans come before or after the data, and may be too small to be used."""
    n_amp = 2 * draw(st.integers(1, 5))
    prescan = draw(st.integers(0, 5))
    width, height = draw(st.integers(11, 50)), draw(st.integers(9, 40))
    serial, parallel = draw(st.sampled_from([5, 9, 20, 37])), draw(st.sampled_from([0, 5, 9, 24]))
    serial_first, parallel_first = draw(st.booleans()), draw(st.booleans())
    x0 = prescan + (serial if serial_first else 0)
    y0 = parallel if parallel_first else 0
    return make_detector(
        columns=prescan + width + serial,
        rows=height + parallel,
        data=(x0, y0, width, height),
        serial=(prescan if serial_first else prescan + width, serial),
        parallel=(0 if parallel_first else height, parallel),
        flips=draw(
            st.lists(st.tuples(st.booleans(), st.booleans()), min_size=n_amp, max_size=n_amp)
        ),
    )


@st.composite
def raw_frames(draw, detector):
    """Levels, noise, light, cosmic rays, hot columns, wild rows, dead and railed amplifiers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_amp, amp = len(detector.amplifiers), detector.amplifiers[0]
    shape = (n_amp, *amp.raw_shape)
    noise = draw(st.sampled_from([0.0, 0.4, 5.0, 30.0]))
    raw = rng.normal(rng.uniform(300, 25000, (n_amp, 1, 1)), noise, shape)
    raw += rng.normal(0, draw(st.sampled_from([0.0, 3.0])), (n_amp, shape[1], 1))
    light = draw(st.sampled_from([0.0, 50.0, 5000.0, 40000.0]))
    y, x = np.indices(shape[1:])
    raw[(slice(None), *amp.data.slices)] += (light * (1 + 0.1 * np.cos(y / 9 + x / 7)))[
        amp.data.slices
    ]
    for _ in range(draw(st.integers(0, 12))):
        k, v, u = rng.integers(n_amp), rng.integers(shape[1]), rng.integers(shape[2])
        raw[k, v, u : u + 4] += rng.choice([30.0, 400.0, 9000.0, 150000.0])
    if draw(st.booleans()):
        raw[rng.integers(n_amp), :, rng.integers(shape[2])] += rng.uniform(0, 300)
    if draw(st.booleans()):
        raw[rng.integers(n_amp), rng.integers(shape[1])] += rng.normal(0, 100, shape[2])
    fault = draw(st.sampled_from([None, None, 0, 65535, 262143]))
    if fault is not None:
        raw[rng.integers(n_amp)] = fault
    return np.clip(np.round(raw), 0, 262143).astype(np.int32)


@st.composite
def calibration_sets(draw, detector):
    """Any of them may be missing; gains may be NaN, amplifiers bad, images in ADU."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_amp, names = len(detector.amplifiers), detector.amp_names
    y, x = np.indices(detector.shape)
    unit = draw(st.sampled_from([Units.ADU, Units.ELECTRON]))

    def image(calib_type, pixels, units):
        mask = np.where(rng.random(detector.shape) < 0.02, int(Mask.BAD), 0).astype(np.uint16)
        mask[rng.random(detector.shape) < 0.001] |= int(Mask.SAT | Mask.SUSPECT)
        pixels = np.asarray(pixels, np.float32)
        if draw(st.booleans()):
            pixels[rng.random(detector.shape) < 0.002] = np.nan
        if calib_type == "flat":
            mask[rng.random(detector.shape) < 0.002] |= int(Mask.NO_DATA)
        variance = rng.uniform(0, 0.3, detector.shape).astype(np.float32)
        return ImageCalibration(calib_type, pixels, mask, variance, units, 1.0, "", {})

    gain, noise = rng.uniform(0.8, 2.0, n_amp), rng.uniform(4, 9, n_amp)
    for bad in draw(st.lists(st.integers(0, n_amp - 1), max_size=2)):
        gain[bad] = draw(st.sampled_from([np.nan, 0.0, -1.0]))
    nothing = np.full(n_amp, np.nan)
    boxes = [Box(3, -2, 2, 9), Box(7, 8, 1, 1)]
    if draw(st.booleans()):
        boxes.append(detector.amplifiers[draw(st.integers(0, n_amp - 1))].bbox)
    c = rng.normal(0, 1e-3, (n_amp, n_amp)) * (1 - np.eye(n_amp))
    c[rng.random(c.shape) < 0.1] = np.nan
    made = {
        "bias": image("bias", 3 * np.sin(x / 7) + 0.02 * y, unit),
        "dark": image("dark", rng.uniform(0, 0.5, detector.shape), unit),
        "flat": image("flat", 1 + 0.1 * np.cos(y / 20), Units.NONE),
        "defects": Defects(tuple(boxes), {}),
        "ptc": PhotonTransferCurve(names, gain, noise, *[nothing] * 4, (), {}),
        "linearizer": draw(linearizers(names, rng)),
        "crosstalk": Crosstalk(c, c * rng.choice([0.0, 1e-5]), rng.random(c.shape) > 0.1, unit, {}),
        "cti": draw(charge_transfers(names, rng)),
    }
    missing = draw(st.sets(st.sampled_from(sorted(made)), max_size=2))
    return CalibrationSet(**{name: made[name] for name in made if name not in missing})


@st.composite
def linearizers(draw, names, rng):
    """Splines, double splines, none, and one of which a number is missing."""
    types, coefficients = [], []
    for _ in names:
        kind = draw(
            st.sampled_from(
                [LinearizerType.SPLINE, LinearizerType.DOUBLE_SPLINE, LinearizerType.NONE]
            )
        )
        values = [rng.normal(0, NODES / 300) for _ in range(2)]
        if draw(st.integers(0, 9)) == 0:
            values[0][2] = np.nan
        if kind is LinearizerType.SPLINE:
            numbers = np.concatenate([NODES, values[0]])
        else:
            n = NODES.size
            numbers = np.concatenate([[n, n], NODES, values[0], NODES * 1.1, values[1]])
        types.append(kind)
        coefficients.append(numbers)
    units = draw(st.sampled_from([Units.ADU, Units.ELECTRON]))
    return Linearizer(names, tuple(types), tuple(coefficients), None, units, {})


@st.composite
def charge_transfers(draw, names, rng):
    n = len(names)
    kinds = {
        "linear": np.array([0.01]),
        "logistic": np.array([300.0, 0.01]),
        "spline": np.array([0.0, 100, 1000, 0.5, 2, 5]),
    }
    traps = []
    for _ in names:
        kind = draw(st.sampled_from([None, *kinds]))
        traps.append(kind and SerialTrap(kind, 4.0, 0.7, 10, kinds[kind]))
    drift = np.where(rng.random(n) < 0.3, 0.0, rng.uniform(0, 3e-4, n))
    global_cti = np.where(rng.random(n) < 0.2, np.nan, 1e-6)
    return ChargeTransfer(names, drift, rng.uniform(0.5, 4, n), global_cti, tuple(traps), {})


@st.composite
def inputs(draw):
    detector = draw(detectors())
    steps = {
        name: draw(st.booleans())
        for name in (
            "dither",
            "quadratic_crosstalk",
            "parallel_absolute_deviation",
            "parallel_column_smoothing",
            "cti",
            "dark",
            "flat",
            "interpolation",
        )
    }
    if off := draw(st.sampled_from([None, "serial_overscan", "gain", "crosstalk", "nan_mask"])):
        steps[off] = False
    return IsrInput(
        detector=detector,
        raw=draw(raw_frames(detector)),
        calibrations=draw(calibration_sets(detector)),
        switches=IsrSwitches(bias_shifts=True, amp_correlations=True, projections=True, **steps),
        dither_seed=draw(st.integers(0, 2**32 - 1)),
        dark_time=draw(st.sampled_from([30.0, np.nan])),
    )


def tiles_of(raw):
    """Return a raw frame as CFITSIO compresses it, one amplifier after the other."""
    n_amp, rows, columns = raw.shape
    content = b""
    places = np.empty((2, n_amp, rows), np.int64)
    for k, pixels in enumerate(raw):
        with fitsio.FITS("mem://", "rw") as file:
            file.write(pixels, compress="RICE_1", tile_dims=[1, columns], qlevel=None)
            stored = file.read_raw()
        start = walk(stored, "tiles")[-1].data_start
        table = np.frombuffer(stored, ">i4", 2 * rows, start).reshape(rows, 2)
        places[0, k], places[1, k] = table[:, 1] + start + 8 * rows + len(content), table[:, 0]
        content += stored
    data = np.frombuffer(bytearray(content + bytes(PADDING)), np.uint8)
    labels = tuple(f"HDU Segment{k:02d}" for k in range(n_amp))
    return RawTiles("raw.fits", labels, data, *places, columns)


@pytest.fixture(scope="session", name="tiles_of")
def _tiles_of():
    """Return a function that compresses a raw frame."""
    return tiles_of


@pytest.fixture(scope="session")
def isr_inputs():
    """Strategy for everything that goes into the chain."""
    return inputs()


@pytest.fixture
def bright_input():
    """Return a frame of four amplifiers with much crosstalk from a few bright pixels."""
    rng = np.random.default_rng(3)
    flips = ((True, True), (True, False), (False, True), (False, False))
    detector = make_detector(103, 60, (3, 0, 40, 50), (43, 60), (50, 10), flips)
    raw = rng.normal(1000, 5, (4, 60, 103))
    for k, y, x in ((0, 10, 12), (1, 20, 30), (3, 44, 5)):
        raw[k, y, x] += 40000
    c = 1e-3 * (1 - np.eye(4))
    nothing = np.full(4, np.nan)
    y, x = np.indices(detector.shape)
    bias = (0.01 * y + np.sin(x)).astype(np.float32)
    zeros = np.zeros(detector.shape)
    names = detector.amp_names
    return IsrInput(
        detector=detector,
        raw=raw.round().astype(np.int32),
        calibrations=CalibrationSet(
            bias=ImageCalibration(
                "bias", bias, zeros.astype(np.uint16), bias * 0 + 1, Units.ELECTRON, 0.0, "", {}
            ),
            ptc=PhotonTransferCurve(
                names, np.full(4, 1.5), np.full(4, 7.0), *[nothing] * 4, (), {}
            ),
            crosstalk=Crosstalk(c, c * 0, np.ones((4, 4), bool), Units.ELECTRON, {}),
        ),
        switches=IsrSwitches(
            interpolation=True, bias_shifts=True, amp_correlations=True, projections=True
        ),
        dither_seed=1,
        dark_time=0.0,
    )
