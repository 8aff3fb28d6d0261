from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calwatch.simulate.plan import Setup, SimulationPlan, night_exposures, set_up
from calwatch.simulate.production import make_raws


@pytest.fixture
def setup(mini_path: str, tmp_path: Path) -> Setup:
    plan = SimulationPlan(
        root=str(tmp_path / "one"),
        instrument="MiniCam",
        camera=mini_path,
        faults=("wrong_sequencer:type=dark",),
        processes=1,
    )
    return set_up(plan)


def _image(path: Path) -> np.ndarray:
    with fits.open(path) as hdus:
        return np.stack([hdu.data for hdu in hdus[1:17]])


def test_raws_stand_by_day_and_exposure_and_do_not_depend_on_processes(
    setup: Setup, tmp_path: Path
) -> None:
    exposures = night_exposures(setup, 1)
    counted: list[int] = []
    paths = make_raws(setup, exposures, counted.append)
    assert sum(counted) == len(paths) == 2 * len(exposures)
    first = exposures[0]
    assert paths[0].relative_to(setup.root).as_posix() == (
        f"raws/20260309/{first.obs_id}/{first.obs_id}_R00_S00.fits"
    )
    assert all(path.is_file() for path in paths)
    plan = replace(setup.plan, root=str(tmp_path / "two"), processes=2)
    again = make_raws(set_up(plan), exposures[-1:])
    assert np.array_equal(_image(again[1]), _image(paths[-1]))


def test_faults_reach_their_files_only(setup: Setup) -> None:
    exposures = night_exposures(setup, 1)
    chosen = [exposures[0], exposures[setup.plan.biases]]
    bias, _, dark, _ = (fits.getheader(path)["SEQNAME"] for path in make_raws(setup, chosen))
    assert bias != "FP_TEST_v1.seq"
    assert dark == "FP_TEST_v1.seq"
