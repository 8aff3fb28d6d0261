"""A writer of small raw files in the layout of the mini camera and of the test stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera, Detector

DATA = Path(__file__).parents[1] / "data"

MINI_HEADER = {
    "INSTRUME": "MiniCam",
    "OBSID": "MN_O_20260315_000051",
    "CONTRLLR": "O",
    "DAYOBS": "20260315",
    "SEQNUM": 51,
    "IMGTYPE": "FLAT",
    "TESTTYPE": "FLAT",
    "REASON": "daily_flat",
    "EXPTIME": 5.0,
    "SHUTTIME": 5.02,
    "DARKTIME": 5.3,
    "FILTER": "r_57",
    "RAFTBAY": "R00",
    "CCDSLOT": "S01",
    "CCD_MANU": "ITL",
    "LSST_NUM": "ITL-1",
    "MJD-BEG": 61114.5,
    "MJD-END": 61114.6,
    "SEQFILE": "mini.seq",
}


@pytest.fixture(scope="session")
def mini() -> Camera:
    return load_camera(DATA / "mini.yaml")


@pytest.fixture(scope="session")
def stand() -> Camera:
    return load_camera(DATA / "stand.yaml")


@pytest.fixture(scope="session")
def mini_pixels() -> np.ndarray:
    rng = np.random.default_rng(20260315)
    return rng.normal(25_000, 6, (16, 120, 147)).round().astype(np.int32)


@pytest.fixture(scope="session")
def mini_hdus(mini: Camera, mini_pixels: np.ndarray) -> Callable[..., fits.HDUList]:
    """Return a maker of the HDUs of one raw; ``header`` overrides primary keywords."""

    def make(
        header: Mapping[str, Any] | None = None, tile: tuple[int, int] = (1, 147)
    ) -> fits.HDUList:
        primary = fits.PrimaryHDU()
        for key, value in (MINI_HEADER | dict(header or {})).items():
            primary.header[key] = value
        hdus = fits.HDUList([primary])
        for amp, image in zip(mini.detector(1).amplifiers, mini_pixels, strict=True):
            hdus.append(
                fits.CompImageHDU(image, name=amp.hdu, compression_type="RICE_1", tile_shape=tile)
            )
        condition = fits.BinTableHDU(name="REB_COND")
        condition.header["CCDTEMP"] = -100.5
        condition.header["SEQFILE"] = "not this one"
        condition.header["HIERARCH STUTTER ROWS"] = 0
        hdus.append(condition)
        return hdus

    return make


@pytest.fixture
def mini_raw(tmp_path: Path, mini_hdus: Callable[..., fits.HDUList]) -> Callable[..., Path]:
    """Return a writer of one raw file of the mini camera's detector 1."""

    def write(
        hdus: fits.HDUList | None = None, checksum: bool = True, name: str = "raw.fits"
    ) -> Path:
        path = tmp_path / name
        (hdus or mini_hdus()).writeto(path, checksum=checksum, overwrite=True)
        return path

    return write


@pytest.fixture(scope="session")
def mini_bytes(
    mini_hdus: Callable[..., fits.HDUList], tmp_path_factory: pytest.TempPathFactory
) -> dict[bool, bytes]:
    """Return the content of one good raw file, with and without checksums."""
    path = tmp_path_factory.mktemp("raw") / "raw.fits"
    content = {}
    for checksum in (True, False):
        mini_hdus().writeto(path, checksum=checksum, overwrite=True)
        content[checksum] = path.read_bytes()
    return content


@pytest.fixture(scope="session")
def detector(mini: Camera) -> Detector:
    return mini.detector(1)
