"""Bringing a calibration file into a repository, under the observatory's dataset types."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calwatch.errors import StopError
from calwatch.offline.repository import writing

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef, DatasetType

STORAGE_CLASSES = {
    "bias": "ExposureF",
    "dark": "ExposureF",
    "flat": "ExposureF",
    "defects": "Defects",
    "ptc": "PhotonTransferCurveDataset",
    "linearizer": "Linearizer",
    "crosstalk": "CrosstalkCalib",
    "bfk": "BrighterFatterKernel",
    "cti": "IsrCalib",
    "electroBfDistortionMatrix": "IsrCalib",
    "gain_correction": "IsrCalib",
}
"""Storage class of each calibration type, as the cp_pipe pipelines register them."""

PER_FILTER = frozenset({"flat"})
"""Types with one dataset for each physical filter."""


@dataclass(frozen=True, slots=True)
class CalibrationFile:
    """One file to bring in."""

    calib_type: str
    detector: int
    path: str | Path
    physical_filter: str = ""
    band: str = ""
    """Written if the physical filter is new to the repository."""


def put_calibration(
    root: str | Path,
    run: str,
    calib_type: str,
    detector: int,
    path: str | Path,
    physical_filter: str = "",
    *,
    instrument: str = "",
    transfer: str = "copy",
) -> str:
    """Ingest one calibration file and return the UUID of its dataset.

    Parameters are those of `put_calibrations` and `CalibrationFile`.

    Raises
    ------
    StopError
        As `put_calibrations`.
    """
    file = CalibrationFile(calib_type, detector, path, physical_filter)
    return put_calibrations(root, run, [file], instrument=instrument, transfer=transfer)[0]


def put_calibrations(
    root: str | Path,
    run: str,
    files: Iterable[CalibrationFile],
    *,
    instrument: str = "",
    transfer: str = "copy",
) -> list[str]:
    """Ingest calibration files into a RUN collection and return their UUIDs, in order.

    Parameters
    ----------
    root
        The repository.
    run
        RUN collection, such as ``LATISS/calib/DM-12345/voltageChange/biasGen.20220915a``.
    files
        What to bring in.
    instrument
        Butler instrument; the part of ``run`` before the first ``/`` if empty.
    transfer
        The Butler's word: ``copy`` takes files into the datastore, ``direct`` leaves them.

    Raises
    ------
    StopError
        If a type, detector or filter is not possible, a file is missing, or the RUN holds such a
        dataset already.
    RepositoryError
        If the repository cannot be written.
    """
    from lsst.daf.butler import FileDataset
    from lsst.daf.butler.registry import ConflictingDefinitionError
    from lsst.resources import ResourcePath

    from calwatch.offline.formatter import FileFormatter

    files = list(files)
    with writing(root) as butler:
        butler.collections.register(run)
        refs = [_ref(butler, run, file, instrument or run.split("/", 1)[0]) for file in files]
        datasets = [
            FileDataset(
                path=ResourcePath(str(file.path), forceAbsolute=True, forceDirectory=False),
                refs=[ref],
                formatter=FileFormatter,
            )
            for file, ref in zip(files, refs, strict=True)
        ]
        try:
            butler.ingest(*datasets, transfer=transfer)
        except ConflictingDefinitionError as exc:
            raise StopError(f"{run} holds such a dataset already: {exc}") from exc
        except FileNotFoundError as exc:
            raise StopError(f"no such calibration file: {exc}") from exc
    return [str(ref.id) for ref in refs]


def register_calibration_type(butler: Butler, calib_type: str) -> DatasetType:
    """Register a calibration's dataset type and return it.

    Raises
    ------
    StopError
        If it is not a calibration type.
    """
    from lsst.daf.butler import DatasetType

    if calib_type not in STORAGE_CLASSES:
        raise StopError(
            f"{calib_type!r} is not a calibration type; known: {', '.join(STORAGE_CLASSES)}"
        )
    dimensions = ["instrument", "detector"]
    if calib_type in PER_FILTER:
        dimensions.append("physical_filter")
    dataset_type = DatasetType(
        calib_type,
        dimensions=dimensions,
        storageClass=STORAGE_CLASSES[calib_type],
        isCalibration=True,
        universe=butler.dimensions,
    )
    butler.registry.registerDatasetType(dataset_type)
    return dataset_type


def _ref(butler: Butler, run: str, file: CalibrationFile, instrument: str) -> DatasetRef:
    from lsst.daf.butler import DatasetRef
    from lsst.daf.butler.registry import DataIdError

    dataset_type = register_calibration_type(butler, file.calib_type)
    data_id: dict[str, str | int] = {"instrument": instrument, "detector": file.detector}
    if file.calib_type in PER_FILTER:
        if not file.physical_filter:
            raise StopError(f"{file.path}: a {file.calib_type} needs its physical filter")
        data_id["physical_filter"] = file.physical_filter
        record = {
            "instrument": instrument,
            "name": file.physical_filter,
            "band": file.band or "unknown",
        }
        butler.registry.insertDimensionData("physical_filter", record, skip_existing=True)
    try:
        expanded = butler.registry.expandDataId(data_id, dimensions=dataset_type.dimensions)
    except DataIdError as exc:
        raise StopError(
            f"{file.path}: the repository has no {instrument} detector {file.detector}: {exc}"
        ) from exc
    return DatasetRef(dataset_type, expanded, run)
