"""Brings compose-go, the reader of Compose files that Docker Compose itself is built on."""

from __future__ import annotations

import contextlib
from pathlib import Path

import install

PART = "compose-go"


def bring(folder: Path) -> None:
    """Build it."""
    source = "github.com/compose-spec/compose-go/v2/cmd@v2.9.0"
    install.call("go", "install", "-ldflags=-s -w", source, GOBIN=str(folder))


def binary() -> Path:
    """Return the program, built at first use; where that cannot be the test ends here, by name."""
    with contextlib.suppress(install.InstallError):
        install.bring(PART, bring)
    return install.need(PART) / "cmd"
