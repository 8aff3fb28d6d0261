"""Starts and stops a real InfluxDB 1.x, as Sasquatch keeps its metrics in."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
from absence import absent
from running import Process, Server, free_port, running

SETTINGS = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
logging-enabled = false
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{http}"
log-enabled = false
[logging]
level = "warn"
"""


class InfluxServer(Server):
    """An InfluxDB; its port and data outlive `stop` and `kill`."""

    def __init__(self, influxd: str, folder: Path) -> None:
        http, rpc = free_port(), free_port()
        self.url = f"http://127.0.0.1:{http}"
        settings = folder / "influxdb.conf"
        settings.write_text(SETTINGS.format(folder=folder, http=http, rpc=rpc))
        self.process = Process([influxd, "run", "-config", settings], folder, self._answers)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ping", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def create_database(self, name: str) -> None:
        """Make an empty database, in place of any that has this name."""
        self.query(f'DROP DATABASE "{name}"')
        self.query(f'CREATE DATABASE "{name}"')

    def query(self, influxql: str, database: str = "") -> list[dict[str, Any]]:
        """Return the rows of all series, each with its tags; `time` in ns, an integer."""
        words = {"q": influxql, "db": database, "epoch": "ns"}
        answer = httpx.post(f"{self.url}/query", data=words, timeout=30).json()
        (result,) = answer.get("results", [answer])
        if "error" in result:
            raise ValueError(f"{influxql}: {result['error']}")
        return [
            dict(zip(series["columns"], values, strict=True)) | series.get("tags", {})
            for series in result.get("series", [])
            for values in series["values"]
        ]


def server() -> AbstractContextManager[InfluxServer]:
    """Run an InfluxDB in a folder of its own."""
    influxd = shutil.which("influxd")
    if influxd is None:
        absent("InfluxDB", "`influxd` is not on the path; Debian has it in its package influxdb")
    return running("influxdb", lambda folder: InfluxServer(influxd, folder))
