"""Brings the servers of the tests that no package manager installs into `.services/`.

Run as a program it brings what is missing and tells what it could not bring; the tests that need
that are then skipped by name, or fail where CALWATCH_REQUIRE_SERVICES=1. Nothing is brought twice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / ".services"
POM = HERE / "jars" / "pom.xml"
LIMIT_SECONDS = 1800


class InstallError(Exception):
    """A server could not be brought; the message says why."""


def found(part: str) -> Path | None:
    """Return the folder of a part that has been brought, or None."""
    folder = FOLDER / part
    return folder if folder.is_dir() else None


def bring(part: str, make: Callable[[Path], None]) -> None:
    """Make the folder of a part, whole or not at all."""
    if found(part):
        return
    began = time.monotonic()
    unfinished = FOLDER / f"{part}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    make(unfinished)
    unfinished.rename(FOLDER / part)
    print(f"{part}: brought in {time.monotonic() - began:.0f} s")


def call(*command: object, **env: str) -> None:
    """Run a command; raise InstallError with the end of what it said if it fails."""
    words = [str(word) for word in command]
    if shutil.which(words[0]) is None:
        raise InstallError(f"`{words[0]}` is not on the path")
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=LIMIT_SECONDS, env={**os.environ, **env}
    )
    if done.returncode:
        raise InstallError(f"{' '.join(words)} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def kafka(folder: Path) -> None:
    """Bring the jars of Apache Kafka from Maven Central."""
    where = f"-DoutputDirectory={folder}"
    call(
        "mvn",
        "-q",
        "-B",
        "-f",
        POM,
        "dependency:copy-dependencies",
        where,
        "-DincludeScope=runtime",
    )


PARTS: dict[str, Callable[[Path], None]] = {"kafka": kafka}


def main() -> int:
    missing = 0
    for part, make in PARTS.items():
        try:
            bring(part, make)
        except (InstallError, OSError, subprocess.TimeoutExpired) as error:
            missing += 1
            print(f"{part}: its tests will be skipped: {error}", file=sys.stderr)
    return 1 if missing and os.environ.get("CALWATCH_REQUIRE_SERVICES") == "1" else 0


if __name__ == "__main__":
    sys.exit(main())
