"""The machine: disks, ports and the clock."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
from rich.filesize import decimal
from sqlalchemy import text

from calwatch.alarms.deliver.settings import AlertmanagerSettings
from calwatch.doctor.model import Case, Finding, fail, ok, skipped, warn
from calwatch.kafka.registry import SchemaRegistry
from calwatch.ledger.engine import parse_url, reading, shown_url
from calwatch.ledger.files import open_reader, sqlite_file

DISK, PORT, CLOCK = "disk", "port", "clock"
LITTLE, TOO_LITTLE = 2 * 1024**3, 200 * 1024**2
"""Free bytes below which a disk is told of, and below which it is a failure."""
SKEW_WARN, SKEW_FAIL = 2.0, 30.0
"""Seconds that two clocks may be apart. An HTTP date is a whole second."""
_ASK_SECONDS = 4.0


def look_at_disks(case: Case) -> Iterator[Finding]:
    """Say how much room there is where the daemon writes."""
    settings, url = case.settings, parse_url(case.settings.ledger)
    places: dict[str, Path] = {"temporary files": Path(tempfile.gettempdir())}
    file = sqlite_file(url)
    if file is not None:
        places["ledger"] = file.absolute().parent
    if settings.calibration_folder:
        places["calibrations"] = Path(settings.calibration_folder)
    for what, folder in places.items():
        yield _disk(what, folder)
    if settings.calibration_folder:
        yield from _bound(Path(settings.calibration_folder), settings.calibration_folder_bytes)


def look_at_ports(case: Case) -> Iterator[Finding]:
    """Say whether the ports are free, or a calwatch answers there."""
    settings = case.settings
    ports = {"metrics_port": ("0.0.0.0", settings.metrics_port)}  # noqa: S104 (as the daemon)
    if case.role != "worker":
        ports["web.port"] = (settings.web.host, settings.web.port)
    for field, (host, port) in ports.items():
        if port is None:
            yield skipped(PORT, f"{field} is not set")
        else:
            yield _port(field, host, port)


def look_at_clock(case: Case) -> Iterator[Finding]:
    """Compare the clock with those of others."""
    found = 0
    for where, theirs in _other_clocks(case):
        found += 1
        skew = (case.now() - theirs).total_seconds()
        says = f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} {where}"
        if abs(skew) >= SKEW_FAIL:
            yield fail(CLOCK, says, "one of them is wrong: see to NTP (chronyc tracking)")
        elif abs(skew) >= SKEW_WARN:
            yield warn(CLOCK, says, "see to NTP (chronyc tracking)")
        else:
            yield ok(CLOCK, f"agrees with {where}")
    if not found:
        yield skipped(CLOCK, "nobody here tells the time")


def _disk(what: str, folder: Path) -> Finding:
    if not folder.is_dir():
        says = f"{what}: there is no folder {folder}"
        return fail(DISK, says, "make it, or set another place")
    free = shutil.disk_usage(folder).free
    says = f"{what}: {decimal(free)} free in {folder}"
    if free < TOO_LITTLE:
        return fail(DISK, says, "make room, or set another place")
    return warn(DISK, says, "make room soon") if free < LITTLE else ok(DISK, says)


def _bound(folder: Path, bound: int) -> Iterator[Finding]:
    if not folder.is_dir():
        return
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    room = shutil.disk_usage(folder).free + used
    if room < bound:
        yield warn(
            DISK,
            f"calibrations: may grow to {decimal(bound)}, and there is room for {decimal(room)}",
            "set `calibration_folder_bytes` to less",
        )


def _port(field: str, host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            problem = str(error.strerror)
        else:
            return ok(PORT, f"{field} {port} is free")
    near = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104
    near = f"[{near}]" if ":" in near else near
    with suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
        state = json.loads(httpx.get(f"http://{near}:{port}/readyz", timeout=_ASK_SECONDS).text)
        if state["ready"]:
            return ok(PORT, f"{field} {port}: a daemon answers there, and is ready")
        bad = [f"{one['name']}: {one['says']}" for one in state["checks"] if not one["ok"]]
        says = f"{field} {port}: a daemon answers there, and is not ready ({'; '.join(bad)})"
        return warn(PORT, says, "that is the thing to mend")
    says = f"{field} {port} cannot be used on {host}: {problem}"
    return fail(PORT, says, "end what uses it (`ss -ltnp`), or set another port")


def _other_clocks(case: Case) -> Iterator[tuple[str, datetime]]:
    """Yield the times that servers tell; one that does not answer is told of elsewhere."""
    url = parse_url(case.settings.ledger)
    if url.get_backend_name() == "postgresql":
        with suppress(Exception):
            engine = open_reader(url)
            try:
                with reading(engine) as connection:
                    ask = text("SELECT clock_timestamp()")
                    yield f"ledger {shown_url(url)}", connection.execute(ask).scalar_one()
            finally:
                engine.dispose()
    for where, address in _web_servers(case):
        with suppress(httpx.HTTPError, KeyError, ValueError, TypeError):
            answer = httpx.get(address, timeout=_ASK_SECONDS)
            # The second that is told has begun up to a second ago.
            yield where, parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)


def _web_servers(case: Case) -> Iterator[tuple[str, str]]:
    if case.connection is not None and case.connection.registry_url:
        name = SchemaRegistry(case.connection.registry_url).name
        yield f"schema registry {name}", name
    for channel in case.settings.alarms.channels:
        if isinstance(channel, AlertmanagerSettings):
            yield f"Alertmanager {channel.url}", channel.url
