"""A detector of four amplifiers and frames on it, corrected by pencil instead of by the ISR."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from calwatch.calibrations.model import (
    CalibrationSet,
    ImageCalibration,
    PhotonTransferCurve,
    Units,
)
from calwatch.camera.model import Amplifier, Box, Detector
from calwatch.isr.census import take_census
from calwatch.isr.model import IsrResult, IsrStatistics, OverscanStatistics
from calwatch.verify.amplifier import Frame
from calwatch.verify.exposure import Exposure
from calwatch.verify.inputs import check_raw

NAMES = ("C10", "C11", "C01", "C00")
WIDTH, HEIGHT = 120, 100
GAIN, NOISE, LEVEL = 1.5, 6.0, 20_000.0


def _amplifier(i: int) -> Amplifier:
    return Amplifier(
        name=NAMES[i],
        hdu=f"Segment{NAMES[i][1:]}",
        hdu_box=Box(0, 0, 147, 120),
        hdu_flip_x=False,
        hdu_flip_y=False,
        data=Box(3, 0, WIDTH, HEIGHT),
        serial_overscan=Box(123, 0, 24, 120),
        parallel_overscan=Box(3, 100, WIDTH, 20),
        bbox=Box(WIDTH * (i % 2), HEIGHT * (i // 2), WIDTH, HEIGHT),
        flip_x=False,
        flip_y=False,
        nominal_gain=GAIN,
        nominal_read_noise=NOISE,
    )


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector(
        number=3,
        name="R22_S11",
        raft="R22",
        slot="S11",
        reb="R22_Reb1",
        vendor="ITL",
        kind="ITL",
        purpose="SCIENCE",
        serial="",
        width=2 * WIDTH,
        height=2 * HEIGHT,
        amplifiers=tuple(_amplifier(i) for i in range(4)),
        parts=(),
    )


@pytest.fixture(scope="session")
def ptc() -> PhotonTransferCurve:
    return PhotonTransferCurve(
        amp_names=NAMES,
        gain=np.full(4, GAIN),
        noise=np.full(4, NOISE),
        turnoff=np.full(4, 80_000.0),
        overscan_median=np.full(4, 25_000.0),
        overscan_median_sigma=np.full(4, 1.0),
        a00=np.full(4, -3e-6),
        bad_amps=(),
        metadata={"SEQNAME": "FP_v29.seq"},
    )


def _calibration(calib_type, value, variance, units, **metadata) -> ImageCalibration:
    shape = (2 * HEIGHT, 2 * WIDTH)
    return ImageCalibration(
        calib_type=calib_type,
        image=np.full(shape, value, np.float32),
        mask=np.zeros(shape, np.uint16),
        variance=np.full(shape, variance, np.float32),
        units=units,
        dark_time=1.0,
        physical_filter="",
        metadata=metadata,
    )


@pytest.fixture(scope="session")
def calibrations(ptc) -> CalibrationSet:
    inputs = {f"CPP_INPUT_{i}": i for i in range(20)}
    levels = {f"LSST CALIB BIAS {name} DISTRIBUTION 50.0-PCT": 0.25 for name in NAMES}
    return CalibrationSet(
        bias=_calibration("bias", 0.0, NOISE**2 / 20, Units.ELECTRON, **inputs, **levels),
        dark=_calibration("dark", 0.02, 0.002, Units.ELECTRON_PER_SECOND),
        flat=_calibration("flat", 1.0, 1e-6, Units.NONE),
        ptc=ptc,
    )


@pytest.fixture(scope="session")
def make_frame(detector, calibrations) -> Callable[..., Frame]:
    """Return a function of (calib_type, seed, noise=…) that makes a fault-free frame."""

    def make(calib_type: str = "bias", seed: int = 0, noise: float = NOISE) -> Frame:
        rng = np.random.default_rng(seed)
        shape = detector.shape
        level = LEVEL if calib_type == "flat" else 0.0
        image = rng.normal(level, np.sqrt(noise**2 + level), shape).astype(np.float32)
        variance = np.full(shape, noise**2 + level, np.float32)
        raw = rng.normal(25_000.0 + level / GAIN, noise / GAIN, (4, 120, 147)).round()
        if level:
            raw[:, :, 123:] -= np.round(level / GAIN)
        four = np.full(4, noise / GAIN)
        overscan = OverscanStatistics(
            serial_mean=np.full(4, 25_000.0),
            serial_median=np.full(4, 25_000.0),
            serial_stdev=np.full(4, 0.5),
            serial_residual_mean=np.zeros(4),
            serial_residual_median=np.zeros(4),
            serial_residual_stdev=four,
            parallel_mean=np.zeros(4),
            parallel_median=np.zeros(4),
            parallel_stdev=np.zeros(4),
            parallel_applied=(True,) * 4,
        )
        bias = calib_type == "bias"
        statistics = IsrStatistics(
            overscan=overscan,
            bias_shifts=((),) * 4 if bias else None,
            bias_shift_noise=np.full(4, 0.4) if bias else None,
            overscan_correlation=np.eye(4) if bias else None,
            image_correlation=None,
            row_projection=None,
            column_projection=None,
        )
        steps = {"bias": ("bias",), "dark": ("bias", "dark"), "flat": ("bias", "dark", "flat")}
        isr = IsrResult(
            image=image,
            mask=np.zeros(shape, np.uint16),
            variance=variance,
            gain=np.full(4, GAIN),
            read_noise=np.full(4, NOISE),
            bad_amps=(),
            applied=("gain", *steps[calib_type]),
            not_applied={},
            statistics=statistics,
            census=tuple(take_census(pixels) for pixels in raw.astype(np.int32)),
        )
        check = check_raw(raw.astype(np.int32), detector, calib_type, calibrations.ptc)
        return Frame(calib_type, detector, isr, calibrations, check, 30.0, seed)

    return make


@pytest.fixture
def exposure() -> Callable[..., Exposure]:
    """Return a function of (calib_type, **changes) that makes an exposure."""

    def make(calib_type: str = "bias", **changes) -> Exposure:
        usual = Exposure(
            "MiniCam", 2026112200001, calib_type, datetime(2026, 11, 22, 15, tzinfo=UTC),
            sequencer={"SEQNAME": "FP_v29.seq"},
        )  # fmt: skip
        return replace(usual, **changes)

    return make
