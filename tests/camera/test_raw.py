from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calwatch.camera.hdus import Hdu, walk
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera, Detector
from calwatch.camera.raw import read_raw
from calwatch.errors import RawError, UnreachableFileError

REAL = Path(__file__).parents[3] / "shared" / "data" / "latiss-repo" / "raw"

Maker = Callable[..., fits.HDUList]
Writer = Callable[..., Path]


def test_reads_every_amplifier_in_readout_order(
    mini_raw: Writer, mini: Camera, detector: Detector, mini_pixels: np.ndarray
) -> None:
    frame = read_raw(mini_raw(), mini, detector)
    assert frame.pixels.dtype == np.int32
    np.testing.assert_array_equal(frame.pixels, mini_pixels)


def test_merges_the_condition_header_and_the_primary_counts_first(
    mini_raw: Writer, mini: Camera, detector: Detector
) -> None:
    header = read_raw(mini_raw(), mini, detector).header
    assert header["CCDTEMP"] == -100.5
    assert header["SEQFILE"] == "mini.seq"
    assert header["STUTTER ROWS"] == 0
    assert "NAXIS" not in header
    assert "CHECKSUM" not in header


def test_hdus_may_come_in_any_order(
    mini_raw: Writer, mini_hdus: Maker, mini: Camera, detector: Detector, mini_pixels: np.ndarray
) -> None:
    hdus = mini_hdus()
    hdus.insert(1, hdus.pop(5))
    np.testing.assert_array_equal(read_raw(mini_raw(hdus), mini, detector).pixels, mini_pixels)


@pytest.mark.parametrize("name", ["we[ird] (x),;+1.fits", "ascii.fits", "größe.fits"])
def test_file_names_have_no_meaning(
    mini_raw: Writer, mini: Camera, detector: Detector, mini_pixels: np.ndarray, name: str
) -> None:
    np.testing.assert_array_equal(read_raw(mini_raw(name=name), mini, detector).pixels, mini_pixels)


def test_gzipped_file(
    mini_raw: Writer, mini: Camera, detector: Detector, mini_pixels: np.ndarray
) -> None:
    path = mini_raw()
    path.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(read_raw(path, mini, detector).pixels, mini_pixels)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(RawError, match=r"raw\.fits: damaged or truncated gzip"):
        read_raw(path, mini, detector)


def test_old_files_end_with_two_tables_without_a_name(
    mini_raw: Writer, mini_hdus: Maker, mini: Camera, detector: Detector
) -> None:
    hdus = mini_hdus()
    del hdus[-1]
    hdus.append(fits.BinTableHDU())
    conditions = fits.BinTableHDU()
    conditions.header["CCDTEMP"] = -90.0
    hdus.append(conditions)
    assert read_raw(mini_raw(hdus), mini, detector).header["CCDTEMP"] == -90.0
    hdus.append(fits.BinTableHDU())
    with pytest.raises(RawError, match="3 tables without a name"):
        read_raw(mini_raw(hdus), mini, detector)


def _uncompressed(hdus: fits.HDUList) -> fits.HDUList:
    for i, hdu in enumerate(hdus):
        if isinstance(hdu, fits.CompImageHDU):
            hdus[i] = fits.ImageHDU(hdu.data, name=hdu.name)
    return hdus


def test_uncompressed_file(
    mini_raw: Writer, mini_hdus: Maker, mini: Camera, detector: Detector, mini_pixels: np.ndarray
) -> None:
    path = mini_raw(_uncompressed(mini_hdus()))
    np.testing.assert_array_equal(read_raw(path, mini, detector).pixels, mini_pixels)


def _missing(hdus: fits.HDUList) -> None:
    del hdus["Segment05"]


def _missing_two(hdus: fits.HDUList) -> None:
    del hdus["Segment05"]
    del hdus["Segment12"]


def _extra(hdus: fits.HDUList) -> None:
    hdus.append(fits.ImageHDU(np.zeros((120, 147), np.int32), name="Segment18"))


def _doubled(hdus: fits.HDUList) -> None:
    hdus.append(fits.ImageHDU(np.zeros((120, 147), np.int32), name="Segment05"))


def _narrow(hdus: fits.HDUList) -> None:
    hdus["Segment05"] = fits.ImageHDU(np.zeros((120, 146), np.int32), name="Segment05")


def _cube(hdus: fits.HDUList) -> None:
    hdus["Segment05"] = fits.ImageHDU(np.zeros((2, 120, 147), np.int32), name="Segment05")


def _empty(hdus: fits.HDUList) -> None:
    hdus["Segment05"] = fits.ImageHDU(name="Segment05")


def _floats(hdus: fits.HDUList) -> None:
    hdus["Segment05"] = fits.ImageHDU(np.full((120, 147), np.nan, np.float32), name="Segment05")


