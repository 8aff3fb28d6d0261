"""Reading bias, dark and flat images: what comes back, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from calwatch.calibrations.images import read_image_calibration, remap_mask
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import ImageCalibration, Units
from calwatch.camera.model import Detector
from calwatch.errors import CalibrationError
from calwatch.offline.formats import write_image_calibration

REAL_BIAS = (
    Path(__file__).parents[3]
    / "shared/data/latiss-repo/CALIB/bias/2018-09-21/bias-det000_2018-09-21.fits"
)


@pytest.mark.parametrize("compress", [True, False])
def test_a_written_bias_comes_back_bit_for_bit(tmp_path, detector, bias, compress) -> None:
    path = tmp_path / "bias.fits"
    write_image_calibration(path, bias, {"SEQNAME": "FP_2s"}, compress=compress)
    read = read_image_calibration("bias", path, detector)
    np.testing.assert_array_equal(read.image, bias.image)
    np.testing.assert_array_equal(read.mask, bias.mask)
    np.testing.assert_array_equal(read.variance, bias.variance)
    assert (read.image.dtype, read.mask.dtype) == (np.float32, np.uint16)
    assert (read.units, read.dark_time, read.physical_filter) == (Units.ELECTRON, 0.0, "")
    assert read.metadata["SEQNAME"] == "FP_2s"
    assert read.metadata["CPP_INPUT_0"] == 2026010100001
    assert read.metadata["LSST CALIB BIAS C10 DISTRIBUTION 50.0-PCT"] == -0.0625


def test_the_file_has_the_stack_s_structure(tmp_path, bias) -> None:
    path = tmp_path / "bias.fits"
    write_image_calibration(path, bias)
    with fits.open(path) as hdus:
        assert hdus[0].data is None
        assert hdus[0].header["LSST ISR UNITS"] == "electron"
        assert [hdu.header["EXTTYPE"] for hdu in hdus[1:]] == ["IMAGE", "MASK", "VARIANCE"]
        assert hdus[2].header["MP_NO_DATA"] == 8
        np.testing.assert_array_equal(hdus[1].data, bias.image)


def test_units_follow_the_header_and_the_type(tmp_path, detector, bias) -> None:
    path = tmp_path / "calib.fits"
    write_image_calibration(path, replace(bias, units=Units.ADU))
    assert read_image_calibration("bias", path, detector).units is Units.ADU
    dark = replace(bias, calib_type="dark", units=Units.ELECTRON_PER_SECOND, dark_time=1.0)
    write_image_calibration(path, dark)
    assert read_image_calibration("dark", path, detector).units is Units.ELECTRON_PER_SECOND
    flat = replace(bias, calib_type="flat", units=Units.NONE, physical_filter="r_57")
    write_image_calibration(path, flat)
    read = read_image_calibration("flat", path, detector)
    assert (read.units, read.physical_filter) == (Units.NONE, "r_57")


@pytest.mark.parametrize("dark_time", [None, float("nan"), "NaN"])
def test_a_dark_without_a_time_lasts_one_second(tmp_path, detector, bias, dark_time) -> None:
    path = tmp_path / "dark.fits"
    dark = replace(bias, calib_type="dark", dark_time=float("nan"))
    write_image_calibration(path, dark, {} if dark_time is None else {"DARKTIME": dark_time})
    assert read_image_calibration("dark", path, detector).dark_time == 1.0


def _old_file(path: Path, shape: tuple[int, int], planes: dict[str, int], mask: int) -> None:
    """Write image, mask and variance without EXTNAME, with mask planes of the caller's choice."""
    pixels = np.zeros(shape, np.float32)
    hdus = [fits.PrimaryHDU()]
    hdus[0].header["OBSTYPE"] = "bias"
    for word, data in (
        ("IMAGE", pixels),
        ("MASK", np.full(shape, mask, np.int32)),
        ("VARIANCE", pixels + 1),
    ):
        hdus.append(fits.ImageHDU(data))
        hdus[-1].header["EXTTYPE"] = word
    for name, bit in planes.items():
        hdus[2].header[f"HIERARCH MP_{name}"] = bit
    fits.HDUList(hdus).writeto(path)


def test_an_old_file_without_names_or_units_is_read(tmp_path, detector) -> None:
    path = tmp_path / "old.fits"
    planes = {"BAD": 0, "CROSSTALK": 10, "UNMASKEDNAN": 9, "ODD": 11}
    _old_file(path, detector.shape, planes, (1 << 10) | (1 << 11) | 1)
    read = read_image_calibration("bias", path, detector)
    assert np.all(read.mask == Mask.BAD | Mask.CROSSTALK)
    assert read.units is Units.ADU
    assert np.all(read.variance == 1)


