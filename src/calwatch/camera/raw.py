"""Reading one raw file: the pixels of every amplifier in readout order, and the merged header.

What is read is checked against the camera: HDUs, sizes, compression, checksums, and that the file
is of the detector asked for. Layout: obs_lsst ``rawFormatter.py`` and ``assembly.py``.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calwatch.arrays import AnyArray, IntArray
from calwatch.camera.hdus import Hdu, datasum_agrees, walk
from calwatch.camera.model import Amplifier, Camera, Detector
from calwatch.errors import ChecksumError, RawError, UnreachableFileError

_STRUCTURAL = re.compile(
    r"^(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|TFIELDS|T(TYPE|FORM|UNIT)\d+|EXTNAME"
    r"|EXTVER|CHECKSUM|DATASUM|INHERIT|ZHECKSUM|ZDATASUM)$"
)
_PLAIN_PATH = re.compile(r"^[\w./-]+$", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class RawFrame:
    """One raw detector as it was read."""

    header: dict[str, Any]
    """The primary header with the header-only tables merged in; the primary counts first."""
    pixels: IntArray
    """Shape (n_amp, rows, columns), every amplifier in readout order, in camera order, ADU."""


def read_raw(
    path: str | Path, camera: Camera, detector: Detector, *, checksums: bool = True
) -> RawFrame:
    """Read one raw file and check it against its camera.

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
    data = _bytes(path)
    hdus = walk(data, source)
    chosen = _amplifier_hdus(hdus, camera, detector, source)
    header = _merged_header(hdus, camera)
    _check_identity(header, camera, detector, source)

    amps = detector.amplifiers
    pixels = np.empty((len(amps), *amps[0].raw_shape), dtype=np.int32)
    with _Decoder(path, source) as decoder:
        for name, hdu in chosen.items():
            checked = datasum_agrees(data, hdu) if checksums else None
            if checked is False:
                raise ChecksumError(
                    f"{source}: {hdu.label} is damaged: its data do not agree with its DATASUM"
                )
            image = decoder.compressed(hdu) if hdu.compressed else _uncompressed(data, hdu, source)
            if checked is None:
                _check_range(image, hdu, camera, source)
            for index, amp in enumerate(amps):
                if amp.hdu == name:
                    pixels[index] = _readout_order(image, amp)
    return RawFrame(header, pixels)


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreachableFileError(f"{path}: cannot be read ({error.strerror})") from error
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise RawError(f"{path.name}: damaged or truncated gzip file ({error})") from error


def _amplifier_hdus(
    hdus: list[Hdu], camera: Camera, detector: Detector, source: str
) -> dict[str, Hdu]:
    """Return the HDU of each name used by the detector's amplifiers, checked."""
    wanted = {amp.hdu.upper(): amp.hdu for amp in detector.amplifiers}
    chosen: dict[str, Hdu] = {}
    unnamed = 0
    for hdu in hdus:
        keys = (hdu.extname.upper(), str(hdu.index))
        name = next((wanted[key] for key in keys if key in wanted), None)
        if name is not None:
            if name in chosen:
                raise RawError(f"{source}: HDU {name} stands twice")
            chosen[name] = hdu
        elif hdu.data_size > 0 or hdu.header.get("XTENSION") == "IMAGE":
            raise RawError(f"{source}: {hdu.label} does not belong in a {detector.kind} raw file")
        elif hdu.index > 0 and not hdu.extname:
            unnamed += 1
    missing = [name for name in wanted.values() if name not in chosen]
    if missing:
        be = "is" if len(missing) == 1 else "are"
        raise RawError(f"{source}: HDU {', '.join(missing)} {be} missing")
    if unnamed > camera.raw_layout["unnamed_tables"]:
        raise RawError(f"{source}: there are {unnamed} tables without a name")
    for name, hdu in chosen.items():
        _check_layout(hdu, camera, [a for a in detector.amplifiers if a.hdu == name], source)
    return chosen


def _check_layout(hdu: Hdu, camera: Camera, amps: list[Amplifier], source: str) -> None:
    layout = camera.raw_layout
    expected = (max(a.hdu_box.y1 for a in amps), max(a.hdu_box.x1 for a in amps))
    shape = hdu.image_shape
    if not hdu.is_image or shape != expected:
        found = " x ".join(str(n) for n in reversed(shape)) or "no"
        raise RawError(
            f"{source}: {hdu.label} has {found} pixels, not {expected[1]} x {expected[0]}"
        )
    z = "Z" if hdu.compressed else ""
    bitpix = hdu.header.get(f"{z}BITPIX")
    if bitpix not in (8, 16, 32):
        raise RawError(f"{source}: {hdu.label} holds no integers ({z}BITPIX {bitpix})")
    compression = hdu.header.get("ZCMPTYPE") if hdu.compressed else "NONE"
    if compression not in layout["accepted"]:
        raise RawError(
            f"{source}: {hdu.label} has compression {compression}, "
            f"not {' or '.join(layout['accepted'])}"
        )
    if hdu.compressed and layout["tile"] is not None:
        tile = (hdu.header.get("ZTILE1", shape[1]), hdu.header.get("ZTILE2", 1))
        if tile != tuple(layout["tile"]):
            raise RawError(
                f"{source}: {hdu.label} has tiles of {tile[0]} x {tile[1]} pixels, "
                f"not {layout['tile'][0]} x {layout['tile'][1]}"
            )


