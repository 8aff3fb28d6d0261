from __future__ import annotations

import os
import subprocess
import sys

import fitsio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calwatch.camera.hdus import walk
from calwatch.camera.rice import BLOCK_PIXELS, PADDING, decode_rows, decode_tile, new_room

GUARD = 0x5A5A5A5A
EXTREMES = (-(2**31), -(2**31) + 1, -1, 0, 1, 2**31 - 1)

Image = NDArray[np.int32]


class Tiles:
    """Tiles of one image in a buffer, with arbitrary bytes between and after them."""

    def __init__(self, tiles: list[bytes], filler: int = 0) -> None:
        rest = bytes([filler])
        content = rest * 3
        self.tiles = tiles
        self.offsets = np.empty(len(tiles), np.int64)
        self.lengths = np.array([len(tile) for tile in tiles], np.int64)
        for index, tile in enumerate(tiles):
            self.offsets[index] = len(content)
            content += tile + rest * (index % 3)
        end = int(self.offsets[-1] + self.lengths[-1])
        self.data = np.frombuffer(content[:end] + rest * PADDING, np.uint8).copy()

    def decode(self, columns: int, first: int = 0, last: int | None = None) -> tuple[int, Image]:
        """Decode into an array with guard words before, beside and after; check the guards."""
        last = len(self.tiles) if last is None else last
        height, width = last - first, columns + 5
        guarded = np.full((height + 2) * width, GUARD, np.int32)
        out = guarded[width:-width].reshape(height, width)
        row = decode_rows(
            self.data, self.offsets, self.lengths, first, last, out, columns, new_room(columns)
        )
        assert (guarded[:width] == GUARD).all()
        assert (guarded[-width:] == GUARD).all()
        assert (out[:, columns:] == GUARD).all()
        return row, out[:, :columns]


def cfitsio_tiles(image: Image) -> tuple[list[bytes], Image]:
    """Return the tiles that CFITSIO makes of an image, and what it makes of them again."""
    with fitsio.FITS("mem://", "rw") as file:
        file.write(image, compress="RICE_1", tile_dims=[1, image.shape[1]], qlevel=None)
        decoded = file[-1].read()
        content = file.read_raw()
    hdu = walk(content, "tiles")[-1]
    table = np.frombuffer(content, ">i4", 2 * image.shape[0], hdu.data_start).reshape(-1, 2)
    heap = hdu.data_start + 8 * image.shape[0]
    return [content[heap + at : heap + at + n] for n, at in table.tolist()], decoded


