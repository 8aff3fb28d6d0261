"""The reader of row-wise GZIP_2 gives what astropy gives, bit for bit, or refuses."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calwatch.calibrations.gzip_tiles import is_gzip_rows, read_gzip_rows

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)
PIXELS = st.one_of(hnp.arrays(np.float32, SHAPES), hnp.arrays(np.int32, SHAPES))


def compressed(pixels: np.ndarray, **options) -> bytes:
    """Return a file with one compressed image."""
    words = {"compression_type": "GZIP_2", "quantize_level": 0.0, **options}
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels, **words)]).writeto(file)
    return file.getvalue()


def table(content: bytes) -> tuple[bytes, fits.Header]:
    """Return data and header of the table that holds the image."""
    with fits.open(io.BytesIO(content), disable_image_compression=True) as hdus:
        place = hdus[1].fileinfo()
        return content[place["datLoc"] : place["datLoc"] + place["datSpan"]], hdus[1].header


@given(PIXELS)
def test_pixels_are_those_of_astropy(pixels: np.ndarray) -> None:
    content = compressed(pixels)
    data, header = table(content)
    assert is_gzip_rows(header)
    read = read_gzip_rows(data, header)
    with fits.open(io.BytesIO(content)) as hdus:
        theirs = hdus[1].data
    assert read.dtype == pixels.dtype
    assert read.tobytes() == pixels.tobytes()
    assert read.tobytes() == theirs.astype(pixels.dtype).tobytes()


@pytest.mark.parametrize(
    "options",
    [
        {"compression_type": "GZIP_1"},
        {"compression_type": "RICE_1", "quantize_level": 16.0},
        {"quantize_level": 16.0},
        {"tile_shape": (2, 8)},
        {"tile_shape": (1, 4)},
    ],
)
def test_other_forms_are_left_to_astropy(options: dict) -> None:
    pixels = np.random.default_rng(1).normal(size=(8, 8)).astype(np.float32)
    assert not is_gzip_rows(table(compressed(pixels, **options))[1])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ZBITPIX", 16),
        ("BSCALE", 2.0),
        ("BZERO", 1.0),
        ("ZBLANK", -1),
        ("NAXIS2", 3),
        ("ZNAXIS", 3),
    ],
)
def test_what_changes_pixels_is_left_to_astropy(key: str, value: object) -> None:
    _, header = table(compressed(np.zeros((4, 4), np.float32)))
    assert is_gzip_rows(header)
    header[key] = value
    assert not is_gzip_rows(header)


@settings(max_examples=300)
@given(st.data())
def test_damage_is_refused_or_changes_nothing(data) -> None:
    pixels = np.arange(40, dtype=np.float32).reshape(5, 8)
    stored, header = table(compressed(pixels))
    content = bytearray(stored)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    keep = data.draw(st.integers(0, len(content)))
    try:
        read = read_gzip_rows(bytes(content[:keep]), header)
    except (ValueError, zlib.error):
        return
    # A row may still have been read from the place of another one; each is checked by its own CRC.
    assert {row.tobytes() for row in read} <= {row.tobytes() for row in pixels}
