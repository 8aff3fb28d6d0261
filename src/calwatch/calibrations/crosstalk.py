"""Reading certified or curated crosstalk coefficients."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calwatch.arrays import DoubleArray
from calwatch.calibrations.identity import check_detector, text
from calwatch.calibrations.model import Crosstalk, Units
from calwatch.calibrations.tables import CalibrationTable, read_tables
from calwatch.camera.model import Detector
from calwatch.errors import CalibrationError


def read_crosstalk(path: Path, detector: Detector) -> Crosstalk:
    """Read the intra-detector matrix, ``[source, target]`` in camera order of amplifiers.

    FITS tables and curated ECSV text are read alike. Files older than version 1.2 lack the
    quadratic part (zeros) and the units (ADU); without ``CT_VALID`` every finite coefficient other
    than zero is valid (ip_isr ``crosstalk.py``).

    Raises
    ------
    CalibrationError
        If the file cannot be read, names another detector, or its matrix does not fit the
        detector's number of amplifiers.
    """
    table = read_tables(path)[0]
    check_detector(table.metadata, detector, path)
    coefficients = _matrix(table, "CT_COEFFS", detector)
    if "CT_VALID" in table.columns:
        valid = _matrix(table, "CT_VALID", detector) != 0
    else:
        valid = np.isfinite(coefficients) & (coefficients != 0)
    quadratic = (
        _matrix(table, "CT_COEFFS_SQR", detector)
        if "CT_COEFFS_SQR" in table.columns
        else np.zeros_like(coefficients)
    )
    return Crosstalk(coefficients, quadratic, valid, _units(table), table.metadata)


def _matrix(table: CalibrationTable, name: str, detector: Detector) -> DoubleArray:
    n_amp = len(detector.amplifiers)
    values = table.doubles(name)
    if values.size != n_amp * n_amp:
        raise CalibrationError(
            f"{table.path}: {name} holds {values.size} coefficients, detector {detector.name} "
            f"with {n_amp} amplifiers needs {n_amp * n_amp}"
        )
    return values.reshape(n_amp, n_amp)


def _units(table: CalibrationTable) -> Units:
    said = text(table.metadata.get("CROSSTALK_RATIOS_UNITS")).lower()
    if said in ("", "adu"):
        return Units.ADU
    if said == "electron":
        return Units.ELECTRON
    raise CalibrationError(f"{table.path}: CROSSTALK_RATIOS_UNITS is {said!r}")
