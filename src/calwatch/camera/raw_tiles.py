"""The pixels of a raw file as the Rubin cameras store them: one Rice tile for each row.

Everything a kernel is told about the tiles is checked here against the file. What is stored in any
other way is left to `calwatch.camera.raw_images`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwatch.arrays import AnyArray, IndexArray, IntArray
from calwatch.camera.hdus import Hdu
from calwatch.camera.model import Amplifier, Detector
from calwatch.camera.rice import BLOCK_PIXELS, decode_rows, new_room
from calwatch.errors import RawError

_DESCRIPTOR = np.dtype([("length", ">i4"), ("offset", ">i4")])
"""Of one tile: its bytes, and where they begin in the heap (FITS Standard 4.0, §7.3.5)."""
_DESCRIPTOR_FORM = re.compile(r"^1?PB(\(\d+\))?$")
_PLAIN = {
    "BITPIX": 8,
    "NAXIS": 2,
    "NAXIS1": _DESCRIPTOR.itemsize,
    "TFIELDS": 1,
    "TTYPE1": "COMPRESSED_DATA",
    "ZCMPTYPE": "RICE_1",
    "ZBITPIX": 32,
    "ZNAXIS": 2,
    "BLOCKSIZE": BLOCK_PIXELS,
    "BYTEPIX": 4,
}
"""What the header says of an image that `calwatch.camera.rice` can decode."""
_IF_PRESENT = {"GCOUNT": 1, "BSCALE": 1, "BZERO": 0, "ZTILE2": 1}
_ABSENT = ("BLANK", "ZBLANK", "ZSCALE", "ZZERO", "ZMASKCMP", "ZNAME3")


@dataclass(frozen=True, slots=True, eq=False)
class RawTiles:
    """Where the tile of every row of every amplifier stands, in readout and camera order.

    The arrays are what `calwatch.camera.rice.decode_rows` takes, amplifier by amplifier.
    """

    source: str
    """Name of the file, for messages."""
    labels: tuple[str, ...]
    """Each amplifier's HDU, for messages."""
    data: NDArray[np.uint8]
    """The whole file, and `calwatch.camera.rice.PADDING` more bytes."""
    offsets: IndexArray
    """Shape (n_amp, rows): where each tile begins in ``data``, bytes."""
    lengths: IndexArray
    """Shape (n_amp, rows), bytes."""
    columns: int
    """Pixels of a row."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Amplifiers, rows and columns."""
        n_amp, rows = self.offsets.shape
        return n_amp, rows, self.columns

    def decode(self) -> IntArray:
        """Return all pixels, shape (n_amp, rows, columns), ADU.

        Raises
        ------
        RawError
            If a tile is damaged.
        """
        pixels = np.empty(self.shape, dtype=np.int32)
        for amp in range(len(pixels)):
            self._decode_into(pixels[amp], amp)
        return pixels

    def decode_amplifier(self, amp: int) -> IntArray:
        """Return the pixels of one amplifier, shape (rows, columns), ADU.

        Raises
        ------
        RawError
            If a tile is damaged.
        """
        pixels = np.empty(self.shape[1:], dtype=np.int32)
        self._decode_into(pixels, amp)
        return pixels

    def _decode_into(self, pixels: IntArray, amp: int) -> None:
        offsets, lengths = self.offsets[amp], self.lengths[amp]
        room = new_room(self.columns)
        row = decode_rows(self.data, offsets, lengths, 0, len(pixels), pixels, self.columns, room)
        if row >= 0:
            raise self.damage(amp, row)

    def damage(self, amp: int, row: int) -> RawError:
        """Return the error to raise for a row that a kernel found damaged."""
        where = f"{self.source}: {self.labels[amp]}"
        return RawError(f"{where} cannot be decoded (the tile of row {row} is damaged)")


def decoded(raw: RawTiles | AnyArray) -> AnyArray:
    """Return all pixels, shape (n_amp, rows, columns), ADU.

    Raises
    ------
    RawError
        If a tile is damaged.
    """
    return raw.decode() if isinstance(raw, RawTiles) else raw


def find_tiles(
    data: NDArray[np.uint8], hdus: Mapping[str, Hdu], detector: Detector, source: str
) -> RawTiles | None:
    """Return the tiles of a raw file; None if any amplifier is stored in another way.

    Parameters
    ----------
    data
        The whole file, and `calwatch.camera.rice.PADDING` more bytes.
    hdus
        The HDU of each name that the amplifiers use.
    detector
        What the file holds.
    source
        Name of the file, for messages.

    Raises
    ------
    RawError
        If a tile does not stand inside of its HDU.
    """
    amps = detector.amplifiers
    if not all(_is_plain(hdus[amp.hdu]) and _is_whole_image(amp, hdus[amp.hdu]) for amp in amps):
        return None
    rows, columns = amps[0].raw_shape
    offsets = np.empty((len(amps), rows), dtype=np.int64)
    lengths = np.empty_like(offsets)
    for index, amp in enumerate(amps):
        offsets[index], lengths[index] = _descriptors(data, hdus[amp.hdu], source)
    labels = tuple(hdus[amp.hdu].label for amp in amps)
    return RawTiles(source, labels, data, offsets, lengths, columns)


def _is_plain(hdu: Hdu) -> bool:
    """Return whether an image has one tile a row, in the one form that is decoded here."""
    header = hdu.header | _parameters(hdu.header)
    rows, columns = hdu.image_shape
    table = header.get("NAXIS2") == rows and header.get("THEAP") in (None, _heap(rows))
    return (
        table
        and _DESCRIPTOR_FORM.match(str(header.get("TFORM1"))) is not None
        and header.get("ZTILE1", columns) == columns
        and all(header.get(key) == value for key, value in _PLAIN.items())
        and all(header.get(key, value) == value for key, value in _IF_PRESENT.items())
        and not any(key in header for key in _ABSENT)
    )


def _parameters(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the compression by their names."""
    return {str(header.get(f"ZNAME{n}")): header.get(f"ZVAL{n}") for n in (1, 2)}


def _is_whole_image(amp: Amplifier, hdu: Hdu) -> bool:
    box = amp.hdu_box
    whole = (box.x0, box.y0) == (0, 0) and (box.y1, box.x1) == hdu.image_shape == amp.raw_shape
    return whole and not amp.hdu_flip_x and not amp.hdu_flip_y


def _heap(rows: int) -> int:
    return _DESCRIPTOR.itemsize * rows


def _descriptors(data: NDArray[np.uint8], hdu: Hdu, source: str) -> tuple[IndexArray, IndexArray]:
    """Return where each row's tile begins in the file, and its length."""
    rows = hdu.image_shape[0]
    table = np.frombuffer(data, _DESCRIPTOR, rows, hdu.data_start)
    lengths = table["length"].astype(np.int64)
    offsets = table["offset"].astype(np.int64)
    outside = (lengths < 0) | (offsets < 0) | (offsets + lengths > hdu.data_size - _heap(rows))
    if outside.any():
        raise RawError(
            f"{source}: {hdu.label} cannot be decoded (the tile of row {outside.argmax()} "
            "does not stand inside of the HDU)"
        )
    return offsets + hdu.data_start + _heap(rows), lengths
