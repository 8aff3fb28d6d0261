"""Readings of the photodiode in the Butler: dataset type ``photodiode``, one of each exposure.

They are brought in by obs_lsst (``_ingestPhotodiode.py``) with the dimensions instrument and
exposure and storage class ``IsrCalib``, into the RUN ``<instrument>/calib/photodiode``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from calwatch.butler.exposures import EVERY_RUN, fetch_refs

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
        for ref in fetch_refs(butler, DATASET_TYPE, instrument, wanted - found.keys(), search):
            found.setdefault(int(ref.dataId["exposure"]), ref)
    return found
