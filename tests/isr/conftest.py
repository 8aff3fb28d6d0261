"""What the ISR tests share: a tiny detector with every flip and overscans on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from calwatch.calibrations.model import ImageCalibration, PhotonTransferCurve, Units
from calwatch.camera.model import Amplifier, Box, Camera, Detector

WIDTH, HEIGHT = 30, 64
RAW = (76, 49)


def make_amplifier(name, x, y, flip_x, flip_y, *, overscan_first):
    """Data of 30 × 64 pixels; overscans of 14 columns and 12 rows after them, or before."""
    if overscan_first:
        serial, parallel, data = Box(0, 0, 14, 76), Box(14, 0, 30, 12), Box(14, 12, 30, 64)
    else:
        serial, parallel, data = Box(35, 0, 14, 76), Box(5, 64, 30, 12), Box(5, 0, 30, 64)
    return Amplifier(
        name=name,
        hdu=name,
        hdu_box=Box(0, 0, RAW[1], RAW[0]),
        hdu_flip_x=False,
        hdu_flip_y=False,
        data=data,
        serial_overscan=serial,
        parallel_overscan=parallel,
        bbox=Box(x * WIDTH, y * HEIGHT, WIDTH, HEIGHT),
        flip_x=flip_x,
        flip_y=flip_y,
        nominal_gain=1.5,
        nominal_read_noise=5.0,
    )


def make_detector(amplifiers, width=2 * WIDTH, height=2 * HEIGHT):
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
        width=width,
        height=height,
        amplifiers=tuple(amplifiers),
        parts=(("CCD", "R00_S00"),),
    )


@pytest.fixture(scope="session")
def detector():
    return make_detector(
        [
            make_amplifier("C10", 0, 1, True, True, overscan_first=False),
            make_amplifier("C11", 1, 1, False, True, overscan_first=False),
            make_amplifier("C01", 1, 0, False, False, overscan_first=True),
            make_amplifier("C00", 0, 0, True, False, overscan_first=True),
        ]
    )


@pytest.fixture
def camera(detector):
    def make(isr):
        return Camera(
            instrument="Tiny",
            controllers="O",
            camera_code="TN",
            keywords={},
            instrument_words=(),
            sequencer_keywords=(),
            raw_layout={},
            isr=isr,
            optional_calibrations=frozenset(),
            detectors=(detector,),
        )

    return make


@pytest.fixture
def image_calibration(detector):
    def make(calib_type, image, *, units=Units.ELECTRON, mask=None, variance=None, dark_time=1.0):
        image = np.broadcast_to(np.asarray(image, np.float32), detector.shape).copy()
        mask = np.zeros(image.shape, np.uint16) if mask is None else mask
        variance = np.zeros(image.shape, np.float32) if variance is None else variance
        return ImageCalibration(calib_type, image, mask, variance, units, dark_time, "", {})

    return make


@pytest.fixture
def ptc(detector):
    def make(gain, noise):
        n = len(detector.amplifiers)
        empty = np.full(n, np.nan)
        return PhotonTransferCurve(
            detector.amp_names,
            np.array(gain, float),
            np.array(noise, float),
            *[empty] * 4,
            (),
            {},
        )

    return make
