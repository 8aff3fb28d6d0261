"""Reading what the photodiode saw of one exposure (ip_isr ``photodiode.py``)."""

from __future__ import annotations

from pathlib import Path

from calwatch.arrays import DoubleArray
from calwatch.calibrations.identity import number, text
from calwatch.calibrations.model import PhotodiodeReadings
from calwatch.calibrations.tables import CalibrationTable, read_tables
from calwatch.errors import CalibrationError

OBSERVATION_TYPE = "PHOTODIODE"
_TIME = ("TIME", "ELAPSED TIME")
_CURRENT = ("CURRENT", "SIGNAL")
"""Columns as ip_isr writes them, and as the electrometer does."""


def read_photodiode(path: str | Path, day_obs: int, seq_num: int) -> PhotodiodeReadings:
    """Read the time and the current of every reading, FITS or ECSV.

    Values are handed on as they stand, NaN with them.

    Raises
    ------
    CalibrationError
        If the file cannot be read, is no photodiode's or of another exposure, or lacks a column.
    """
    where = Path(path)
    table = read_tables(where)[0]
    said = text(table.metadata.get("OBSTYPE"))
    if said and said.upper() != OBSERVATION_TYPE:
        raise CalibrationError(f"{where}: holds a {said}, not readings of a photodiode")
    of = {key.upper(): value for key, value in table.metadata.items()}
    for key, expected in (("DAY_OBS", day_obs), ("SEQ_NUM", seq_num)):
        found = number(of.get(key))
        if found == found and found != expected:
            raise CalibrationError(f"{where}: {key} is {found:.0f}, wanted {expected}")
    return PhotodiodeReadings(_column(table, _TIME), _column(table, _CURRENT))


def _column(table: CalibrationTable, names: tuple[str, ...]) -> DoubleArray:
    name = next((name for name in names if name in table.columns), names[0])
    return table.doubles(name).ravel()
