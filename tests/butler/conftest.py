"""A small repository with two generations of calibrations, made by the offline tools."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera
from calwatch.offline.certify import certify
from calwatch.offline.chain import prepend, set_chain
from calwatch.offline.datasets import CalibrationFile, put_calibrations
from calwatch.offline.ingest import ingest_raws
from calwatch.offline.repository import create_repository

BASE = "MiniCam/calib/DM-1/mini"


@pytest.fixture(scope="session")
def camera() -> Camera:
    return load_camera(Path(__file__).parents[1] / "data" / "mini.yaml")


@pytest.fixture(scope="session")
def write_raw(camera: Camera) -> Callable[..., Path]:
    """Write the primary header of a raw file: all that ingest reads."""

    def write(
        folder: Path, seq_num: int, detector: int, imgtype: str, mjd: float, **other: object
    ) -> Path:
        det = camera.detectors[detector]
        obs_id = f"MN_O_20260120_{seq_num:06d}"
        keywords = {
            "INSTRUME": "MiniCam",
            "OBSID": obs_id,
            "CONTRLLR": "O",
            "DAYOBS": "20260120",
            "SEQNUM": seq_num,
            "IMGTYPE": imgtype,
            "EXPTIME": 0.0 if imgtype == "BIAS" else 30.0,
            "DARKTIME": 0.0 if imgtype == "BIAS" else 31.0,
            "FILTER": "r_57",
            "PROGRAM": "BLOCK-T1",
            "REASON": "daily",
            "MJD-BEG": mjd,
            "MJD-END": mjd if imgtype == "BIAS" else mjd + 31.0 / 86400.0,
            "RAFTBAY": det.raft,
            "CCDSLOT": det.slot,
            **other,
        }
        header = fits.Header({key: value for key, value in keywords.items() if value is not None})
        path = folder / f"{obs_id}_{det.name}.fits"
        fits.PrimaryHDU(header=header).writeto(path)
        return path

    return write


@pytest.fixture(scope="session")
def template(
    tmp_path_factory: pytest.TempPathFactory, camera: Camera, write_raw: Callable[..., Path]
) -> Path:
    """Make the repository once; tests that write take a copy.

    Exposures: 1 bias, 2 dark, 3 flat on MJD 61060.0 (2026-01-20), 4 bias thirty days later.
    """
    folder = tmp_path_factory.mktemp("template")
    root = folder / "repo"
    create_repository(root, camera)
    types = ("BIAS", "DARK", "FLAT")
    raws = [
        write_raw(folder, seq_num, number, imgtype, 61060.0 + seq_num / 1000)
        for seq_num, imgtype in enumerate(types, 1)
        for number in (0, 1)
    ]
    raws += [write_raw(folder, 4, number, "BIAS", 61090.0) for number in (0, 1)]
    ingest_raws(root, camera, raws)
    file = folder / "calibration.fits"
    fits.PrimaryHDU().writeto(file)
    both = (0, 1)
    _make(root, file, "bias", "20260101a", None, None, both)
    _make(root, file, "bias", "20260201a", "2026-02-01", None, both)
    _make(root, file, "dark", "20260101a", None, "2026-01-25", both)
    _make(root, file, "flat", "20260101a", "2026-01-01", None, both)
    _make(root, file, "defects", "20260101a", None, None, (0,))
    set_chain(root, "MiniCam/calib", ["MiniCam/calib/DM-1"])
    return root


def _make(
    root: Path,
    file: Path,
    calib_type: str,
    rerun: str,
    begin: str | None,
    end: str | None,
    detectors: tuple[int, ...],
) -> None:
    run, certified = f"{BASE}/{calib_type}Gen.{rerun}", f"{BASE}/{calib_type}.{rerun}"
    physical_filter = "r_57" if calib_type == "flat" else ""
    files = [CalibrationFile(calib_type, n, file, physical_filter, "r") for n in detectors]
    put_calibrations(root, run, files)
    certify(root, run, calib_type, certified, begin, end)
    prepend(root, "MiniCam/calib/DM-1", [certified])


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """A copy of the repository that a test may change."""
    copy = tmp_path / "repo"
    shutil.copytree(template, copy)
    return copy
