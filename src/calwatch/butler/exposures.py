"""Exposure records and raw datasets, as plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from calwatch.butler.model import ExposureRecord
from calwatch.butler.times import mjd_from_nsec, utc_from_tai

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef, DimensionRecord

_CHUNK = 500
"""Identifiers in one query: SQLite and PostgreSQL bound the number of parameters."""

EVERY_RUN = "*"
"""Search all collections for raws."""


def fetch_exposures(
    butler: Butler,
    instrument: str,
    exposure_ids: Iterable[int] | None,
    where: str,
    observation_types: Iterable[str] | None,
    since_day_obs: int | None,
) -> list[DimensionRecord]:
    """Ask the Butler for exposure records; None and an empty text mean no restriction."""
    terms: list[str] = []
    bind: dict[str, Any] = {}
    if observation_types is not None:
        bind["types_"] = tuple(observation_types)
        terms.append("exposure.observation_type IN (:types_)")
    if since_day_obs is not None:
        bind["since_"] = since_day_obs
        terms.append("exposure.day_obs >= :since_")
    if where.strip():
        terms.append(f"({where})")
    if () in bind.values():
        return []
    if exposure_ids is None:
        return _query(butler, instrument, terms, bind)
    records: list[DimensionRecord] = []
    for ids in chunks(exposure_ids):
        records += _query(
            butler, instrument, [*terms, "exposure IN (:ids_)"], {**bind, "ids_": ids}
        )
    return records


def as_exposures(
    records: Sequence[DimensionRecord], band_of: Callable[[str, str], str]
) -> list[ExposureRecord]:
    """Return exposure records as plain data, oldest first, those without a timespan before.

    Parameters
    ----------
    records
        Records of the ``exposure`` dimension.
    band_of
        Gives the band of an instrument's physical filter.
    """
    spans = [_span(record) for record in records]
    ends = utc_from_tai([end for _, end in spans])
    exposures = [
        ExposureRecord(
            instrument=str(record.instrument),
            exposure_id=int(record.id),
            obs_id=str(record.obs_id),
            observation_type=str(record.observation_type or ""),
            observation_reason=str(record.observation_reason or ""),
            physical_filter=str(record.physical_filter or ""),
            band=band_of(str(record.instrument), str(record.physical_filter or "")),
            day_obs=int(record.day_obs or 0),
            seq_num=int(record.seq_num or 0),
            exposure_time=_number(record.exposure_time),
            dark_time=_number(record.dark_time),
            science_program=str(record.science_program or ""),
            begin_tai=begin,
            end_tai=end,
            end_utc=end_utc,
        )
        for record, (begin, end), end_utc in zip(records, spans, ends, strict=True)
    ]
    return sorted(exposures, key=_by_age)


def fetch_raws(
    butler: Butler, instrument: str, exposure_ids: Iterable[int], search: str | Sequence[str]
) -> dict[tuple[int, int], DatasetRef]:
    """Ask the Butler for raw datasets, one for each (exposure, detector)."""
    found: dict[tuple[int, int], DatasetRef] = {}
    for ref in fetch_refs(butler, "raw", instrument, exposure_ids, search):
        found.setdefault((int(ref.dataId["exposure"]), int(ref.dataId["detector"])), ref)
    return found


def fetch_refs(
    butler: Butler,
    dataset_type: str,
    instrument: str,
    exposure_ids: Iterable[int],
    search: str | Sequence[str],
) -> Iterator[DatasetRef]:
    """Yield the datasets of some exposures, by RUN and UUID; none where the type is unknown."""
    from lsst.daf.butler.registry import MissingDatasetTypeError

    for ids in chunks(exposure_ids):
        try:
            refs = butler.query_datasets(
                dataset_type,
                collections=search,
                find_first=search != EVERY_RUN,
                where="instrument = :inst_ AND exposure IN (:ids_)",
                bind={"inst_": instrument, "ids_": ids},
                limit=None,
                explain=False,
            )
        except MissingDatasetTypeError:
            return
        yield from sorted(refs, key=lambda ref: (ref.run, str(ref.id)))


def _query(
    butler: Butler, instrument: str, terms: Sequence[str], bind: dict[str, Any]
) -> list[DimensionRecord]:
    return butler.query_dimension_records(
        "exposure",
        instrument=instrument,
        where=" AND ".join(terms),
        bind=bind,
        limit=None,
        explain=False,
    )


def chunks(ids: Iterable[int]) -> list[tuple[int, ...]]:
    """Return identifiers in such numbers as one query takes."""
    unique = sorted(set(ids))
    return [tuple(unique[at : at + _CHUNK]) for at in range(0, len(unique), _CHUNK)]


def _span(record: DimensionRecord) -> tuple[float, float]:
    if record.timespan is None:
        return math.nan, math.nan
    begin, end = record.timespan.nsec
    return mjd_from_nsec(begin), mjd_from_nsec(end)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _by_age(exposure: ExposureRecord) -> tuple[float, int]:
    begin = exposure.begin_tai
    return (begin if math.isfinite(begin) else -math.inf, exposure.exposure_id)
