"""The real daemon with the real judge: what is judged, what stops it, and what a restart does."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import structlog
import yaml
from sqlalchemy import event

from calwatch.cli.main import main as entry
from calwatch.ledger.store import Ledger
from calwatch.verify.limits import shipped_directory
from calwatch.verify.metrics import CALIB_TYPES
from calwatch.verify.model import Verdict, algorithm_of

Configure = Callable[..., Path]


@pytest.fixture
def configure(nights, tmp_path: Path) -> Configure:
    """Write a configuration for the third night; None takes a field away."""

    def _configure(**changes: object) -> Path:
        content = {
            "repo": str(nights.root),
            "instruments": ["MiniCam"],
            "camera": nights.camera_file,
            "ledger": f"sqlite:///{tmp_path / 'ledger.db'}",
            "where": nights.day(3),
            "look_back_days": None,
            "workers": 1,
            "retry": {"attempts": 2, "first_seconds": 0.05, "most_seconds": 0.1},
            "alarms": {"cadence_hours": {}},  # The nights are long past, and that is no silence.
        } | changes
        path = tmp_path / "calwatch.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return _configure


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command in this process; return (exit code, errors)."""

    def call(config: Path) -> tuple[int, str]:
        words = ["calwatch", "run", "--once", "--config", str(config)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as end:
            entry()
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        return int(end.value.code or 0), said.err

    yield call
    structlog.reset_defaults()


def start(config: Path, log: Path, *words: str) -> subprocess.Popen[bytes]:
    code = "from calwatch.cli.main import main; main()"
    command = [sys.executable, "-c", code, "run", "-c", str(config), *words]
    with log.open("wb") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=stream)


