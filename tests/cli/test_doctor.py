"""The table of the doctor, and its exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from calwatch.cli.main import main as entry


@pytest.fixture
def doctor(nights, tmp_path: Path, capsys, monkeypatch):
    """Run `calwatch doctor`; return (exit code, output)."""

    def call(*words: str, **changes: object) -> tuple[int, str]:
        content = {
            "repo": str(nights.root),
            "instruments": ["MiniCam"],
            "camera": nights.camera_file,
            "ledger": f"sqlite:///{tmp_path / 'ledger.db'}",
        } | changes
        config = tmp_path / "calwatch.yaml"
        config.write_text(yaml.safe_dump(content))
        monkeypatch.setattr(sys, "argv", ["calwatch", "doctor", "-c", str(config), *words])
        monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
        with pytest.raises(SystemExit) as end:
            entry()
        said = capsys.readouterr()
        assert said.err == ""
        return int(end.value.code or 0), said.out

    return call


def test_a_table_with_what_to_do(doctor, tmp_path: Path) -> None:
    code, out = doctor(limits="/nowhere/limits.yaml", calibration_folder="/nowhere")
    assert code == 1
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert any(line.startswith("OK settings") for line in lines)
    assert any(line.startswith("FAIL files limits /nowhere/limits.yaml") for line in lines)
    assert "→ make it, or set another place" in lines
    assert "SKIPPED Kafka KAFKA_BOOTSTRAP_SERVERS is not set: nothing is read or published" in lines
    assert any(line.startswith("OK Butler MiniCam: opens, 2 detectors") for line in lines)
    assert lines[-1].count("FAIL") == 1
    assert not (tmp_path / "ledger.db").exists()


def test_warnings_are_no_failure(doctor) -> None:
    """The second detector has no calibrations, and the nights are long past or to come."""
    code, out = doctor()
    assert " WARN " in out
    assert code == int(" FAIL " in out)


def test_a_ledger_url_that_is_none_shows_no_password(doctor) -> None:
    code, out = doctor(ledger="mysql://ada:hush-hush@host/db")
    assert code == 1
    assert "only sqlite and postgresql are supported" in " ".join(out.split())
    assert "hush-hush" not in out