def _merged_header(hdus: list[Hdu], camera: Camera) -> dict[str, Any]:
    header = {k: v for k, v in hdus[0].header.items() if not _STRUCTURAL.match(k)}
    named = camera.raw_layout["header_hdus"]
    for hdu in hdus[1:]:
        if hdu.extname in named or (not hdu.extname and hdu.data_size == 0):
            for key, value in hdu.header.items():
                if not _STRUCTURAL.match(key) and header.get(key) is None:
                    header[key] = value
    return header


def _check_identity(
    header: Mapping[str, Any], camera: Camera, detector: Detector, source: str
) -> None:
    """Raise RawError where the header names another instrument, place or CCD."""
    allowed = {
        "instrument": camera.instrument_words,
        "raft": (detector.raft, *camera.raft_words.get(detector.raft, ())),
        "slot": (detector.slot,),
        "serial": (detector.serial, *detector.former_serials) if detector.serial else (),
    }
    for fact, words in allowed.items():
        for keyword in camera.keywords.get(fact, ()):
            value = str(header.get(keyword) or "").strip()
            if value and words and value.lower() not in {word.lower() for word in words}:
                raise RawError(
                    f"{source}: {keyword} is {value!r}, but detector {detector.name} of "
                    f"{camera.instrument} has {' or '.join(words)}"
                )


class _Decoder:
    """Tile-compressed images of one file, through fitsio, opened when first needed."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source
        self._fits: Any = None
        self._descriptor = -1

    def __enter__(self) -> _Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fits is not None:
            self._fits.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def compressed(self, hdu: Hdu) -> AnyArray:
        try:
            if self._fits is None:
                self._fits = self._open()
            image: AnyArray = self._fits[hdu.index].read()
        except (OSError, ValueError, RuntimeError, SystemError) as error:
            raise RawError(
                f"{self._source}: {hdu.label} cannot be decoded ({_cause(error)})"
            ) from error
        return _as_int32(image, hdu, self._source)

    def _open(self) -> Any:
        import fitsio

        name = str(self._path)
        if not _PLAIN_PATH.match(name):  # CFITSIO gives brackets and the like a meaning.
            self._descriptor = os.open(self._path, os.O_RDONLY)
            name = f"/dev/fd/{self._descriptor}"
        return fitsio.FITS(name)


def _cause(error: Exception) -> str:
    """Return the telling line of CFITSIO's stack of messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "compress" in line]
    return (telling or lines or [type(error).__name__])[0]


def _uncompressed(data: bytes, hdu: Hdu, source: str) -> AnyArray:
    bitpix = hdu.header["BITPIX"]
    kind = {8: ">u1", 16: ">i2", 32: ">i4"}[bitpix]
    rows, columns = hdu.image_shape
    image: AnyArray = np.frombuffer(data, kind, rows * columns, hdu.data_start)
    zero, scale = hdu.header.get("BZERO", 0), hdu.header.get("BSCALE", 1)
    if scale not in (1, None) or not _is_whole(zero):
        raise RawError(f"{source}: {hdu.label} holds scaled values (BSCALE {scale}, BZERO {zero})")
    if zero:
        image = image.astype(np.int64) + int(zero)
    return _as_int32(image.reshape(rows, columns), hdu, source)


def _is_whole(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and float(value).is_integer())


def _as_int32(image: AnyArray, hdu: Hdu, source: str) -> AnyArray:
    if image.dtype.kind not in "iu":
        raise RawError(f"{source}: {hdu.label} holds scaled values, not counts")
    if image.shape != hdu.image_shape:
        raise RawError(f"{source}: {hdu.label} decodes to {image.shape}, not {hdu.image_shape}")
    limits = np.iinfo(np.int32)
    wide = image.dtype.itemsize > 4 or image.dtype == np.uint32
    if wide and (image.min() < limits.min or image.max() > limits.max):
        raise RawError(f"{source}: {hdu.label} holds values beyond 32 bits")
    return image


def _check_range(image: AnyArray, hdu: Hdu, camera: Camera, source: str) -> None:
    """Without a checksum, values the converter cannot give are the sign of a damaged tile."""
    if camera.raw_layout["range"] is None:
        return
    low, high = camera.raw_layout["range"]
    least, most = int(image.min()), int(image.max())
    if least < low or most > high:
        raise RawError(
            f"{source}: {hdu.label} is damaged: it decodes to values from {least} to {most} ADU, "
            f"beyond the converter's {low} to {high}"
        )


def _readout_order(image: AnyArray, amp: Amplifier) -> AnyArray:
    part = image[amp.hdu_box.slices]
    return part[:: -1 if amp.hdu_flip_y else 1, :: -1 if amp.hdu_flip_x else 1]
