"""``calwatch report`` on the simulated nights, and what it says when it is used wrongly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calwatch.cli.main import cli
from calwatch.errors import StopError

CERTIFIED = "MiniCam/calib"


@pytest.fixture(scope="module")
def days(nights) -> list[int]:
    """The three nights."""
    return sorted({job.exposure.day_obs for job in nights.jobs.values()})


@pytest.fixture
def ask(config: Path) -> Iterator:
    def run(*words: object) -> Result:
        command = ["report", *map(str, words), "--config", str(config)]
        return CliRunner().invoke(cli, command, catch_exceptions=False)

    return run


def test_a_bad_night_becomes_a_file_and_one_is_returned(ask, days, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "reports"
    result = ask("--night", days[2], "-o", folder)
    path = folder / f"calwatch_MiniCam_{days[2]}.html"
    assert (result.exit_code, result.stdout.strip()) == (1, str(path))
    html = path.read_text(encoding="utf-8")
    assert "C03 NOISE" in html
    assert "Bokeh" in html
    assert [one.name for one in folder.iterdir()] == [path.name]


def test_a_good_night_returns_nought(ask, days) -> None:
    result = ask("--night", days[0], "--text")
    assert result.exit_code == 0, result.output
    assert "FAILED" not in result.stdout


def test_the_text_names_what_failed_first(ask, days) -> None:
    result = ask("--night", days[2], "--text")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert len(lines) <= 40
    assert lines[2] == "FAILED"


def test_the_json_is_one_object(ask, days, verdicts) -> None:
    result = ask("--from", days[0], "--to", days[2], "--json")
    document = json.loads(result.stdout)
    assert document["failed"] is True
    told = sum(sum(run["detectors"].values()) for run in document["runs"])
    assert told == len(verdicts)
    failed = sum(run["detectors"]["FAIL"] for run in document["runs"])
    assert failed == sum(one.verdict == "FAIL" for one in verdicts.values())


def test_a_ledger_alone_is_enough(url: str, days, nights, monkeypatch) -> None:
    monkeypatch.setattr("calwatch.camera.loader.load_camera", lambda name: nights.camera)
    command = ["report", "--night", str(days[0]), "--text", "--ledger", url]
    assert CliRunner().invoke(cli, command, catch_exceptions=False).exit_code == 0


def test_a_collection_chooses(ask, verdicts) -> None:
    chain = next(iter(verdicts.values())).provenance["chain"]
    result = ask("--collection", chain["ptc"]["collection"], "--text")
    assert f"judged against {chain['ptc']['collection']}" in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "say of what"),
        (("--night", "20261122", "--from", "20261101"), "choose one"),
        (("--night", "2026-11-22"), "no day_obs"),
        (("--night", "20261399"), "no day_obs"),
        (("--from", "20261102", "--to", "20261101"), "after"),
        (("--night", "19990101", "--text"), "nearest night"),
        (("--night", "20261122", "--text", "--json"), "choose one"),
        (("--collection", "nothing", "--text"), "collections that were used"),
        (("--night", "20261122", "-I", "LATISS"), "has MiniCam, not LATISS"),
    ],
)
def test_wrong_use_is_told(ask, words, told, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StopError, match=told):
        ask(*words)


def test_a_folder_that_cannot_be_written_is_told_before_the_work(ask, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StopError, match="cannot be made"):
        ask("--night", "20261122", "-o", tmp_path / "file" / "below")


def test_config_and_ledger_exclude_each_other(ask, url: str) -> None:
    with pytest.raises(StopError, match="choose one"):
        ask("--night", "20261122", "--text", "--ledger", url)


def test_the_help_has_an_example() -> None:
    told = CliRunner().invoke(cli, ["report", "--help"]).output
    assert "calwatch report --night 20261122" in told
    assert "1 something" in told