def encode(pixels: list[int], exponents: list[int]) -> bytes:
    """Encode a row with these exponents: not always the best, and used where they can be."""
    previous = pixels[0]
    bits = f"{previous % 2**32:032b}"
    for block, at in enumerate(range(0, len(pixels), BLOCK_PIXELS)):
        codes = []
        for pixel in pixels[at : at + BLOCK_PIXELS]:
            step = (pixel - previous + 2**31) % 2**32 - 2**31
            codes.append(2 * step if step >= 0 else -2 * step - 1)
            previous = pixel
        k = exponents[block % len(exponents)]
        if k < 0 and any(codes):
            k = 0
        if k < 25 and max(codes) >> max(k, 0) > 300:
            k = 25
        bits += f"{k + 1:05b}"
        for code in codes:
            if k == 25:
                bits += f"{code:032b}"
            elif k >= 0:
                bits += "0" * (code >> k) + "1" + (f"{code % 2**k:0{k}b}" if k else "")
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Images whose rows are constant, noise of any width, steps, spikes, or extremes."""
    columns = draw(st.integers(1, 140))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = []
    kinds = st.sampled_from(("constant", "noise", "spikes", "extremes", "mixed"))
    for kind in draw(st.lists(kinds, min_size=1, max_size=6)):
        level = draw(st.sampled_from((*EXTREMES, 25_000)))
        noise = random.integers(0, 2 ** draw(st.integers(0, 32)), columns)
        row = np.full(columns, level, np.int64)
        if kind == "noise":
            row += noise
        elif kind == "spikes":
            row += np.where(random.random(columns) < 0.02, noise, random.integers(0, 5, columns))
        elif kind == "extremes":
            row = random.choice(EXTREMES, columns)
        elif kind == "mixed":
            quiet = np.arange(columns) // BLOCK_PIXELS % 2 == 0
            row += np.where(quiet, 0, noise)
        rows.append(row)
    return (np.array(rows) % 2**32).astype(np.uint32).view(np.int32)


@given(image=images(), filler=st.integers(0, 255))
def test_equals_cfitsio(image: Image, filler: int) -> None:
    tiles, again = cfitsio_tiles(image)
    np.testing.assert_array_equal(again, image)
    row, decoded = Tiles(tiles, filler).decode(image.shape[1])
    assert row == -1
    np.testing.assert_array_equal(decoded, image)
    for tile, pixels in zip(tiles, image, strict=True):
        np.testing.assert_array_equal(decode_tile(tile, image.shape[1]), pixels)


@given(image=images(), exponents=st.lists(st.integers(-1, 25), min_size=1, max_size=5))
def test_any_exponent_that_another_encoder_may_choose(image: Image, exponents: list[int]) -> None:
    tiles = [encode(pixels, exponents) for pixels in image.tolist()]
    row, decoded = Tiles(tiles, 255).decode(image.shape[1])
    assert row == -1
    np.testing.assert_array_equal(decoded, image)
    np.testing.assert_array_equal(decode_tile(tiles[0], image.shape[1]), image[0])


@given(image=images(), data=st.data())
def test_some_rows_of_an_image(image: Image, data: st.DataObject) -> None:
    tiles, _ = cfitsio_tiles(image)
    first = data.draw(st.integers(0, len(tiles)))
    last = data.draw(st.integers(first, len(tiles)))
    row, decoded = Tiles(tiles).decode(image.shape[1], first, last)
    assert row == -1
    np.testing.assert_array_equal(decoded, image[first:last])


@st.composite
def damaged_tiles(draw: st.DrawFn) -> tuple[Tiles, int]:
    """Tiles of which some are truncated, have bytes changed, or are nothing but random bytes."""
    image = draw(images())
    tiles, _ = cfitsio_tiles(image)
    for index in draw(st.sets(st.integers(0, len(tiles) - 1), min_size=1)):
        tile = bytearray(tiles[index])
        harm = draw(st.sampled_from(("cut", "change", "random", "zeros")))
        if harm == "cut":
            del tile[draw(st.integers(4, len(tile))) :]
        elif harm == "change":
            for at in draw(st.lists(st.integers(0, len(tile) - 1), min_size=1, max_size=4)):
                tile[at] = draw(st.integers(0, 255))
        elif harm == "zeros":
            at = draw(st.integers(0, len(tile) - 1))
            tile[at:] = bytes(len(tile) - at)
        else:
            tile = bytearray(draw(st.binary(min_size=4, max_size=60)))
        tiles[index] = bytes(tile)
    return Tiles(tiles, draw(st.integers(0, 255))), image.shape[1]


def reference(tile: bytes, columns: int) -> Image | None:
    """Return the pixels of a tile, None if it is damaged."""
    try:
        return decode_tile(tile, columns)
    except ValueError:
        return None


def check_damaged(tiles: Tiles, columns: int) -> None:
    """Whatever the tiles hold, the kernel finds what the reference finds."""
    expected = [reference(tile, columns) for tile in tiles.tiles]
    row, decoded = tiles.decode(columns)
    if row < 0:
        for pixels, found in zip(expected, decoded, strict=True):
            assert pixels is not None
            np.testing.assert_array_equal(found, pixels)
    else:
        assert expected[row] is None


@given(case=damaged_tiles())
@settings(max_examples=300)
def test_damaged_tiles_are_found_or_give_some_pixels(case: tuple[Tiles, int]) -> None:
    check_damaged(*case)


@pytest.mark.parametrize("columns", [31, 32, 64, 100])
@pytest.mark.parametrize("exponent", [-1, 0, 5, 12, 24, 25])
def test_a_tile_without_its_last_byte_is_damaged(columns: int, exponent: int) -> None:
    pixels = [7] * columns if exponent < 0 else list(range(columns))
    for damaged in range(3):
        tiles = [encode(pixels, [exponent])] * 3
        tiles[damaged] = tiles[damaged][:-1]
        assert Tiles(tiles).decode(columns)[0] == damaged


@pytest.mark.parametrize("filler", [0, 1, 16, 255])
@pytest.mark.parametrize("exponent", range(-1, 31))
def test_a_last_tile_that_ends_with_its_exponent(exponent: int, filler: int) -> None:
    """The padding is all that is left to read from: the furthest that a kernel gets."""
    whole = encode(list(range(64)), [3])
    bits = "0" * 38 + f"{0:05b}" + f"{exponent + 1:05b}"
    tile = int(bits, 2).to_bytes(6, "big")  # a block of equal pixels, and no more of the next
    for tiles in ([whole, tile], [tile, whole], [tile]):
        check_damaged(Tiles(tiles, filler), 64)
    assert Tiles([tile], filler).decode(32)[0] == -1


def test_an_endless_run_of_zeros_ends_with_the_tile() -> None:
    for k in (0, 24):
        start = int(f"{7:032b}{k + 1:05b}" + "0" * 27, 2).to_bytes(8, "big")
        for filler in (0, 255):
            tiles = Tiles([start + bytes(5000), encode([7] * 40, [3])], filler)
            check_damaged(tiles, 40)
            assert tiles.decode(40)[0] == 0


def test_a_code_of_more_than_32_bits_is_damage() -> None:
    bits = f"{7:032b}{24 + 1:05b}" + "0" * 256 + "1" + "0" * 24 + ("1" + "0" * 24) * 31
    bits += "0" * (-len(bits) % 8)
    tile = int(bits, 2).to_bytes(len(bits) // 8, "big")
    with pytest.raises(ValueError, match="more than 32 bits"):
        decode_tile(tile, 32)
    assert Tiles([tile]).decode(32)[0] == 0
    assert Tiles([tile, tile]).decode(32)[0] == 0


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (-1, 50),
        (0, 3),
        (0, -1),
        (0, 2**40),
        (2**40, 50),
        (2**62, 2**62),
        (-(2**62), 50),
        (1, 2**63 - 1),
    ],
)
def test_a_tile_outside_of_the_data_is_never_looked_at(offset: int, length: int) -> None:
    tiles = Tiles([encode(list(range(64)), [3])] * 5)
    tiles.offsets[3], tiles.lengths[3] = offset, length
    assert tiles.decode(64)[0] == 3


def test_the_bytes_after_the_last_tile_are_asked_for() -> None:
    tiles = Tiles([encode(list(range(64)), [3])] * 2)
    tiles.data = tiles.data[:-1]
    assert tiles.decode(64)[0] == 1


@pytest.mark.parametrize(
    ("first", "last", "shape", "columns"),
    [
        (0, 3, (3, 64), 64),
        (-1, 2, (3, 64), 64),
        (2, 1, (3, 64), 64),
        (0, 2, (1, 64), 64),
        (0, 2, (2, 63), 64),
        (0, 2, (2, 64), 0),
        (0, 2, (2, 65), 65),
    ],
)
def test_rows_that_do_not_fit(first: int, last: int, shape: tuple[int, int], columns: int) -> None:
    tiles = Tiles([encode(list(range(64)), [3])] * 2)
    out, room = np.zeros(shape, np.int32), new_room(64)
    with pytest.raises(ValueError, match="rows"):
        decode_rows(tiles.data, tiles.offsets, tiles.lengths, first, last, out, columns, room)


@pytest.mark.skipif(bool(os.environ.get("NUMBA_BOUNDSCHECK")), reason="it is this very run")
def test_no_index_leaves_its_array(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run the tests of damaged tiles with every index checked."""
    environment = os.environ | {
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("checked")),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
