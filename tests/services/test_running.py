"""How the tests' servers are found, started and given up."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import install
import pytest
from running import PORTS, Process, RunningError, free_port


@pytest.mark.parametrize(
    ("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)]
)
def test_what_was_not_brought_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    required: str,
    outcome: type[BaseException],
) -> None:
    monkeypatch.setenv("CALWATCH_REQUIRE_SERVICES", required)
    monkeypatch.setattr(install, "FOLDER", tmp_path)
    with pytest.raises(outcome, match=r"telegraf: no \.services/telegraf; `make services`"):
        install.need("telegraf")
    (tmp_path / "telegraf").mkdir()
    assert install.need("telegraf") == tmp_path / "telegraf"


def test_a_part_is_brought_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "FOLDER", tmp_path)

    def half(folder: Path) -> None:
        (folder / "half").touch()
        install.call("no-such-program")

    def whole(folder: Path) -> None:
        assert list(folder.iterdir()) == []
        install.call(sys.executable, "-c", "")

    monkeypatch.setattr(install, "PARTS", {"kafka": half})
    monkeypatch.setenv("CALWATCH_REQUIRE_SERVICES", "0")
    assert install.main() == 0
    assert "kafka: its tests will be skipped: `no-such-program`" in capsys.readouterr().err
    assert not (tmp_path / "kafka").exists()
    monkeypatch.setenv("CALWATCH_REQUIRE_SERVICES", "1")
    assert install.main() == 1
    monkeypatch.setattr(install, "PARTS", {"kafka": whole})
    assert install.main() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["kafka"]


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "raise SystemExit('no disk')"]
    server = Process(words, tmp_path, lambda: False)
    with pytest.raises(RunningError, match=r"(?s)ended with 1.*no disk"):
        server.start()
    assert server.pid is None
    server.stop()


def test_a_free_port_is_free_and_not_a_clients() -> None:
    port = free_port()
    assert port in PORTS
    with socket.create_server(("127.0.0.1", port)):
        assert free_port() != port
