"""Certifying calibrations for a validity range (DMTN-222 §3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calwatch.butler.names import Kind, validate
from calwatch.errors import NameRuleError, StopError
from calwatch.offline.repository import writing

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetAssociation, DatasetRef, Timespan


def certify(
    root: str | Path,
    run: str,
    calib_types: str | Iterable[str],
    collection: str,
    begin: str | None = None,
    end: str | None = None,
    *,
    force_name: bool = False,
) -> int:
    """Certify the calibrations of a RUN in a CALIBRATION collection; return how many.

    Parameters
    ----------
    root
        The repository.
    run
        RUN collection that holds the datasets (or a chain of such).
    calib_types
        Dataset type, or several.
    collection
        CALIBRATION collection; made if it does not exist.
    begin, end
        Validity range [begin, end) as ISO-8601 in TAI; None where open.
    force_name
        Accept collection names that break DMTN-222 §2.

    Raises
    ------
    NameRuleError
        If a name breaks the rules.
    StopError
        If the RUN holds no such dataset, the range is empty, or it overlaps one that is certified
        there already; the message names both.
    RepositoryError
        If the repository cannot be written.
    """
    types = [calib_types] if isinstance(calib_types, str) else list(calib_types)
    if not force_name:
        _check_names(run, types, collection)
    timespan = validity(begin, end)
    with writing(root) as butler:
        from lsst.daf.butler import CollectionType

        refs = [ref for name in types for ref in datasets_in(butler, name, run)]
        for name in types:
            _refuse_overlap(butler, name, refs, collection, timespan)
        butler.collections.register(collection, CollectionType.CALIBRATION)
        butler.registry.certify(collection, refs, timespan)
    return len(refs)


def validity(begin: str | None, end: str | None) -> Timespan:
    """Return a validity range from ISO-8601 texts in TAI; None or empty text where open.

    Raises
    ------
    StopError
        If a text is not a date, or the range is empty.
    """
    from lsst.daf.butler import Timespan

    start, stop = _time(begin, "begin"), _time(end, "end")
    if start is not None and stop is not None and start >= stop:
        raise StopError(f"validity range [{begin}, {end}) is empty")
    return Timespan(start, stop)


def datasets_in(butler: Butler, calib_type: str, collection: str) -> list[DatasetRef]:
    """Return the datasets of one type in a collection.

    Raises
    ------
    StopError
        If the collection or the type does not exist, or it holds none.
    """
    from lsst.daf.butler.registry import DatasetTypeError, MissingCollectionError

    try:
        refs = butler.query_datasets(
            calib_type, collections=collection, find_first=False, limit=None, explain=False
        )
    except MissingCollectionError as exc:
        raise StopError(f"the repository has no collection {collection!r}") from exc
    except DatasetTypeError as exc:
        raise StopError(f"the repository has no dataset type {calib_type!r}") from exc
    if not refs:
        raise StopError(f"{collection} holds no {calib_type}")
    return refs


def _check_names(run: str, types: Sequence[str], collection: str) -> None:
    validate(run, Kind.GENERATION, "generation collection")
    parts = validate(collection, Kind.CERTIFIED, "certified collection")
    for name in types:
        if name != parts.calib_type:
            raise NameRuleError(
                f"certified collection {collection!r} is named for {parts.calib_type}, not {name} "
                "(DMTN-222 §2: it holds just the type in its name)"
            )


def _time(text: str | None, what: str) -> Any:
    if not text:
        return None
    from astropy.time import Time

    try:
        return Time(text.strip(), scale="tai")
    except ValueError as exc:
        raise StopError(f"{what}: {text!r} is not an ISO-8601 date in TAI") from exc


def _refuse_overlap(
    butler: Butler,
    calib_type: str,
    refs: Sequence[DatasetRef],
    collection: str,
    timespan: Timespan,
) -> None:
    new = {ref.dataId: ref for ref in refs if ref.datasetType.name == calib_type}
    for there in _associations(butler, calib_type, collection):
        ref = new.get(there.ref.dataId)
        if ref is None or there.timespan is None or not there.timespan.overlaps(timespan):
            continue
        raise StopError(
            f"{collection}: {calib_type} {ref.id} of {ref.run} for {timespan} would overlap "
            f"{calib_type} {there.ref.id} of {there.ref.run}, certified for {there.timespan}"
        )


def _associations(butler: Butler, calib_type: str, collection: str) -> list[DatasetAssociation]:
    from lsst.daf.butler import CollectionType
    from lsst.daf.butler.registry import MissingCollectionError

    try:
        return list(
            butler.registry.queryDatasetAssociations(
                calib_type, collections=collection, collectionTypes={CollectionType.CALIBRATION}
            )
        )
    except MissingCollectionError:
        return []
