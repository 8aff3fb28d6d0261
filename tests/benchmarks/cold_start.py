"""How long the daemon takes from its start to its first verdict, kernels compiled before."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from tables import Table

from calwatch.simulate.plan import DAILY_PROGRAM

LIMIT_SECONDS = 300


def cold_start(root: Path, instrument: str, runs: int) -> Table:
    """Start the daemon so often, each time with an empty ledger, and time its first verdict."""
    seconds = [first_verdict(root, instrument) for _ in range(runs + 1)][1:]
    return Table(
        "Cold start",
        ["", "median s", "longest s"],
        [["daemon to first verdict", f"{statistics.median(seconds):.1f}", f"{max(seconds):.1f}"]],
        f"`calwatch run` with one worker until its first line `exposure judged`, {runs} runs; "
        "empty ledger, files and compiled kernels on a warm disk.",
    )


def first_verdict(root: Path, instrument: str) -> float:
    """Return the seconds from the start of the process to its first judged exposure."""
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "calwatch.yaml"
        settings = {
            "repo": str(root.resolve()),
            "instruments": [instrument],
            "ledger": f"sqlite:///{scratch}/ledger.db",
            "where": f"exposure.science_program = '{DAILY_PROGRAM}'",
            "look_back_days": None,
            "workers": 1,
        }
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        command = [Path(sys.executable).with_name("calwatch"), "run", "--config", config]
        environment = {
            name: value
            for name, value in os.environ.items()
            # Without the latter every module would be compiled anew each time, as no daemon's is.
            if not name.startswith("KAFKA_") and name != "PYTHONDONTWRITEBYTECODE"
        }
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line)
                if "exposure judged" in line:
                    return time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=LIMIT_SECONDS)
        raise RuntimeError(f"the daemon ended without a verdict:\n{''.join(said[-20:])}")
