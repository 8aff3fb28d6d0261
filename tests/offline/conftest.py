"""An empty repository of the mini camera, and raw files that are just headers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera
from calwatch.offline.repository import create_repository


@pytest.fixture(scope="session")
def camera() -> Camera:
    return load_camera(Path(__file__).parents[1] / "data" / "mini.yaml")


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory, camera: Camera) -> Path:
    root = tmp_path_factory.mktemp("empty") / "repo"
    create_repository(root, camera)
    return root


@pytest.fixture
def root(empty: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    copy = tmp_path / "repo"
    shutil.copytree(empty, copy)
    return copy


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    path = tmp_path / "calibration.fits"
    path.write_bytes(b"what a calibration holds is not looked at")
    return path


@pytest.fixture
def write_raw(camera: Camera, tmp_path: Path) -> Callable[..., Path]:
    """Write the primary header of a raw file: all that ingest reads."""

    def write(seq_num: int, detector: int = 0, **other: object) -> Path:
        det = camera.detectors[detector]
        obs_id = f"MN_O_20260120_{seq_num:06d}"
        keywords = {
            "INSTRUME": "MiniCam",
            "OBSID": obs_id,
            "CONTRLLR": "O",
            "DAYOBS": "20260120",
            "SEQNUM": seq_num,
            "IMGTYPE": "DARK",
            "EXPTIME": 30.0,
            "DARKTIME": 31.0,
            "FILTER": "r_57",
            "PROGRAM": "BLOCK-T1",
            "REASON": "daily_dark",
            "GROUPID": "group 1",
            "CURINDEX": 3,
            "MAXINDEX": 5,
            "MJD-BEG": 61060.5,
            "MJD-END": 61060.5 + 31.0 / 86400.0,
            "RAFTBAY": det.raft,
            "CCDSLOT": det.slot,
            **other,
        }
        header = fits.Header({key: value for key, value in keywords.items() if value is not None})
        path = tmp_path / f"{obs_id}_{det.name}.fits"
        fits.PrimaryHDU(header=header).writeto(path)
        return path

    return write
