from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from calwatch.camera.hdus import Hdu, walk
from calwatch.camera.model import Camera, Detector
from calwatch.camera.raw import open_raw
from calwatch.camera.raw_tiles import RawTiles, find_tiles
from calwatch.camera.rice import PADDING, decode_rows, new_room
from calwatch.errors import RawError

Writer = Callable[..., Path]


def _padded(content: bytes) -> np.ndarray:
    return np.frombuffer(content + bytes(PADDING), np.uint8)


def _hdus(content: bytes, detector: Detector) -> dict[str, Hdu]:
    found = {hdu.extname.upper(): hdu for hdu in walk(content, "raw.fits")}
    return {amp.hdu: found[amp.hdu.upper()] for amp in detector.amplifiers}


def _flip(detector: Detector, **change: Any) -> Detector:
    amps = detector.amplifiers
    return replace(detector, amplifiers=(replace(amps[0], **change), *amps[1:]))


@pytest.mark.parametrize("zipped", [False, True])
def test_a_good_file_is_left_in_tiles(
    mini_raw: Writer, mini: Camera, detector: Detector, mini_pixels: np.ndarray, zipped: bool
) -> None:
    path = mini_raw()
    if zipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    raw = open_raw(path, mini, detector)
    assert isinstance(raw.pixels, RawTiles)
    np.testing.assert_array_equal(raw.pixels.decode(), mini_pixels)
    np.testing.assert_array_equal(raw.frame().pixels, mini_pixels)
    assert raw.frame().header is raw.header


def test_blocks_of_rows_of_one_amplifier(
    mini_raw: Writer, mini: Camera, detector: Detector, mini_pixels: np.ndarray
) -> None:
    tiles = open_raw(mini_raw(), mini, detector).pixels
    assert isinstance(tiles, RawTiles)
    out, room = np.zeros((5, 160), np.int32), new_room(tiles.columns)
    for first in range(0, 120, 5):
        row = decode_rows(
            tiles.data,
            tiles.offsets[3],
            tiles.lengths[3],
            first,
            first + 5,
            out,
            tiles.columns,
            room,
        )
        assert row == -1
        np.testing.assert_array_equal(out[:, :147], mini_pixels[3, first : first + 5])


@pytest.mark.parametrize(("written", "checked"), [(False, True), (True, False)])
def test_counts_without_a_checksum_are_decoded_and_checked_at_once(
    mini_raw: Writer,
    mini: Camera,
    detector: Detector,
    mini_pixels: np.ndarray,
    written: bool,
    checked: bool,
) -> None:
    path = mini_raw(checksum=written)
    pixels = open_raw(path, mini, detector, checksums=checked).pixels
    assert isinstance(pixels, np.ndarray)
    np.testing.assert_array_equal(pixels, mini_pixels)


def test_one_hdu_in_another_form_sends_all_the_other_way(
    mini_raw: Writer,
    mini_hdus: Callable[..., fits.HDUList],
    mini: Camera,
    detector: Detector,
    mini_pixels: np.ndarray,
) -> None:
    hdus = mini_hdus()
    hdus["Segment05"] = fits.ImageHDU(hdus["Segment05"].data, name="Segment05")
    pixels = open_raw(mini_raw(hdus), mini, detector).pixels
    assert isinstance(pixels, np.ndarray)
    np.testing.assert_array_equal(pixels, mini_pixels)


@pytest.mark.parametrize(
    "change",
    [
        {"ZCMPTYPE": "GZIP_1"},
        {"ZBITPIX": 16},
        {"ZVAL1": 16},
        {"ZVAL2": 2},
        {"ZNAME2": "OTHER"},
        {"ZNAME3": "OTHER"},
        {"ZTILE1": 49},
        {"ZTILE2": 2},
        {"TFIELDS": 2},
        {"TTYPE1": "GZIP_COMPRESSED_DATA"},
        {"TFORM1": "1QB(300)"},
        {"TFORM1": "1PE(300)"},
        {"NAXIS1": 16},
        {"NAXIS2": 60},
        {"THEAP": 2880},
        {"ZBLANK": 0},
        {"BSCALE": 0.5},
        {"BZERO": 32768},
    ],
    ids=str,
)
def test_any_other_form_is_not_for_the_kernels(
    mini_bytes: dict[bool, bytes], detector: Detector, change: dict[str, Any]
) -> None:
    content = mini_bytes[True]
    hdus = _hdus(content, detector)
    name = detector.amplifiers[5].hdu
    assert find_tiles(_padded(content), hdus, detector, "raw.fits") is not None
    hdus[name] = replace(hdus[name], header=hdus[name].header | change)
    assert find_tiles(_padded(content), hdus, detector, "raw.fits") is None


@pytest.mark.parametrize("change", [{"BSCALE": 1.0}, {"BZERO": 0.0}, {"THEAP": 960}], ids=str)
def test_keywords_that_say_nothing_new(
    mini_bytes: dict[bool, bytes], detector: Detector, change: dict[str, Any]
) -> None:
    content = mini_bytes[True]
    hdus = _hdus(content, detector)
    name = detector.amplifiers[5].hdu
    hdus[name] = replace(hdus[name], header=hdus[name].header | change)
    assert find_tiles(_padded(content), hdus, detector, "raw.fits") is not None


def test_a_mirrored_amplifier_is_not_for_the_kernels(
    mini_bytes: dict[bool, bytes], detector: Detector
) -> None:
    content = mini_bytes[True]
    hdus = _hdus(content, detector)
    for flip in ("hdu_flip_x", "hdu_flip_y"):
        mirrored = _flip(detector, **{flip: True})
        assert find_tiles(_padded(content), hdus, mirrored, "raw.fits") is None


@pytest.mark.parametrize("word", [(-1, 0), (0, -1), (2**31 - 1, 0), (10, 2**31 - 1)])
def test_a_tile_beyond_its_hdu_is_named(
    mini_bytes: dict[bool, bytes], detector: Detector, word: tuple[int, int]
) -> None:
    content = bytearray(mini_bytes[True])
    hdus = _hdus(bytes(content), detector)
    start = hdus[detector.amplifiers[5].hdu].data_start
    content[start + 56 : start + 64] = np.array(word, ">i4").tobytes()
    message = r"(?i)raw\.fits: HDU Segment\d\d cannot be decoded \(the tile of row 7 does not stand"
    with pytest.raises(RawError, match=message):
        find_tiles(_padded(bytes(content)), hdus, detector, "raw.fits")


def test_a_damaged_tile_is_named(
    tmp_path: Path, mini_bytes: dict[bool, bytes], mini: Camera, detector: Detector
) -> None:
    content = bytearray(mini_bytes[False])
    start = _hdus(bytes(content), detector)["Segment05"].data_start
    length, offset = np.frombuffer(content, ">i4", 2, start + 8 * 33).tolist()
    tile = start + 8 * 120 + offset
    content[tile : tile + length] = bytes(length - 1) + b"\x01"
    content[tile + 4] = 0b00010000  # codes without lower bits, and then nothing but zeros
    (tmp_path / "raw.fits").write_bytes(content)
    message = r"(?i)^raw\.fits: HDU Segment05 cannot be decoded \(the tile of row 33 is damaged\)$"
    with pytest.raises(RawError, match=message):
        open_raw(tmp_path / "raw.fits", mini, detector)
