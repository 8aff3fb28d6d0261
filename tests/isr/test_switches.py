"""Which steps run for which type and camera."""

from __future__ import annotations

import pytest

from calwatch.errors import CameraError, StopError
from calwatch.isr.model import STEPS
from calwatch.isr.switches import CALIBRATION_OF_STEP, needed_calibrations, switches_for

COMMON = {
    "dither",
    "serial_overscan",
    "gain",
    "crosstalk",
    "parallel_overscan",
    "linearity",
    "bias",
    "defects",
    "nan_mask",
    "variance",
}
EXTRA = {
    "bias": {"interpolation"},
    "dark": {"dark"},
    "flat": {"cti", "dark", "flat", "interpolation"},
}


@pytest.mark.parametrize("calib_type", ["bias", "dark", "flat"])
def test_steps_of_each_type(camera, calib_type):
    switches = switches_for(camera({}), calib_type)
    on = {step for step in STEPS if step != "assembly" and getattr(switches, step)}
    assert on == COMMON | EXTRA[calib_type]
    for statistic in ("bias_shifts", "amp_correlations", "projections"):
        assert getattr(switches, statistic) == (calib_type == "bias")
    assert switches.parallel_column_smoothing
    assert not switches.parallel_absolute_deviation


def test_overrides(camera):
    own = camera({"quadratic_crosstalk": False, "cti": ["flat", "dark"], "bias_shifts": False})
    for calib_type in ("bias", "dark", "flat"):
        switches = switches_for(own, calib_type)
        assert not switches.quadratic_crosstalk
        assert switches.cti == (calib_type != "bias")
        assert not switches.bias_shifts


@pytest.mark.parametrize(
    ("calib_type", "expected"),
    [
        ("bias", {"ptc", "crosstalk", "linearizer", "defects", "bias"}),
        ("dark", {"ptc", "crosstalk", "linearizer", "defects", "bias", "dark"}),
        ("flat", {"ptc", "crosstalk", "linearizer", "defects", "bias", "dark", "flat", "cti"}),
    ],
)
def test_needed_calibrations(camera, calib_type, expected):
    needed = needed_calibrations(camera({}), calib_type)
    assert set(needed) == expected
    assert len(needed) == len(expected)
    assert "cti" not in needed_calibrations(camera({"cti": False}), calib_type)
    assert "cti" in needed_calibrations(camera({"cti": True}), calib_type)


def test_every_step_that_reads_a_calibration_is_a_step():
    assert set(CALIBRATION_OF_STEP) <= set(STEPS)


def test_unknown_type(camera):
    with pytest.raises(StopError, match="'science'"):
        switches_for(camera({}), "science")


@pytest.mark.parametrize("isr", [{"frings": True}, {"cti": "flat"}, {"cti": ["flats"]}, {"cti": 1}])
def test_malformed_overrides(camera, isr):
    with pytest.raises(CameraError, match=f"camera Tiny: isr: .*{next(iter(isr))}"):
        switches_for(camera(isr), "bias")
