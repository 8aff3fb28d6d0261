"""Tagging calibrations: a named, flat set without validity ranges.

A TAGGED collection holds each data ID of a type once and is searched without regard to time. It
fixes "the calibrations in use on that day" for a summit or a reprocessing, as the checklist of
DMTN-222 §3 asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from calwatch.butler.certified import Certified, fetch_certified
from calwatch.butler.lookup import Span, choose
from calwatch.butler.names import Kind, validate
from calwatch.butler.times import parse_tai
from calwatch.errors import StopError
from calwatch.offline.repository import writing

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef


def tag(
    root: str | Path,
    source: str,
    tagged: str,
    calib_types: str | Iterable[str],
    at: str,
    *,
    instrument: str = "",
    force_name: bool = False,
) -> int:
    """Tag the calibrations that a chain gives at one time; return how many.

    Parameters
    ----------
    root
        The repository.
    source
        Chain or CALIBRATION collection to look in, such as ``LATISS/calib``.
    tagged
        TAGGED collection, such as ``LATISS/calib_tagged/inUse``; made if it does not exist. What
        it held for the same data IDs is replaced.
    calib_types
        Dataset type, or several.
    at
        ISO-8601 in TAI.
    instrument
        Butler instrument; the part of ``source`` before the first ``/`` if empty.
    force_name
        Accept a name that breaks DMTN-222 §2.

    Raises
    ------
    NameRuleError
        If the name breaks the rules.
    ChainError
        If two datasets of one data ID are valid at that time in one collection.
    StopError
        If the source does not exist, or gives nothing of a type at that time.
    RepositoryError
        If the repository cannot be written.
    """
    types = [calib_types] if isinstance(calib_types, str) else list(calib_types)
    if not force_name:
        validate(tagged, Kind.TAGGED, "tagged collection")
    time = parse_tai(at, "at")
    with writing(root) as butler:
        from lsst.daf.butler import CollectionType

        refs = []
        for calib_type in types:
            found = _valid(butler, instrument or source.split("/", 1)[0], calib_type, source, time)
            if not found:
                raise StopError(f"{source} gives no {calib_type} valid at {at}")
            refs += found
        butler.collections.register(tagged, CollectionType.TAGGED)
        with butler.transaction():
            for calib_type in types:
                _empty(butler, tagged, calib_type, refs)
            butler.registry.associate(tagged, refs)
    return len(refs)


def _valid(
    butler: Butler, instrument: str, calib_type: str, source: str, time: float
) -> list[DatasetRef]:
    from lsst.daf.butler.registry import MissingCollectionError

    try:
        order = tuple(butler.collections.query(source, flatten_chains=True))
    except MissingCollectionError as exc:
        raise StopError(f"the repository has no collection {source!r}") from exc
    certified: Certified = fetch_certified(butler, instrument, calib_type, source, order)
    if certified.problem:
        raise StopError(certified.problem)
    chosen = (choose(found, Span(time, time)) for found in certified.candidates.values())
    return [certified.refs[one.dataset.uuid] for one in chosen if one is not None]


def _empty(butler: Butler, tagged: str, calib_type: str, refs: Iterable[DatasetRef]) -> None:
    """Take out what the tagged collection holds for the data IDs that are about to be tagged."""
    coming = {ref.dataId for ref in refs if ref.datasetType.name == calib_type}
    there = butler.query_datasets(
        calib_type, collections=tagged, find_first=False, limit=None, explain=False
    )
    butler.registry.disassociate(tagged, [ref for ref in there if ref.dataId in coming])