def _scaled(hdus: fits.HDUList) -> None:
    hdus["Segment05"] = fits.ImageHDU(np.ones((120, 147), np.int16), name="Segment05")
    hdus["Segment05"].header["BSCALE"] = 0.5


def _compression(hdus: fits.HDUList) -> None:
    image = np.ones((120, 147), np.int32)
    hdus["Segment05"] = fits.CompImageHDU(
        image, name="Segment05", compression_type="HCOMPRESS_1", tile_shape=(120, 147)
    )


def _tiles(hdus: fits.HDUList) -> None:
    hdus["Segment05"] = fits.CompImageHDU(
        np.ones((120, 147), np.int32), name="Segment05", tile_shape=(10, 147)
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_missing, "HDU Segment05 is missing"),
        (_missing_two, "HDU Segment12, Segment05 are missing"),
        (_extra, "HDU Segment18 does not belong in a ITL raw file"),
        (_doubled, "HDU Segment05 stands twice"),
        (_narrow, "HDU Segment05 has 146 x 120 pixels, not 147 x 120"),
        (_cube, "HDU Segment05 has 147 x 120 x 2 pixels, not 147 x 120"),
        (_empty, "HDU Segment05 has no pixels"),
        (_floats, r"HDU Segment05 holds no integers \(BITPIX -32\)"),
        (_scaled, "HDU Segment05 holds scaled values"),
        (_compression, "HDU Segment05 has compression HCOMPRESS_1"),
        (_tiles, "HDU Segment05 has tiles of 147 x 10 pixels, not 147 x 1"),
    ],
)
def test_wrong_structure_is_named(
    mini_raw: Writer,
    mini_hdus: Maker,
    mini: Camera,
    detector: Detector,
    spoil: Callable[[fits.HDUList], None],
    message: str,
) -> None:
    hdus = mini_hdus()
    spoil(hdus)
    with pytest.raises(RawError, match=rf"(?i)^raw\.fits: .*{message}"):
        read_raw(mini_raw(hdus, checksum=False), mini, detector)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("INSTRUME", "lsstCam"), ("RAFTBAY", "R22"), ("CCDSLOT", "S00")],
)
def test_file_of_another_detector(
    mini_raw: Writer, mini_hdus: Maker, mini: Camera, detector: Detector, keyword: str, value: str
) -> None:
    path = mini_raw(mini_hdus({keyword: value}))
    with pytest.raises(RawError, match=f"{keyword} is '{value}', but detector R00_S01 of MiniCam"):
        read_raw(path, mini, detector)


def test_serial_number_is_checked_where_the_camera_gives_one(
    tmp_path: Path, mini_raw: Writer, mini_hdus: Maker, mini: Camera
) -> None:
    text = (Path(__file__).parents[1] / "data" / "mini.yaml").read_text(encoding="utf-8")
    text = text.replace("first: 0, layout: ITL", "first: 0, layout: ITL, serials: {S01: ITL-2}")
    (tmp_path / "serial.yaml").write_text(text, encoding="utf-8")
    camera = load_camera(tmp_path / "serial.yaml")
    with pytest.raises(RawError, match="LSST_NUM is 'ITL-1', but detector R00_S01"):
        read_raw(mini_raw(), camera, camera.detector(1))
    read_raw(mini_raw(mini_hdus({"LSST_NUM": "ITL-2"})), camera, camera.detector(1))


def test_missing_file_and_folder(tmp_path: Path, mini: Camera, detector: Detector) -> None:
    with pytest.raises(UnreachableFileError, match=r"gone\.fits: cannot be read \(No such file"):
        read_raw(tmp_path / "gone.fits", mini, detector)
    with pytest.raises(UnreachableFileError, match="directory"):
        read_raw(tmp_path, mini, detector)


@pytest.mark.parametrize("content", [b"", b"not a FITS file" * 500, b"SIMPLE  =" + b" " * 3000])
def test_not_fits(tmp_path: Path, mini: Camera, detector: Detector, content: bytes) -> None:
    path = tmp_path / "raw.fits"
    path.write_bytes(content)
    with pytest.raises(RawError, match=r"raw\.fits: "):
        read_raw(path, mini, detector)


def _hdu(data: bytes, name: str) -> Hdu:
    return next(hdu for hdu in walk(data, "raw.fits") if hdu.extname.upper() == name.upper())


_EXAMPLES = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(share=st.floats(0.0, 0.999))
@_EXAMPLES
def test_truncated_anywhere(
    tmp_path: Path, mini_bytes: dict[bool, bytes], mini: Camera, detector: Detector, share: float
) -> None:
    path = tmp_path / "raw.fits"
    last = _hdu(mini_bytes[True], "Segment00")
    path.write_bytes(mini_bytes[True][: int(share * (last.data_start + last.data_size))])
    with pytest.raises(RawError, match=r"^raw\.fits: "):
        read_raw(path, mini, detector)


