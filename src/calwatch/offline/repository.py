"""Making a Butler repository for one camera, and opening it to write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calwatch.butler.failures import cause
from calwatch.camera.model import Camera
from calwatch.errors import CalwatchError, RepositoryError, StopError

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

_CLASS_NAMES = {
    "LATISS": "lsst.obs.lsst.Latiss",
    "LSSTComCam": "lsst.obs.lsst.LsstComCam",
    "LSSTCam": "lsst.obs.lsst.LsstCam",
}
"""Instrument classes of obs_lsst, so that the LSST stack finds its own in the repository."""

_EXPOSURE_MAX = 7_050_123_199_999
_VISIT_SYSTEM = 2
"""``BY_SEQ_START_AND_END``, as obs_lsst registers its instruments."""


def create_repository(
    root: str | Path,
    camera: Camera,
    *,
    datastore_root: str = "",
    registry_url: str = "",
    add: bool = False,
) -> None:
    """Make a Butler repository and register a camera's instrument and detectors in it.

    Parameters
    ----------
    root
        Directory of the repository.
    camera
        The camera to register.
    datastore_root
        Where the datastore keeps its files, such as ``s3://bucket/store``; the root if empty.
    registry_url
        SQLAlchemy URL of the registry; SQLite in the root if empty.
    add
        Register the camera in a repository that exists already.

    Raises
    ------
    StopError
        If the root holds a repository and ``add`` was not given, or holds other files.
    RepositoryError
        If it cannot be written.
    """
    from lsst.daf.butler import Butler, Config

    exists = Butler.has_repo_config(str(root))
    if exists and not add:
        raise StopError(
            f"{root} is a Butler repository already; give --add to register "
            f"{camera.instrument} in it"
        )
    if not exists:
        config = Config()
        if datastore_root:
            config["datastore", "root"] = datastore_root
        if registry_url:
            config["registry", "db"] = registry_url
        try:
            Butler.makeRepo(str(root), config=config, forceConfigRoot=not datastore_root)
        except Exception as exc:  # The storage beneath raises its own kinds.
            raise RepositoryError(f"{root}: cannot make a repository: {cause(exc)}") from exc
    with writing(root) as butler:
        _register_camera(butler, camera)


@contextmanager
def writing(root: str | Path) -> Iterator[Butler]:
    """Open a repository to write, and name it in whatever goes wrong.

    Raises
    ------
    StopError
        If what was asked contradicts what the repository holds.
    RepositoryError
        If it cannot be opened or written.
    """
    from lsst.daf.butler import Butler, ButlerUserError
    from lsst.daf.butler.registry import ConflictingDefinitionError

    try:
        butler = Butler.from_config(str(root), writeable=True)
    except Exception as exc:
        raise RepositoryError(f"{root}: cannot open this Butler repository: {cause(exc)}") from exc
    try:
        yield butler
    except CalwatchError:
        raise
    except (ButlerUserError, ConflictingDefinitionError) as exc:
        raise StopError(f"{root}: {exc}") from exc
    except Exception as exc:
        raise RepositoryError(f"{root}: {cause(exc)}") from exc
    finally:
        butler.close()


def _register_camera(butler: Butler, camera: Camera) -> None:
    instrument: dict[str, Any] = {
        "name": camera.instrument,
        "class_name": _CLASS_NAMES.get(camera.instrument),
        "detector_max": max(det.number for det in camera.detectors) + 1,
        "exposure_max": _EXPOSURE_MAX,
        "visit_max": _EXPOSURE_MAX,
        "visit_system": _VISIT_SYSTEM,
    }
    detectors = [
        {
            "instrument": camera.instrument,
            "id": det.number,
            "full_name": det.name,
            "name_in_raft": det.slot,
            "raft": det.raft,
            "purpose": det.purpose,
        }
        for det in camera.detectors
    ]
    with butler.transaction():
        butler.registry.insertDimensionData("instrument", instrument, skip_existing=True)
        butler.registry.insertDimensionData("detector", *detectors, skip_existing=True)
