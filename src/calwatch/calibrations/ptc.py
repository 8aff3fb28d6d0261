"""Reading a certified photon-transfer curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calwatch.arrays import DoubleArray
from calwatch.calibrations.identity import camera_order, check_detector, number, text
from calwatch.calibrations.model import PhotonTransferCurve
from calwatch.calibrations.tables import CalibrationTable, read_tables
from calwatch.camera.model import Detector

_NOISE_IN_ELECTRONS_SINCE = 1.9


def read_ptc(path: Path, detector: Detector) -> PhotonTransferCurve:
    """Read gain, noise, turnoff, overscan level and brighter-fatter a00 of every amplifier.

    The values are handed on as they stand: a gain of zero or less, an absurd or a NaN noise is for
    the ISR and the verification to judge, amplifier by amplifier. Columns that older files lack
    are NaN (ip_isr ``ptcDataset.py``). Before version 1.9 a FULLCOVARIANCE noise was stored in e-²;
    its square root is returned.

    Raises
    ------
    CalibrationError
        If the file cannot be read, names another detector, lacks the amplifier, gain or noise
        column, or an amplifier's row.
    """
    table = read_tables(path)[0]
    check_detector(table.metadata, detector, path)
    names = table.texts("AMPLIFIER_NAME")
    rows = camera_order(names, detector, path)
    return PhotonTransferCurve(
        amp_names=detector.amp_names,
        gain=table.scalars("GAIN")[rows],
        noise=_noise(table)[rows],
        turnoff=table.scalars_or_nan("PTC_TURNOFF")[rows],
        overscan_median=table.scalars_or_nan("OVERSCAN_MEDIAN")[rows],
        overscan_median_sigma=table.scalars_or_nan("OVERSCAN_MEDIAN_SIGMA")[rows],
        a00=_a00(table)[rows],
        bad_amps=_bad_amps(table, detector),
        metadata=table.metadata,
    )


def _fit_type(table: CalibrationTable) -> str:
    said = text(table.metadata.get("PTC_FIT_TYPE"))
    if not said and "PTC_FIT_TYPE" in table.columns and table.n_rows:
        said = table.texts("PTC_FIT_TYPE")[0]
    return said.upper()


def _noise(table: CalibrationTable) -> DoubleArray:
    noise = table.scalars("NOISE")
    version = number(table.metadata.get("PTC_VERSION"))
    if _fit_type(table) == "FULLCOVARIANCE" and version < _NOISE_IN_ELECTRONS_SINCE:
        return np.sqrt(np.where(noise >= 0, noise, np.nan))
    return noise


def _a00(table: CalibrationTable) -> DoubleArray:
    column = {"EXPAPPROXIMATION": "PTC_FIT_PARS", "FULLCOVARIANCE": "A_MATRIX"}.get(
        _fit_type(table)
    )
    if column is None or column not in table.columns:
        return np.full(table.n_rows, np.nan)
    values = table.doubles(column).reshape(table.n_rows, -1)
    return values[:, 0].copy() if values.shape[1] else np.full(table.n_rows, np.nan)


def _bad_amps(table: CalibrationTable, detector: Detector) -> tuple[str, ...]:
    """Return the bad amplifiers: every row repeats the whole list, or is NaN if there is none."""
    if "BAD_AMPS" not in table.columns or table.columns["BAD_AMPS"].dtype.kind not in "SU":
        return ()
    listed = {str(word).strip() for word in np.ravel(table.columns["BAD_AMPS"])}
    return tuple(name for name in detector.amp_names if name in listed)
