"""All that is certified in one chain for one calibration type, fetched with one query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calwatch.butler.lookup import Candidate, Span, choose, in_chain_order, why_none
from calwatch.butler.model import CertifiedDataset
from calwatch.butler.times import mjd_from_nsec
from calwatch.errors import ChainError

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetAssociation, DatasetRef

_Key = tuple[int | None, str]


@dataclass(slots=True)
class Certified:
    """The candidates of one calibration type, by detector and filter, in chain order."""

    calib_type: str
    collection: str
    """The chain that was searched."""
    problem: str = ""
    """Why there can be none (the dataset type or the collection does not exist)."""
    per_detector: bool = True
    per_filter: bool = False
    candidates: dict[_Key, list[Candidate]] = field(default_factory=dict)
    refs: dict[str, DatasetRef] = field(default_factory=dict)
    """By UUID, to ask for URIs."""

    def of(self, detector: int, physical_filter: str) -> list[Candidate]:
        """Return the candidates of one data ID, in chain order."""
        key = (
            detector if self.per_detector else None,
            physical_filter if self.per_filter else "",
        )
        return self.candidates.get(key, [])

    def choose(
        self, detector: int, physical_filter: str, span: Span
    ) -> tuple[CertifiedDataset | None, str]:
        """Return the dataset that applies, or None and the reason."""
        if self.problem:
            return None, self.problem
        found = self.of(detector, physical_filter)
        try:
            chosen = choose(found, span)
        except ChainError as exc:
            return None, str(exc)
        if chosen is not None:
            return chosen.dataset, ""
        reason = why_none(self.calib_type, self.collection, detector, found, span)
        if self.per_filter and not found:
            reason += f" and filter {physical_filter or '(none)'}{self._other_filters(detector)}"
        return None, reason

    def _other_filters(self, detector: int) -> str:
        names = sorted(name for number, name in self.candidates if number == detector)
        return f" (there are {self.calib_type}s for {', '.join(names)})" if names else ""


def fetch_certified(
    butler: Butler, instrument: str, calib_type: str, collection: str, order: Sequence[str]
) -> Certified:
    """Ask the Butler for every association of a type in the flattened chain: one query.

    Parameters
    ----------
    butler
        The open Butler.
    instrument
        Butler instrument; datasets of others in the same chain are left out.
    calib_type
        Dataset type.
    collection
        The chain, for messages.
    order
        The flattened chain, first searched first.
    """
    from lsst.daf.butler import CollectionType
    from lsst.daf.butler.registry import MissingDatasetTypeError

    certified = Certified(calib_type, collection)
    kinds = {CollectionType.CALIBRATION, CollectionType.RUN, CollectionType.TAGGED}
    try:
        dataset_type = butler.get_dataset_type(calib_type)
        found = list(
            butler.registry.queryDatasetAssociations(
                calib_type, collections=list(order), collectionTypes=kinds
            )
        )
    except MissingDatasetTypeError:
        certified.problem = f"no {calib_type}: the repository has no dataset type {calib_type!r}"
        return certified
    certified.per_detector = "detector" in dataset_type.dimensions.required
    certified.per_filter = "physical_filter" in dataset_type.dimensions.required
    by_key: dict[_Key, list[Candidate]] = defaultdict(list)
    for association in found:
        ref = association.ref
        if ref.dataId["instrument"] != instrument:
            continue
        key = (
            int(ref.dataId["detector"]) if certified.per_detector else None,
            str(ref.dataId["physical_filter"]) if certified.per_filter else "",
        )
        by_key[key].append(Candidate(_dataset(association, calib_type, key)))
        certified.refs[str(ref.id)] = ref
    certified.candidates = {key: in_chain_order(found, order) for key, found in by_key.items()}
    return certified


def _dataset(association: DatasetAssociation, calib_type: str, key: _Key) -> CertifiedDataset:
    begin, end = _validity(association)
    return CertifiedDataset(
        calib_type=calib_type,
        detector=key[0],
        uuid=str(association.ref.id),
        run=association.ref.run,
        collection=association.collection,
        begin_tai=begin,
        end_tai=end,
        uri="",
        physical_filter=key[1],
    )


def _validity(association: DatasetAssociation) -> tuple[float | None, float | None]:
    from lsst.daf.butler.time_utils import TimeConverter

    if association.timespan is None:
        return None, None
    begin, end = association.timespan.nsec
    limits = TimeConverter()
    return (
        None if begin <= limits.min_nsec else mjd_from_nsec(begin),
        None if end >= limits.max_nsec else mjd_from_nsec(end),
    )
