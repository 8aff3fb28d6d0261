from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from calwatch.cli.simulate import simulate
from calwatch.errors import StopError
from calwatch.simulate.faults import KINDS
from calwatch.simulate.plan import SimulationPlan
from calwatch.simulate.truth import Truth


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[SimulationPlan]:
    """Keep the plan instead of simulating it."""
    plans: list[SimulationPlan] = []

    def keep(plan: SimulationPlan, progress: Any = None) -> Truth:
        plans.append(plan)
        if progress:
            progress("raws", 1, 2)
        return Truth(
            instrument=plan.instrument,
            camera=plan.instrument,
            seed=plan.seed,
            flat_rates={},
            detectors={"R22_S11": {}},
            exposures=[{"night": 0}, {"night": 1}],
            faults=[{"spec": spec, "exposures": [1, 2]} for spec in plan.faults],
        )

    monkeypatch.setattr("calwatch.simulate.repository.simulate", keep)
    return plans


def test_help_names_every_fault_and_gives_an_example() -> None:
    result = CliRunner().invoke(simulate, ["--help"])
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert all(kind in result.output for kind in KINDS)


def test_options_make_the_plan(asked: list[SimulationPlan], tmp_path: Path) -> None:
    words = (
        "--instrument LSSTCam --detectors 94,R22_S12 --nights 3 --seed 9 --biases 5 "
        "--filters i_39,r_57 --calib-biases 16 --processes 1 "
        "--fault read_noise:amp=R22_S11/C03,factor=1.3 --fault lamp_off"
    )
    result = CliRunner().invoke(simulate, [str(tmp_path), *words.split()])
    assert result.exit_code == 0, result.output
    (plan,) = asked
    assert plan.detectors == (94, "R22_S12")
    assert plan.filters == ("i_39", "r_57")
    assert plan.photodiode
    assert plan.faults == ("read_noise:amp=R22_S11/C03,factor=1.3", "lamp_off")
    assert (plan.nights, plan.seed, plan.biases, plan.calib_biases) == (3, 9, 5, 16)
    assert "2 exposures of 1 detectors, 1 of them daily" in result.output
    assert "lamp_off: 2 exposures" in result.output


def test_all_detectors(asked: list[SimulationPlan], tmp_path: Path) -> None:
    words = ["--instrument", "LSSTCam", "--detectors", "all", "--json"]
    result = CliRunner().invoke(simulate, [str(tmp_path), *words])
    assert asked[0].detectors == tuple(range(205))
    assert json.loads(result.output)["daily"] == 1


def test_a_bad_fault_stops_before_anything_is_written(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    words = ["--instrument", "LATISS", "--fault", "ghost"]
    result = CliRunner().invoke(simulate, [str(root), *words])
    assert isinstance(result.exception, StopError)
    assert "ghost" in str(result.exception)
    assert not root.exists()


def test_a_stage_that_ends_is_one_line_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def make(plan: SimulationPlan, progress: Any) -> Truth:
        for done in range(4):
            progress("raws", done, 3)
        progress("never finished", 1, 9)
        return Truth(instrument="LATISS", camera="LATISS", seed=1, flat_rates={})

    monkeypatch.setattr("calwatch.simulate.repository.simulate", make)
    result = CliRunner().invoke(simulate, [str(tmp_path), "--instrument", "LATISS"])
    assert result.exit_code == 0, result.output
    assert result.output.count("raws: 3 in 0 s") == 1
    assert "never finished" not in result.output
