"""Inputs of the wrong size or detector are refused, by type and sizes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calwatch.calibrations.model import (
    CalibrationSet,
    ChargeTransfer,
    Crosstalk,
    Linearizer,
    LinearizerType,
    Units,
)
from calwatch.errors import CalibrationError, RawError
from calwatch.isr.checks import check_input
from calwatch.isr.model import IsrInput, IsrSwitches


@pytest.fixture
def given(detector):
    def make(shape=(4, 76, 49), **calibrations):
        raw = np.zeros(shape, np.int32)
        return IsrInput(detector, raw, CalibrationSet(**calibrations), IsrSwitches(), 1, 0.0)

    return make


@pytest.mark.parametrize("shape", [(3, 76, 49), (4, 75, 49), (4, 76, 50)])
def test_raw(given, shape):
    sizes = " × ".join(map(str, shape))
    with pytest.raises(RawError, match=f"R00_S00: .*{sizes}, expected 4 × 76 × 49"):
        check_input(given(shape))


@pytest.mark.parametrize("calib_type", ["bias", "dark", "flat"])
@pytest.mark.parametrize("plane", ["image", "mask", "variance"])
def test_images(given, image_calibration, calib_type, plane):
    good = image_calibration(calib_type, 1.0)
    check_input(given(**{calib_type: good}))
    bad = replace(good, **{plane: getattr(good, plane)[:, :-1]})
    with pytest.raises(CalibrationError, match=f"{calib_type}: its {plane} .*128 × 59.*128 × 60"):
        check_input(given(**{calib_type: bad}))


def test_tables(given, ptc, detector):
    names = detector.amp_names
    tables = {
        "ptc": ptc([1.0] * 4, [5.0] * 4),
        "linearizer": Linearizer(
            names, (LinearizerType.NONE,) * 4, (np.zeros(1),) * 4, None, Units.ADU, {}
        ),
        "cti": ChargeTransfer(names, *[np.zeros(4)] * 3, (None,) * 4, {}),
    }
    check_input(given(**tables))
    for calib_type, table in tables.items():
        for other in (names[:3], names[::-1]):
            with pytest.raises(CalibrationError, match=f"{calib_type}: .*{other[0]}, {other[1]}"):
                check_input(given(**{calib_type: replace(table, amp_names=other)}))


def test_crosstalk(given):
    def matrix(n):
        return Crosstalk(np.zeros((n, n)), np.zeros((n, n)), np.ones((n, n), bool), Units.ADU, {})

    check_input(given(crosstalk=matrix(4)))
    with pytest.raises(CalibrationError, match=r"crosstalk: .*16 × 16.*4 × 4"):
        check_input(given(crosstalk=matrix(16)))
