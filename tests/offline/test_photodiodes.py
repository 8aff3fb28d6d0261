"""Readings of the photodiode come into a repository, and are found again."""

from __future__ import annotations

import numpy as np
import pytest

from calwatch.butler.repository import Repository
from calwatch.calibrations.model import PhotodiodeReadings
from calwatch.errors import StopError
from calwatch.offline.ingest import ingest_files
from calwatch.offline.photodiodes import PhotodiodeFile, put_photodiodes, write_photodiode


@pytest.fixture
def exposures(root, camera, write_raw):
    """Two exposures, ingested; their ids."""
    ingest_files(root, camera, [write_raw(1), write_raw(2)], "MiniCam/raw/all", "copy")
    with Repository.open(root) as repository:
        return [record.exposure_id for record in repository.exposures("MiniCam")]


@pytest.fixture
def file_of(tmp_path):
    def made(exposure_id: int) -> PhotodiodeFile:
        path = tmp_path / f"{exposure_id}.fits"
        readings = PhotodiodeReadings(np.arange(9.0), np.zeros(9))
        write_photodiode(path, readings, "MiniCam", exposure_id // 100_000, exposure_id % 100_000)
        return PhotodiodeFile(exposure_id, path)

    return made


def test_readings_are_found_by_exposure(root, exposures, file_of):
    with Repository.open(root) as repository:
        assert repository.photodiodes("MiniCam", exposures) == []
    (uuid,) = put_photodiodes(root, "MiniCam", [file_of(exposures[0])])
    with Repository.open(root) as repository:
        (found,) = repository.photodiodes("MiniCam", exposures)
    assert (found.exposure_id, found.uuid, found.run) == (
        exposures[0], uuid, "MiniCam/calib/photodiode",
    )  # fmt: skip
    assert found.uri.startswith("file://")


def test_their_own_run_comes_before_every_other(root, exposures, file_of):
    other = "u/somebody/photodiode"
    put_photodiodes(root, "MiniCam", [file_of(one) for one in exposures], run=other)
    (uuid,) = put_photodiodes(root, "MiniCam", [file_of(exposures[1])])
    with Repository.open(root) as repository:
        first, second = repository.photodiodes("MiniCam", exposures)
    assert (first.run, second.run, second.uuid) == (other, "MiniCam/calib/photodiode", uuid)


def test_wrong_use_is_told_in_words(root, exposures, file_of):
    with pytest.raises(StopError, match="no MiniCam exposure 2026012000099"):
        put_photodiodes(root, "MiniCam", [file_of(2026012000099)])
    put_photodiodes(root, "MiniCam", [file_of(exposures[0])])
    with pytest.raises(StopError, match="already"):
        put_photodiodes(root, "MiniCam", [file_of(exposures[0])])
    file = file_of(exposures[1])
    file.path.unlink()
    with pytest.raises(StopError, match="no such file"):
        put_photodiodes(root, "MiniCam", [file])
