from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from calwatch.camera.loader import load_camera
from calwatch.cli.chain import chain
from calwatch.errors import RepositoryError, StopError
from calwatch.offline.certify import certify
from calwatch.offline.chain import prepend
from calwatch.offline.datasets import CalibrationFile, put_calibrations
from calwatch.offline.repository import create_repository

BASE = "MiniCam/calib/DM-1/mini"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Biases of two generations for both detectors."""
    folder = tmp_path_factory.mktemp("chain")
    root = folder / "repo"
    create_repository(root, load_camera(Path(__file__).parents[1] / "data" / "mini.yaml"))
    file = folder / "bias.fits"
    file.write_bytes(b"")
    for rerun, begin in (("20260101a", "2026-01-01"), ("20260201a", "2026-02-01")):
        run, certified = f"{BASE}/biasGen.{rerun}", f"{BASE}/bias.{rerun}"
        put_calibrations(root, run, [CalibrationFile("bias", number, file) for number in (0, 1)])
        certify(root, run, "bias", certified, begin)
        prepend(root, "MiniCam/calib", [certified])
    return root


def say(*args: str | Path) -> str:
    result = CliRunner().invoke(chain, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


def test_it_says_what_is_used_and_why_the_others_are_not(root: Path) -> None:
    said = say(root, "-I", "MiniCam", "--at", "2026-03-01", "-t", "bias", "-t", "dark")
    assert "bias, detectors 0-1:\n  USED " + f"{BASE}/bias.20260201a" in said
    assert f"{BASE}/bias.20260101a, valid [2026-01-01T00:00:00, open) TAI: valid, but later" in said
    assert "NONE: no dark" in said


def test_time_decides(root: Path) -> None:
    said = say(root, "-I", "MiniCam", "--at", "2026-01-15", "-t", "bias", "-d", "1")
    assert f"USED {BASE}/bias.20260101a" in said
    assert f"{BASE}/bias.20260201a, valid [2026-02-01T00:00:00, open) TAI: not valid at" in said
    assert "NONE: 2 biases certified" in say(
        root, "-I", "MiniCam", "--at", "2025-01-15", "-t", "bias"
    )


def test_json_is_one_object_a_detector(root: Path) -> None:
    lines = say(root, "-I", "MiniCam", "--at", "2026-03-01", "-t", "bias", "--json").splitlines()
    first, second = (json.loads(line) for line in lines)
    assert (first["detector"], second["detector"]) == (0, 1)
    assert first["datasets"]["bias"]["collection"] == f"{BASE}/bias.20260201a"
    assert first["fingerprint"] != second["fingerprint"]
    assert [entry["chosen"] for entry in first["candidates"]["bias"]] == [True, False]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-I", "HSC", "--at", "2026-03-01"], "registered: MiniCam"),
        (["-I", "MiniCam", "--at", "tomorrow"], "--at: 'tomorrow'"),
        (["-I", "MiniCam", "--at", "2026-03-01", "-d", "7"], "it has detectors 0-1"),
        (["-I", "MiniCam", "--at", "2026-03-01", "--collection", "nowhere"], "'nowhere'"),
    ],
)
def test_wrong_use_is_told_in_words(root: Path, args: list[str], words: str) -> None:
    result = CliRunner().invoke(chain, [str(root), *args])
    assert isinstance(result.exception, StopError)
    assert words in str(result.exception)


def test_it_asks_a_copy_that_may_not_be_written(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "repo"
    shutil.copytree(root, copy)
    (copy / "gen3.sqlite3").chmod(0o444)
    assert "USED" in say(copy, "-I", "MiniCam", "--at", "2026-03-01", "-t", "bias")


def test_no_repository_is_out_of_reach(tmp_path: Path) -> None:
    result = CliRunner().invoke(chain, [str(tmp_path), "-I", "MiniCam", "--at", "2026-03-01"])
    assert isinstance(result.exception, RepositoryError)
    assert result.exception.exit_code == 3
