"""Readings of the photodiode: as ip_isr writes them, as an electrometer does, and damaged."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from calwatch.calibrations.model import PhotodiodeReadings
from calwatch.calibrations.photodiode import read_photodiode
from calwatch.errors import CalibrationError
from calwatch.offline.photodiodes import write_photodiode

TIME = np.linspace(0.0, 5.0, 51)
CURRENT = -2e-9 * ((TIME > 1) & (TIME < 4))
DAY, NUMBER = 20260309, 14


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "photodiode.fits"
    write_photodiode(path, PhotodiodeReadings(TIME, CURRENT), "LSSTCam", DAY, NUMBER)
    return path


def test_what_was_written_is_read(written):
    found = read_photodiode(written, DAY, NUMBER)
    assert np.array_equal(found.time, TIME)
    assert np.array_equal(found.current, CURRENT)
    header = fits.getheader(written, 1)
    assert (header["OBSTYPE"], header["INTEGRATION_METHOD"]) == ("PHOTODIODE", "TRIMMED_SUM")


def test_the_electrometers_own_columns_are_read(tmp_path):
    path = tmp_path / "EM1.ecsv"
    Table({"Elapsed Time": TIME, "Signal": CURRENT}).write(path, format="ascii.ecsv")
    assert read_photodiode(path, DAY, NUMBER).current == pytest.approx(CURRENT)


def test_that_of_another_exposure_is_refused(written):
    with pytest.raises(CalibrationError, match="SEQ_NUM is 14, wanted 15"):
        read_photodiode(written, DAY, 15)
    with pytest.raises(CalibrationError, match="DAY_OBS is 20260309, wanted 20260310"):
        read_photodiode(written, 20260310, NUMBER)


def test_what_is_no_photodiode_is_refused(written, tmp_path):
    with fits.open(written, mode="update") as hdus:
        hdus[1].header["OBSTYPE"] = "PTC"
    with pytest.raises(CalibrationError, match="holds a PTC"):
        read_photodiode(written, DAY, NUMBER)
    path = tmp_path / "other.ecsv"
    Table({"TIME": TIME}).write(path, format="ascii.ecsv")
    with pytest.raises(CalibrationError, match="no column CURRENT"):
        read_photodiode(path, DAY, NUMBER)
    for content in (b"", b"SIMPLE  =                    T", b"# %ECSV 1.0\nnothing"):
        path.write_bytes(content)
        with pytest.raises(CalibrationError):
            read_photodiode(path, DAY, NUMBER)