def test_truncated_inside_an_hdu_names_it(
    tmp_path: Path, mini_bytes: dict[bool, bytes], mini: Camera, detector: Detector
) -> None:
    path = tmp_path / "raw.fits"
    start = _hdu(mini_bytes[True], "Segment05").data_start
    path.write_bytes(mini_bytes[True][: start + 100])
    with pytest.raises(RawError, match=r"(?i)HDU Segment05 is truncated"):
        read_raw(path, mini, detector)


@given(share=st.floats(0.0, 0.999), flip=st.integers(1, 255))
@_EXAMPLES
def test_a_flipped_byte_in_the_pixels_is_always_found(
    tmp_path: Path,
    mini_bytes: dict[bool, bytes],
    mini: Camera,
    detector: Detector,
    share: float,
    flip: int,
) -> None:
    path = tmp_path / "raw.fits"
    data = bytearray(mini_bytes[True])
    hdu = _hdu(mini_bytes[True], "Segment05")
    data[hdu.data_start + int(share * hdu.data_size)] ^= flip
    path.write_bytes(data)
    with pytest.raises(RawError, match=r"(?i)HDU Segment05 is damaged"):
        read_raw(path, mini, detector)


@given(share=st.floats(0.05, 0.6), length=st.integers(20, 200))
@_EXAMPLES
def test_without_checksums_no_impossible_count_is_returned(
    tmp_path: Path,
    mini_bytes: dict[bool, bytes],
    mini: Camera,
    detector: Detector,
    share: float,
    length: int,
) -> None:
    path = tmp_path / "raw.fits"
    data = bytearray(mini_bytes[False])
    hdu = _hdu(mini_bytes[False], "Segment05")
    heap = hdu.data_start + 8 * 120
    at = heap + int(share * (hdu.data_size - 8 * 120))
    data[at : at + length] = b"\xff" * length
    path.write_bytes(data)
    try:
        pixels = read_raw(path, mini, detector).pixels
    except RawError as error:
        assert "SEGMENT05" in str(error)  # noqa: PT017 (reading it may also succeed)
    else:
        assert pixels.min() >= 0
        assert pixels.max() <= 262143


