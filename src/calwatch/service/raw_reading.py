"""Reading the raw file of one exposure and detector for a judgement."""

from __future__ import annotations

from dataclasses import replace

from calwatch.arrivals.job import Job
from calwatch.butler.files import local_copy
from calwatch.butler.model import ExposureRecord, RawDataset
from calwatch.camera import header
from calwatch.camera.model import Camera, Detector
from calwatch.camera.raw import RawFile, open_raw
from calwatch.errors import CameraError, ChecksumError, RecordError

FALLBACK_SEED = 12345
"""Dither seed of an exposure whose header has no number, as IsrTaskLSST takes it."""


def detector_of(job: Job, camera: Camera) -> Detector:
    """Return the job's detector.

    Raises
    ------
    RecordError
        If the camera lacks it: it cannot be judged.
    """
    try:
        return camera.detector(job.detector)
    except CameraError as error:
        raise RecordError(f"{file_name(job.raw)}: {error}") from error


def file_name(raw: RawDataset) -> str:
    """Return the name of a raw file, as all that is said of its content gives it."""
    return raw.uri.rsplit("/", 1)[-1]


def read_raw(raw: RawDataset, camera: Camera, detector: Detector) -> tuple[RawFile, str]:
    """Read a raw file; if only its checksums are wrong, return what it holds and say so.

    Raises
    ------
    RecordError
        If it cannot be read.
    UnreachableFileError
        If it cannot be fetched.
    """
    with local_copy(raw.uri) as path:
        try:
            return open_raw(path, camera, detector), ""
        except ChecksumError as error:
            try:
                found = open_raw(path, camera, detector, checksums=False)
                return replace(found, pixels=found.frame().pixels), str(error)
            except RecordError as further:
                raise RecordError(f"{error}; {further}") from further


def check_exposure(facts: header.HeaderFacts, exposure: ExposureRecord, raw: RawDataset) -> None:
    """Refuse a file that holds another exposure than the Butler says.

    Raises
    ------
    RecordError
        If it does.
    """
    if facts.obs_id and exposure.obs_id and facts.obs_id != exposure.obs_id:
        raise RecordError(
            f"{file_name(raw)}: holds exposure {facts.obs_id}, the Butler says {exposure.obs_id}"
        )


def dither_seed(facts: header.HeaderFacts, detector: int) -> int:
    """Return the seed of the dither of one exposure and detector."""
    if facts.day_obs is None or facts.seq_num is None:
        return FALLBACK_SEED
    packed = header.detector_exposure_id(facts.day_obs, facts.seq_num, facts.controller, detector)
    return packed & 0xFFFFFFFF
