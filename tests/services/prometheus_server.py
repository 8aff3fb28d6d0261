"""Starts and stops a real Prometheus that reads the metrics of one process, with our rules."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import yaml
from absence import absent
from running import Process, Server, free_port, running

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"


class PrometheusServer(Server):
    """A Prometheus with the configuration that is shipped, but quicker and of one target."""

    def __init__(self, command: str, folder: Path, target: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        config = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / name) for name in config["rule_files"]]
        config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        settings = folder / "prometheus.yaml"
        settings.write_text(yaml.safe_dump(config))
        self.process = Process(
            [
                command,
                f"--config.file={settings}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
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

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Return the samples of now: each a ``metric`` (its labels) and a ``value``."""
        answer = httpx.post(f"{self.url}/api/v1/query", data={"query": promql}, timeout=30).json()
        if answer["status"] != "success":
            raise ValueError(f"{promql}: {answer['error']}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return [{"metric": one["metric"], "value": float(one["value"][1])} for one in found]

    def rules(self) -> list[dict[str, Any]]:
        """Return the alert rules, each with its ``health`` and ``state``."""
        groups = httpx.get(f"{self.url}/api/v1/rules", timeout=10).json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


def server(target: str) -> AbstractContextManager[PrometheusServer]:
    """Run a Prometheus in a folder of its own, which reads one address."""
    command = shutil.which("prometheus")
    if command is None:
        absent("Prometheus", "`prometheus` is not on the path; Debian has it in this package")
    return running("prometheus", lambda folder: PrometheusServer(command, folder, target))
