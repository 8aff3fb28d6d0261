"""A server process that can be stopped, killed and started again on the same port and data."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

PORTS = range(10000, 32000)
"""Below the ports that the kernel gives to clients: one of these may take the port of a server
that is stopped for a while, and a client that calls such a port may even reach itself."""

START_SECONDS = 120.0
STOP_SECONDS = 30.0


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    for port in random.sample(PORTS, 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port on 127.0.0.1")


class RunningError(Exception):
    """The server did not start; the message ends with what it said."""


class Process:
    """A server of which the test knows the command and how to see that it answers."""

    def __init__(self, command: Sequence[object], folder: Path, ready: Callable[[], bool]) -> None:
        self.command = [str(word) for word in command]
        self.folder = folder
        self.log = folder / "log"
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, while the server runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> float:
        """Start it unless it runs; return the seconds until it answered."""
        if self.pid is not None:
            return 0.0
        began = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        while time.monotonic() - began < START_SECONDS:
            if self._process.poll() is not None:
                break
            if self._ready():
                return time.monotonic() - began
            time.sleep(0.1)
        ended = self._process.poll()
        self.kill()
        said = self.log.read_text(errors="replace")[-4000:]
        cause = "no answer" if ended is None else f"ended with {ended}"
        raise RunningError(f"{self.command[0]}: {cause} within {START_SECONDS:.0f} s\n{said}")

    def stop(self) -> None:
        """End it in an orderly way, or by force if that takes too long."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once: it writes nothing more."""
        self._end(signal.SIGKILL)

    def _end(self, sign: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(sign)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process = None

    def memory(self) -> float:
        """Return the resident memory in MiB, or 0 while it does not run."""
        if self.pid is None:
            return 0.0
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


class Server:
    """What the tests do with a server; its port and data outlive `stop` and `kill`."""

    process: Process

    def start(self) -> float:
        """Start it unless it runs; return the seconds until it answered."""
        return self.process.start()

    def stop(self) -> None:
        """End it in an orderly way."""
        self.process.stop()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()


AServer = TypeVar("AServer", bound=Server)


@contextmanager
def running(service: str, make: Callable[[Path], AServer]) -> Iterator[AServer]:
    """Run a server in a folder of its own; both end with the block."""
    folder = Path(tempfile.mkdtemp(prefix=f"calwatch-{service}-"))
    try:
        server = make(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
