"""Starts and stops a real Alertmanager that tells a webhook what it tells people."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
from absence import absent
from running import Process, Server, free_port, running

SETTINGS = """
global: {{resolve_timeout: 5m}}
route:
  receiver: sink
  group_by: [alarm]
  group_wait: 200ms
  group_interval: 500ms
  repeat_interval: 1h
receivers:
  - name: sink
    webhook_configs: [{{url: "{webhook}", send_resolved: true}}]
"""


class AlertmanagerServer(Server):
    """An Alertmanager; its port, silences and log of notices outlive `stop`, its alerts do not."""

    def __init__(self, command: str, folder: Path, webhook: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        settings = folder / "alertmanager.yml"
        settings.write_text(SETTINGS.format(webhook=webhook))
        self.process = Process(
            [
                command,
                f"--config.file={settings}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            folder,
            self._answers,
        )

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts it holds, silenced ones as well."""
        answer = httpx.get(f"{self.url}/api/v2/alerts", timeout=10)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    def silences(self) -> list[dict[str, Any]]:
        """Return the silences that hold now."""
        answer = httpx.get(f"{self.url}/api/v2/silences", timeout=10)
        answer.raise_for_status()
        return [one for one in answer.json() if one["status"]["state"] != "expired"]


def server(webhook: str) -> AbstractContextManager[AlertmanagerServer]:
    """Run an Alertmanager in a folder of its own, which tells one webhook."""
    command = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if command is None:
        absent(
            "Alertmanager",
            "`prometheus-alertmanager` is not on the path; Debian has it in the package of this"
            " name",
        )
    return running("alertmanager", lambda folder: AlertmanagerServer(command, folder, webhook))
