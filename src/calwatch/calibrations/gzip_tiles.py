"""Losslessly compressed images of the form in which the stack writes certified calibrations.

That form is one tile a row, GZIP_2 (FITS 4.0 §10.4.2: the bytes of all pixels are sorted by their
significance, then deflated) and no quantization. astropy reads every form, at twice the time of
the inflation itself; here each row is inflated and put in order while it is in the cache.
"""

from __future__ import annotations

import sys
import zlib
from typing import Any

import numpy as np

from calwatch.arrays import AnyArray

_TYPES: dict[int, np.dtype[Any]] = {-32: np.dtype(np.float32), 32: np.dtype(np.int32)}
_DESCRIPTORS: dict[str, np.dtype[Any]] = {"1PB": np.dtype(">i4"), "1QB": np.dtype(">i8")}
_OURS = slice(None, None, -1 if sys.byteorder == "little" else 1)
"""Brings the bytes of a pixel, the most significant first, into the machine's order."""
_GZIP = 31
"""zlib's word for a gzip member with its checksum."""
_PLAIN = {"ZSCALE": 1.0, "ZZERO": 0.0, "BSCALE": 1.0, "BZERO": 0.0}
"""Keywords that leave the pixels alone only if they have this value."""


def is_gzip_rows(header: Any) -> bool:
    """Tell whether a compressed image is of the form that `read_gzip_rows` reads.

    Parameters
    ----------
    header
        Of the binary table (FITS 4.0 §10.1), as it stands in the file.
    """
    return (
        header.get("ZIMAGE") is True
        and header.get("ZCMPTYPE") == "GZIP_2"
        and header.get("ZBITPIX") in _TYPES
        and header.get("ZNAXIS") == 2
        and header.get("ZTILE1", header.get("ZNAXIS1")) == header.get("ZNAXIS1")
        and header.get("ZTILE2", 1) == 1
        and header.get("ZQUANTIZ", "NONE") == "NONE"
        and "ZBLANK" not in header
        and "BLANK" not in header
        and all(header.get(key, value) == value for key, value in _PLAIN.items())
        and header.get("TFIELDS") == 1
        and str(header.get("TFORM1"))[:3] in _DESCRIPTORS
        and header.get("NAXIS1") == 2 * _DESCRIPTORS[str(header["TFORM1"])[:3]].itemsize
        and header.get("NAXIS2") == header.get("ZNAXIS2")
    )


def read_gzip_rows(data: bytes, header: Any) -> AnyArray:
    """Return the pixels of a compressed image.

    Parameters
    ----------
    data
        The data of the binary table: descriptors, then the heap.
    header
        One for which `is_gzip_rows` holds.

    Returns
    -------
    AnyArray
        Shape (ZNAXIS2, ZNAXIS1), float32 or int32, in the machine's byte order.

    Raises
    ------
    ValueError
        If a row lies outside the data, or is not as long as it should be.
    zlib.error
        If a row is damaged.
    """
    width, height = int(header["ZNAXIS1"]), int(header["ZNAXIS2"])
    kind = _TYPES[header["ZBITPIX"]]
    size = kind.itemsize
    table = int(header["NAXIS1"]) * height
    heap = int(header.get("THEAP", table))
    places = np.frombuffer(data, _DESCRIPTORS[str(header["TFORM1"])[:3]], 2 * height).reshape(-1, 2)
    end = table + int(header["PCOUNT"])
    pixels = np.empty((height, width), kind)
    shuffled = pixels.view(np.uint8).reshape(height, width, size)
    for row, (length, offset) in enumerate(places.tolist()):
        first, last = heap + offset, heap + offset + length
        if length <= 0 or offset < 0 or last > end or end > len(data):
            raise ValueError(f"row {row} lies outside the data")
        content = zlib.decompress(data[first:last], _GZIP, width * size)
        if len(content) != width * size:
            raise ValueError(f"row {row} has {len(content)} bytes, wanted {width * size}")
        shuffled[row] = np.frombuffer(content, np.uint8).reshape(size, width)[_OURS].T
    return pixels