def test_checksums_can_be_left_out(
    mini_raw: Writer, mini_hdus: Maker, mini: Camera, detector: Detector
) -> None:
    path = mini_raw(_uncompressed(mini_hdus()))
    data = bytearray(path.read_bytes())
    hdu = _hdu(bytes(data), "Segment10")
    data[hdu.data_start + 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(RawError, match=r"(?i)HDU Segment10 is damaged"):
        read_raw(path, mini, detector)
    read_raw(path, mini, detector, checksums=False)


def _stand_frame() -> tuple[np.ndarray, np.ndarray]:
    """Return the stand's one HDU and the four amplifiers in readout order."""
    rng = np.random.default_rng(4)
    amps = rng.integers(900, 60_000, (4, 48, 88))
    frame = np.empty((96, 176), np.uint16)
    frame[:48, :88] = amps[0][:, ::-1]
    frame[:48, 88:] = amps[1]
    frame[48:, 88:] = amps[2][::-1]
    frame[48:, :88] = amps[3][::-1, ::-1]
    return frame, amps


def test_four_amplifiers_in_one_uncompressed_hdu(tmp_path: Path, stand: Camera) -> None:
    frame, amps = _stand_frame()
    hdu = fits.PrimaryHDU(frame)
    hdu.header["DETECTOR"] = "stand"
    path = tmp_path / "stand.fits"
    hdu.writeto(path, checksum=True)
    assert fits.getheader(path)["BZERO"] == 32768
    raw = read_raw(path, stand, stand.detector(0))
    np.testing.assert_array_equal(raw.pixels, amps)

    hdu = fits.PrimaryHDU(frame[:, :-1])
    hdu.writeto(path, overwrite=True)
    with pytest.raises(RawError, match="HDU 0 has 175 x 96 pixels, not 176 x 96"):
        read_raw(path, stand, stand.detector(0))


def test_stand_frame_assembles_into_the_frame_without_its_overscans(
    tmp_path: Path, stand: Camera
) -> None:
    frame, _ = _stand_frame()
    path = tmp_path / "stand.fits"
    fits.PrimaryHDU(frame).writeto(path)
    detector = stand.detector(0)
    raw = read_raw(path, stand, detector)
    assembled = np.zeros(detector.shape, np.int32)
    for amp, pixels in zip(detector.amplifiers, raw.pixels, strict=True):
        data = pixels[amp.data.slices]
        flipped = data[:: -1 if amp.flip_y else 1, :: -1 if amp.flip_x else 1]
        assembled[amp.bbox.slices] = flipped
    expected = np.delete(frame, np.s_[40:56], axis=0)[:, 24:-24]
    np.testing.assert_array_equal(assembled, expected)


@pytest.mark.parametrize("path", sorted(REAL.rglob("*.fits")), ids=lambda path: path.name)
def test_real_files(path: Path, tmp_path: Path) -> None:
    camera = load_camera("LATISS")
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    with pytest.raises(RawError, match="Segment10 is damaged: its data do not agree"):
        read_raw(copy, camera, camera.detector(0))
    frame = read_raw(copy, camera, camera.detector(0), checksums=False)
    assert frame.pixels.shape == (16, 2048, 576)
    assert not frame.pixels.any()
    assert frame.header["CCDTEMP"] == pytest.approx(-90.57, abs=0.01)


def test_without_checksums_a_tile_that_points_nowhere_cannot_be_decoded(
    tmp_path: Path, mini_bytes: dict[bool, bytes], mini: Camera, detector: Detector
) -> None:
    path = tmp_path / "raw.fits"
    data = bytearray(mini_bytes[False])
    start = _hdu(mini_bytes[False], "Segment05").data_start
    data[start + 4 : start + 8] = (2**30).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(RawError, match=r"(?i)^raw\.fits: HDU Segment05 cannot be decoded \(.+\)$"):
        read_raw(path, mini, detector)


@pytest.mark.parametrize("value", [-1, 262144])
def test_without_checksums_a_count_the_converter_cannot_give_is_damage(
    mini_raw: Writer, mini_hdus: Maker, mini: Camera, detector: Detector, value: int
) -> None:
    hdus = mini_hdus()
    hdus["Segment05"].data = hdus["Segment05"].data.copy()
    hdus["Segment05"].data[7, 9] = value
    with pytest.raises(RawError, match=r"(?i)Segment05 is damaged: it decodes to values from"):
        read_raw(mini_raw(hdus, checksum=False), mini, detector)


def test_a_damaged_gzip_tile_is_refused_at_once(
    mini_raw: Writer, mini: Camera, detector: Detector, mini_pixels: np.ndarray
) -> None:
    """CFITSIO loops for ever over some of them."""
    hdus = fits.HDUList([mini_hdus_primary()])
    for amp, image in zip(detector.amplifiers, mini_pixels, strict=True):
        options = {"compression_type": "GZIP_2", "tile_shape": (1, 147)}
        hdus.append(fits.CompImageHDU(image, name=amp.hdu, **options))
    path = mini_raw(hdus, checksum=False)
    np.testing.assert_array_equal(read_raw(path, mini, detector).pixels, mini_pixels)
    good = path.read_bytes()
    with fits.open(path, disable_image_compression=True) as tables:
        place = tables[1].fileinfo()["datLoc"]
    for length in (0, 1, 2**31 - 1):  # of the first tile: none, nearly none, beyond the file
        path.write_bytes(good[:place] + length.to_bytes(4, "big") + good[place + 4 :])
        with pytest.raises(RawError, match="cannot be decoded"):
            read_raw(path, mini, detector, checksums=False)


def mini_hdus_primary() -> fits.PrimaryHDU:
    """Return a primary HDU that names nothing that could contradict."""
    primary = fits.PrimaryHDU()
    primary.header["INSTRUME"] = "MiniCam"
    return primary


def test_a_zipped_bomb_and_a_file_beyond_all_bounds_are_refused(
    mini_raw: Writer, mini: Camera, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = mini_raw()
    monkeypatch.setattr("calwatch.camera.raw._MOST_BYTES", 1 << 20)
    path.write_bytes(gzip.compress(path.read_bytes() + bytes(2 << 20)))
    with pytest.raises(RawError, match="unzips to more than 1048576 bytes"):
        read_raw(path, mini, detector)
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: it takes no room
    with pytest.raises(RawError, match="has 1099511627776 bytes, more than any raw file"):
        read_raw(path, mini, detector)


@pytest.mark.parametrize("zero", [1e300, -1e300, 2.0**63, float("inf")])
def test_an_absurd_offset_of_counts_is_refused(
    tmp_path: Path, mini: Camera, detector: Detector, mini_pixels: np.ndarray, zero: float
) -> None:
    hdus = fits.HDUList([mini_hdus_primary()])
    for amp, image in zip(detector.amplifiers, mini_pixels, strict=True):
        hdus.append(fits.ImageHDU(image, name=amp.hdu))
    path = tmp_path / "raw.fits"
    hdus.writeto(path)
    content = path.read_bytes()
    at = content.index(b"GCOUNT  =")
    card = f"BZERO   = {zero!s:>20s}".encode().ljust(80)
    path.write_bytes(content[:at] + card + content[at + 80 :])
    with pytest.raises(RawError, match="holds scaled values"):
        read_raw(path, mini, detector, checksums=False)
