"""Workers and daemons are killed at random moments: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select
from storm import workers

from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import judgement, measurement
from calwatch.verify.model import Verdict

HERE = Path(__file__).parent
FAKES = HERE.parent / "service"
ROUNDS = 4
EXPOSURES = 10
DETECTORS = 4


def start(url: str, rounds_done: int, folder: Path) -> subprocess.Popen[bytes]:
    log = (folder / f"log-{rounds_done}").open("wb")
    program = HERE / "killable.py"
    return subprocess.Popen(
        [sys.executable, str(program), str(FAKES), url, str(EXPOSURES), str(DETECTORS)],
        stdout=log,
        stderr=log,
    )


def wait_for_progress(ledger: Ledger, daemon: subprocess.Popen[bytes]) -> None:
    """Wait until the daemon has recorded something, or ended."""
    before = len(ledger.judged_keys("LATISS"))
    deadline = time.monotonic() + 30
    while daemon.poll() is None and time.monotonic() < deadline:
        if len(ledger.judged_keys("LATISS")) > before:
            return
        time.sleep(0.02)


@pytest.mark.parametrize("seed", [1])
def test_killed_at_random(ledger_url: str, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    kills = {"worker": 0, "daemon": 0}
    progress: set[int] = set()
    ledger = Ledger.open(ledger_url)
    for done in range(ROUNDS):
        daemon = start(ledger_url, done, tmp_path)
        if chance.random() < 0.8:  # otherwise it is killed while it starts
            wait_for_progress(ledger, daemon)
        time.sleep(chance.uniform(0.0, 0.4))
        if chance.random() < 0.5 and (living := workers(daemon.pid)):
            os.kill(chance.choice(living), signal.SIGKILL)
            kills["worker"] += 1
            time.sleep(chance.uniform(0.0, 0.3))
        daemon.kill()
        kills["daemon"] += 1
        daemon.wait()
        progress.add(len(ledger.judged_keys("LATISS")))
    assert progress & set(range(1, EXPOSURES * DETECTORS)), f"never killed half way: {progress}"
    last = start(ledger_url, ROUNDS, tmp_path)
    assert last.wait(60) == 0, (tmp_path / f"log-{ROUNDS}").read_text()

    judged = ledger.judged_keys("LATISS")
    assert len(judged) == EXPOSURES * DETECTORS, f"lost some: {kills} {progress}"
    assert {j.verdict for j in judged.values()} == {Verdict.PASS}
    with ledger._engine.connect() as connection:
        for table, expected in ((judgement, 1), (measurement, 3)):
            rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
            assert rows == expected * EXPOSURES * DETECTORS, f"{table.name}: {kills}"
    merged = ledger.exposures("LATISS")
    assert [summary.counts["PASS"] for summary in merged] == [DETECTORS] * EXPOSURES
    assert ledger.unmerged("LATISS") == []
    ledger.close()


def test_sigterm_ends_the_process_within_20_s_with_0(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    daemon = start(url, 0, tmp_path)
    deadline = time.monotonic() + 30
    while not workers(daemon.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(20) == 0, (tmp_path / "log-0").read_text()
    assert start(url, 1, tmp_path).wait(60) == 0
    ledger = Ledger.open(url)
    assert len(ledger.judged_keys("LATISS")) == EXPOSURES * DETECTORS
    ledger.close()
