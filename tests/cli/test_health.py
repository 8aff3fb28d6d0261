"""What ``calwatch health`` says of a daemon, over real HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from calwatch.cli.main import cli
from calwatch.service.endpoint import answers, serve_answers
from calwatch.service.health import Finding, Need, Report

LOOP = Finding("event loop", True, "turned 0 s ago", Need.HEALTHY)
STUCK = Finding("jobs", False, "3 waiting, 2 running, the last one moved 900 s ago", Need.HEALTHY)
AWAY = Finding("ledger", False, "no answer for 3 s", Need.READY)


@contextmanager
def daemon(*findings: Finding) -> Iterator[str]:
    report = Report(datetime(2026, 11, 21, tzinfo=UTC), "all", findings)
    server = serve_answers(answers(lambda: report), 0, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def ask(*words: str) -> Result:
    return CliRunner().invoke(cli, ["health", *words])


def test_all_is_well() -> None:
    with daemon(LOOP) as url:
        said = ask("--url", f"{url}/healthz")
    assert (said.exit_code, said.output) == (0, "well: event loop\n")


def test_what_is_stuck_is_named() -> None:
    with daemon(LOOP, STUCK) as url:
        said = ask("--url", f"{url}/healthz")
    assert said.exit_code == 1
    assert said.output == f"not well; jobs: {STUCK.says}\n"


def test_readiness_is_another_question() -> None:
    with daemon(LOOP, AWAY) as url:
        healthy, ready = ask("--url", f"{url}/healthz"), ask("--url", f"{url}/readyz", "--json")
    assert (healthy.exit_code, healthy.output) == (0, "well; ledger: no answer for 3 s\n")
    assert ready.exit_code == 1
    assert json.loads(ready.output)["checks"][1] == {
        "name": "ledger", "ok": False, "says": "no answer for 3 s",
    }  # fmt: skip


def test_the_port_is_that_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    with daemon(LOOP) as url:
        monkeypatch.setenv("CALWATCH_METRICS_PORT", url.rpartition(":")[2])
        assert ask().exit_code == 0


def test_nobody_there_and_nobody_answering_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        slow = ask("--url", f"http://127.0.0.1:{port}/healthz", "--timeout", "0.2")
    gone = ask("--url", f"http://127.0.0.1:{port}/healthz", "--json")
    assert (slow.exit_code, gone.exit_code) == (1, 1)
    assert "timed out" in slow.output
    assert "refused" in json.loads(gone.output)["error"]


def test_another_server_is_not_taken_for_calwatch() -> None:
    with daemon(LOOP) as url:
        said = ask("--url", f"{url}/elsewhere")
    assert (said.exit_code, "answered 404" in said.output) == (1, True)
    assert ask("--url", "127.0.0.1:9188").exit_code == 2


def test_it_imports_little() -> None:
    """It runs every few seconds in every container."""
    program = (
        "import sys, calwatch.cli.health; "
        "print(sorted({'numpy', 'sqlalchemy', 'pydantic', 'httpx'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
