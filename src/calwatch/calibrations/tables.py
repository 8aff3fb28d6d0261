"""Reading the binary tables (and curated ECSV text) that calibrations are stored in."""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calwatch.arrays import AnyArray, DoubleArray
from calwatch.camera.hdus import walk
from calwatch.errors import CalibrationError, RawError


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationTable:
    """One table: columns by upper-case name, and the keywords it came with."""

    path: Path
    columns: Mapping[str, AnyArray]
    metadata: Mapping[str, Any]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def column(self, name: str) -> AnyArray:
        """Return a column as stored.

        Raises
        ------
        CalibrationError
            If there is no such column.
        """
        if name not in self.columns:
            raise CalibrationError(f"{self.path}: the table has no column {name}")
        return self.columns[name]

    def doubles(self, name: str) -> DoubleArray:
        """Return a column as float64, whatever number type it is stored as.

        Raises
        ------
        CalibrationError
            If the column is absent or holds no numbers.
        """
        values = self.column(name)
        try:
            return np.array(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise CalibrationError(f"{self.path}: column {name} does not hold numbers") from error

    def scalars(self, name: str) -> DoubleArray:
        """Return a column of one number per row, shape (rows,).

        Raises
        ------
        CalibrationError
            If the column is absent, holds no numbers, or more than one per row.
        """
        values = self.doubles(name)
        if values.size != self.n_rows:
            raise CalibrationError(
                f"{self.path}: column {name} has shape {values.shape}, wanted one number per row"
            )
        return values.reshape(self.n_rows)

    def scalars_or_nan(self, name: str) -> DoubleArray:
        """Return a column of one number per row, or NaN in every row if it is absent."""
        if name not in self.columns:
            return np.full(self.n_rows, np.nan)
        return self.scalars(name)

    def texts(self, name: str) -> list[str]:
        """Return a column of words, one per row, stripped.

        Raises
        ------
        CalibrationError
            If the column is absent.
        """
        return [_word(value) for value in self.column(name)]


def read_tables(path: Path) -> list[CalibrationTable]:
    """Read every table of a calibration file: FITS binary tables, or one ECSV text table.

    Raises
    ------
    CalibrationError
        If the file is missing, truncated, of another format, or without a table.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
        if start.startswith(b"# %ECSV"):
            return [_read_ecsv(path)]
        return _read_fits(path)
    except CalibrationError:
        raise
    # A damaged header or heap can make astropy raise nearly anything; all of it means the same.
    except Exception as error:
        raise CalibrationError(f"{path}: cannot be read as a table: {error}") from error


def check_structure(path: Path) -> None:
    """Refuse a FITS file whose headers promise more than the file holds, or absurd counts.

    astropy believes them: it makes a list of as many columns as ``TFIELDS`` says.

    Raises
    ------
    CalibrationError
        Naming what is wrong.
    """
    try:
        with path.open("rb") as file:
            # Let go of when nobody looks at it any more: only headers are ever read.
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        walk(whole, str(path))
    except RawError as error:
        raise CalibrationError(str(error)) from None


def _read_fits(path: Path) -> list[CalibrationTable]:
    check_structure(path)
    tables = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, memmap=False) as hdus:
            for hdu in hdus:
                check_length(hdu, path)
                if isinstance(hdu, fits.BinTableHDU):
                    tables.append(_from_hdu(path, hdu))
    if not tables:
        raise CalibrationError(f"{path}: holds no table")
    return tables


def check_length(hdu: Any, path: Path) -> None:
    """Refuse a FITS file that ends before the data of this HDU do.

    Raises
    ------
    CalibrationError
        If the file is too short.
    """
    place = hdu.fileinfo()
    wanted, found = place["datLoc"] + place["datSpan"], path.stat().st_size
    if wanted > found:
        raise CalibrationError(f"{path}: truncated: {found} bytes, its headers promise {wanted}")


def _from_hdu(path: Path, hdu: Any) -> CalibrationTable:
    columns = {}
    for name in hdu.columns.names:
        values = np.asarray(hdu.data[name])
        columns[name.upper()] = values.astype(values.dtype.newbyteorder("="))
    return CalibrationTable(path, columns, keywords(hdu.header))


def _read_ecsv(path: Path) -> CalibrationTable:
    from astropy.table import Table

    table = Table.read(path, format="ascii.ecsv")
    columns = {name.upper(): np.asarray(table[name]) for name in table.colnames}
    return CalibrationTable(path, columns, dict(table.meta))


def keywords(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a FITS header as a plain dictionary, without comments and table bookkeeping."""
    structural = ("TTYPE", "TFORM", "TDIM", "TUNIT", "TNULL", "TSCAL", "TZERO", "NAXIS")
    skip = {"", "COMMENT", "HISTORY", "XTENSION", "SIMPLE", "BITPIX", "PCOUNT", "GCOUNT"}
    skip |= {"TFIELDS", "EXTEND", "THEAP"}
    kept = {}
    for key, value in header.items():
        if key not in skip and not key.startswith(structural):
            kept[key] = None if isinstance(value, fits.card.Undefined) else value
    return kept


def _word(value: Any) -> str:
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip()
