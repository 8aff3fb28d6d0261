"""A camera that is not Rubin's, one uncompressed HDU for all, from raws to verdicts."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from calwatch.cli.verify import verify
from calwatch.simulate.plan import SimulationPlan
from calwatch.simulate.repository import simulate


def test_a_test_stand_is_simulated_and_judged(stand_path: str, tmp_path: Path) -> None:
    root = tmp_path / "stand"
    simulate(
        SimulationPlan(
            root=str(root),
            instrument="TestStand",
            camera=stand_path,
            nights=1,
            biases=1,
            darks=1,
            flats=1,
            calib_biases=8,
            calib_darks=4,
            calib_flats=8,
            ramp_pairs=6,
            second_generation=("bias",),
            processes=1,
        )
    )
    words = ["-I", "TestStand", "--camera", stand_path, "--where", "exposure.day_obs > 20260308"]
    result = CliRunner().invoke(verify, [str(root), *words, "--json"])
    assert result.exit_code in (0, 1), result.output
    judged = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["calib_type"] for one in judged] == ["bias", "dark", "flat"]
    for one in judged:
        assert set(one["amps"]) == {"LL", "LR", "UR", "UL"}
        # So small an overscan makes noise uncertain; levels must hold all the same.
        for amp in one["amps"].values():
            for name in ("MEAN", "LEVEL", "RELATIVE_LEVEL", "SATURATION", "OVERSCAN_LEVEL"):
                if name in amp["tests"]:
                    assert amp["tests"][name]["verdict"] == "PASS", (one["calib_type"], name)
