"""Readings of the photodiode as the observatory's own software writes and ingests them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from calwatch.butler.photodiodes import DATASET_TYPE, photodiode_run
from calwatch.calibrations.model import PhotodiodeReadings
from calwatch.errors import StopError
from calwatch.offline.formats import write_tables
from calwatch.offline.repository import writing


@dataclass(frozen=True, slots=True)
class PhotodiodeFile:
    """The readings of one exposure."""

    exposure_id: int
    path: Path


def write_photodiode(
    path: str | Path,
    readings: PhotodiodeReadings,
    instrument: str,
    day_obs: int,
    seq_num: int,
    method: str = "TRIMMED_SUM",
) -> None:
    """Write readings as one table (ip_isr ``photodiode.py``, v1.0)."""
    metadata = {
        "OBSTYPE": "PHOTODIODE",
        "PHOTODIODE_SCHEMA": "Photodiode",
        "PHOTODIODE_VERSION": 1.0,
        "CALIBCLS": "lsst.ip.isr.photodiode.PhotodiodeCalib",
        "INSTRUME": instrument,
        "day_obs": day_obs,
        "seq_num": seq_num,
        "INTEGRATION_METHOD": method,
    }
    write_tables(path, [{"TIME": readings.time, "CURRENT": readings.current}], metadata)


def put_photodiodes(
    root: str | Path,
    instrument: str,
    files: Iterable[PhotodiodeFile],
    *,
    run: str = "",
    transfer: str = "copy",
) -> list[str]:
    """Ingest readings and return their UUIDs, in order.

    Parameters
    ----------
    root
        The repository; the exposures must be there.
    instrument
        Butler instrument.
    files
        What to bring in.
    run
        RUN collection; ``<instrument>/calib/photodiode``, where obs_lsst has them, if empty.
    transfer
        The Butler's word: ``copy`` takes files into the datastore, ``direct`` leaves them.

    Raises
    ------
    StopError
        If an exposure is not known, a file is missing, or the RUN holds such a dataset already.
    RepositoryError
        If the repository cannot be written.
    """
    from lsst.daf.butler import DatasetRef, DatasetType, FileDataset
    from lsst.daf.butler.registry import ConflictingDefinitionError, DataIdError
    from lsst.resources import ResourcePath

    from calwatch.offline.formatter import FileFormatter

    where = run or photodiode_run(instrument)
    datasets = []
    with writing(root) as butler:
        butler.collections.register(where)
        dataset_type = DatasetType(
            DATASET_TYPE,
            dimensions=["instrument", "exposure"],
            storageClass="IsrCalib",
            universe=butler.dimensions,
        )
        butler.registry.registerDatasetType(dataset_type)
        for file in files:
            data_id = {"instrument": instrument, "exposure": file.exposure_id}
            try:
                expanded = butler.registry.expandDataId(data_id, dimensions=dataset_type.dimensions)
            except DataIdError as exc:
                raise StopError(
                    f"{file.path}: the repository has no {instrument} exposure "
                    f"{file.exposure_id}: {exc}"
                ) from exc
            path = ResourcePath(str(file.path), forceAbsolute=True, forceDirectory=False)
            ref = DatasetRef(dataset_type, expanded, where)
            datasets.append(FileDataset(path=path, refs=[ref], formatter=FileFormatter))
        try:
            butler.ingest(*datasets, transfer=transfer)
        except ConflictingDefinitionError as exc:
            raise StopError(f"{where} holds such a dataset already: {exc}") from exc
        except FileNotFoundError as exc:
            raise StopError(f"no such file: {exc}") from exc
    return [str(dataset.refs[0].id) for dataset in datasets]
