"""Disks, ports and the clock, against real files, sockets and servers."""

from __future__ import annotations

import shutil
import socket
import threading
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from calwatch.doctor import machine
from calwatch.doctor.machine import look_at_clock, look_at_disks, look_at_ports
from calwatch.doctor.model import Status
from calwatch.service.endpoint import answers, serve_answers
from calwatch.service.health import Finding, Need, Report

Usage = namedtuple("Usage", "total used free")


def pairs(findings) -> list[tuple[Status, str]]:
    return [(one.status, one.says) for one in findings]


@pytest.mark.parametrize(
    ("free", "status"),
    [(3 * 1024**3, Status.OK), (1024**3, Status.WARN), (1024**2, Status.FAIL)],
)
def test_disks(new_case, monkeypatch, tmp_path: Path, free: int, status: Status) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free, 0, free))
    found = list(look_at_disks(new_case()))
    assert [one.status for one in found] == [status, status]
    assert str(tmp_path) in found[1].says


def test_a_folder_that_is_not_there_or_may_grow_too_much(new_case, tmp_path: Path) -> None:
    found = pairs(look_at_disks(new_case(calibration_folder="/nowhere/calibrations")))
    assert (Status.FAIL, "calibrations: there is no folder /nowhere/calibrations") in found
    (tmp_path / "shared").mkdir()
    case = new_case(calibration_folder=str(tmp_path / "shared"), calibration_folder_bytes=2**60)
    *_, last = look_at_disks(case)
    assert last.status is Status.WARN
    assert "calibrations: may grow to 1.2 EB, and there is room for" in last.says


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        yield taken.getsockname()[1]


def free_port() -> int:
    with listening() as port:
        return port


@pytest.mark.parametrize("ready", [True, False])
def test_ports(new_case, ready: bool) -> None:
    port = free_port()
    case = new_case(metrics_port=port)
    free = (Status.OK, f"metrics_port {port} is free")
    assert pairs(look_at_ports(case)) == [free, (Status.SKIPPED, "web.port is not set")]
    finding = Finding("last look", ready, "the ledger is away", Need.READY)
    report = Report(datetime.now(UTC), "all", [finding])
    server = serve_answers(answers(lambda: report), port)
    (found, _) = look_at_ports(case)
    server.shutdown()
    server.server_close()
    if ready:
        assert (found.status, found.says.split(": ")[1]) == (
            Status.OK, "a daemon answers there, and is ready",
        )  # fmt: skip
    else:
        assert found.status is Status.WARN
        assert "is not ready (last look: the ledger is away)" in found.says


def test_a_port_that_somebody_else_has(new_case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_ASK_SECONDS", 0.2)
    with listening() as port:
        _, found = look_at_ports(new_case(web={"port": port, "host": "0.0.0.0"}))
        assert len(list(look_at_ports(new_case(role="worker", web={"port": port})))) == 1
    assert found.status is Status.FAIL
    assert f"web.port {port} cannot be used on 0.0.0.0: Address already in use" in found.says


class _Dated(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(0, Status.OK), (-10, Status.WARN), (10, Status.WARN), (-90, Status.FAIL), (90, Status.FAIL)],
)
def test_the_clock_against_a_date_over_http(new_case, seconds: int, status: Status) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Dated)
    threading.Thread(target=server.handle_request, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    channels = {"channels": ({"type": "alertmanager", "url": url},)}
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    (found,) = look_at_clock(new_case(at=at, alarms=channels))
    server.server_close()
    assert found.status is status
    assert url in found.says


def test_a_clock_that_nobody_tells(new_case) -> None:
    assert pairs(look_at_clock(new_case())) == [(Status.SKIPPED, "nobody here tells the time")]


@pytest.mark.services
def test_the_clock_against_postgresql(new_case, postgresql_url: str) -> None:
    at = datetime.now(UTC) - timedelta(seconds=40)
    (found,) = look_at_clock(new_case(at=at, ledger=postgresql_url))
    assert found.status is Status.FAIL
    assert "s behind ledger postgresql" in found.says
    (found,) = look_at_clock(new_case(at=datetime.now(UTC), ledger=postgresql_url))
    assert found.status is Status.OK
