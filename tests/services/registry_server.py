"""Starts and stops a real schema registry: Apicurio, through the API it shares with Confluent's."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import install
from java_process import JavaProcess
from running import Server, free_port, running


class RegistryServer(Server):
    """A registry; its port, schemas and their ids outlive `stop` and `kill`."""

    def __init__(self, home: Path, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        settings = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": port,
            "quarkus.http.access-log.enabled": "false",
            # In a file, written at once: a schema that has an id keeps it.
            "apicurio.datasource.url": f"jdbc:h2:file:{folder / 'schemas'};WRITE_DELAY=0",
            "apicurio.datasource.jdbc.initial-size": 1,
            "apicurio.datasource.jdbc.min-size": 1,
        }
        options = [f"-D{name}={value}" for name, value in settings.items()]
        (jar,) = home.glob("apicurio-registry-app-*-runner.jar")
        self.process = JavaProcess(home, [*options, "-jar", jar], folder, self._answers)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/subjects", timeout=2).is_success
        except httpx.HTTPError:
            return False


def server() -> AbstractContextManager[RegistryServer]:
    """Run a registry in a folder of its own."""
    home = install.java("registry")
    return running("registry", lambda folder: RegistryServer(home, folder))
