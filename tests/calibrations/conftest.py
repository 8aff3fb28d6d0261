"""A small detector of four amplifiers, and an image calibration that fits it."""

from __future__ import annotations

import numpy as np
import pytest

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import ImageCalibration, Units
from calwatch.camera.model import Amplifier, Box, Detector


@pytest.fixture
def detector() -> Detector:
    amplifiers = []
    for index, name in enumerate(("C10", "C11", "C01", "C00")):
        column, row = index % 2, 1 - index // 2
        amplifiers.append(
            Amplifier(
                name=name,
                hdu=f"Segment{name[1:]}",
                hdu_box=Box(0, 0, 40, 30),
                hdu_flip_x=False,
                hdu_flip_y=False,
                data=Box(3, 0, 30, 25),
                serial_overscan=Box(33, 0, 7, 30),
                parallel_overscan=Box(3, 25, 30, 5),
                bbox=Box(column * 30, row * 25, 30, 25),
                flip_x=True,
                flip_y=row == 1,
                nominal_gain=1.5,
                nominal_read_noise=5.0,
            )
        )
    return Detector(
        number=7,
        name="R22_S11",
        raft="R22",
        slot="S11",
        reb="R22_Reb1",
        vendor="ITL",
        kind="SMALL",
        purpose="SCIENCE",
        serial="ITL-3800C-007",
        width=60,
        height=50,
        amplifiers=tuple(amplifiers),
        parts=(("CCD", "R22_S11"),),
    )


@pytest.fixture
def bias(detector: Detector) -> ImageCalibration:
    rng = np.random.default_rng(1)
    mask = np.zeros(detector.shape, np.int32)
    mask[3, 4] = Mask.BAD
    mask[5, 6] = Mask.NO_DATA | Mask.BAD
    return ImageCalibration(
        calib_type="bias",
        image=rng.normal(0, 1, detector.shape).astype(np.float32),
        mask=mask,
        variance=np.full(detector.shape, 0.25, np.float32),
        units=Units.ELECTRON,
        dark_time=0.0,
        physical_filter="",
        metadata={
            "DETNAME": "R22_S11",
            "DETSER": "ITL-3800C-007",
            "CPP_INPUT_0": 2026010100001,
            "LSST CALIB BIAS C10 DISTRIBUTION 50.0-PCT": -0.0625,
            "CALIB_CREATION_DATETIME": "2026-01-01T12:00:00",
        },
    )
