"""A whole small repository: one simulation, read back through the Butler."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calwatch.butler.repository import Repository
from calwatch.calibrations.model import Crosstalk, ImageCalibration, PhotonTransferCurve, Units
from calwatch.calibrations.read import read_calibration
from calwatch.camera.model import Detector
from calwatch.errors import StopError
from calwatch.simulate.live import add_exposures
from calwatch.simulate.plan import SimulationPlan
from calwatch.simulate.repository import PLAN_FILE, TRUTH_FILE, read_truth, simulate
from calwatch.simulate.truth import Truth

TYPES = ("bias", "dark", "flat", "defects", "ptc", "linearizer", "crosstalk", "cti")
FAULTS = (
    "read_noise:amp=C03,factor=1.5,night=2,type=bias",
    "truncated_file:night=1,type=bias,number=1",
    "nan_header:night=1,number=1",
    "missing_calibration:type=dark,night=2",
)


@pytest.fixture(scope="module")
def plan(mini_path: str, tmp_path_factory: pytest.TempPathFactory) -> SimulationPlan:
    return SimulationPlan(
        root=str(tmp_path_factory.mktemp("simulated") / "repo"),
        instrument="MiniCam",
        camera=mini_path,
        detectors=(0,),
        nights=2,
        seed=5,
        faults=FAULTS,
        biases=1,
        darks=1,
        flats=1,
        calib_biases=6,
        calib_darks=3,
        calib_flats=4,
        ramp_pairs=6,
        processes=1,
    )


@pytest.fixture(scope="module")
def stages() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def truth(plan: SimulationPlan, stages: list[tuple[str, int, int]]) -> Truth:
    return simulate(plan, lambda *step: stages.append(step))


@pytest.fixture
def repository(truth: Truth, plan: SimulationPlan) -> Repository:
    return Repository.open(plan.root)


def _uri_path(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def test_the_repository_holds_every_exposure_and_raw(
    truth: Truth, repository: Repository, plan: SimulationPlan
) -> None:
    exposures = repository.exposures("MiniCam")
    assert {e.exposure_id for e in exposures} == {e["exposure_id"] for e in truth.exposures}
    raws = repository.raws("MiniCam", [e.exposure_id for e in exposures])
    assert len(raws) == len(exposures) == 6 + 3 + 4 + 12 + 6 + 3 + 4 + 2 * 3
    first = next(e for e in truth.exposures if e["night"] == 1)
    assert (Path(plan.root) / first["files"]["R00_S00"]).is_file()
    reasons = {e.observation_reason for e in exposures}
    assert {"daily_bias", "build_bias", "build_ptc"} <= reasons


def test_truth_json_lists_the_faults(truth: Truth, plan: SimulationPlan) -> None:
    content = json.loads((Path(plan.root) / TRUTH_FILE).read_text())
    assert read_truth(plan.root).to_dict() == content == json.loads(json.dumps(truth.to_dict()))
    by_kind = {fault["kind"]: fault for fault in truth.faults}
    assert by_kind["read_noise"]["amps"] == {"R00_S00": ["C03"]}
    assert len(by_kind["read_noise"]["exposures"]) == 1
    assert len(by_kind["missing_calibration"]["exposures"]) == 3
    assert set(content["detectors"]["R00_S00"]["amps"]["C00"]) >= {"gain", "read_noise", "a00"}


def test_the_chain_changes_generation_with_the_night(truth: Truth, repository: Repository) -> None:
    daily = {e["night"]: e["exposure_id"] for e in truth.exposures if e["night"]}
    chains = {}
    for night, exposure_id in daily.items():
        (record,) = repository.exposures("MiniCam", exposure_ids=[exposure_id])
        chains[night] = repository.chains(record, TYPES, [0])[0]
    assert set(chains[1].datasets) == set(TYPES)
    assert set(chains[2].datasets) == set(TYPES) - {"dark"}
    assert "dark" in chains[2].missing
    assert chains[1].fingerprint != chains[2].fingerprint
    tickets = {
        kind: [chain.datasets[kind].collection.split("/")[2] for chain in chains.values()]
        for kind in ("bias", "flat", "ptc", "defects")
    }
    assert tickets["bias"] == tickets["flat"] == ["DM-10001", "DM-10002"]
    assert tickets["ptc"] == tickets["defects"] == ["DM-10001", "DM-10001"]


def test_certified_calibrations_agree_with_the_truth(
    truth: Truth, repository: Repository, detector: Detector
) -> None:
    night = next(e["exposure_id"] for e in truth.exposures if e["night"] == 1)
    (record,) = repository.exposures("MiniCam", exposure_ids=[night])
    chain = repository.chains(record, TYPES, [0])[0]
    read = {
        kind: read_calibration(kind, _uri_path(data.uri), detector)
        for kind, data in chain.datasets.items()
    }
    amps = truth.detectors["R00_S00"]["amps"]
    gain = np.array([amps[name]["gain"] for name in detector.amp_names])
    noise = np.array([amps[name]["read_noise"] for name in detector.amp_names])
    ptc = read["ptc"]
    assert isinstance(ptc, PhotonTransferCurve)
    # 6 pairs of about 9000 pixels: 0.6 % in gain; 19 overscan columns add a few % of noise.
    np.testing.assert_allclose(ptc.gain, gain, rtol=0.03)
    np.testing.assert_allclose(ptc.noise, noise, rtol=0.12)
    crosstalk = read["crosstalk"]
    assert isinstance(crosstalk, Crosstalk)
    linear = np.array(truth.detectors["R00_S00"]["crosstalk"])
    assert 0 < np.abs(crosstalk.coefficients - linear).max() < 1e-5
    dark = read["dark"]
    assert isinstance(dark, ImageCalibration)
    current = np.mean([amp["dark_current"] for amp in amps.values()])
    assert np.median(dark.image) == pytest.approx(current, abs=0.01)
    flat = read["flat"]
    assert isinstance(flat, ImageCalibration)
    assert np.median(flat.image) == pytest.approx(1.0, abs=0.02)
    bias = read["bias"]
    assert isinstance(bias, ImageCalibration)
    assert bias.units is Units.ELECTRON


def test_progress_is_told_stage_by_stage(truth: Truth, stages: list[tuple[str, int, int]]) -> None:
    names = list(dict.fromkeys(stage for stage, _, _ in stages))
    assert names == [
        "raws of generation 1",
        "calibrations of generation 1",
        "raws of generation 2",
        "calibrations of generation 2",
        "raws of the nights",
    ]
    assert all(0 <= done <= total for _, done, total in stages)


def test_a_finished_simulation_is_not_overwritten(truth: Truth, plan: SimulationPlan) -> None:
    with pytest.raises(StopError, match="finished simulation"):
        simulate(plan)


def test_an_unfinished_simulation_is_refused(plan: SimulationPlan, tmp_path: Path) -> None:
    (tmp_path / PLAN_FILE).write_text("{}")
    with pytest.raises(StopError, match="did not finish"):
        simulate(replace(plan, root=str(tmp_path)))
    with pytest.raises(StopError, match="not a finished simulation"):
        read_truth(tmp_path)


def test_one_more_night_can_be_added(truth: Truth, plan: SimulationPlan) -> None:
    before = len(read_truth(plan.root).exposures)
    added = add_exposures(
        plan.root, biases=2, darks=0, flats=0, faults=["bias_jump:amp=C10,adu=90"]
    )
    after = read_truth(plan.root)
    assert len(added) == 2
    assert len(after.exposures) == before + 2
    assert {e["night"] for e in after.exposures[-2:]} == {3}
    assert after.faults[-1]["exposures"] == list(added)
    assert after.plan["nights"] == plan.nights
    found = Repository.open(plan.root).exposures("MiniCam", exposure_ids=list(added))
    assert [e.exposure_id for e in found] == list(added)
