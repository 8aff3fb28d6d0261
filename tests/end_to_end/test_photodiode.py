"""Linearity by the photodiode, from a simulated night in a real Butler to the verdict.

The lamp fades by 5 % along the ramp: by the exposure time nothing can be said of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits

from calwatch.butler.photodiodes import photodiode_run
from calwatch.butler.repository import Repository
from calwatch.service.judge import Judge
from calwatch.service.judge_factory import judge_factory
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.sets_once import ChosenExposures, judge_sets_once
from calwatch.settings import Settings
from calwatch.simulate.plan import SimulationPlan
from calwatch.simulate.repository import simulate
from calwatch.simulate.small import write_small_camera
from calwatch.verify.model import DetectorResult, Verdict

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
PAIRS = 5


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> tuple[Path, Path]:
    """A repository and its camera: one night, a ramp of five pairs as bright as the certified."""
    folder = tmp_path_factory.mktemp("photodiode")
    camera, root = write_small_camera("LSSTCam", folder), folder / "repo"
    plan = SimulationPlan(
        root=str(root), instrument="LSSTCam", camera=str(camera), detectors=("R22_S11",),
        nights=1, seed=3, faults=("lamp_fading:factor=0.994",), biases=0, darks=0, flats=0,
        pairs=PAIRS, calib_biases=6, calib_darks=3, calib_flats=4, ramp_pairs=8,
        second_generation=("bias",), compress=False, processes=1,
    )  # fmt: skip
    simulate(plan)
    return root, camera


@pytest.fixture
def linearity(night, tmp_path) -> Callable[..., DetectorResult]:
    """Judge the night; `spoil` is given the readings of each exposure, the oldest first."""
    root, camera = night

    def judged(
        by: str = "auto", spoil: Callable[[list[Path]], None] | None = None
    ) -> DetectorResult:
        readings = sorted((root / "photodiodes").rglob("*.fits"))
        assert len(readings) == 2 * PAIRS
        kept = tmp_path / "kept"
        kept.mkdir()
        for path in readings:
            shutil.copy(path, kept)
        try:
            if spoil is not None:
                spoil(readings)
            return _linearity(root, camera, by)
        finally:
            for path in readings:
                shutil.copy(kept / path.name, path)
            shutil.rmtree(kept)

    return judged


def _linearity(root: Path, camera: Path, by: str) -> DetectorResult:
    settings = JudgeSettings(camera=str(camera), linearity_by=by)
    judge = Judge(settings)
    wanted = Settings(
        repo=str(root), instruments=("LSSTCam",), look_back_days=None,
        sets={"kinds": ["gain", "linearity"], "linearity_by": by},
    )  # fmt: skip
    with Repository.open(root) as repository:
        records = [
            record
            for record in repository.exposures("LSSTCam")
            if record.observation_reason == "daily_ptc"
        ]
        raws = repository.raws("LSSTCam", [record.exposure_id for record in records])
        found = judge_sets_once(
            ChosenExposures(repository, records, raws),
            judge_factory(settings),
            wanted,
            [],
            lambda jobs: (judge(job) for job in jobs),
        )
        (result,) = [one for one in found if one.calib_type == "linearity"]
    return result


def _verdicts(result: DetectorResult) -> set[Verdict]:
    return {amp.verdict for amp in result.amps.values()}


def test_what_the_photodiode_saw_is_in_the_butler(night) -> None:
    root, _camera = night
    with Repository.open(root) as repository:
        ids = [record.exposure_id for record in repository.exposures("LSSTCam")]
        found = repository.photodiodes("LSSTCam", ids)
        dataset_type = repository._butler.get_dataset_type("photodiode")
    assert set(dataset_type.dimensions.required) == {"instrument", "exposure"}
    assert dataset_type.storageClass_name == "IsrCalib"
    assert len(found) == 2 * PAIRS
    assert {one.run for one in found} == {photodiode_run("LSSTCam")} == {"LSSTCam/calib/photodiode"}
    assert all(one.uri.endswith("_photodiode.fits") for one in found)


def test_a_fading_lamp_is_no_hindrance(linearity) -> None:
    result = linearity()
    assert result.verdict is PASS, result.reason
    light = result.provenance["light"]
    assert (light["by"], light["method"]) == ("photodiode", "TRIMMED_SUM")
    assert len(light["datasets"]) == 2 * PAIRS
    assert result.detector_metrics["LIGHT_BY_PHOTODIODE"] == 1
    assert result.detector_metrics["LIGHT_DRIFT"] > 0.01
    assert any("the photodiode has seen it" in warning for warning in result.warnings)


def test_by_the_exposure_time_nothing_can_be_said(linearity) -> None:
    result = linearity("exposure_time")
    assert _verdicts(result) == {UNKNOWN}
    assert result.provenance["light"] == {
        "by": "exposure_time", "why_not": "linearity_by says exposure_time",
    }  # fmt: skip


def test_auto_takes_the_exposure_time_if_a_reading_is_missing_or_damaged(linearity) -> None:
    def spoil(readings: list[Path]) -> None:
        readings[0].unlink()
        readings[3].write_bytes(b"SIMPLE  =                    T")
        _all_nan(readings[4])

    result = linearity(spoil=spoil)
    assert result.provenance["light"]["by"] == "exposure_time"
    (warning,) = [one for one in result.warnings if "not every exposure has" in one]
    for number, said in ((0, "out of reach"), (3, "damaged"), (4, "readings are numbers")):
        assert f"{number + 1:06d}: " in warning
        assert said in warning


def test_photodiode_leaves_pairs_out_and_too_few_are_unknown(linearity) -> None:
    result = linearity("photodiode", lambda readings: _all_nan(readings[2]))
    assert _verdicts(result) == {UNKNOWN}
    assert "4 pairs below the turnoff with a photodiode, 5 are needed" in result.reason
    assert any("pairs left out of linearity" in warning for warning in result.warnings)


def _all_nan(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["CURRENT"] = float("nan")
