"""A worker and an intake of a fleet read their limits again, too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from kafka_server import KafkaServer

from calwatch.verify.limits import shipped_directory

pytestmark = pytest.mark.services


@contextmanager
def running(role: str, config: Path, kafka: KafkaServer) -> Iterator[tuple[subprocess.Popen, Path]]:
    log = config.with_name(f"{role}.log")
    command = [sys.executable, "-c", "from calwatch.cli.main import main; main()"]
    command += ["run", "--role", role, "--config", str(config)]
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
    try:
        yield process, log
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()


def until(log: Path, event: str) -> dict:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if line.startswith("{") and json.loads(line)["event"] == event:
                return json.loads(line)
        time.sleep(0.05)
    raise AssertionError(f"no {event!r} in the log:\n{log.read_text()}")


def test_both_roles_take_new_limits(nights, kafka_server: KafkaServer, tmp_path: Path) -> None:
    content = yaml.safe_load((shipped_directory() / "cp_verify.yaml").read_text())
    limits, config = tmp_path / "limits.yaml", tmp_path / "calwatch.yaml"
    limits.write_text(yaml.safe_dump(content))
    topic = f"jobs-{uuid.uuid4().hex[:8]}"
    kafka_server.create_topics(topic)
    settings = {
        "repo": str(nights.root), "instruments": ["MiniCam"], "camera": nights.camera_file,
        "ledger": str(tmp_path / "ledger.db"), "workers": 1, "limits": str(limits),
        "kafka": {"events": False, "publish": False, "jobs_topic": topic, "group": topic},
        "alarms": {"enabled": False}, "log": {"level": "debug"},
    }  # fmt: skip
    config.write_text(yaml.safe_dump(settings))
    with running("intake", config, kafka_server) as first, \
         running("worker", config, kafka_server) as second:  # fmt: skip
        for _, log in (first, second):
            until(log, "started")
        limits.write_text(yaml.safe_dump({**content, "version": "2031-01-01"}))
        for process, log in (first, second):
            process.send_signal(signal.SIGHUP)
            assert until(log, "new limits in force")["limits"] == "cp_verify 2031-01-01"
            assert process.poll() is None
