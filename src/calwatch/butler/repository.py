"""A Butler repository, opened to read: exposures, raw files and the certified chain.

Nothing here can write: the Butler is opened with ``writeable=False``, which refuses it. One
`Repository` may be used from several threads; each call waits for the one before.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from calwatch.butler.certified import Certified, fetch_certified
from calwatch.butler.exposures import EVERY_RUN, as_exposures, fetch_exposures, fetch_raws
from calwatch.butler.failures import cause
from calwatch.butler.lookup import Explanation, Span, explain, fingerprint
from calwatch.butler.model import (
    CertifiedDataset,
    Chain,
    ExposureRecord,
    PhotodiodeDataset,
    RawDataset,
)
from calwatch.butler.photodiodes import fetch_photodiodes, photodiode_run
from calwatch.errors import CalwatchError, RepositoryError, StopError

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef


class Repository:
    """A Butler repository, read-only.

    Parameters
    ----------
    root
        Where it is, for messages.
    butler
        The open Butler.
    max_age
        Seconds for which what is certified is remembered before it is asked for again.
    clock
        Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        root: str,
        butler: Butler,
        *,
        max_age: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root = root
        self._butler = butler
        self._max_age = max_age
        self._clock = clock
        self._lock = threading.RLock()
        self._certified: dict[tuple[str, str, str], tuple[float, tuple[str, ...], Certified]] = {}
        self._uris: dict[str, str] = {}
        self._bands: dict[tuple[str, str], str] = {}

    @classmethod
    def open(cls, root: str | Path, *, max_age: float = 30.0) -> Self:
        """Open a repository by its root, its configuration file or its alias.

        Raises
        ------
        RepositoryError
            If there is none, or its registry cannot be read.
        """
        from lsst.daf.butler import Butler

        from calwatch.butler.waiting import impatient

        try:
            with impatient():
                butler = Butler.from_config(str(root), writeable=False)
        except Exception as exc:  # Configuration, registry and storage raise their own kinds.
            raise RepositoryError(
                f"{root}: cannot open this Butler repository: {cause(exc)}"
            ) from exc
        return cls(str(root), butler, max_age=max_age)

    def close(self) -> None:
        """Close the connection to the registry."""
        self._butler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def refresh(self) -> None:
        """Forget what was remembered, so that the next look-up sees what is there now."""
        with self._asking("refresh"):
            self._certified.clear()
            self._uris.clear()
            self._bands.clear()
            self._butler.registry.refresh()

    def instruments(self) -> tuple[str, ...]:
        """Return the names of the registered instruments.

        Raises
        ------
        RepositoryError
            If the registry cannot be read.
        """
        with self._asking("instruments"):
            records = self._butler.query_dimension_records("instrument", limit=None, explain=False)
            return tuple(sorted(str(record.name) for record in records))

    def detectors(self, instrument: str) -> dict[int, str]:
        """Return an instrument's detectors: number to full name, by number.

        Raises
        ------
        StopError
            If the instrument is not registered.
        """
        self._check_instrument(instrument)
        with self._asking("detectors"):
            records = self._butler.query_dimension_records(
                "detector", instrument=instrument, limit=None, explain=False
            )
            names = {int(record.id): str(record.full_name) for record in records}
            return dict(sorted(names.items()))

    def exposures(
        self,
        instrument: str,
        *,
        exposure_ids: Iterable[int] | None = None,
        where: str = "",
        observation_types: Iterable[str] | None = None,
        since_day_obs: int | None = None,
    ) -> list[ExposureRecord]:
        """Return exposure records, oldest first.

        Parameters
        ----------
        instrument
            Butler instrument.
        exposure_ids
            Only these.
        where
            A Butler query expression, such as ``exposure.day_obs = 20241120``.
        observation_types
            Only these, such as ``("bias", "dark")``.
        since_day_obs
            Only this day of observing (``YYYYMMDD``) and later.

        Raises
        ------
        StopError
            If the instrument is not registered, or the expression is not one.
        RepositoryError
            If the registry cannot be read.
        """
        self._check_instrument(instrument)
        if where.strip():
            self._check_expression(instrument, where)
        with self._asking("exposures"):
            records = fetch_exposures(
                self._butler, instrument, exposure_ids, where, observation_types, since_day_obs
            )
            return as_exposures(records, self._band)

    def raws(
        self,
        instrument: str,
        exposure_ids: Iterable[int],
        detectors: Iterable[int] | None = None,
        collections: str | Sequence[str] | None = None,
    ) -> list[RawDataset]:
        """Return the raw datasets of some exposures, by exposure and detector.

        Parameters
        ----------
        instrument
            Butler instrument.
        exposure_ids
            Of which exposures.
        detectors
            Of which detectors; all if None.
        collections
            Where to search, in order; ``<instrument>/raw/all`` if None, or every RUN if there is
            no such collection.

        Returns
        -------
        raws
            Each (exposure, detector) once. The URI is empty where the datastore has no file.

        Raises
        ------
        StopError
            If the instrument is not registered, or a named collection does not exist.
        RepositoryError
            If the registry cannot be read.
        """
        self._check_instrument(instrument)
        wanted = None if detectors is None else frozenset(detectors)
        search: Any = collections or f"{instrument}/raw/all"
        with self._asking("raws"):
            if not self._exists(search):
                if collections is not None:
                    raise StopError(f"{self.root} has no collection {collections!r}")
                search = EVERY_RUN
            found = {
                key: ref
                for key, ref in fetch_raws(self._butler, instrument, exposure_ids, search).items()
                if wanted is None or key[1] in wanted
            }
            uris = self._uris_of(found.values())
        return [
            RawDataset(exposure, detector, str(ref.id), ref.run, uris.get(str(ref.id), ""))
            for (exposure, detector), ref in sorted(found.items())
        ]

    def photodiodes(self, instrument: str, exposure_ids: Iterable[int]) -> list[PhotodiodeDataset]:
        """Return the readings of the photodiode of some exposures, as far as there are any.

        Raises
        ------
        StopError
            If the instrument is not registered.
        RepositoryError
            If the registry cannot be read.
        """
        self._check_instrument(instrument)
        with self._asking("photodiodes"):
            has_run = self._exists(photodiode_run(instrument))
            found = fetch_photodiodes(self._butler, instrument, exposure_ids, has_run=has_run)
            uris = self._uris_of(found.values())
        return [
            PhotodiodeDataset(exposure, str(ref.id), ref.run, uris.get(str(ref.id), ""))
            for exposure, ref in sorted(found.items())
        ]

    def chains(
        self,
        exposure: ExposureRecord,
        calib_types: Iterable[str],
        detectors: Iterable[int],
        collection: str | None = None,
    ) -> dict[int, Chain]:
        """Return the certified chain of each detector for an exposure.

        Parameters
        ----------
        exposure
            Its timespan and filter decide.
        calib_types
            Which types to look up: one query each, remembered for ``max_age``.
        detectors
            Of which detectors.
        collection
            A CHAINED (or CALIBRATION, or TAGGED) collection; ``<instrument>/calib`` if None.

        Raises
        ------
        StopError
            If the named collection does not exist.
        RepositoryError
            If the registry cannot be read.
        """
        detectors, types = list(detectors), list(calib_types)
        if not (math.isfinite(exposure.begin_tai) and math.isfinite(exposure.end_tai)):
            reason = f"exposure {exposure.exposure_id} has no timespan in the Butler"
            where = collection or f"{exposure.instrument}/calib"
            missing = dict.fromkeys(types, reason)
            return {number: Chain(where, {}, missing, fingerprint({})) for number in detectors}
        span = Span(exposure.begin_tai, exposure.end_tai)
        return self.chains_at(
            exposure.instrument, span, types, detectors, exposure.physical_filter, collection
        )

    def chains_at(
        self,
        instrument: str,
        span: Span,
        calib_types: Iterable[str],
        detectors: Iterable[int],
        physical_filter: str = "",
        collection: str | None = None,
    ) -> dict[int, Chain]:
        """Return the certified chain of each detector for a stretch of time; see `chains`."""
        where = collection or f"{instrument}/calib"
        detectors = list(detectors)
        datasets: dict[int, dict[str, CertifiedDataset]] = {number: {} for number in detectors}
        missing: dict[int, dict[str, str]] = {number: {} for number in detectors}
        with self._asking("certified chain"):
            order = self._flattened(where, collection is None)
            for calib_type in dict.fromkeys(calib_types):
                certified = self._certified_of(instrument, calib_type, where, order)
                for number in detectors:
                    chosen, reason = certified.choose(number, physical_filter, span)
                    if chosen is None:
                        missing[number][calib_type] = reason
                    else:
                        datasets[number][calib_type] = chosen
                self._add_uris(certified, datasets, missing)
        return {
            number: Chain(where, datasets[number], missing[number], fingerprint(datasets[number]))
            for number in detectors
        }

    def explain(
        self,
        instrument: str,
        calib_type: str,
        span: Span,
        detector: int,
        physical_filter: str = "",
        collection: str | None = None,
    ) -> list[Explanation]:
        """Return every candidate in chain order, and why each was or was not chosen.

        Raises
        ------
        StopError
            If the named collection does not exist.
        RepositoryError
            If the registry cannot be read.
        """
        where = collection or f"{instrument}/calib"
        with self._asking("certified chain"):
            order = self._flattened(where, collection is None)
            certified = self._certified_of(instrument, calib_type, where, order)
            return explain(certified.of(detector, physical_filter), span)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Hold the lock and name the repository in whatever goes wrong beneath."""
        from calwatch.butler.waiting import impatient

        with self._lock:
            try:
                with impatient():
                    yield
            except CalwatchError:
                raise
            except Exception as exc:  # The registry's drivers raise their own kinds.
                raise RepositoryError(f"{self.root}: cannot read the {what}: {cause(exc)}") from exc

    def _check_instrument(self, instrument: str) -> None:
        known = self.instruments()
        if instrument not in known:
            raise StopError(
                f"{self.root}: no instrument {instrument!r}; registered: {', '.join(known) or '-'}"
            )

    def _check_expression(self, instrument: str, where: str) -> None:
        """Try a user's expression alone, so that a message about it is about nothing else."""
        from lsst.daf.butler import ButlerUserError

        with self._asking("exposures"):
            try:
                self._butler.query_dimension_records(
                    "exposure", instrument=instrument, where=where, limit=1, explain=False
                )
            except (ButlerUserError, ValueError, TypeError) as exc:
                raise StopError(f"query expression {where!r}: {exc}") from exc

    def _band(self, instrument: str, physical_filter: str) -> str:
        if (instrument, physical_filter) not in self._bands:
            for record in self._butler.query_dimension_records(
                "physical_filter", instrument=instrument, limit=None, explain=False
            ):
                self._bands[instrument, str(record.name)] = str(record.band or "")
        return self._bands.setdefault((instrument, physical_filter), "")

    def _exists(self, collections: str | Sequence[str]) -> bool:
        from lsst.daf.butler.registry import MissingCollectionError

        try:
            self._butler.collections.query(collections)
        except MissingCollectionError:
            return False
        return True

    def _flattened(self, collection: str, is_default: bool) -> tuple[str, ...]:
        """Return the chain's collections in order; none if a default one does not exist."""
        from lsst.daf.butler.registry import MissingCollectionError

        try:
            return tuple(self._butler.collections.query(collection, flatten_chains=True))
        except MissingCollectionError as exc:
            if is_default:
                return ()
            raise StopError(f"{self.root} has no collection {collection!r}") from exc

    def _certified_of(
        self, instrument: str, calib_type: str, collection: str, order: tuple[str, ...]
    ) -> Certified:
        if not order:
            problem = f"no {calib_type}: {collection!r} does not exist in {self.root}, or is empty"
            return Certified(calib_type, collection, problem=problem)
        key, now = (instrument, calib_type, collection), self._clock()
        known = self._certified.get(key)
        if known is not None and known[1] == order and now - known[0] < self._max_age:
            return known[2]
        certified = fetch_certified(self._butler, instrument, calib_type, collection, order)
        self._certified[key] = (now, order, certified)
        return certified

    def _add_uris(
        self,
        certified: Certified,
        datasets: dict[int, dict[str, CertifiedDataset]],
        missing: dict[int, dict[str, str]],
    ) -> None:
        name = certified.calib_type
        chosen = {number: found[name] for number, found in datasets.items() if name in found}
        unknown = {data.uuid for data in chosen.values()} - self._uris.keys()
        self._uris.update(self._uris_of([certified.refs[uuid] for uuid in unknown]))
        for number, data in chosen.items():
            uri = self._uris.get(data.uuid)
            if uri is not None:
                datasets[number][name] = replace(data, uri=uri)
                continue
            del datasets[number][name]
            missing[number][name] = (
                f"{name} {data.uuid} is certified in {data.collection}, but the datastore has no "
                "file of it"
            )

    def _uris_of(self, refs: Iterable[DatasetRef]) -> dict[str, str]:
        found = self._butler.get_many_uris(list(refs), allow_missing=True)
        return {
            str(ref.id): str(uris.primaryURI)
            for ref, uris in found.items()
            if uris.primaryURI is not None
        }
