"""Readings of the photodiode in the Butler: dataset type ``photodiode``, one of each exposure.

They are brought in by obs_lsst (``_ingestPhotodiode.py``) with the dimensions instrument and
exposure and storage class ``IsrCalib``, into the RUN ``<instrument>/calib/photodiode``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from calwatch.butler.exposures import EVERY_RUN, chunks

if TYPE_CHECKING:
    from lsst.daf.butler import Butler, DatasetRef

DATASET_TYPE = "photodiode"


def photodiode_run(instrument: str) -> str:
    """Return the collection into which the observatory brings the readings."""
    return f"{instrument}/calib/photodiode"


def fetch_photodiodes(
    butler: Butler, instrument: str, exposure_ids: Iterable[int], *, has_run: bool
) -> dict[int, DatasetRef]:
    """Ask the Butler for the readings of some exposures: in their own RUN, then in every other."""
    wanted = set(exposure_ids)
    found: dict[int, DatasetRef] = {}
    for search in ([photodiode_run(instrument)] if has_run else []) + [EVERY_RUN]:
        found |= _fetch(butler, instrument, wanted - found.keys(), search)
    return found


def _fetch(
    butler: Butler, instrument: str, exposure_ids: Collection[int], search: str
) -> dict[int, DatasetRef]:
    from lsst.daf.butler.registry import MissingDatasetTypeError

    found: dict[int, DatasetRef] = {}
    for ids in chunks(exposure_ids):
        try:
            refs = butler.query_datasets(
                DATASET_TYPE,
                collections=search,
                find_first=search != EVERY_RUN,
                where="instrument = :inst_ AND exposure IN (:ids_)",
                bind={"inst_": instrument, "ids_": ids},
                limit=None,
                explain=False,
            )
        except MissingDatasetTypeError:
            return {}
        for ref in sorted(refs, key=lambda ref: (ref.run, str(ref.id))):
            found.setdefault(int(ref.dataId["exposure"]), ref)
    return found
