"""A table whose header promises the absurd is refused before anything is made for it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calwatch.calibrations.tables import read_tables
from calwatch.errors import CalibrationError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.fits"
    column = fits.Column(name="GAIN", format="D", array=np.array([1.5, 1.6]))
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])]).writeto(path)
    return path


def test_a_good_table_is_read_and_one_that_is_zipped_is_not(table: Path) -> None:
    (found,) = read_tables(table)
    assert list(found.doubles("GAIN")) == [1.5, 1.6]
    table.write_bytes(gzip.compress(table.read_bytes()))
    with pytest.raises(CalibrationError, match="not a FITS file"):
        read_tables(table)


@pytest.mark.parametrize(
    ("card", "instead"),
    [
        ("TFIELDS =", "4294967296"),  # astropy makes a list of so many columns
        ("NAXIS   =                    2", "999999999"),
        ("NAXIS2  =", "999999999999"),
        ("PCOUNT  =", "999999999999"),
    ],
)
def test_an_absurd_header_is_refused(table: Path, card: str, instead: str) -> None:
    content = table.read_bytes()
    at = content.index(card.encode(), 2880)
    changed = f"{card[:9]} {instead:>20s}".encode().ljust(80)
    table.write_bytes(content[:at] + changed + content[at + 80 :])
    with pytest.raises(CalibrationError, match=r"no valid BITPIX|truncated"):
        read_tables(table)
