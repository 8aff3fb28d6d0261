"""Bringing raw files into a repository: dimension records and ``raw`` datasets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calwatch.butler.files import local_copy
from calwatch.camera.header import HeaderFacts, translate
from calwatch.camera.model import Camera, Detector
from calwatch.errors import CalwatchError, RawError
from calwatch.offline.repository import writing

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef, DatasetType, Timespan

_NOON_SECONDS = 43200
"""A Rubin day of observing begins at 12 h (TAI here, as obs_lsst registers ``day_obs``)."""

_CALIBRATION_TYPES = frozenset({"bias", "dark", "flat"})


@dataclass(slots=True)
class IngestReport:
    """What came of an ingest."""

    exposure_ids: list[int] = field(default_factory=list)
    """Exposures the files belong to, in increasing order."""
    ingested: int = 0
    skipped: int = 0
    """Files whose exposure and detector were in the RUN already."""
    bad: dict[str, str] = field(default_factory=dict)
    """File name to cause."""


@dataclass(frozen=True, slots=True)
class _RawFile:
    path: str
    exposure_id: int
    day_obs: int
    seq_num: int
    facts: HeaderFacts
    detector: Detector
    header: Mapping[str, Any]


def ingest_raws(
    root: str | Path,
    camera: Camera,
    paths: Sequence[str | Path],
    run: str = "",
    transfer: str = "direct",
) -> list[int]:
    """Ingest raw files and return the identifiers of their exposures.

    Parameters are those of `ingest_files`.

    Raises
    ------
    RawError
        If a file could not be used. All others have been ingested then.
    RepositoryError
        If the repository cannot be written.
    """
    report = ingest_files(root, camera, paths, run, transfer)
    if report.bad:
        causes = "; ".join(report.bad.values())
        raise RawError(f"{len(report.bad)} of {len(paths)} files not ingested: {causes}")
    return report.exposure_ids


def ingest_files(
    root: str | Path,
    camera: Camera,
    paths: Iterable[str | Path],
    run: str = "",
    transfer: str = "direct",
    progress: Callable[[str], None] | None = None,
) -> IngestReport:
    """Ingest raw files; go on past bad ones and report them by name.

    Parameters
    ----------
    root
        The repository; the camera must be registered in it.
    camera
        The camera that wrote the files.
    paths
        Paths or URIs (``s3://bucket/…``).
    run
        RUN collection; ``<instrument>/raw/all`` if empty.
    transfer
        The Butler's word: ``direct`` leaves files where they are, ``copy`` takes them in.
    progress
        Called with the name of each file when its header has been read.

    Raises
    ------
    RepositoryError
        If the repository cannot be written.
    """
    report = IngestReport()
    files = []
    for path in dict.fromkeys(str(path) for path in paths):
        try:
            files.append(_read(path, camera))
        except CalwatchError as exc:
            report.bad[path] = str(exc)
        if progress:
            progress(path)
    with writing(root) as butler:
        _ingest(butler, camera, files, run or f"{camera.instrument}/raw/all", transfer, report)
    return report


def _read(path: str, camera: Camera) -> _RawFile:
    from astropy.io import fits

    try:
        with local_copy(path) as local:
            cards = fits.getheader(local, 0)
        header = {key: _defined(value) for key, value in cards.items()}
        facts = translate(header, camera)
        detector = camera.detector(facts.detector_name)
    except CalwatchError as exc:
        raise RawError(str(exc) if path in str(exc) else f"{path}: {exc}") from exc
    except Exception as exc:  # astropy raises many kinds on damaged files.
        raise RawError(f"{path}: cannot read the primary header: {exc}") from exc
    if facts.instrument != camera.instrument:
        raise RawError(f"{path}: was taken by {facts.instrument}, not {camera.instrument}")
    if facts.exposure_id is None or facts.day_obs is None or facts.seq_num is None:
        raise RawError(f"{path}: the header gives no day of observing and sequence number")
    return _RawFile(path, facts.exposure_id, facts.day_obs, facts.seq_num, facts, detector, header)


def _defined(value: Any) -> Any:
    from astropy.io.fits.card import Undefined

    return None if isinstance(value, Undefined) else value


def _ingest(
    butler: Butler,
    camera: Camera,
    files: list[_RawFile],
    run: str,
    transfer: str,
    report: IngestReport,
) -> None:
    from lsst.daf.butler import DatasetIdGenEnum, DatasetRef, FileDataset
    from lsst.resources import ResourcePath

    from calwatch.offline.formatter import FileFormatter

    butler.collections.register(run)
    raw_type = register_raw_type(butler)
    files = _insert_records(butler, camera, files, report)
    present = _present(butler, camera.instrument, run, files)
    datasets = []
    for file in files:
        key = (file.exposure_id, file.detector.number)
        if key in present:
            report.skipped += 1
            continue
        present.add(key)
        data_id = butler.registry.expandDataId(
            instrument=camera.instrument, exposure=key[0], detector=key[1]
        )
        # The same raw file then has the same UUID in every repository.
        ref = DatasetRef(
            raw_type, data_id, run, id_generation_mode=DatasetIdGenEnum.DATAID_TYPE_RUN
        )
        uri = ResourcePath(file.path, forceAbsolute=True, forceDirectory=False)
        datasets.append(FileDataset(path=uri, refs=[ref], formatter=FileFormatter))
    if datasets:
        butler.ingest(*datasets, transfer=transfer, record_validation_info=False)
    report.ingested = len(datasets)
    report.exposure_ids = sorted({file.exposure_id for file in files})


def register_raw_type(butler: Butler) -> DatasetType:
    """Register and return the ``raw`` dataset type (one file per exposure and detector)."""
    from lsst.daf.butler import DatasetType

    raw_type = DatasetType(
        "raw",
        dimensions=("instrument", "exposure", "detector"),
        storageClass="Exposure",
        universe=butler.dimensions,
    )
    butler.registry.registerDatasetType(raw_type)
    return raw_type


def _present(
    butler: Butler, instrument: str, run: str, files: list[_RawFile]
) -> set[tuple[int, int]]:
    ids = tuple({file.exposure_id for file in files})
    if not ids:
        return set()
    refs: list[DatasetRef] = butler.query_datasets(
        "raw",
        collections=run,
        where="instrument = :inst AND exposure IN (:ids)",
        bind={"inst": instrument, "ids": ids},
        limit=None,
        explain=False,
    )
    return {(int(ref.dataId["exposure"]), int(ref.dataId["detector"])) for ref in refs}


def _insert_records(
    butler: Butler, camera: Camera, files: list[_RawFile], report: IngestReport
) -> list[_RawFile]:
    """Insert what the files need and return those that agree with what is there."""
    known = _known_exposures(butler, camera.instrument, files)
    good, new = [], {}
    for file in files:
        facts = file.facts
        there = known.setdefault(file.exposure_id, _identity(facts))
        if there != _identity(facts):
            report.bad[file.path] = (
                f"{file.path}: exposure {file.exposure_id} is known as {' '.join(there)}, "
                f"the header says {' '.join(_identity(facts))}"
            )
            continue
        good.append(file)
        new[file.exposure_id] = file
    records = list(new.values())
    with butler.transaction():
        for element, make in _RECORDS.items():
            rows = {tuple(row.items())[:2]: row for row in map(make, records)}
            butler.registry.insertDimensionData(element, *rows.values(), skip_existing=True)
    return good


def _known_exposures(
    butler: Butler, instrument: str, files: list[_RawFile]
) -> dict[int, tuple[str, str, str]]:
    ids = tuple({file.exposure_id for file in files})
    if not ids:
        return {}
    records = butler.query_dimension_records(
        "exposure",
        where="instrument = :inst AND exposure IN (:ids)",
        bind={"inst": instrument, "ids": ids},
        limit=None,
        explain=False,
    )
    return {int(rec.id): (rec.obs_id, rec.observation_type, rec.physical_filter) for rec in records}


def _identity(facts: HeaderFacts) -> tuple[str, str, str]:
    return facts.obs_id, facts.observation_type, facts.physical_filter


def _group(file: _RawFile) -> str:
    return str(file.header.get("GROUPID") or file.facts.obs_id)


def _day_obs_record(file: _RawFile) -> dict[str, Any]:
    from astropy.time import Time, TimeDelta
    from lsst.daf.butler import Timespan

    day = str(file.day_obs)
    begin = Time(f"{day[:4]}-{day[4:6]}-{day[6:]}", scale="tai") + TimeDelta(
        _NOON_SECONDS, format="sec", scale="tai"
    )
    end = begin + TimeDelta(1.0, format="jd", scale="tai")
    return {
        "instrument": file.facts.instrument,
        "id": file.day_obs,
        "timespan": Timespan(begin, end),
    }


def _group_record(file: _RawFile) -> dict[str, Any]:
    return {"instrument": file.facts.instrument, "name": _group(file)}


def _filter_record(file: _RawFile) -> dict[str, Any]:
    facts = file.facts
    return {
        "instrument": facts.instrument,
        "name": facts.physical_filter,
        "band": facts.band or "unknown",
    }


def _exposure_record(file: _RawFile) -> dict[str, Any]:
    facts = file.facts
    index = max(_whole(file.header.get("CURINDEX")), 1)
    count = max(_whole(file.header.get("MAXINDEX")), index)
    return {
        "instrument": facts.instrument,
        "id": file.exposure_id,
        "obs_id": facts.obs_id,
        "day_obs": file.day_obs,
        "group": _group(file),
        "physical_filter": facts.physical_filter,
        "exposure_time": _finite(facts.exposure_time),
        "dark_time": _finite(facts.dark_time),
        "observation_type": facts.observation_type,
        "observation_reason": facts.reason,
        "seq_num": file.seq_num,
        "seq_start": file.seq_num - index + 1,
        "seq_end": file.seq_num - index + count,
        "target_name": str(file.header.get("OBJECT") or "UNKNOWN"),
        "science_program": facts.program,
        "has_simulated": False,
        "can_see_sky": False if facts.observation_type in _CALIBRATION_TYPES else None,
        "timespan": _timespan(facts),
    }


def _timespan(facts: HeaderFacts) -> Timespan | None:
    """Return the exposure's timespan; None (as the schema allows) if the header has no such."""
    from astropy.time import Time
    from lsst.daf.butler import Timespan

    begin, end = facts.begin_tai, facts.end_tai
    if not (math.isfinite(begin) and math.isfinite(end) and begin <= end):
        return None
    return Timespan(*(Time(value, format="mjd", scale="tai") for value in (begin, end)))


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


_RECORDS: dict[str, Callable[[_RawFile], dict[str, Any]]] = {
    "physical_filter": _filter_record,
    "day_obs": _day_obs_record,
    "group": _group_record,
    "exposure": _exposure_record,
}
"""Dimension elements in the order in which they depend on each other."""
