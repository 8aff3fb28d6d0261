"""What ``calwatch warm-up`` refuses; that it compiles all is shown by tests/container/prove.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from calwatch.camera.loader import known_instruments
from calwatch.cli.main import cli
from calwatch.cli.warm_up import INSTRUMENTS
from calwatch.errors import StopError


def test_code_that_could_not_be_tried_here_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calwatch.kernel_cache.processor_flags", lambda: frozenset({"sse2"}))
    words = ["warm-up", str(tmp_path / "kernels"), "--cpu", "x86-64-v3"]
    with pytest.raises(StopError, match="this machine's processor lacks abm, avx, avx2"):
        CliRunner().invoke(cli, words, catch_exceptions=False)
    assert not (tmp_path / "kernels").exists()


def test_an_unknown_processor_is_no_choice(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["warm-up", str(tmp_path), "--cpu", "z80"])
    assert done.exit_code == 2
    assert "x86-64-v3" in done.output


def test_every_camera_is_compiled_for() -> None:
    assert set(known_instruments()) == set(INSTRUMENTS)
