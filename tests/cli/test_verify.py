"""The real command on the simulated repository: exit codes, contract, and wrong use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from calwatch.cli.main import COMMANDS, cli
from calwatch.cli.main import main as entry

CONTRACT = {
    "instrument": str,
    "exposure": int,
    "detector": int,
    "calib_type": str,
    "verdict": str,
    "reason": str,
    "amps": dict,
    "detector_tests": dict,
    "provenance": dict,
    "algorithm": str,
    "limits": str,
}
"""Fields of one object of ``--json`` that other programs rely on."""


@pytest.fixture
def calwatch(nights, capsys, monkeypatch):
    """Run the command as the console script does; return (exit code, output, errors)."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["calwatch", *words])
        with pytest.raises(SystemExit) as end:
            entry()
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return int(end.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def verify(calwatch, nights):
    def call(*words: str, root: Path | None = None) -> tuple[int, str, str]:
        place = [str(root or nights.root), "-I", "MiniCam", "--camera", nights.camera_file]
        return calwatch("verify", *place, *words)

    return call


def number(nights, *which) -> str:
    return str(nights.jobs[which].exposure.exposure_id)


def refuses_nan(text: str):
    raise AssertionError(f"{text} is no JSON")


def test_json_follows_the_contract(nights, verify) -> None:
    ids = [number(nights, 1, "bias", 1), number(nights, 3, "bias", 1), number(nights, 3, "bias", 7)]
    code, out, _ = verify("--json", *(w for i in ids for w in ("--exposure", i)))
    assert code == 1
    found = [json.loads(line, parse_constant=refuses_nan) for line in out.splitlines()]
    assert [str(result["exposure"]) for result in found] == ids
    assert [result["verdict"] for result in found] == ["PASS", "FAIL", "UNKNOWN"]
    for result in found:
        assert {k: type(result[k]) for k in CONTRACT} == CONTRACT
        assert set(result["provenance"]) >= {"chain", "fingerprint", "collection", "raw"}
    amps = found[0]["amps"]
    assert list(amps) == list(nights.detector.amp_names)
    assert isinstance(amps["C00"]["metrics"]["MEAN"], float)
    mean = amps["C00"]["tests"]["MEAN"]
    assert mean["verdict"] == "PASS"
    assert mean["value"] == amps["C00"]["metrics"]["MEAN"]
    assert mean["limit"][0] < 0 < mean["limit"][1]
    assert set(found[0]["provenance"]["chain"]["bias"]) >= {"uuid", "run", "collection"}
    assert found[2]["amps"] == {}


def test_the_same_command_says_the_same_to_the_last_digit(nights, verify) -> None:
    words = ("--json", "-e", number(nights, 1, "dark", 2), "-e", number(nights, 1, "flat", 2))
    assert verify(*words) == verify(*words, "--detector", "R00_S00")


def test_a_pass_ends_with_0_and_an_unknown_too(nights, verify) -> None:
    words = ("-e", number(nights, 1, "bias", 1), "-e", number(nights, 2, "dark", 1))
    code, out, _ = verify(*words)
    assert code == 0
    assert "1 PASS, 0 FAIL, 1 UNKNOWN of 2" in out
    assert "no usable dark" in out


def test_the_reference_engine_can_be_asked(nights, verify) -> None:
    code, out, _ = verify("--engine", "reference", "-e", number(nights, 1, "bias", 1))
    assert code == 0
    assert "1 PASS" in out


def test_judged_as_another_type(nights, verify) -> None:
    code, out, _ = verify("-e", number(nights, 1, "bias", 1), "--as", "dark", "--json")
    assert json.loads(out)["calib_type"] == "dark"
    assert code in (0, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--exposure", "7"], "no exposure of MiniCam matches"),
        (["--where", "exposure.day_obs ="], "exposure.day_obs ="),
        (["--where", "exposure.colour = 3"], "colour"),
        (["--detector", "77"], "no detector 77"),
        (["--detector", "R22_S11"], "R22_S11"),
        (["--detector", "1"], "no raw file"),
        (["--limits", "mine"], "mine"),
        (["--limits", "/nowhere/limits.yaml"], "/nowhere/limits.yaml"),
        (["--collection", "MiniCam/none"], "MiniCam/none"),
        (["--camera", "/nowhere/camera.yaml"], "/nowhere/camera.yaml"),
        (["--instrument", "HSC"], "HSC"),
        (["--as", "cwfs"], "cwfs"),
        (["--exposure", "one"], "one"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_use_is_2_and_says_what(verify, words: list[str], said: str) -> None:
    code, out, err = verify(*words)
    assert code == 2, err
    assert said in err
    assert out == ""


def test_sets_that_are_named_are_judged_with_what_they_are_made_of(nights, verify) -> None:
    flats = [number(nights, 1, "flat", n) for n in (1, 2)]
    chosen = [word for flat in flats for word in ("-e", flat)]

    def kinds(*words: str) -> list[tuple[str, str]]:
        code, out, _ = verify("--json", *chosen, *words)
        assert code in (0, 1)
        found = [json.loads(line) for line in out.splitlines()]
        return [(r["calib_type"], r["reason"]) for r in found if "members" in r["provenance"]]

    # Nothing says that these flats have sources: it is asked of them only if it is named.
    assert {kind for kind, _ in kinds("--sets")} == {"gain", "cti"}
    assert {kind for kind, _ in kinds("--kinds", "ptc")} == {"gain"}
    [(kind, reason)] = kinds("--kinds", "Crosstalk")
    assert kind == "crosstalk"
    assert "bright feature" in reason
    code, _, said = verify(*chosen, "--kinds", "gain,fringes")
    assert code == 2
    assert "fringes" in said


def test_an_instrument_of_the_butler_without_a_camera(nights, calwatch) -> None:
    code, _, err = calwatch("verify", str(nights.root), "-I", "MiniCam")
    assert code == 2
    assert "unknown instrument 'MiniCam'" in err
    assert "LATISS" in err


BAD_LIMITS = """\
profile: mine
version: 1
description: x
tests:
  - {name: MEAN, calib_types: [bias], level: amp, metric: MEEN, unit: e-, form: absolute,
     side: both, limits: [{serious: soon}]}
  - {name: NOISE, calib_types: [bias], level: amp, metric: NOISE, unit: e-, form: sideways,
     side: both, limits: [{serious: 1}]}
"""


def test_malformed_limits_name_every_problem(verify, tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text(BAD_LIMITS)
    code, _, err = verify("--limits", str(path))
    assert code == 2
    for word in (str(path), "MEAN", "serious", "NOISE", "form"):
        assert word in err
    path.write_text("tests: [")
    assert verify("--limits", str(path))[0] == 2


def test_a_malformed_camera_names_every_problem(nights, verify, tmp_path: Path) -> None:
    text = Path(nights.camera_file).read_text()
    path = tmp_path / "camera.yaml"
    path.write_text(text.replace("gain: 1.5", "gain: lots").replace("tile: [147, 1]", "tile: big"))
    code, _, err = verify("--camera", str(path))
    assert code == 2
    for word in (str(path), "gain", "tile"):
        assert word in err


@pytest.mark.parametrize("spoil", ["absent", "no-repository", "no-registry", "damaged-registry"])
def test_a_repository_out_of_reach_is_3(nights, verify, tmp_path: Path, spoil: str) -> None:
    root = tmp_path / "none"
    if spoil == "no-repository":
        root.mkdir()
    elif spoil in ("no-registry", "damaged-registry"):
        root = nights.registry(tmp_path)
        (root / "gen3.sqlite3").unlink()
        if spoil == "damaged-registry":
            (root / "gen3.sqlite3").write_bytes(b"no database" * 1000)
    code, _, err = verify(root=root)
    assert code == 3, err
    assert str(root) in err


def test_what_is_missing_from_disk_is_unknown_and_the_rest_is_judged(
    nights, verify, tmp_path: Path
) -> None:
    root = nights.registry(tmp_path)
    biases = list(root.rglob("bias/**/*.fits")) or list(root.rglob("*bias*.fits"))
    assert biases
    for path in biases:
        path.unlink()
    words = ("-e", number(nights, 1, "bias", 1), "-e", number(nights, 3, "bias", 6), "--json")
    code, out, _ = verify(*words, root=root)
    found = [json.loads(line) for line in out.splitlines()]
    assert [result["verdict"] for result in found] == ["UNKNOWN", "FAIL"]
    assert code == 1
    for result in found:
        assert "no usable bias" in result["reason"]
        assert "No such file" in result["reason"]
        assert str(root) in result["reason"]


# What every command has in common.


def _commands(group: click.Group, words: tuple[str, ...]):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*words, name)
        if isinstance(command, click.Group):
            yield from _commands(command, (*words, name))


@pytest.mark.parametrize("words", [(), *_commands(cli, ())], ids=" ".join)
def test_help_has_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*words, "--help"], prog_name="calwatch")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"calwatch {' '.join(words)}" in " ".join(result.output.split())


def test_unknown_command_is_2(calwatch) -> None:
    assert calwatch("frobnicate")[0] == 2
    assert set(COMMANDS) >= {"chain", "demo", "limits", "run", "simulate", "verify"}


def test_help_of_the_root_loads_nothing_heavy() -> None:
    code = (
        "import sys; from calwatch.cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "heavy = {'lsst', 'astropy', 'numpy', 'numba', 'sqlalchemy'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_console_script_in_several_processes(nights) -> None:
    script = shutil.which("calwatch", path=str(Path(sys.executable).parent))
    assert script
    words = [script, "verify", str(nights.root), "-I", "MiniCam", "--camera", nights.camera_file]
    chosen = [w for n in (1, 2) for w in ("-e", number(nights, 1, "bias", n))]
    done = subprocess.run(
        [*words, *chosen, "--processes", "2"],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2 PASS, 0 FAIL, 0 UNKNOWN" in done.stdout


OBSERVATORY = Path(__file__).parents[3] / "shared" / "data" / "latiss-repo"
"""A repository written by the observatory's own software; its pixels are blanked."""


@pytest.mark.parametrize("repo", [OBSERVATORY] if OBSERVATORY.is_dir() else [])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), ("observation type 'unknown'", "DATASUM", "all raw pixels are 0")),
        (("--as", "bias"), ("DATASUM", "all raw pixels are 0", "no ptc", "no linearizer")),
    ],
)
def test_the_observatory_s_own_repository(capsys, monkeypatch, repo: Path, words, said) -> None:
    line = ["calwatch", "verify", str(repo), "--instrument", "LATISS", *words, "--json"]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as end:
        entry()
    assert not end.value.code
    result = json.loads(capsys.readouterr().out)
    assert result["verdict"] == "UNKNOWN"
    for reason in said:
        assert reason in result["reason"]
    assert set(result["provenance"]["chain"]) == ({"bias", "defects"} if words else set())
