"""Reading one raw file: the pixels of every amplifier in readout order, and the merged header.

What is read is checked against the camera: HDUs, sizes, compression, checksums, and that the file
is of the detector asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calwatch.arrays import AnyArray, IntArray
from calwatch.camera.checksum import datasum_agrees
from calwatch.camera.hdus import Hdu, walk
from calwatch.camera.model import Amplifier, Camera, Detector
from calwatch.camera.raw_checks import amplifier_hdus, check_identity, merged_header
from calwatch.camera.raw_images import ImageReader
from calwatch.camera.raw_tiles import RawTiles, decoded, find_tiles
from calwatch.camera.rice import PADDING
from calwatch.camera.unzip import MAGIC, UnzipError, unzip
from calwatch.errors import ChecksumError, RawError, UnreachableFileError

_MOST_BYTES = 1 << 30
"""Of one file, unzipped. A CCD of LSSTCam has 75 MB uncompressed."""


@dataclass(frozen=True, slots=True, eq=False)
class RawFrame:
    """One raw detector as it was read."""

    header: dict[str, Any]
    """The primary header with the header-only tables merged in; the primary counts first."""
    pixels: IntArray
    """Shape (n_amp, rows, columns), every amplifier in readout order, in camera order, ADU."""


@dataclass(frozen=True, slots=True, eq=False)
class RawFile:
    """One raw file that was checked, with its pixels still to be decoded where that is possible."""

    header: dict[str, Any]
    """As in `RawFrame`."""
    pixels: RawTiles | IntArray
    """Tiles; or as in `RawFrame`, of a file that is stored in another way than the cameras write,
    or whose counts could only be checked by decoding them."""

    def frame(self) -> RawFrame:
        """Return the file with all pixels decoded.

        Raises
        ------
        RawError
            If they cannot be.
        """
        return RawFrame(self.header, decoded(self.pixels))


def read_raw(
    path: str | Path, camera: Camera, detector: Detector, *, checksums: bool = True
) -> RawFrame:
    """Read one raw file and check it against its camera: `open_raw` with all pixels decoded."""
    return open_raw(path, camera, detector, checksums=checksums).frame()


def open_raw(
    path: str | Path, camera: Camera, detector: Detector, *, checksums: bool = True
) -> RawFile:
    """Read one raw file and check it against its camera, but leave its tiles as they are.

    Parameters
    ----------
    path
        A local FITS file, plain or gzipped.
    camera, detector
        What the file ought to hold.
    checksums
        Refuse an HDU whose data do not agree with its DATASUM.

    Raises
    ------
    UnreachableFileError
        If the file is missing or cannot be opened.
    ChecksumError
        If an HDU's data do not agree with its DATASUM.
    RawError
        If it is not what the camera writes; the message names file, HDU and cause.
    """
    path = Path(path)
    source = path.name
    padded = _padded_bytes(path)
    data = padded.data[:-PADDING]
    hdus = walk(data, source)
    chosen = amplifier_hdus(hdus, camera, detector, source)
    header = merged_header(hdus, camera)
    check_identity(header, camera, detector, source)

    doubtful = _without_proof(data, chosen, source) if checksums else set(chosen)
    if camera.raw_layout["range"] is None:
        doubtful = set()  # there is nothing more to check the counts by
    tiles = find_tiles(padded, chosen, detector, source)
    if tiles is not None and not doubtful:
        return RawFile(header, tiles)
    pixels = tiles.decode() if tiles else _decode_images(path, data, chosen, detector)
    for amp, counts in zip(detector.amplifiers, pixels, strict=True):
        if amp.hdu in doubtful:
            _check_range(counts, chosen[amp.hdu], camera, source)
    return RawFile(header, pixels)


def _padded_bytes(path: Path) -> NDArray[np.uint8]:
    """Return the content of a file, unzipped, and `PADDING` zeros after it."""
    try:
        with path.open("rb", buffering=0) as file:
            stored = os.fstat(file.fileno()).st_size
            if stored > _MOST_BYTES:
                raise RawError(f"{path.name}: has {stored} bytes, more than any raw file")
            content = np.empty(stored + PADDING, dtype=np.uint8)
            size = _fill(content.data[:-PADDING], file)
    except OSError as error:
        raise UnreachableFileError(f"{path}: cannot be read ({error.strerror})") from error
    if content[:2].tobytes() == MAGIC:
        unzipped = _unzip(content[:size].data, path.name)
        # A bytearray: kernels are compiled for arrays that can be written.
        return np.frombuffer(bytearray(unzipped + bytes(PADDING)), dtype=np.uint8)
    content[size:] = 0
    return content[: size + PADDING]


def _fill(buffer: memoryview, file: FileIO) -> int:
    """Read into a buffer until it is full or the file ends; return the bytes read."""
    size = 0
    while count := file.readinto(buffer[size:]):
        size += count
    return size


def _unzip(content: memoryview, source: str) -> bytes:
    try:
        return unzip(content, _MOST_BYTES)
    except UnzipError as error:
        raise RawError(f"{source}: {error}") from error


def _without_proof(data: memoryview, hdus: Mapping[str, Hdu], source: str) -> set[str]:
    """Return the names of the HDUs that carry no DATASUM.

    Raises
    ------
    ChecksumError
        If the data of one do not agree with it.
    """
    agreed = {name: datasum_agrees(data, hdu) for name, hdu in hdus.items()}
    for name, hdu in hdus.items():
        if agreed[name] is False:
            raise ChecksumError(
                f"{source}: {hdu.label} is damaged: its data do not agree with its DATASUM"
            )
    return {name for name in hdus if agreed[name] is None}


def _decode_images(
    path: Path, data: memoryview, hdus: Mapping[str, Hdu], detector: Detector
) -> IntArray:
    """Return all pixels of a file that is not stored as the Rubin cameras do."""
    amps = detector.amplifiers
    pixels = np.empty((len(amps), *amps[0].raw_shape), dtype=np.int32)
    with ImageReader(path, data) as reader:
        for name, hdu in hdus.items():
            image = reader.read(hdu)
            for index, amp in enumerate(amps):
                if amp.hdu == name:
                    pixels[index] = _readout_order(image, amp)
    return pixels


def _check_range(counts: IntArray, hdu: Hdu, camera: Camera, source: str) -> None:
    """Without a checksum, values the converter cannot give are the sign of a damaged tile."""
    low, high = camera.raw_layout["range"]
    least, most = int(counts.min()), int(counts.max())
    if least < low or most > high:
        raise RawError(
            f"{source}: {hdu.label} is damaged: it decodes to values from {least} to {most} ADU, "
            f"beyond the converter's {low} to {high}"
        )


def _readout_order(image: AnyArray, amp: Amplifier) -> AnyArray:
    part = image[amp.hdu_box.slices]
    return part[:: -1 if amp.hdu_flip_y else 1, :: -1 if amp.hdu_flip_x else 1]