@given(
    bits=st.permutations(range(13)),
    values=st.lists(st.integers(0, 2**13 - 1), min_size=1, max_size=20),
)
def test_remapping_keeps_every_plane_by_name(bits, values) -> None:
    names = [plane.name for plane in Mask]
    planes = dict(zip(names, bits, strict=True))
    remapped = remap_mask(np.array(values, np.int32), planes)
    for name, bit in planes.items():
        stored = (np.array(values) >> bit) & 1 != 0
        np.testing.assert_array_equal(remapped & Mask[name] != 0, stored)


def _refused(path: Path, detector: Detector, words: str, calib_type: str = "bias") -> None:
    with pytest.raises(CalibrationError, match=words) as caught:
        read_image_calibration(calib_type, path, detector)
    assert str(path) in str(caught.value)


def test_a_file_of_the_wrong_size_is_refused(tmp_path, detector, bias) -> None:
    path = tmp_path / "bias.fits"
    short = replace(bias, image=bias.image[:-1], mask=bias.mask[:-1], variance=bias.variance[:-1])
    write_image_calibration(path, short)
    _refused(path, detector, r"shape \(49, 60\)")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DETNAME", "R22_S12"),
        ("DETSER", "ITL-3800C-008"),
        ("DET_NAME", "R22_S12"),
        ("DETECTOR", 8),
        ("RAFTNAME", "R21"),
        ("SLOTNAME", "S00"),
    ],
)
def test_a_file_of_another_detector_is_refused(tmp_path, detector, bias, key, value) -> None:
    path = tmp_path / "bias.fits"
    write_image_calibration(path, bias, {key: value})
    _refused(path, detector, f"another detector: {key}")


@pytest.mark.parametrize("key", ["DETNAME", "DETSER", "DETECTOR", "RAFTNAME"])
def test_an_empty_keyword_contradicts_nothing(tmp_path, detector, bias, key) -> None:
    path = tmp_path / "bias.fits"
    write_image_calibration(path, bias, {key: ""})
    assert read_image_calibration("bias", path, detector).calib_type == "bias"


def test_a_dark_is_not_a_bias(tmp_path, detector, bias) -> None:
    path = tmp_path / "bias.fits"
    write_image_calibration(path, bias)
    _refused(path, detector, "OBSTYPE says 'bias'", "dark")


def test_a_dark_of_no_time_and_strange_units_are_refused(tmp_path, detector, bias) -> None:
    path = tmp_path / "dark.fits"
    write_image_calibration(path, replace(bias, calib_type="dark", dark_time=0.0))
    _refused(path, detector, "DARKTIME is 0 s", "dark")
    write_image_calibration(path, bias, {"LSST ISR UNITS": "nJy"})
    _refused(path, detector, "LSST ISR UNITS")


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.8])
def test_a_truncated_file_is_refused(tmp_path, detector, bias, compress, kept) -> None:
    path = tmp_path / "bias.fits"
    write_image_calibration(path, bias, compress=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    _refused(path, detector, "bias")


@pytest.mark.parametrize("start", [0.05, 0.3, 0.6, 0.9])
def test_damaged_compressed_pixels_are_refused(tmp_path, detector, bias, start) -> None:
    path = tmp_path / "bias.fits"
    write_image_calibration(path, bias)
    with fits.open(path, disable_image_compression=True) as hdus:
        place = hdus[1].fileinfo()
    content = bytearray(path.read_bytes())
    first = place["datLoc"] + int(start * place["datSpan"])
    content[first : first + 300] = b"\xff" * 300
    path.write_bytes(bytes(content))
    _refused(path, detector, "cannot be read")


def test_missing_planes_and_missing_files_are_refused(tmp_path, detector) -> None:
    path = tmp_path / "one.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros(detector.shape))]).writeto(path)
    _refused(path, detector, "has 2 HDUs")
    _refused(tmp_path / "absent.fits", detector, "cannot be read")


def test_the_observatory_s_own_bias_is_read(detector: Detector) -> None:
    if REAL_BIAS.exists():
        latiss = replace(
            detector,
            number=0,
            name="RXX_S00",
            raft="RXX",
            slot="S00",
            serial="ITL-3800C-098",
            width=4072,
            height=4000,
        )
        read: ImageCalibration = read_image_calibration("bias", REAL_BIAS, latiss)
        assert read.image.shape == (4000, 4072)
        assert (read.units, read.dark_time) == (Units.ADU, 0.0)
        assert read.metadata["CALIB_INPUT_8"] == "(5700036,)"
        _refused(REAL_BIAS, replace(latiss, serial="ITL-3800C-068"), "DETSER")
