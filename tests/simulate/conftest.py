from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera, Detector
from calwatch.simulate.maps import PixelMaps, make_maps
from calwatch.simulate.model import SimulatedExposure
from calwatch.simulate.truth import DetectorTruth, detector_truth

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def mini_path() -> str:
    return str(DATA / "mini.yaml")


@pytest.fixture(scope="session")
def stand_path() -> str:
    return str(DATA / "stand.yaml")


@pytest.fixture(scope="session")
def camera(mini_path: str) -> Camera:
    return load_camera(mini_path)


@pytest.fixture(scope="session")
def detector(camera: Camera) -> Detector:
    return camera.detector(0)


@pytest.fixture(scope="session")
def truth(detector: Detector) -> DetectorTruth:
    """A detector without cosmic rays, hot or dark columns, so that plain statistics are exact."""
    drawn = detector_truth(detector, 7)
    amps = {
        name: replace(amp, hot_pixels=(), hot_columns=(), dark_columns=())
        for name, amp in drawn.amps.items()
    }
    return replace(drawn, cosmic_rate=0.0, amps=amps)


@pytest.fixture(scope="session")
def maps(detector: Detector, truth: DetectorTruth) -> PixelMaps:
    return make_maps(detector, truth)


@pytest.fixture(scope="session")
def take() -> Callable[..., SimulatedExposure]:
    """Make an exposure of a kind: a bias unless told otherwise."""

    def _take(kind: str = "bias", **changes: Any) -> SimulatedExposure:
        seconds = {"bias": 0.0, "dark": 30.0, "flat": 10.0}[kind]
        seq_num = changes.get("seq_num", 1)
        basis = SimulatedExposure(
            exposure_id=2026030900000 + seq_num,
            obs_id=f"MN_O_20260309_{seq_num:06d}",
            day_obs=20260309,
            seq_num=seq_num,
            observation_type=kind,
            reason=f"daily_{kind}",
            program="BLOCK-T664",
            group="20260309",
            physical_filter="r_57",
            band="r",
            exposure_time=seconds,
            dark_time=seconds + 0.01,
            begin_mjd=61108.8,
            electrons=50_000.0 if kind == "flat" else 0.0,
            session="night 1",
            night=1,
            current=1,
            maximum=3,
        )
        return replace(basis, **changes)

    return _take
