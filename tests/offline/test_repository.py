from __future__ import annotations

from pathlib import Path

import pytest

from calwatch.butler.repository import Repository
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera
from calwatch.errors import RepositoryError, StopError
from calwatch.offline.repository import create_repository, writing


def test_it_registers_the_detectors_as_the_camera_has_them(empty: Path, camera: Camera) -> None:
    with Repository.open(empty) as repository:
        assert repository.instruments() == ("MiniCam",)
        records = repository._butler.query_dimension_records("detector", instrument="MiniCam")
    told = [(rec.id, rec.full_name, rec.raft, rec.name_in_raft, rec.purpose) for rec in records]
    assert told == [
        (det.number, det.name, det.raft, det.slot, det.purpose) for det in camera.detectors
    ]


def test_it_leaves_a_repository_alone_unless_told(root: Path, camera: Camera) -> None:
    with pytest.raises(StopError, match="--add"):
        create_repository(root, camera)
    create_repository(root, camera, add=True)
    latiss = load_camera("LATISS")
    create_repository(root, latiss, add=True)
    with Repository.open(root) as repository:
        assert repository.instruments() == ("LATISS", "MiniCam")
        assert repository.detectors("LATISS") == {0: latiss.detectors[0].name}


def test_what_cannot_be_made_or_opened_is_named(tmp_path: Path, camera: Camera) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(RepositoryError, match=str(blocked)):
        create_repository(blocked / "repo", camera)
    with pytest.raises(RepositoryError, match="nowhere"), writing(tmp_path / "nowhere"):
        pass
