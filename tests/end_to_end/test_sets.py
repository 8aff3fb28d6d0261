"""Faults of pairs, sequences and sets of a day are found where they were put in, from real files.

Two nights of a small camera go through the Butler, the ISR, the ledger and the judge as the command
line takes them; the second has one fault of each kind that shows in sets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml

from calwatch.arrivals.job import Job
from calwatch.butler.repository import Repository
from calwatch.camera.loader import load_camera
from calwatch.isr.switches import needed_calibrations
from calwatch.service.judge import Judge
from calwatch.service.judge_factory import judge_factory
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.sets_once import ChosenExposures, judge_sets_once
from calwatch.settings import Settings
from calwatch.simulate.plan import DAILY_PROGRAM, SimulationPlan
from calwatch.simulate.repository import simulate
from calwatch.verify.model import DetectorResult, Verdict

MINI = Path(__file__).parents[1] / "data" / "mini.yaml"
COLUMNS, ROWS = 240, 150
"""So many that the gain of a pair is known to 1 %."""
PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
GAIN_STEP, CHARGE_LOSS, HOT, GHOSTS = "C14", "C11", "C05", "C02"
FAULTS = (
    "lamp_drift:factor=1.1,night=2,number=4",
    f"hot_pixels:amp={HOT},count=400,night=2",
    f"charge_loss:amp={CHARGE_LOSS},night=2",
    f"gain_step:amp={GAIN_STEP},factor=1.12,night=2,type=flat",
    f"more_crosstalk:amp={GHOSTS},coefficient=1e-3,night=2",
)
DRIFTED = 16
"""Number of the pair whose second flat has more light: 6 biases, 6 darks, the fourth flat."""


def _camera(folder: Path) -> Path:
    """Write the small camera with a few more pixels."""
    content = yaml.safe_load(MINI.read_text(encoding="utf-8"))
    layout = content["layouts"]["ITL"]
    for amp in layout["amplifiers"]:
        amp["at"] = [amp["at"][0] // 120 * COLUMNS, amp["at"][1] // 100 * ROWS]
    layout |= {
        "detector": [8 * COLUMNS, 2 * ROWS],
        "raw": [3 + COLUMNS + 24, ROWS + 20],
        "data": [3, 0, COLUMNS, ROWS],
        "serial_overscan": [3 + COLUMNS, 0, 24, ROWS + 20],
        "parallel_overscan": [3, ROWS, COLUMNS, 20],
    }
    content["raw"]["tile"] = [layout["raw"][0], 1]
    path = folder / "mini.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Mapping[int, list[DetectorResult]]:
    """All sets of both nights, by night."""
    folder = tmp_path_factory.mktemp("sets")
    camera, root = _camera(folder), folder / "repo"
    plan = SimulationPlan(
        root=str(root), instrument="MiniCam", camera=str(camera), detectors=(0,), nights=2,
        seed=5, faults=FAULTS, biases=6, darks=6, flats=6, pairs=6, spots=4, calib_biases=12,
        calib_darks=8, calib_flats=10, ramp_pairs=8, second_generation=("bias",),
        compress=False, processes=1,
    )  # fmt: skip
    simulate(plan)
    settings = JudgeSettings(camera=str(camera))
    judge, needed = Judge(settings), needed_calibrations(load_camera(camera), "bias")
    with Repository.open(root) as repository:
        records = repository.exposures(
            "MiniCam", where=f"exposure.science_program = '{DAILY_PROGRAM}'"
        )
        raws = repository.raws("MiniCam", [record.exposure_id for record in records])
        # The stability of the biases is of their own judgements; all other sets read pixels.
        singles = [
            (record, judge(Job(record, "bias", 0, raw, repository.chains(record, needed, [0])[0])))
            for record, raw in zip(records, raws, strict=True)
            if record.observation_type == "bias"
        ]
        found = list(
            judge_sets_once(
                ChosenExposures(repository, records, raws),
                judge_factory(settings),
                Settings(repo=str(root), instruments=("MiniCam",), look_back_days=None),
                singles,
                lambda jobs: (judge(job) for job in jobs),
            )
        )
    days = sorted({record.day_obs for record in records})
    return {
        night: [result for result in found if result.exposure_id // 100_000 == day]
        for night, day in enumerate(days, start=1)
    }


def _failed(results: list[DetectorResult]) -> dict[str, set[str]]:
    """Return the tests that failed or warned of, by type and name, each with its amplifiers."""
    found: dict[str, set[str]] = defaultdict(set)
    for result in results:
        for name, amp in result.amps.items():
            for test, one in amp.tests.items():
                if one.counts and (one.verdict is FAIL or one.severity == "SERIOUS"):
                    found[f"{result.calib_type} {test}"].add(name)
    return dict(found)


def _of(results: list[DetectorResult], kind: str) -> list[DetectorResult]:
    return [result for result in results if result.calib_type == kind]


def test_every_kind_of_set_is_judged_once(sets) -> None:
    wanted = {
        "gain": 9, "cti": 9, "ptc": 1, "linearity": 1, "defects": 2, "crosstalk": 1,
        "dark_stack": 1, "bias_stability": 1,
    }  # fmt: skip
    for results in sets.values():
        assert {kind: len(_of(results, kind)) for kind in wanted} == wanted
        assert len(results) == sum(wanted.values())
        (curve,) = _of(results, "ptc")
        assert len(curve.provenance["members"]) == 12


def test_a_night_without_a_fault_passes(sets) -> None:
    wrong = {
        (result.calib_type, result.exposure_id): result.reason
        for result in sets[1]
        if result.verdict is not PASS
    }
    assert wrong == {}
    (crosstalk,) = _of(sets[1], "crosstalk")
    assert len(crosstalk.provenance["members"]) == 4


def test_each_fault_is_found_where_it_is_and_nowhere_else(sets) -> None:
    failed = _failed(sets[2])
    # Every other amplifier has a ghost of it.
    (everywhere,) = _of(sets[2], "crosstalk")
    ghosts = failed.pop("crosstalk CROSSTALK_RESIDUAL")
    assert GHOSTS in ghosts
    matrix = everywhere.arrays["crosstalk_residual"]
    source = list(everywhere.amps).index(GHOSTS)
    others = np.delete(np.arange(len(matrix)), source)
    assert abs(np.mean(matrix[source, others]) - 1e-3) < 1e-4
    assert np.max(np.abs(matrix[np.ix_(others, others)][~np.eye(len(others), dtype=bool)])) < 5e-4
    assert failed == {
        "gain PAIR_GAIN": {GAIN_STEP},
        "gain BOUNDARY_GAIN": {GAIN_STEP},
        "ptc PTC_GAIN": {GAIN_STEP},
        "cti SERIAL_CTI": {CHARGE_LOSS},
        "defects NEW_BRIGHT_PIXELS": {HOT},
    }


def test_every_pair_shows_its_faults(sets) -> None:
    pairs = [result for result in _of(sets[2], "gain") if result.exposure_id % 100 != DRIFTED]
    assert len(pairs) == 8
    for result in pairs:
        assert result.amps[GAIN_STEP].tests["PAIR_GAIN"].verdict is FAIL, result.reason
    for result in _of(sets[2], "cti"):
        assert result.amps[CHARGE_LOSS].tests["SERIAL_CTI"].verdict is FAIL, result.reason


def test_a_lamp_that_drifted_makes_no_pair(sets) -> None:
    unknown = [result for result in _of(sets[2], "gain") if result.verdict is UNKNOWN]
    assert [result.exposure_id % 100 for result in unknown] == [DRIFTED]
    assert "no pair: its halves differ by 9.5" in unknown[0].reason
    # Charge transfer is of each flat alone.
    (other,) = [r for r in _of(sets[2], "cti") if r.exposure_id % 100 == DRIFTED]
    assert other.verdict is FAIL


def test_what_has_no_fault_passes_in_the_second_night_too(sets) -> None:
    for kind in ("linearity", "dark_stack", "bias_stability"):
        (result,) = _of(sets[2], kind)
        assert result.verdict is PASS, result.reason
