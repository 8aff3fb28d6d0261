"""Reading a certified bias, dark or flat: image, mask and variance in three FITS HDUs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calwatch.arrays import AnyArray, FloatArray, MaskArray
from calwatch.calibrations.gzip_tiles import is_gzip_rows, read_gzip_rows
from calwatch.calibrations.identity import check_detector, number, text
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import ImageCalibration, Units
from calwatch.calibrations.tables import check_length, check_structure, keywords
from calwatch.camera.model import Detector
from calwatch.errors import CalibrationError
from calwatch.memory import untouched

IMAGE_TYPES = ("bias", "dark", "flat")
"""Calibration types stored as images."""

_PLANES = ((1, "IMAGE"), (2, "MASK"), (3, "VARIANCE"))


def read_image_calibration(calib_type: str, path: Path, detector: Detector) -> ImageCalibration:
    """Read a combined bias, dark or flat of the assembled, trimmed detector.

    HDUs 1, 2 and 3 are image, mask and variance, whether or not they carry an EXTNAME (afw
    ``MaskedImage.cc``); mask planes are moved from the bits of the ``MP_*`` keywords to those of
    `calwatch.calibrations.masks.Mask`, and planes unknown to it are dropped.

    Parameters
    ----------
    calib_type
        ``bias``, ``dark`` or ``flat``.
    path
        The FITS file.
    detector
        The detector the calibration is to be used for.

    Returns
    -------
    ImageCalibration
        Pixels as stored: electrons or ADU for a bias, the same per second for a dark, about 1 for
        a flat. Values are not judged here, only structure.

    Raises
    ------
    CalibrationError
        If the file cannot be read, is of another size, type or detector, or is a dark of no time.
    """
    try:
        check_structure(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # cfitsio can loop for ever over a damaged GZIP tile; astropy raises.
            with (
                fits.open(path, memmap=False) as hdus,
                fits.open(path, memmap=False, disable_image_compression=True) as tables,
            ):
                metadata = keywords(hdus[0].header)
                _check_header(calib_type, metadata, path)
                check_detector(metadata, detector, path)
                image, mask, variance = _read_planes(hdus, tables, detector, path)
    except CalibrationError:
        raise
    # A damaged file can make astropy raise nearly anything; all of it means the same.
    except Exception as error:
        raise CalibrationError(f"{path}: cannot be read as a {calib_type}: {error}") from error
    return ImageCalibration(
        calib_type=calib_type,
        image=image,
        mask=mask,
        variance=variance,
        units=_units(calib_type, metadata, path),
        dark_time=_dark_time(calib_type, metadata, path),
        physical_filter=text(metadata.get("FILTER")) if calib_type == "flat" else "",
        metadata=metadata,
    )


def check_shape(shape: tuple[int, ...], detector: Detector, what: str) -> None:
    """Refuse an image that is not of the detector's size.

    Raises
    ------
    CalibrationError
        Naming what it is of.
    """
    if shape != detector.shape:
        raise CalibrationError(
            f"{what} has shape {shape}, detector {detector.name} is {detector.shape}"
        )


def remap_mask(stored: AnyArray, planes: Mapping[str, int]) -> MaskArray:
    """Move mask planes from a file's own bits to those of `Mask`.

    Parameters
    ----------
    stored
        Mask pixels, any integer type and shape.
    planes
        Bit number of each plane by name, from the ``MP_<name>`` keywords.
    """
    moves = {1 << bit: Mask[name] for name, bit in planes.items() if name in Mask.__members__}
    used = int(np.bitwise_or.reduce(stored, axis=None)) if stored.size else 0
    if all(source == target for source, target in moves.items()):
        keep = sum(moves)
        if used & ~keep == 0:
            return _only_masked(stored)
    result = np.zeros(stored.shape, dtype=np.uint16)
    for source, target in moves.items():
        if used & source:
            result[(stored & source) != 0] |= int(target)
    return _only_masked(result)


def _only_masked(mask: AnyArray) -> MaskArray:
    """Return a copy that takes memory only where anything is masked, which is at few places."""
    places = np.flatnonzero(mask)
    result: MaskArray = untouched(mask.shape, np.uint16)
    result.reshape(-1)[places] = mask.reshape(-1)[places]
    return result


def _read_planes(
    hdus: Any, tables: Any, detector: Detector, path: Path
) -> tuple[FloatArray, MaskArray, FloatArray]:
    """Read the three planes, given the file as images and as the tables that hold them.

    Each is brought into the form that is kept before the next is read.
    """
    if len(hdus) < 4:
        raise CalibrationError(
            f"{path}: has {len(hdus)} HDUs, wanted image, mask and variance after the primary"
        )
    pixels: list[Any] = []
    for index, word in _PLANES:
        hdu = hdus[index]
        check_length(hdu, path)
        check_shape(
            tuple(getattr(hdu, "shape", ())), detector, f"{path}: HDU {index} ({word.lower()})"
        )
        named = text(hdu.header.get("EXTTYPE")) or text(hdu.header.get("EXTNAME"))
        if named in {other for _, other in _PLANES} and named != word:
            raise CalibrationError(f"{path}: HDU {index} is {named}, wanted {word}")
        stored = _pixels(hdu, tables[index], path)
        pixels.append(_mask(stored, hdu.header, path) if word == "MASK" else _floats(stored))
    image, mask, variance = pixels
    return image, mask, variance


def _mask(stored: AnyArray, header: Any, path: Path) -> MaskArray:
    if stored.dtype.kind not in "iu":
        raise CalibrationError(f"{path}: HDU 2 (mask) holds {stored.dtype}, wanted integers")
    planes = {key[3:]: int(header[key]) for key in header if key.startswith("MP_")}
    return remap_mask(stored, planes)


def _floats(stored: AnyArray) -> FloatArray:
    """Return a copy outside of the memory that frames come and go in: it stays for weeks."""
    result: FloatArray = untouched(stored.shape, np.float32)
    result[...] = stored
    return result


def _pixels(image: Any, table: Any, path: Path) -> AnyArray:
    """Read one plane, given its HDU as an image and as the table that holds it."""
    if not is_gzip_rows(table.header):
        return np.asarray(image.data)
    place = table.fileinfo()
    with path.open("rb") as file:
        file.seek(place["datLoc"])
        return read_gzip_rows(file.read(place["datSpan"]), table.header)


def _check_header(calib_type: str, metadata: Mapping[str, Any], path: Path) -> None:
    if calib_type not in IMAGE_TYPES:
        raise CalibrationError(f"{path}: {calib_type!r} is not stored as an image")
    said = text(metadata.get("OBSTYPE")).lower()
    if said in IMAGE_TYPES and said != calib_type:
        raise CalibrationError(f"{path}: OBSTYPE says {said!r}, wanted a {calib_type}")


def _units(calib_type: str, metadata: Mapping[str, Any], path: Path) -> Units:
    said = text(metadata.get("LSST ISR UNITS")).lower()
    if said in ("", "adu"):
        return Units.ADU
    if said not in ("electron", "electron/s"):
        raise CalibrationError(f"{path}: LSST ISR UNITS is {said!r}, wanted 'electron' or 'adu'")
    per_type = {"dark": Units.ELECTRON_PER_SECOND, "flat": Units.NONE}
    return per_type.get(calib_type, Units.ELECTRON)


def _dark_time(calib_type: str, metadata: Mapping[str, Any], path: Path) -> float:
    stored = number(metadata.get("DARKTIME"))
    if calib_type == "bias":
        return stored if math.isfinite(stored) else 0.0
    if not math.isfinite(stored):
        return 1.0
    if calib_type == "dark" and stored <= 0:
        raise CalibrationError(f"{path}: DARKTIME is {stored:g} s, a dark needs a positive time")
    return stored
