"""Runs commands in a root as a container would: as its user, read-only, first of its processes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from roots import bind_devices, in_namespace

ID = 10123
TMP_MEGABYTES = 512


@dataclass(frozen=True)
class Image:
    """What a Dockerfile made: a root, and how it is to be started."""

    root: Path
    environment: Mapping[str, str]
    entrypoint: Sequence[str]
    command: Sequence[str]
    health: Sequence[str]
    user: str
    folder: str


class Container:
    """One running command; its file system but for /tmp and the volumes cannot be written to.

    Parameters
    ----------
    image
        What to run.
    arguments
        In place of the image's command, if any are given.
    volumes
        Folders of this machine by their place in the container; those under /etc are read-only.
    log
        File that takes what it says.
    environment
        Beyond the image's; an empty value takes a variable away.
    """

    def __init__(
        self,
        image: Image,
        arguments: Sequence[str],
        volumes: Mapping[str, Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.image = image
        set_to = {**image.environment, **(environment or {})}
        self._words = ["env", "-i", *(f"{k}={v}" for k, v in set_to.items() if v)]
        self.log = log
        self.began = time.monotonic()
        command = [*image.entrypoint, *(arguments or image.command)]
        with log.open("w") as out:
            self.process = subprocess.Popen(
                in_namespace(self._lines(command, volumes), "--net"), stdout=out, stderr=out
            )

    def _lines(self, command: Sequence[str], volumes: Mapping[str, Path]) -> list[str]:
        root = shlex.quote(str(self.image.root))
        lines = [
            "set -e",
            "ip link set lo up",
            f"mount --bind {root} {root}",
            f"mount -t proc proc {root}/proc",
            f"mount -t tmpfs -o mode=1777,size={TMP_MEGABYTES}m tmpfs {root}/tmp",
            *bind_devices(self.image.root),
        ]
        for place, folder in volumes.items():
            inside = f"{root}{shlex.quote(place)}"
            lines += [f"mkdir -p {inside}", f"mount --bind {shlex.quote(str(folder))} {inside}"]
            if place.startswith("/etc"):
                lines.append(f"mount -o remount,bind,ro {inside}")
        lines.append(f"mount -o remount,bind,ro {root}")
        user = f"--userspec={self.image.user}"
        inner = ["/bin/sh", "-c", f'cd {shlex.quote(self.image.folder)} && exec "$@"', "sh"]
        start = ["exec", "chroot", user, "--groups=", str(self.image.root)]
        lines.append(shlex.join([*start, *self._words, *inner, *command]))
        return lines

    @property
    def pid(self) -> int:
        """Its first process, by the number it has outside."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(listed.split()[0])

    def run(self, *command: str, user: int = ID) -> subprocess.CompletedProcess[str]:
        """Run another command in it, as ``docker exec`` does."""
        enter = ["nsenter", "-t", str(self.pid), "--mount", "--pid", "--net", "--root", "--wd"]
        identity = ["--setuid", str(user), "--setgid", str(user)]
        return subprocess.run(
            [*enter, *identity, *self._words, *command], capture_output=True, text=True, timeout=60
        )

    def wait_for(self, text: str, times: int, seconds: float) -> float | None:
        """Wait until it has said something so often; return seconds since its start, or None."""
        while time.monotonic() - self.began < seconds:
            if self.said().count(text) >= times:
                return time.monotonic() - self.began
            if self.process.poll() is not None:
                return None
            time.sleep(0.05)
        return None

    def hears(self, seconds: float) -> float | None:
        """Wait until its first process has a handler for SIGTERM; return seconds, or None.

        Before that the kernel drops the signal: it has no default for a first process.
        """
        bit = 1 << (signal.SIGTERM - 1)
        while time.monotonic() - self.began < seconds:
            with suppress(OSError, IndexError, StopIteration):  # it is not there yet
                status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
                mask = next(line for line in status if line.startswith("SigCgt:"))
                if int(mask.split()[1], 16) & bit:
                    return time.monotonic() - self.began
            time.sleep(0.005)
        return None

    def said(self) -> str:
        """Return what it said so far."""
        return self.log.read_text(errors="replace")

    def stop(self, seconds: float = 20.0) -> tuple[int | None, float]:
        """Send SIGTERM to its first process; return its exit code, if it ended, and how long."""
        began = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        try:
            code: int | None = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        return code, time.monotonic() - began

    def kill(self) -> None:
        """End it at once, with all it started."""
        if self.process.poll() is None:
            # Not left to --kill-child: that is forgotten when a process takes another user.
            with suppress(OSError, IndexError):
                os.kill(self.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()

    def zombies(self) -> tuple[int, int]:
        """Return how many processes it has, and how many have ended and were not reaped."""
        listed = self.run("/bin/sh", "-c", "cat /proc/[0-9]*/stat").stdout.splitlines()
        states = [line.rpartition(")")[2].split()[0] for line in listed if line]
        return len(states), states.count("Z")
