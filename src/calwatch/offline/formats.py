"""Writing calibrations in the layouts the observatory's own software writes.

Images are as afw ``MaskedImage.cc`` lays them out, tables as the ``toTable`` of each ip_isr
calibration class. Files are written beside their final name and moved into place when complete.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.io import fits

from calwatch.arrays import AnyArray, DoubleArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import (
    ChargeTransfer,
    Crosstalk,
    Defects,
    ImageCalibration,
    Linearizer,
    PhotonTransferCurve,
)
from calwatch.camera.model import Detector

Metadata = Mapping[str, Any]


def detector_metadata(instrument: str, detector: Detector, observation_type: str) -> dict[str, Any]:
    """Return the keywords every IsrCalib table carries (ip_isr ``calibType.py``)."""
    return {
        "OBSTYPE": observation_type,
        "INSTRUME": instrument,
        "RAFTNAME": detector.raft,
        "SLOTNAME": detector.slot,
        "DETECTOR": detector.number,
        "DET_NAME": detector.name,
        "DET_SER": detector.serial,
    }


def write_image_calibration(
    path: str | Path,
    calibration: ImageCalibration,
    metadata: Metadata | None = None,
    *,
    compress: bool = True,
) -> None:
    """Write a bias, dark or flat: empty primary, then image, mask and variance.

    ``OBSTYPE``, ``DARKTIME``, ``EXPTIME`` and, for electrons, ``LSST ISR UNITS`` come from the
    calibration, all else from its own metadata and then from ``metadata``, which wins.

    Parameters
    ----------
    path
        The file to write; it is replaced if it exists.
    calibration
        Pixels of the assembled, trimmed detector.
    metadata
        More header keywords. Values that are not finite are left out: FITS cannot hold them.
    compress
        Lossless GZIP_2, as the stack writes; without it files are larger and faster.
    """
    header: dict[str, Any] = {
        "OBSTYPE": calibration.calib_type,
        "DARKTIME": calibration.dark_time,
        "EXPTIME": calibration.dark_time,
    }
    if calibration.units != "adu":
        header["LSST ISR UNITS"] = "electron"
    if calibration.physical_filter:
        header["FILTER"] = calibration.physical_filter
    header.update(calibration.metadata)
    header.update(metadata or {})
    planes = {f"MP_{plane.name}": plane.value.bit_length() - 1 for plane in Mask}
    pixels: list[tuple[str, AnyArray, dict[str, Any]]] = [
        ("IMAGE", calibration.image.astype(np.float32, copy=False), {}),
        ("MASK", calibration.mask.astype(np.int32, copy=False), planes),
        ("VARIANCE", calibration.variance.astype(np.float32, copy=False), {}),
    ]
    options: dict[str, Any] = {"compress": "GZIP_2", "qlevel": 0} if compress else {}
    final = Path(path)
    partial = final.with_name(final.name + ".partial")
    with fitsio.FITS(str(partial), "rw", clobber=True) as hdus:
        hdus.write(None, header=_records(header))
        for name, plane, keys in pixels:
            keys = {"EXTTYPE": name, **keys}
            hdus.write(plane, extname=name, header=_records(keys), **options)
    partial.replace(final)


def write_defects(path: str | Path, defects: Defects, metadata: Metadata | None = None) -> None:
    """Write boxes of bad pixels as ``x0, y0, width, height`` (ip_isr ``defects.py``, v2.0)."""
    boxes = defects.boxes
    columns = {
        "x0": np.array([box.x0 for box in boxes], dtype=np.int64),
        "y0": np.array([box.y0 for box in boxes], dtype=np.int64),
        "width": np.array([box.width for box in boxes], dtype=np.int64),
        "height": np.array([box.height for box in boxes], dtype=np.int64),
    }
    schema = {
        "OBSTYPE": "defects",
        "DEFECTS_SCHEMA": "Simple",
        "DEFECTS_SCHEMA_VERSION": 2,
        "DEFECTS_VERSION": 2.0,
        "CALIBCLS": "lsst.ip.isr.defects.Defects",
    }
    write_tables(path, [columns], {**schema, **defects.metadata, **(metadata or {})})


def write_ptc(
    path: str | Path,
    ptc: PhotonTransferCurve,
    metadata: Metadata | None = None,
    *,
    columns: Mapping[str, AnyArray] | None = None,
    fit_type: str = "EXPAPPROXIMATION",
) -> None:
    """Write a photon-transfer curve with every column of version 2.6 (ip_isr ``ptcDataset.py``).

    Parameters
    ----------
    path
        The file to write.
    ptc
        Gain, noise, turnoff, overscan level and a00 of every amplifier.
    metadata
        More keywords.
    columns
        Measured columns by name, one row per amplifier; they replace those made here. Columns
        nobody measured are NaN.
    fit_type
        ``PTC_FIT_TYPE``.
    """
    n_amp = len(ptc.amp_names)
    nothing = np.full(n_amp, np.nan)
    bad = np.array(ptc.bad_amps, dtype="U8")
    table: dict[str, AnyArray] = {
        "AMPLIFIER_NAME": np.array(ptc.amp_names),
        "PTC_FIT_TYPE": np.full(n_amp, fit_type),
        "COV_MATRIX_SIDE": np.full(n_amp, 1, dtype=np.int64),
        "COV_MATRIX_SIDE_FULL_COV_FIT": np.full(n_amp, 1, dtype=np.int64),
        "GAIN": ptc.gain,
        "GAIN_UNADJUSTED": ptc.gain,
        "NOISE": ptc.noise,
        "OVERSCAN_MEDIAN": ptc.overscan_median,
        "OVERSCAN_MEDIAN_SIGMA": ptc.overscan_median_sigma,
        "PTC_FIT_PARS": np.column_stack([ptc.a00, ptc.gain, ptc.noise**2]),
        "PTC_TURNOFF": ptc.turnoff,
        "A_MATRIX": ptc.a00.reshape(n_amp, 1),
        "BAD_AMPS": np.tile(bad, (n_amp, 1)) if bad.size else nothing,
    }
    table |= {name: nothing for name in _PTC_COLUMNS if name not in table}
    table |= columns or {}
    schema = {
        "OBSTYPE": "PTC",
        "PTC_SCHEMA": "Gen3 Photon Transfer Curve",
        "PTC_VERSION": 2.6,
        "CALIBCLS": "lsst.ip.isr.ptcDataset.PhotonTransferCurveDataset",
        "PTC_FIT_TYPE": fit_type,
    }
    write_tables(path, [table], {**schema, **ptc.metadata, **(metadata or {})})


def write_linearizer(
    path: str | Path,
    linearizer: Linearizer,
    metadata: Metadata | None = None,
    *,
    columns: Mapping[str, AnyArray] | None = None,
) -> None:
    """Write a linearizer (ip_isr ``linearize.py``, v1.8), with its lookup table if it has one.

    Coefficient vectors of unequal length are padded with NaN, as a table column needs equal rows.
    """
    n_amp = len(linearizer.amp_names)
    nothing = np.full(n_amp, np.nan)
    table: dict[str, AnyArray] = {
        "AMPLIFIER_NAME": np.array(linearizer.amp_names),
        "TYPE": np.array([form.value for form in linearizer.types]),
        "COEFFS": _padded(linearizer.coefficients),
    }
    table |= dict.fromkeys(_LINEARIZER_COLUMNS, nothing)
    table |= columns or {}
    schema = {
        "OBSTYPE": "LINEARIZER",
        "LINEARIZER_SCHEMA": "Gen3 Linearizer",
        "LINEARIZER_VERSION": 1.8,
        "CALIBCLS": "lsst.ip.isr.linearize.Linearizer",
        "HAS_LINEARITY": True,
        "OVERRIDE": False,
        "HAS_TABLE": linearizer.table is not None,
        "LINEARITY_UNITS": linearizer.units.value,
    }
    tables = [table]
    if linearizer.table is not None:
        tables.append({"LOOKUP_VALUES": linearizer.table.astype(np.float64)})
    write_tables(path, tables, {**schema, **linearizer.metadata, **(metadata or {})})


def write_crosstalk(
    path: str | Path, crosstalk: Crosstalk, metadata: Metadata | None = None
) -> None:
    """Write a crosstalk matrix as one row (ip_isr ``crosstalk.py``, v1.2)."""
    n_amp = len(crosstalk.coefficients)
    zeros = np.zeros((1, n_amp * n_amp))
    table = {
        "CT_COEFFS": crosstalk.coefficients.reshape(1, -1),
        "CT_ERRORS": zeros,
        "CT_COUNTS": zeros.astype(np.int64),
        "CT_VALID": crosstalk.valid.reshape(1, -1),
        "CT_COEFFS_SQR": crosstalk.quadratic.reshape(1, -1),
        "CT_ERRORS_SQR": zeros,
        "CT_AMP_GAIN_RATIOS": np.ones_like(zeros),
        "CT_FIT_GAINS": np.zeros((1, n_amp)),
    }
    schema = {
        "OBSTYPE": "CROSSTALK",
        "CROSSTALK_SCHEMA": "Gen3 Crosstalk",
        "CROSSTALK_VERSION": 1.2,
        "CALIBCLS": "lsst.ip.isr.crosstalk.CrosstalkCalib",
        "HAS_CROSSTALK": True,
        "NAMP": n_amp,
        "CROSSTALK_SHAPE": f"({n_amp}, {n_amp})",
        "CROSSTALK_RATIOS_UNITS": crosstalk.units.value,
    }
    write_tables(path, [table], {**schema, **crosstalk.metadata, **(metadata or {})})


def write_cti(path: str | Path, cti: ChargeTransfer, metadata: Metadata | None = None) -> None:
    """Write a deferred-charge calibration: amplifiers, then traps.

    The layout is that of ip_isr ``deferredCharge.py``, version 1.3.
    """
    nothing = np.full(len(cti.amp_names), np.nan)
    amplifiers: dict[str, AnyArray] = {
        "AMPLIFIER": np.array(cti.amp_names),
        "DRIFT_SCALE": cti.drift_scale,
        "DECAY_TIME": cti.decay_time,
        "GLOBAL_CTI": cti.global_cti,
    }
    amplifiers |= dict.fromkeys(_CTI_COLUMNS, nothing)
    traps = [(name, trap) for name, trap in zip(cti.amp_names, cti.traps, strict=True) if trap]
    tables = [amplifiers]
    if traps:
        tables.append(
            {
                "AMPLIFIER": np.array([name for name, _ in traps]),
                "SIZE": np.array([trap.size for _, trap in traps]),
                "EMISSION_TIME": np.array([trap.emission_time for _, trap in traps]),
                "PIXEL": np.array([trap.pixel for _, trap in traps], dtype=np.int64),
                "TYPE": np.array([trap.kind for _, trap in traps]),
                "COEFFS": _padded([trap.coefficients for _, trap in traps]),
            }
        )
    schema = {
        "OBSTYPE": "CTI",
        "CTI_SCHEMA": "Deferred Charge",
        "CTI_VERSION": 1.3,
        "CALIBCLS": "lsst.ip.isr.deferredCharge.DeferredChargeCalib",
    }
    write_tables(path, tables, {**schema, **cti.metadata, **(metadata or {})})


_PTC_COLUMNS = (
    "INPUT_EXP_ID_PAIRS",
    "INPUT_EXP_PAIR_MJD_START",
    "EXP_ID_MASK",
    "EXP_ID_ROLLOFF_MASK",
    "RAW_EXP_TIMES",
    "RAW_MEANS",
    "RAW_VARS",
    "RAW_DELTAS",
    "ROW_MEAN_VARIANCE",
    "GAIN_ERR",
    "GAIN_LIST",
    "OVERSCAN_MEDIAN_LIST",
    "NOISE_LIST",
    "NOISE_ERR",
    "HIST_VARS",
    "HIST_CHI2_DOFS",
    "KS_PVALUES",
    "PTC_FIT_PARS_ERROR",
    "PTC_FIT_CHI_SQ",
    "PTC_TURNOFF_SAMPLING_ERROR",
    "PTC_ROLLOFF",
    "PTC_ROLLOFF_ERROR",
    "PTC_ROLLOFF_TAU",
    "PTC_ROLLOFF_TAU_ERROR",
    "B_MATRIX",
    "NOISE_MATRIX",
    "PHOTO_CHARGE",
    "PHOTO_CHARGE_DELTAS",
    "AMP_OFFSETS",
    "NPIXEL_COVARIANCES",
    "COVARIANCES",
    "COVARIANCES_MODEL",
    "COVARIANCES_SQRT_WEIGHTS",
    "FINAL_VARS",
    "FINAL_MODEL_VARS",
    "FINAL_MEANS",
)
_LINEARIZER_COLUMNS = (
    "INPUT_GAIN",
    "INPUT_TURNOFF",
    "BBOX_X0",
    "BBOX_Y0",
    "BBOX_DX",
    "BBOX_DY",
    "INP_ABSCISSA",
    "INP_ORDINATE",
    "INP_MASK",
    "INP_GROUPING_INDEX",
    "INP_NORMALIZATION",
    "FIT_PARAMS",
    "FIT_PARAMS_ERR",
    "RED_CHI_SQ",
    "FIT_RES",
    "FIT_RES_SIGMAD",
    "FIT_RES_UNMASKED",
    "FIT_RES_MODEL",
    "LIN_FIT",
    "LINEARITY_TURNOFF",
    "LINEARITY_MAX_SIGNAL",
    "ABS_REF_AMP",
)
_CTI_COLUMNS = (
    "SIGNALS",
    "INPUT_GAIN",
    "SERIAL_EPER",
    "PARALLEL_EPER",
    "SERIAL_CTI_TURNOFF",
    "SERIAL_CTI_TURNOFF_SAMPLING_ERR",
    "PARALLEL_CTI_TURNOFF",
    "PARALLEL_CTI_TURNOFF_SAMPLING_ERR",
)


def _padded(vectors: Sequence[DoubleArray]) -> DoubleArray:
    """Return vectors as the rows of one array, NaN after their ends (at least one column)."""
    width = max((vector.size for vector in vectors), default=0)
    rows = np.full((len(vectors), max(width, 1)), np.nan)
    for row, vector in zip(rows, vectors, strict=True):
        row[: vector.size] = vector
    return rows


def _records(keywords: Metadata) -> list[dict[str, Any]]:
    return [{"name": key, "value": value} for key, value in _plain(keywords).items()]


def _plain(keywords: Metadata) -> dict[str, Any]:
    """Return keywords with values a FITS header can hold; None becomes empty text."""
    plain: dict[str, Any] = {}
    for key, value in keywords.items():
        scalar = value.item() if isinstance(value, np.generic) else value
        if isinstance(scalar, float) and not math.isfinite(scalar):
            continue
        if scalar is None:
            scalar = ""
        plain[key] = scalar if isinstance(scalar, (bool, int, float)) else str(scalar)
    return plain


def write_tables(
    path: str | Path, tables: Sequence[Mapping[str, AnyArray]], metadata: Metadata
) -> None:
    """Write tables as HDU1, HDU2, …, with the keywords in the first, replacing the file."""
    hdus = [fits.PrimaryHDU()]
    for index, columns in enumerate(tables):
        header = fits.Header()
        for key, value in (_plain(metadata) if index == 0 else {}).items():
            name = key if len(key) <= 8 and key == key.upper() else f"HIERARCH {key}"
            header[name] = value
        made = [_column(name, np.asarray(values)) for name, values in columns.items()]
        hdus.append(fits.BinTableHDU.from_columns(made, header=header))
    final = Path(path)
    partial = final.with_name(final.name + ".partial")
    fits.HDUList(hdus).writeto(partial, overwrite=True)
    partial.replace(final)


def _column(name: str, values: AnyArray) -> Any:
    codes = {"f": "D", "i": "K", "u": "K", "b": "L"}
    cell = values.shape[1:]
    count = math.prod(cell)
    dim = f"({','.join(str(n) for n in reversed(cell))})" if len(cell) > 1 else None
    if values.dtype.kind == "U":
        length = max(1, int(np.char.str_len(values).max(initial=1)))
        dim = f"({length},{count})" if cell else None
        return fits.Column(name, f"{length * count}A", dim=dim, array=values)
    return fits.Column(name, f"{count}{codes[values.dtype.kind]}", dim=dim, array=values)
