"""Reading the image of one HDU of a raw file, whatever way it is stored."""

from __future__ import annotations

import io
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from calwatch.arrays import AnyArray
from calwatch.camera.hdus import Hdu
from calwatch.errors import RawError

_LARGEST_ZERO = 2**62
"""Of BZERO: added to 32 bits it is far from the end of 64."""
_PLAIN_PATH = re.compile(r"^[\w./-]+$", re.ASCII)


class ImageReader:
    """Reads the images of one file: tile-compressed ones through fitsio, opened when first needed.

    Parameters
    ----------
    path
        Of the file.
    data
        All its bytes, unzipped.
    """

    def __init__(self, path: Path, data: memoryview) -> None:
        self._path = path
        self._data = data
        self._source = path.name
        self._fits: Any = None
        self._tables: Any = None
        self._descriptor = -1

    def __enter__(self) -> ImageReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fits is not None:
            self._fits.close()
        if self._tables is not None:
            self._tables.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read(self, hdu: Hdu) -> AnyArray:
        """Return the counts of an image, shape `Hdu.image_shape`, in ADU.

        Raises
        ------
        RawError
            If it cannot be decoded, or holds anything but whole numbers of 32 bits.
        """
        if hdu.compressed and str(hdu.header.get("ZCMPTYPE")).startswith("GZIP"):
            return self._zipped(hdu)
        if hdu.compressed:
            return self._compressed(hdu)
        return _uncompressed(self._data, hdu, self._source)

    def _compressed(self, hdu: Hdu) -> AnyArray:
        try:
            if self._fits is None:
                self._fits = self._open()
            image: AnyArray = self._fits[hdu.index].read()
        except (OSError, ValueError, RuntimeError, SystemError) as error:
            raise RawError(
                f"{self._source}: {hdu.label} cannot be decoded ({_cause(error)})"
            ) from error
        return _as_int32(image, hdu, self._source)

    def _zipped(self, hdu: Hdu) -> AnyArray:
        """Read with astropy: CFITSIO can loop for ever over a damaged GZIP tile."""
        from astropy.io import fits

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self._tables is None:
                    self._tables = fits.open(io.BytesIO(self._data), memmap=False)
                image = np.asarray(self._tables[hdu.index].data)
        except Exception as error:  # a damaged file can make astropy raise nearly anything
            raise RawError(
                f"{self._source}: {hdu.label} cannot be decoded ({_cause(error)})"
            ) from error
        return _as_int32(image.astype(image.dtype.newbyteorder("=")), hdu, self._source)

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


def _uncompressed(data: memoryview, hdu: Hdu, source: str) -> AnyArray:
    bitpix = hdu.header["BITPIX"]
    kind = {8: ">u1", 16: ">i2", 32: ">i4"}[bitpix]
    rows, columns = hdu.image_shape
    image: AnyArray = np.frombuffer(data, kind, rows * columns, hdu.data_start)
    zero, scale = hdu.header.get("BZERO", 0), hdu.header.get("BSCALE", 1)
    if scale not in (1, None) or not _is_whole(zero) or abs(zero or 0) > _LARGEST_ZERO:
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
