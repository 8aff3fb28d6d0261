"""Brings compose-go, the reader of Compose files that Docker Compose itself is built on."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "services"))

import install

PART = "compose-go"


def bring(folder: Path) -> None:
    """Build it."""
    source = "github.com/compose-spec/compose-go/v2/cmd@v2.9.0"
    install.call("go", "install", "-ldflags=-s -w", source, GOBIN=str(folder))


def binary() -> Path:
    """Return the program; the test ends here, by name, where there is none."""
    return install.need(PART) / "cmd"


if __name__ == "__main__":
    install.bring(PART, bring)