def lines(log: Path) -> list[dict]:
    """Return the log, every line of which is one JSON object."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def rows(path: Path) -> list[tuple]:
    with sqlite3.connect(path) as database:
        return database.execute(
            "SELECT exposure_id, calib_type, detector, id, judged_at FROM judgement ORDER BY id"
        ).fetchall()


def test_stopped_half_way_started_again_and_once_more(
    nights, configure: Configure, tmp_path: Path
) -> None:
    config, path = configure(), tmp_path / "ledger.db"
    third = {w[1:]: j.exposure.exposure_id for w, j in nights.jobs.items() if w[0] == 3}
    wanted = [(number, kind) for (kind, _), number in third.items()]
    wanted += [(third["flat", n], kind) for n in (2, 4, 5) for kind in ("gain", "cti")]
    wanted += [(third["flat", 5], "defects"), (third["bias", 9], "bias_stability")]
    logs = [tmp_path / f"log-{number}" for number in range(3)]

    daemon = start(config, logs[0])
    deadline = time.monotonic() + 180
    while daemon.poll() is None and time.monotonic() < deadline:
        if "exposure judged" in logs[0].read_text():
            break
        time.sleep(0.02)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(20) == 0, logs[0].read_text()
    before = rows(path)
    assert 0 < len(before) < len(wanted)

    assert start(config, logs[1], "--once").wait(120) == 1, logs[1].read_text()
    after = rows(path)
    assert after[: len(before)] == before
    assert sorted(row[:2] for row in after) == sorted(wanted)

    assert start(config, logs[2], "--once").wait(180) == 0, logs[2].read_text()
    assert rows(path) == after
    assert [line["event"] for line in lines(logs[2])] == ["started", "ended"]
    assert lines(logs[2])[0]["instruments"] == ["MiniCam"]

    told = [line for log in logs for line in lines(log) if line["event"] == "exposure judged"]
    assert sorted((line["exposure"], line["type"]) for line in told) == sorted(wanted)
    assert all(line["level"] == "info" and line["timestamp"] for line in told)
    ledger = Ledger.open(str(path))
    assert ledger.unmerged("MiniCam") == []
    merged = [
        summary
        for kind in CALIB_TYPES
        for summary in ledger.exposures("MiniCam", algorithm=algorithm_of(kind))
        if summary.calib_type == kind
    ]
    ledger.close()
    assert {(m.exposure_id, m.calib_type): m.verdict for m in merged} == {
        (line["exposure"], line["type"]): Verdict(line["verdict"]) for line in told
    }


def _workers(daemon: subprocess.Popen[bytes]) -> list[int]:
    """Return the worker processes of a daemon."""
    children = Path(f"/proc/{daemon.pid}/task").glob("*/children")  # each thread has its own
    pids = [pid for path in children for pid in path.read_text().split()]
    words = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in pids}
    return [int(pid) for pid, command in words.items() if "spawn_main" in command]


def _wait_for(log: Path, event: str, daemon: subprocess.Popen[bytes]) -> dict:
    deadline = time.monotonic() + 120
    while daemon.poll() is None and time.monotonic() < deadline:
        found = [line for line in lines(log) if line["event"] == event]
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"no {event!r} in the log:\n{log.read_text()}")


def test_new_limits_on_sighup(nights, configure: Configure, tmp_path: Path) -> None:
    """What is begun ends with the old limits, all that comes after is judged by the new ones."""
    limits, log = tmp_path / "limits.yaml", tmp_path / "log"
    content = yaml.safe_load((shipped_directory() / "dmtn101.yaml").read_text())
    limits.write_text(yaml.safe_dump(content))
    daemon = start(configure(limits=str(limits)), log)
    try:
        _wait_for(log, "exposure judged", daemon)
        (worker,) = _workers(daemon)
        os.kill(worker, signal.SIGSTOP)
        limits.write_text(yaml.safe_dump({**content, "version": "2031-01-01", "colour": "red"}))
        daemon.send_signal(signal.SIGHUP)
        refused = _wait_for(log, "new limits refused, the old ones go on", daemon)
        assert refused["level"] == "error"
        assert re.search(r"limits\.yaml:\d+: colour: ", refused["reason"])
        limits.write_text(yaml.safe_dump({**content, "version": "2031-01-01"}))
        daemon.send_signal(signal.SIGHUP)
        taken = _wait_for(log, "new limits in force", daemon)
        assert taken["changes"] == [f'file: version: "{content["version"]}" -> "2031-01-01"']
        before = len(rows(tmp_path / "ledger.db"))
        os.kill(worker, signal.SIGCONT)
        deadline = time.monotonic() + 120
        while len(rows(tmp_path / "ledger.db")) < before + 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert _workers(daemon) == [worker]
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(20) == 0, log.read_text()
    ledger = Ledger.open(str(tmp_path / "ledger.db"))
    found = [
        ledger.results("MiniCam", job.exposure.exposure_id).results
        for which, job in sorted(nights.jobs.items(), key=lambda one: one[1].exposure.exposure_id)
        if which[0] == 3
    ]
    ledger.close()
    labels = [result.limits for results in found for result in results]
    digests = {r.limits: r.provenance["limits_digest"] for results in found for r in results}
    old, new = f"dmtn101 {content['version']}", "dmtn101 2031-01-01"
    assert labels[0] == old
    assert labels[-1] == new
    assert labels == sorted(labels, key=[old, new].index)
    assert digests[new] == taken["digest"] != digests[old]


def _locked(path: Path, monkeypatch) -> Callable[[], None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other.close


def _full(path: Path, monkeypatch) -> Callable[[], None]:
    opened = Ledger.open

    def small(url: str, **options: object) -> Ledger:
        ledger = opened(url, **options)

        @event.listens_for(ledger._engine, "connect")
        def limit(connection: sqlite3.Connection, _record: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

        ledger._engine.dispose()
        return ledger

    monkeypatch.setattr(Ledger, "open", small)
    return lambda: monkeypatch.setattr(Ledger, "open", opened)


def test_the_page_is_there_without_alarms(configure: Configure, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nothing = {"where": "exposure.day_obs = 19700101", "alarms": {"enabled": False}}
    log = tmp_path / "log"
    daemon = start(configure(web={"port": port}, **nothing), log)
    try:
        transport = httpx.HTTPTransport(retries=9)  # with pauses that grow: until it listens
        with httpx.Client(transport=transport, timeout=20) as client:
            answer = client.get(f"http://127.0.0.1:{port}/", follow_redirects=True)
        assert answer.status_code == 200
        assert "MiniCam" in answer.text
    finally:
        daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(20) == 0, log.read_text()


def test_a_ledger_out_of_reach_is_3_and_then_nothing_is_lost_or_doubled(
    nights, configure: Configure, run, tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "ledger.db"
    opened = Ledger.open
    quick = staticmethod(
        lambda url, **options: opened(url, busy_seconds=0.05, lock_attempts=1, **options)
    )
    monkeypatch.setattr(Ledger, "open", quick)
    # The bias of the first night is gone from the disk; that is waited for, then recorded.
    root = nights.registry(tmp_path)
    gone = nights.jobs[1, "bias", 1].chain.datasets["bias"].uri.removeprefix("file://")
    (root / Path(gone).relative_to(nights.root)).unlink()
    chosen = [nights.jobs[w].exposure.exposure_id for w in ((1, "bias", 1), (3, "bias", 9))]
    changes = {"repo": str(root), "where": f"exposure IN {tuple(chosen)}"}
    Ledger.open(str(path)).close()

    read_only = configure(**changes, ledger=f"sqlite:///file:{path}?mode=ro&uri=true")
    code, err = run(read_only)
    assert code == 3
    assert "ledger.db" in err
    assert "it is read-only" in err

    config = configure(**changes)
    for spoil, words in (
        (_locked, "another process holds its lock"),
        (_full, "the disk is full"),
    ):
        restore = spoil(path, monkeypatch)
        code, err = run(config)
        assert code == 3
        assert f"ledger sqlite:///{path}: {words}" in err
        restore()
        assert len(rows(path)) < len(chosen)

    code, err = run(config)
    assert code == 0
    ledger = Ledger.open(str(path))
    verdicts = {key[0]: judged.verdict for key, judged in ledger.judged_keys("MiniCam").items()}
    (unknown,) = ledger.results("MiniCam", chosen[0]).results
    ledger.close()
    assert verdicts == {chosen[0]: Verdict.UNKNOWN, chosen[1]: Verdict.PASS}
    assert len(rows(path)) == len(chosen)
    for word in ("certified bias: ", gone.rsplit("/", 1)[-1], "No such file", "tried 2 times"):
        assert word in unknown.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wrokers": 2, "interval_seconds": "soon", "instruments": []},
         ("wrokers", "interval_seconds", "instruments", "3 problems", "calwatch.yaml")),
        ({"limits": "/nowhere/limits.yaml"}, ("/nowhere/limits.yaml",)),
        ({"camera": "/nowhere/mini.yaml"}, ("/nowhere/mini.yaml",)),
        ({"instruments": ["HSC"], "camera": ""}, ("unknown instrument 'HSC'",)),
        ({"instruments": ["HSC"]}, ("mini.yaml: is MiniCam, not HSC",)),
        ({"where": "exposure.colour = 3"}, ("colour",)),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_2_and_names_every_problem(
    configure: Configure, run, changes: dict, words: tuple[str, ...]
) -> None:
    code, err = run(configure(**changes))
    assert code == 2, err
    for word in words:
        assert word in err


def test_a_configuration_that_is_none(run, tmp_path: Path) -> None:
    path = tmp_path / "calwatch.yaml"
    code, err = run(path)
    assert code == 2
    assert f"{path}: cannot be read" in err
    path.write_text("repo: [")
    assert "is not YAML" in run(path)[1]


@pytest.mark.parametrize("field", ["repo", "ledger"])
def test_what_is_out_of_reach_is_3(configure: Configure, run, field: str) -> None:
    code, err = run(configure(**{field: "/nowhere/at/all"}))
    assert code == 3
    assert "/nowhere/at/all" in err
