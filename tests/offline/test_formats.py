"""Every table written comes back as it was, and what does not fit the detector is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from calwatch.calibrations.model import (
    ChargeTransfer,
    Crosstalk,
    Defects,
    Linearizer,
    LinearizerType,
    PhotonTransferCurve,
    SerialTrap,
    Units,
)
from calwatch.calibrations.read import CALIBRATION_TYPES, read_calibration
from calwatch.camera.model import Amplifier, Box, Detector
from calwatch.errors import CalibrationError
from calwatch.offline import formats

pytestmark = pytest.mark.filterwarnings("ignore:Keyword name")

NAMES = ("C10", "C11", "C00")


def _amplifier(index: int) -> Amplifier:
    box = Box(10 * index, 0, 10, 20)
    empty = Box(0, 0, 0, 0)
    data = Box(0, 0, 10, 20)
    return Amplifier(
        NAMES[index], "1", data, False, False, data, empty, empty, box, False, False, 1.0, 5.0
    )


DETECTOR = Detector(
    number=3,
    name="R10_S01",
    raft="R10",
    slot="S01",
    reb="R10_Reb0",
    vendor="ITL",
    kind="SMALL",
    purpose="SCIENCE",
    serial="ITL-1",
    width=30,
    height=20,
    amplifiers=tuple(map(_amplifier, range(3))),
    parts=(),
)
META = formats.detector_metadata("LSSTCam", DETECTOR, "test") | {"SEQNAME": "FP_2s", "LONG_key": 5}


def _ptc(names: tuple[str, ...] = NAMES, bad: tuple[str, ...] = ()) -> PhotonTransferCurve:
    values = np.arange(1.0, len(names) + 1)
    return PhotonTransferCurve(
        amp_names=names,
        gain=values,
        noise=values + 4,
        turnoff=values * 1e4,
        overscan_median=values + 2e4,
        overscan_median_sigma=values / 10,
        a00=-values * 1e-6,
        bad_amps=bad,
        metadata={},
    )


def _linearizer(forms, coefficients, table=None) -> Linearizer:
    vectors = tuple(np.array(vector, float) for vector in coefficients)
    return Linearizer(NAMES, tuple(forms), vectors, table, Units.ADU, {})


def _refused(calib_type: str, path: Path, words: str) -> None:
    with pytest.raises(CalibrationError, match=words) as caught:
        read_calibration(calib_type, path, DETECTOR)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("bad", [(), ("C11",), ("C10", "C00")])
def test_ptc(tmp_path, bad) -> None:
    path = tmp_path / "ptc.fits"
    formats.write_ptc(path, _ptc(bad=bad), META)
    read = read_calibration("ptc", path, DETECTOR)
    for name in ("gain", "noise", "turnoff", "overscan_median", "overscan_median_sigma", "a00"):
        np.testing.assert_array_equal(getattr(read, name), getattr(_ptc(), name))
    assert read.bad_amps == bad
    assert (read.metadata["LONG_key"], read.metadata["SEQNAME"]) == (5, "FP_2s")


def test_ptc_rows_are_put_in_camera_order(tmp_path) -> None:
    path = tmp_path / "ptc.fits"
    formats.write_ptc(path, _ptc(("C00", "C10", "C11")), META)
    np.testing.assert_array_equal(read_calibration("ptc", path, DETECTOR).gain, [2, 3, 1])


def test_an_absurd_gain_is_handed_on(tmp_path) -> None:
    path = tmp_path / "ptc.fits"
    columns = {"GAIN": np.array([0.0, -1.0, np.nan]), "NOISE": np.array([np.nan, 1420.0, 0.0])}
    formats.write_ptc(path, _ptc(), META, columns=columns)
    read = read_calibration("ptc", path, DETECTOR)
    np.testing.assert_array_equal(read.gain, columns["GAIN"])
    np.testing.assert_array_equal(read.noise, columns["NOISE"])


@pytest.mark.parametrize(
    ("fit", "version", "noise", "a00"),
    [
        ("FULLCOVARIANCE", 1.8, [4, 5, 6], [-3e-6] * 3),
        ("FULLCOVARIANCE", 1.9, [16, 25, 36], [-3e-6] * 3),
        ("POLYNOMIAL", 1.5, [16, 25, 36], [np.nan] * 3),
    ],
)
def test_an_older_ptc(tmp_path, fit, version, noise, a00) -> None:
    path = tmp_path / "ptc.fits"
    table = Table(
        {
            "AMPLIFIER_NAME": NAMES,
            "GAIN": [1.0, 1.1, 1.2],
            "NOISE": [16.0, 25.0, 36.0],
            "A_MATRIX": np.full((3, 8, 8), -3e-6),
        },
        meta={"PTC_VERSION": version, "PTC_FIT_TYPE": fit},
    )
    table.write(path)
    read = read_calibration("ptc", path, DETECTOR)
    np.testing.assert_allclose(read.noise, noise)
    np.testing.assert_array_equal(read.a00, a00)
    assert np.isnan(read.turnoff).all()
    assert np.isnan(read.overscan_median).all()


def test_a_ptc_without_its_columns_or_amplifiers_is_refused(tmp_path) -> None:
    path = tmp_path / "ptc.fits"
    formats.write_ptc(path, _ptc(NAMES[:2]), META)
    _refused("ptc", path, "no row for amplifier C00")
    formats.write_ptc(path, _ptc(("C10", "C11", "C07")), META)
    _refused("ptc", path, "C07 is not of detector R10_S01")
    formats.write_ptc(path, _ptc(("C10", "C10", "C11")), META)
    _refused("ptc", path, "twice")
    Table({"AMPLIFIER_NAME": NAMES, "GAIN": [1.0] * 3}).write(path, overwrite=True)
    _refused("ptc", path, "no column NOISE")


@pytest.mark.parametrize("calib_type", ["ptc", "defects", "linearizer", "crosstalk", "cti"])
def test_tables_that_cannot_be_read(tmp_path, calib_type) -> None:
    path = tmp_path / "table.fits"
    formats.write_ptc(path, _ptc(), META | {"DETECTOR": 4})
    _refused(calib_type, path, "another detector: DETECTOR")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    _refused(calib_type, path, "truncated|cannot be read")
    path.write_bytes(b"")
    _refused(calib_type, path, "cannot be read")
    path.unlink()
    _refused(calib_type, path, "cannot be read")
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(path)
    _refused(calib_type, path, "no table")


def test_defects(tmp_path) -> None:
    path = tmp_path / "defects.fits"
    boxes = (Box(0, 0, 1, 1), Box(5, 3, 2, 17))
    formats.write_defects(path, Defects(boxes, {}), META)
    assert read_calibration("defects", path, DETECTOR).boxes == boxes
    formats.write_defects(path, Defects((), {}), META)
    assert read_calibration("defects", path, DETECTOR).boxes == ()
    formats.write_defects(path, Defects((Box(25, 15, 10, 10),), {}), META)
    assert read_calibration("defects", path, DETECTOR).boxes == (Box(25, 15, 5, 5),)
    for box, words in ((Box(30, 0, 1, 1), "outside"), (Box(3, 3, 0, 2), "no area")):
        formats.write_defects(path, Defects((box,), {}), META)
        _refused("defects", path, words)


def test_defects_as_fits_regions(tmp_path) -> None:
    path = tmp_path / "regions.fits"
    regions = Table(
        {
            "X": [1.0, 6.5, 10.0, 4.0, 6.0],
            "Y": [1.0, 4.0, 10.5, 4.0, 8.0],
            "R": [[1.0, 1.0], [2.0, 3.0], [4.0, 3.0], [9.0, 9.0], [1.0, 1.0]],
            "SHAPE": ["POINT", "BOX", "ROTBOX", "!BOX", "BOX"],
            "ROTANG": [0.0, 0.0, 90.0, 0.0, 0.0],
        }
    )
    regions.write(path)
    expected = (Box(0, 0, 1, 1), Box(5, 2, 2, 3), Box(8, 8, 3, 4), Box(5, 7, 1, 1))
    assert read_calibration("defects", path, DETECTOR).boxes == expected
    regions["SHAPE"] = "CIRCLE"
    regions.write(path, overwrite=True)
    _refused("defects", path, "CIRCLE")


def test_linearizers_of_every_form(tmp_path) -> None:
    path = tmp_path / "linearizer.fits"
    double = [2, 3, 0, 100, 0, 1, 0, 50, 100, 0, 2, 3]
    cases = [
        ((LinearizerType.SPLINE,) * 3, [[0, 1, 0, 2]] * 3, None),
        (
            (LinearizerType.DOUBLE_SPLINE,) * 3,
            [double, [2, 2, 0, 9, 0, 1, 0, 9, 0, 1], double],
            None,
        ),
        ((LinearizerType.SQUARED,) * 3, [[1e-6]] * 3, None),
        ((LinearizerType.POLYNOMIAL,) * 3, [[1e-6, 1e-9]] * 3, None),
        ((LinearizerType.LOOKUP_TABLE,) * 3, [[n, 0] for n in range(3)], np.ones((3, 8), "f4")),
        ((LinearizerType.PROPORTIONAL, LinearizerType.NONE, LinearizerType.NONE), [[0]] * 3, None),
    ]
    for forms, coefficients, table in cases:
        formats.write_linearizer(path, _linearizer(forms, coefficients, table), META)
        read = read_calibration("linearizer", path, DETECTOR)
        assert (read.types, read.units) == (forms, Units.ADU)
        for found, wanted in zip(read.coefficients, coefficients, strict=True):
            np.testing.assert_array_equal(found, wanted)
        if table is not None:
            np.testing.assert_array_equal(read.table, table)


@pytest.mark.parametrize(
    ("form", "coefficients", "words"),
    [
        (LinearizerType.DOUBLE_SPLINE, [9, 9, 0, 1], "DoubleSpline of 9 and 9"),
        (LinearizerType.SPLINE, [0, 1, 0], "as many values as nodes"),
        (LinearizerType.LOOKUP_TABLE, [5, 0], "lookup row 5"),
    ],
)
def test_broken_linearizers_are_refused(tmp_path, form, coefficients, words) -> None:
    path = tmp_path / "linearizer.fits"
    formats.write_linearizer(path, _linearizer((form,) * 3, [coefficients] * 3), META)
    _refused("linearizer", path, words)


def test_crosstalk(tmp_path) -> None:
    path = tmp_path / "crosstalk.fits"
    rng = np.random.default_rng(2)
    matrix, square = rng.normal(0, 1e-4, (2, 3, 3))
    valid = ~np.eye(3, dtype=bool)
    formats.write_crosstalk(path, Crosstalk(matrix, square, valid, Units.ELECTRON, {}), META)
    read = read_calibration("crosstalk", path, DETECTOR)
    np.testing.assert_array_equal(read.coefficients, matrix)
    np.testing.assert_array_equal(read.quadratic, square)
    np.testing.assert_array_equal(read.valid, valid)
    assert read.units is Units.ELECTRON


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
def test_older_and_curated_crosstalk(tmp_path, suffix) -> None:
    path = tmp_path / f"crosstalk.{suffix}"
    matrix = np.array([[0, 1, 2], [3, 0, 4], [5, np.nan, 0]]) * 1e-5
    table = Table({"CT_COEFFS": matrix.reshape(1, 9)}, meta={"DETECTOR": 3, "DET_NAME": "R10_S01"})
    table.write(path)
    read = read_calibration("crosstalk", path, DETECTOR)
    np.testing.assert_allclose(read.coefficients, matrix)
    assert (read.quadratic == 0).all()
    assert read.units is Units.ADU
    np.testing.assert_array_equal(read.valid, np.nan_to_num(matrix) != 0)
    Table({"CT_COEFFS": np.zeros((1, 16))}).write(path, overwrite=True)
    _refused("crosstalk", path, "needs 9")


def test_cti(tmp_path) -> None:
    path = tmp_path / "cti.fits"
    traps = (
        SerialTrap("linear", 5.0, 0.7, 0, np.array([2e-3])),
        None,
        SerialTrap("logistic", 8.0, 0.9, 1, np.array([1e4, 1e-3])),
    )
    values = np.array([1.0, 2.0, np.nan])
    cti = ChargeTransfer(NAMES, values * 1e-4, values, values * 1e-7, traps, {})
    formats.write_cti(path, cti, META)
    read = read_calibration("cti", path, DETECTOR)
    np.testing.assert_array_equal(read.drift_scale, values * 1e-4)
    np.testing.assert_array_equal(read.decay_time, values)
    np.testing.assert_array_equal(read.global_cti, values * 1e-7)
    assert read.traps[1] is None
    for found, wanted in ((read.traps[0], traps[0]), (read.traps[2], traps[2])):
        assert (found.kind, found.size, found.emission_time, found.pixel) == (
            wanted.kind,
            wanted.size,
            wanted.emission_time,
            wanted.pixel,
        )
        np.testing.assert_array_equal(found.coefficients, wanted.coefficients)


def test_an_unknown_type_is_refused(tmp_path) -> None:
    assert "bias" in CALIBRATION_TYPES
    _refused("bfk", tmp_path / "bfk.fits", "no reader")
