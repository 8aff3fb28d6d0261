"""Finding the raws and the calibrations a combination is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calwatch.butler.model import ExposureRecord
from calwatch.butler.repository import Repository
from calwatch.errors import RepositoryError, StopError

CORRECTED_WITH: dict[str, tuple[str, ...]] = {
    "bias": ("ptc", "crosstalk", "linearizer"),
    "dark": ("ptc", "crosstalk", "linearizer", "bias"),
    "flat": ("ptc", "crosstalk", "linearizer", "bias", "dark"),
    "ptc": ("crosstalk", "linearizer"),
    "linearizer": ("crosstalk",),
    "defects": ("dark", "flat"),
}
"""What each type is corrected with, or made from (cp_pipe ``_ingredients/cp*LSST.yaml``)."""

REQUIRED: dict[str, tuple[str, ...]] = {"dark": ("bias",), "flat": ("bias",)}
"""Without these the result would be wrong rather than less good."""


@dataclass(frozen=True, slots=True)
class DetectorInputs:
    """What one detector's calibration is made from."""

    exposures: tuple[ExposureRecord, ...]
    raws: tuple[str, ...]
    """URIs, one per exposure, oldest first."""
    calibrations: tuple[tuple[str, str], ...]
    """(type, URI)."""


def find_inputs(
    root: str | Path,
    instrument: str,
    calib_type: str,
    *,
    exposure_ids: Sequence[int],
    detectors: Sequence[int] | None,
    inputs: Sequence[str],
    calib_collection: str | None,
    physical_filter: str,
) -> dict[int, DetectorInputs]:
    """Return raws and calibrations by detector.

    Calibrations are taken from the RUN collections ``inputs`` in order, then from what is
    certified in ``calib_collection`` for the first exposure.

    Raises
    ------
    StopError
        If an exposure or raw is missing, or a calibration that the type cannot do without.
    RepositoryError
        If the repository cannot be read.
    """
    with Repository.open(root) as repository:
        exposures = (
            repository.exposures(instrument, exposure_ids=exposure_ids) if exposure_ids else []
        )
        lost = sorted(set(exposure_ids) - {exposure.exposure_id for exposure in exposures})
        if lost:
            raise StopError(f"{root} has no {instrument} exposure {', '.join(map(str, lost))}")
        wanted = repository.detectors(instrument) if detectors is None else detectors
        raws = {
            (raw.exposure_id, raw.detector): raw.uri
            for raw in (repository.raws(instrument, exposure_ids, wanted) if exposures else [])
        }
        found: dict[int, dict[str, str]] = {number: {} for number in wanted}
        kinds = CORRECTED_WITH[calib_type]
        if calib_collection and exposures:
            for number, chain in repository.chains(
                exposures[0], kinds, wanted, calib_collection
            ).items():
                found[number] = {kind: data.uri for kind, data in chain.datasets.items()}
    if inputs:
        _add_from_runs(root, instrument, kinds, inputs, physical_filter, found)
    for number in wanted:
        for kind in REQUIRED.get(calib_type, ()):
            if kind not in found[number]:
                where = ", ".join([*inputs, *([calib_collection] if calib_collection else [])])
                raise StopError(
                    f"a {calib_type} needs a {kind}: none for detector {number} in "
                    f"{where or 'no collection at all'}"
                )
    return {
        number: DetectorInputs(
            exposures=tuple(exposures),
            raws=tuple(_raw(raws, exposure.exposure_id, number, root) for exposure in exposures),
            calibrations=tuple(sorted(found[number].items())),
        )
        for number in wanted
    }


def _raw(raws: dict[tuple[int, int], str], exposure: int, detector: int, root: str | Path) -> str:
    uri = raws.get((exposure, detector), "")
    if not uri:
        raise StopError(f"{root} has no raw of exposure {exposure}, detector {detector}")
    return uri


def _add_from_runs(
    root: str | Path,
    instrument: str,
    kinds: Sequence[str],
    runs: Sequence[str],
    physical_filter: str,
    found: dict[int, dict[str, str]],
) -> None:
    """Add what the RUN collections hold; it counts before what is certified."""
    from lsst.daf.butler import Butler, MissingDatasetTypeError
    from lsst.daf.butler.registry import MissingCollectionError

    try:
        with Butler.from_config(str(root), writeable=False) as butler:
            for kind in kinds:
                for number, uris in found.items():
                    data_id: dict[str, int | str] = {"instrument": instrument, "detector": number}
                    if kind == "flat":
                        data_id["physical_filter"] = physical_filter
                    try:
                        ref = butler.find_dataset(kind, data_id, collections=list(runs))
                    except MissingDatasetTypeError:
                        break
                    if ref is not None:
                        uris[kind] = str(butler.getURI(ref))
    except MissingCollectionError as error:
        raise StopError(f"{root}: {error}") from error
    except OSError as error:
        raise RepositoryError(f"{root}: cannot be read: {error}") from error
