from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from astropy.io import fits
from click.testing import CliRunner, Result

from calwatch.butler.repository import Repository
from calwatch.camera.loader import load_camera
from calwatch.cli.repo import repo
from calwatch.errors import NameRuleError, RawError, StopError
from calwatch.offline.datasets import put_calibration

CAMERA = str(Path(__file__).parents[1] / "data" / "mini.yaml")
RUN = "MiniCam/calib/DM-1/mini/biasGen.20260101a"
CERTIFIED = "MiniCam/calib/DM-1/mini/bias.20260101a"


def call(*args: str | Path) -> Result:
    return CliRunner().invoke(repo, [str(arg) for arg in args], catch_exceptions=True)


def say(*args: str | Path) -> str:
    result = call(*args)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository made by the commands, with a certified bias for detector 0."""
    folder = tmp_path_factory.mktemp("cli")
    root, raws = folder / "repo", folder / "raws"
    raws.mkdir()
    assert "2 detectors" in say("create", root, "--instrument", CAMERA)
    _write_raw(raws / "one.fits", 1)
    _write_raw(raws / "two.fits", 2)
    result = json.loads(say("ingest", root, raws, "-I", CAMERA, "--json"))
    assert result == {
        "exposures": [2026012000001, 2026012000002],
        "ingested": 2,
        "skipped": 0,
        "bad": {},
    }
    put_calibration(root, RUN, "bias", 0, raws / "one.fits")
    say("certify", root, RUN, CERTIFIED, "bias", "--begin", "2026-01-01")
    say("chain", root, "MiniCam/calib/DM-1", CERTIFIED)
    said = say("chain", root, "MiniCam/calib", "MiniCam/calib/DM-1", "--json")
    assert json.loads(said) == {"chain": "MiniCam/calib", "collections": ["MiniCam/calib/DM-1"]}
    return root


def _write_raw(path: Path, seq_num: int) -> None:
    detector = load_camera(CAMERA).detectors[0]
    keywords = {
        "INSTRUME": "MiniCam",
        "OBSID": f"MN_O_20260120_{seq_num:06d}",
        "DAYOBS": "20260120",
        "SEQNUM": seq_num,
        "CONTRLLR": "O",
        "IMGTYPE": "BIAS",
        "EXPTIME": 0.0,
        "FILTER": "r_57",
        "MJD-BEG": 61060.0,
        "MJD-END": 61060.0,
        "RAFTBAY": detector.raft,
        "CCDSLOT": detector.slot,
    }
    fits.PrimaryHDU(header=fits.Header(keywords)).writeto(path)


def test_what_the_commands_made_is_found(root: Path) -> None:
    with Repository.open(root) as repository:
        exposure = repository.exposures("MiniCam")[0]
        chain = repository.chains(exposure, ["bias"], [0])[0]
    assert chain.datasets["bias"].collection == CERTIFIED


def test_second_ingest_skips_and_bad_files_are_named(root: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.fits"
    bad.write_bytes(b"nothing")
    good = root.parent / "raws" / "one.fits"
    result = call("ingest", root, bad, good, "-I", CAMERA, "--json")
    assert isinstance(result.exception, RawError)
    assert str(bad) in str(result.exception)
    said = json.loads(result.stdout)
    assert (said["ingested"], said["skipped"], list(said["bad"])) == (0, 1, [str(bad)])


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (["create", "{root}", "-I", CAMERA], StopError, "--add"),
        (["ingest", "{root}", "{root}/nothing", "-I", CAMERA], RawError, "nothing"),
        (["certify", "{root}", RUN, "mine", "bias"], NameRuleError, "DMTN-222"),
        (["certify", "{root}", RUN, CERTIFIED, "dark"], NameRuleError, "named for bias"),
        (["certify", "{root}", RUN, CERTIFIED, "bias"], StopError, "would overlap"),
        (["chain", "{root}", "mine", CERTIFIED], NameRuleError, "mine"),
        (["chain", "{root}", "MiniCam/calib", "MiniCam/calib/DM-2"], StopError, "DM-2"),
        (["tag", "{root}", "MiniCam/calib", "mine", "bias", "--at", "2026-02-01"],
         NameRuleError, "calib_tagged"),
        (["tag", "{root}", "MiniCam/calib", "MiniCam/calib_tagged", "bias", "--at", "2025-02-01"],
         StopError, "no bias valid at 2025-02-01"),
    ],
)  # fmt: skip
def test_wrong_use_is_told_in_words(
    root: Path, args: list[str], error: type[Exception], words: str
) -> None:
    result = call(*(arg.format(root=root) for arg in args))
    assert isinstance(result.exception, error)
    assert words in str(result.exception)


def test_names_can_be_forced(root: Path) -> None:
    said = say("chain", root, "my/own", CERTIFIED, "--force-name", "--mode", "redefine")
    assert CERTIFIED in said


def test_tag_says_how_many(root: Path) -> None:
    said = say(
        "tag", root, "MiniCam/calib", "MiniCam/calib_tagged/inUse", "bias", "--at", "2026-02-01",
        "--json",
    )  # fmt: skip
    assert json.loads(said)["tagged"] == 1


def test_help_has_an_example_for_each() -> None:
    for name, command in repo.commands.items():
        said = say(name, "--help")
        assert f"calwatch repo {name}" in said, name
        assert isinstance(command, click.Command)
    assert "combine" in say("--help")


def test_help_waits_for_nothing_heavy() -> None:
    code = (
        "import sys, calwatch.cli.repo, calwatch.cli.chain\n"
        "heavy = {'lsst', 'astropy', 'numpy', 'numba', 'rich'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
